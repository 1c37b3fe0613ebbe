package ledger

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// TestKeysAreWhatTheTableSays pins layout 2: a change here is a new layout and a migration.
func TestKeysAreWhatTheTableSays(t *testing.T) {
	id := uuid.MustParse("01970000-0000-7000-8000-00000000002a")
	rec := idRecord{seq: 41, at: 0x0197_0000_0000, digest: [16]byte{0xd1, 15: 0xd2}}
	for _, row := range []struct {
		name string
		got  []byte
		want string
	}{
		{"layout", metaKey("layout"), "6d6c61796f7574"},
		{"entry 258 of prompts", entryKey(nil, consent.StreamPrompts, 258), "65010000000000000102"},
		{"proof id", idKey(nil, id), "690197000000007000800000000000002a"},
		{"proof id's value", rec.append(nil), "00000000000000290000019700000000d10000000000000000000000000000d2"},
		{"head", head{1, 258, 3, [streams]uint64{4, 5, 6}}.append(nil), "000000000000000100000000000001020000000000000003000000000000000400000000000000050000000000000006"},
		{"filter of chunk 3", filterKey(nil, 3), "750000000000000003"},
		{"generation", appendGenerations(nil, []Generation{{2, id, 258, [streams]uint64{4, 5, 6}}}), "000000020197000000007000800000000000002a0000000000000102000000000000000400000000000000050000000000000006"},
		{"prompt of day 20000", promptKey(nil, 20000, id), "7000004e200197000000007000800000000000002a"},
		{"state", stateKey(nil, "demo", consent.SubjectKey{1, 15: 2}), "7364656d6f0001000000000000000000000000000002"},
		{"tile 1/3", tileKey(nil, consent.StreamProofs, 1, 3), "74010000000000000003"},
		{"tile 1/3 of publications", tileKey(nil, consent.StreamWordings, 1, 3), "6c02010000000000000003"},
		{"a published wording", publishedKey(nil, &consent.Publication{Kind: consent.PublishedWording, Site: "demo", Hash: consent.Hash{1, 31: 2}}, 7), "7964656d6f00776f7264696e67000100000000000000000000000000000000000000000000000000000000000002"},
		{"a published config", publishedKey(nil, &consent.Publication{Kind: consent.PublishedConfig, Site: "demo"}, 7), "7964656d6f00636f6e666967000000000000000007"},
		{"the current bundle", currentKey(nil, &consent.Publication{Kind: consent.PublishedBundle, Site: "demo", Locale: "fr"}), "7a64656d6f0062756e646c65006672"},
		{"wording", wordingKey(nil, "demo", consent.Hash{1, 31: 2}), "7764656d6f000100000000000000000000000000000000000000000000000000000000000002"},
		{"note", noteKey(nil, "mail", []byte{1, 0, 2}), "6e6d61696c00010002"},
		{"cursor of wordings", cursorKey(consent.StreamWordings), "6302"},
		{"proof 7 set aside", asideKey(consent.StreamProofs, 7), "78000000000000000007"},
	} {
		if got := hex.EncodeToString(row.got); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
	if back, err := parseIDRecord(rec.append(nil)); err != nil || back != rec {
		t.Errorf("id record read back: %+v %v", back, err)
	}
	if !bytes.Equal(after([]byte{1, 0xff}), []byte{2}) || after([]byte{0xff}) != nil {
		t.Error("after")
	}
}

package warehouse_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
)

var sameProof = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// odd are proofs at the edges of what a proof can be.
func odd() []*consent.Proof {
	g := storagetest.NewGenerator(3)
	all := g.Proofs(5)
	all[0] = g.WithEmail(all[0])
	all[0].Follows, all[0].Personal.Device = all[1].ID, all[1].Personal.Subject
	all[1].Personal.IP, all[1].Logical = netip.Addr{}, 3
	all[2].Personal.IP = netip.MustParseAddr("2001:db8::1")
	all[3].Wording, all[3].Prompt, all[3].Locale, all[3].Country = consent.Hash{}, uuid.Nil, "", ""
	all[3].Surface, all[3].Grade, all[3].Personal.UserAgent, all[3].Personal.Page = consent.SurfaceAPI, consent.GradeAsserted, "", ""
	all[4].Decisions = []consent.Choice{{Purpose: `a"b\c`, Granted: true}, {Purpose: "é", Granted: false}}
	all[4].Personal.Page, all[4].Personal.UserAgent = "https://é.example/'\";DROP TABLE x\n\\", "\x00\xff not UTF-8 ?"
	for _, p := range all {
		p.Commitment = p.Personal.Commit()
	}
	return all
}

func TestAProofComesBackAsItWasSent(t *testing.T) {
	w := open(t)
	proofs := odd()
	sendProofs(t, w, 100, proofs)
	sendProofs(t, w, 100, proofs) // copies must not show
	for i, p := range proofs {
		got, err := w.Proof(t.Context(), p.Site, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(*p, got.Proof, sameProof); d != "" || got.Seq != 100+uint64(i) || got.Erased {
			t.Errorf("proof %d, seq %d, erased %v (-sent +read):\n%s", i, got.Seq, got.Erased, d)
		}
		if got.Personal.Commit() != p.Commitment {
			t.Errorf("proof %d no longer opens its commitment", i)
		}
		history, err := w.History(t.Context(), p.Site, p.Personal.Subject, warehouse.Position{}, 10)
		if err != nil || len(history) != 1 {
			t.Fatalf("history of proof %d: %d rows, %v", i, len(history), err)
		}
		if d := cmp.Diff(*got, history[0], sameProof); d != "" {
			t.Errorf("history and proof differ:\n%s", d)
		}
	}
	for name, id := range map[string]uuid.UUID{"a random id": uuid.New(), "the zero id": {}, "an id of the last time there is": uuid.Max} {
		if _, err := w.Proof(t.Context(), "shop", id); !errors.Is(err, warehouse.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Proof(t.Context(), "other", proofs[0].ID); !errors.Is(err, warehouse.ErrNotFound) {
		t.Errorf("another site's proof must not be found: %v", err)
	}
}

func TestAProofIsFoundWhenItsClientsClockWasWrong(t *testing.T) {
	w := open(t)
	p := storagetest.NewGenerator(1).Proof()
	p.RecordedAt += consent.Millis((400 * 24 * time.Hour).Milliseconds())
	sendProofs(t, w, 0, []*consent.Proof{p})
	if _, err := w.Proof(t.Context(), p.Site, p.ID); err != nil {
		t.Error(err)
	}
}

func TestHistoryPagesNewestFirst(t *testing.T) {
	w := open(t)
	g := storagetest.NewGenerator(2) // ten proofs share each millisecond: pages must break ties
	proofs := g.Proofs(25)
	key := proofs[0].Personal.Subject
	for _, p := range proofs[:23] {
		p.Personal.Subject = key
	}
	sendProofs(t, w, 7, proofs)
	sendProofs(t, w, 7, proofs)
	var seqs []uint64
	var at warehouse.Position
	for range 10 {
		page, err := w.History(t.Context(), "shop", key, at, 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			seqs = append(seqs, r.Seq)
			at = r.Position()
		}
		if len(page) < 5 {
			break
		}
	}
	var want []uint64
	for seq := uint64(7 + 22); seq >= 7; seq-- {
		want = append(want, seq)
	}
	if d := cmp.Diff(want, seqs); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, limit := range []int{0, -1, warehouse.MaxHistory + 1} {
		if _, err := w.History(t.Context(), "shop", key, at, limit); !errors.Is(err, warehouse.ErrQuery) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestAnErasedPersonLeavesTheFacts(t *testing.T) {
	w := open(t)
	proofs := odd()
	sendProofs(t, w, 0, proofs)
	gone := proofs[0]
	alter(t, w, "DELETE FROM ", "consent_personal", " WHERE subject = unhex('"+gone.Personal.Subject.String()+"')")
	got, err := w.Proof(t.Context(), gone.Site, gone.ID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(gone.Facts, got.Facts); d != "" || !got.Erased || got.Personal.Subject != (consent.SubjectKey{}) {
		t.Errorf("erased %v, personal %+v:\n%s", got.Erased, got.Personal, d)
	}
	if h, err := w.History(t.Context(), gone.Site, gone.Personal.Subject, warehouse.Position{}, 10); err != nil || len(h) != 0 {
		t.Errorf("%d rows still belong to the erased subject, %v", len(h), err)
	}
	if n := count(t, w, "SELECT countIf(erased AND subject = '' AND ip = '' AND page = '' AND salt = '' AND linked_device = '') FROM consents"); n != 1 {
		t.Errorf("the view shows %d erased rows, want 1", n)
	}
	if n := count(t, w, "SELECT count() FROM consents"); n != uint64(len(proofs)) {
		t.Errorf("the view shows %d rows, want %d", n, len(proofs))
	}
}

func TestTheViewReadsInWords(t *testing.T) {
	w := open(t)
	proofs := odd()
	sendProofs(t, w, 0, proofs)
	sendProofs(t, w, 0, proofs)
	p := proofs[2]
	got := count(t, w, `SELECT count() FROM consents WHERE id = '`+p.ID.String()+`' AND wording = '`+p.Wording.String()+`'
		AND commitment = '`+p.Commitment.String()+`' AND subject = '`+p.Personal.Subject.String()+`' AND ip = '2001:db8::1' AND NOT erased
		AND decisions['ads'] IN ('granted', 'denied') AND length(decisions) = 3 AND grade = 'proven' AND page = '`+p.Personal.Page+`'`)
	if got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	if n := count(t, w, "SELECT count() FROM consents WHERE ip = '"+proofs[0].Personal.IP.String()+"' AND length(identifier) = 100"); n != 1 {
		t.Errorf("an IPv4 address does not read as one: %d rows", n)
	}
	if n := count(t, w, "SELECT count() FROM consents WHERE follows = '"+proofs[1].ID.String()+"' AND linked_device = '"+proofs[1].Personal.Subject.String()+"'"); n != 1 {
		t.Errorf("a confirmation does not name what it follows, or its device: %d rows", n)
	}
	if n := count(t, w, "SELECT countIf(follows = '' AND linked_device = '') FROM consents"); n != uint64(len(proofs)-1) {
		t.Errorf("%d rows follow nothing and are not linked, want %d", n, len(proofs)-1)
	}
}

package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
)

func publications(t *testing.T) map[string]*Publication {
	t.Helper()
	w, err := Wording{V: 1, Site: "demo", Surface: SurfaceBanner, Locale: "fr", Title: "Cookies"}.Publish()
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := NewBundle("demo", "", []byte("js"), []Hash{{2}, {1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := NewSnapshot(w, []byte("png"), SnapshotAbout{Bundle: bundle.Hash.String(), Device: "phone", Scheme: "dark", Width: 375, Height: 740})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Publication{"wording": w.Publication(), "bundle": bundle, "config": NewConfig("demo", []byte("site: demo\n")), "snapshot": snapshot}
}

func TestPublicationsSurviveTheirBinaryForm(t *testing.T) {
	for name, p := range publications(t) {
		p.PublishedAt = 1793484000001
		raw := AppendPublication(nil, p)
		got, err := ParsePublication(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Doc == nil {
			p.Doc = []byte{}
		}
		if d := cmp.Diff(p, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for cut := range raw {
			if _, err := ParsePublication(raw[:cut]); err == nil {
				t.Errorf("%s: %d of %d bytes parse", name, cut, len(raw))
			}
		}
	}
}

func TestPublicationFactsAreCanonical(t *testing.T) {
	for name, p := range publications(t) {
		p.PublishedAt = 1793484000001
		facts := p.AppendFacts(nil)
		again, err := jcs.Transform(facts)
		if err != nil || !bytes.Equal(again, facts) {
			t.Errorf("%s: %s is not canonical (%s, %v)", name, facts, again, err)
		}
		if p.Kind != PublishedWording && bytes.Contains(facts, p.Doc) && len(p.Doc) > 0 {
			t.Errorf("%s: the log holds the document: %s", name, facts)
		}
	}
	bundle := publications(t)["bundle"]
	bundle.PublishedAt = 1793484000001
	list := `["` + Hash{1}.String() + `","` + Hash{2}.String() + `"]`
	if string(bundle.Doc) != list {
		t.Errorf("wordings of a bundle: %s, want %s", bundle.Doc, list)
	}
	sum := sha256.Sum256([]byte(list))
	js := sha256.Sum256([]byte("js"))
	want := `{"about":{"wordings":"` + hex.EncodeToString(sum[:]) + `"},"hash":"` + hex.EncodeToString(js[:]) +
		`","kind":"bundle","locale":"","published_at":"2026-10-31T22:00:00.001Z","site":"demo","surface":"","type":"publication","v":1}`
	if got := string(bundle.AppendFacts(nil)); got != want {
		t.Errorf("facts of a bundle:\n%s\n%s", got, want)
	}
}

func TestTwoSnapshotsMayBeTheSamePicture(t *testing.T) {
	a, b := publications(t)["snapshot"], publications(t)["snapshot"]
	b.About = bytes.Replace(b.About, []byte("dark"), []byte("light"), 1)
	if a.Hash != b.Hash || a.Identity() == b.Identity() {
		t.Errorf("%v %v", a.Identity(), b.Identity())
	}
}

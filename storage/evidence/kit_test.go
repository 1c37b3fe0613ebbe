package evidence_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// clock gives each moment once, so that two times are never the same.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

// edge is a ledger with its two logs sealed.
type edge struct {
	*evidence.Keeper
	t      testing.TB
	dir    string
	clock  *clock
	ledger *ledger.Ledger
	log    *bytes.Buffer
	o      evidence.Options
}

func seed(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func signer(t testing.TB, name string, n byte) evidence.Signer {
	t.Helper()
	s, err := evidence.NewSigner(name, seed(n))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openEdge opens the ledger in dir/ledger with its anchors.
func openEdge(t testing.TB, dir string, change ...func(*evidence.Options)) *edge {
	t.Helper()
	e, err := tryEdge(t, dir, change...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// tryEdge is openEdge with the error of the keeper.
func tryEdge(t testing.TB, dir string, change ...func(*evidence.Options)) (*edge, error) {
	t.Helper()
	e := &edge{t: t, dir: dir, clock: &clock{at: time.UnixMilli(1793484000000)}, log: &bytes.Buffer{}}
	var err error
	o := ledger.Options{Dir: dir + "/ledger", Clock: e.clock.now, Log: slog.New(slog.DiscardHandler)}
	if _, err := os.Stat(dir + "/restored"); err == nil {
		o.Repair = &ledger.Repair{}
		if err := os.Remove(dir + "/restored"); err != nil {
			t.Fatal(err)
		}
	}
	e.ledger, err = ledger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.ledger.Close() })
	generations := e.ledger.Generations()
	e.o = evidence.Options{Edge: "e1", Generation: generations[len(generations)-1].Number, Signers: []evidence.Signer{signer(t, "consentd/e1", 1)},
		Proofs: e.ledger.Log(consent.StreamProofs), Publications: e.ledger.Log(consent.StreamWordings), Published: e.ledger,
		Near: []evidence.Anchor{evidence.Directory{Path: dir + "/log"}, e.ledger}, Now: e.ledger.Now,
		Log: slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, c := range change {
		c(&e.o)
	}
	e.Keeper, err = evidence.Open(t.Context(), e.o)
	return e, err
}

func (e *edge) key() evidence.Key { return e.Keys()[0] }

func (e *edge) seal() {
	e.t.Helper()
	if err := e.Seal(context.Background()); err != nil {
		e.t.Fatal(err)
	}
}

// wording is one of demo's banner, in a language.
func wording(t testing.TB, locale, title string) *consent.Published {
	t.Helper()
	w, err := consent.Wording{V: 1, Site: "demo", Surface: consent.SurfaceBanner, Locale: locale, Revision: 1,
		Controller: consent.Controller{Name: "Demo SAS", Contact: "dpo@demo.example"}, Title: title, Text: "We ask first.", Links: []consent.Link{},
		Buttons: map[string]string{"accept": "Accept", "refuse": "Refuse"},
		Purposes: []consent.ShownPurpose{
			{ID: "ads", Title: "Ads", Basis: consent.BasisConsent, Services: []consent.ShownService{}},
			{ID: "analytics", Title: "Audience", Basis: consent.BasisConsent, Services: []consent.ShownService{}},
		}}.Publish()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// publish logs a wording with the script that carries it, a configuration and a picture.
func (e *edge) publish(w *consent.Published) {
	e.t.Helper()
	bundle, err := consent.NewBundle("demo", "", []byte("script with "+w.Title), []consent.Hash{w.Hash})
	if err != nil {
		e.t.Fatal(err)
	}
	picture, err := consent.NewSnapshot(w, []byte("PNG of "+w.Title), consent.SnapshotAbout{Bundle: bundle.Hash.String(), Device: "phone", Scheme: "light", Width: 375, Height: 740})
	if err != nil {
		e.t.Fatal(err)
	}
	for _, p := range []*consent.Publication{consent.NewConfig("demo", []byte("title: "+w.Title)), w.Publication(), bundle, picture} {
		if err := e.ledger.Announce(context.Background(), p); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *edge) proof(n int, w *consent.Published) *consent.Proof {
	p := &consent.Proof{Facts: consent.Facts{
		ID: uuid.Must(uuid.NewV7()), Site: "demo", Edge: "e1", RecordedAt: e.ledger.Now(), Surface: consent.SurfaceBanner, Method: consent.MethodCustom,
		Locale: "fr", Country: "FR", Device: consent.DeviceMobile, Grade: consent.GradeProven, Prompt: uuid.New(),
		Decisions: []consent.Choice{{Purpose: "ads", Granted: false}, {Purpose: "analytics", Granted: true}},
	}}
	if w != nil {
		p.Wording, p.Locale = w.Hash, w.Locale
	}
	p.Personal = consent.Personal{Subject: consent.SubjectKey{byte(n), byte(n >> 8)}, Kind: consent.KindDevice, IP: netip.MustParseAddr("192.0.2.7"),
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)", Page: "https://shop.example/fr/", Salt: consent.NewSalt()}
	p.Commitment = p.Personal.Commit()
	return p
}

func (e *edge) record(p *consent.Proof) evidence.Recorded {
	e.t.Helper()
	r, err := e.ledger.Append(context.Background(), p)
	if err != nil {
		e.t.Fatal(err)
	}
	return evidence.Recorded{Proof: p, Seq: r.Seq, Generation: e.o.Generation}
}

func (e *edge) recordMany(n int, w *consent.Published) (all []evidence.Recorded) {
	e.t.Helper()
	for i := range n {
		all = append(all, e.record(e.proof(i, w)))
	}
	return all
}

var demo = evidence.Site{ID: "demo", Name: "Demo", Controller: consent.Controller{Name: "Demo SAS", Contact: "dpo@demo.example"}}

// file makes evidence of proofs and encodes it.
func (e *edge) file(proofs ...evidence.Recorded) []byte {
	e.t.Helper()
	return e.fileOf(evidence.Request{Site: demo, Proofs: proofs})
}

func (e *edge) fileOf(r evidence.Request) []byte {
	e.t.Helper()
	f, err := e.Make(context.Background(), r)
	if err != nil {
		e.t.Fatal(err)
	}
	b, err := f.Encode()
	if err != nil {
		e.t.Fatal(err)
	}
	return b
}

// wantOK fails when a verification refuses; it gives the report.
func wantOK(t testing.TB, file []byte, keys ...evidence.Key) *evidence.Report {
	t.Helper()
	r := evidence.Verify(file, keys, nil)
	if !r.OK() || r.File == nil {
		t.Fatalf("refused:\n%s", steps(r))
	}
	return r
}

func steps(r *evidence.Report) (s string) {
	for _, st := range r.Steps {
		s += fmt.Sprintf("%-8s %s %s: %s\n", st.Status, st.Part, st.Check, st.Detail)
	}
	return s
}

// status of one step, "" when it was not taken.
func status(r *evidence.Report, part, check string) evidence.Status {
	for _, s := range r.Steps {
		if s.Part == part && s.Check == check {
			return s.Status
		}
	}
	return ""
}

func refused(r *evidence.Report) (parts []string) {
	for _, s := range r.Steps {
		if s.Status == evidence.Refused {
			parts = append(parts, s.Part+" "+s.Check)
		}
	}
	return parts
}

package ledger

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// open opens a ledger for a test and closes it at its end.
func open(t testing.TB, o Options) *Ledger {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	l, err := Open(o)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// subject is the n-th subject key of the tests.
func subject(n int) (k consent.SubjectKey) {
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9e3779b97f4a7c15)
	return k
}

// proof makes a complete proof of subject n at the ledger's time.
func proof(l *Ledger, n int, m consent.Method, granted ...bool) *consent.Proof {
	p := &consent.Proof{Facts: consent.Facts{
		ID: uuid.Must(uuid.NewV7()), Site: "demo", Edge: l.Edge(), RecordedAt: l.Now(), Surface: consent.SurfaceBanner, Method: m,
		Locale: "fr", Country: "FR", Device: consent.DeviceMobile, Wording: consent.Hash{1, 2, 3}, Grade: consent.GradeProven, Prompt: uuid.New(),
	}}
	for i, g := range granted {
		p.Decisions = append(p.Decisions, consent.Choice{Purpose: fmt.Sprintf("purpose%d", i), Granted: g})
	}
	p.Personal = consent.Personal{Subject: subject(n), Kind: consent.KindDevice, IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}),
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Page: "https://shop.example/fr/", Salt: consent.NewSalt()}
	p.Commitment = p.Personal.Commit()
	return p
}

func mustAppend(t testing.TB, l *Ledger, p *consent.Proof) Receipt {
	t.Helper()
	r, err := l.Append(t.Context(), p)
	if err != nil {
		t.Fatalf("appending: %v", err)
	}
	return r
}

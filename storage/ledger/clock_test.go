package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// TestAStoppedClockKeepsTheOrder: what is said later counts later, within a run and after a restart.
func TestAStoppedClockKeepsTheOrder(t *testing.T) {
	dir, clock := t.TempDir(), func() time.Time { return time.UnixMilli(1_790_000_000_000) }
	for range 2 {
		l := open(t, Options{Dir: dir, Clock: clock})
		mustAppend(t, l, proof(l, 1, consent.MethodWithdraw, false))
		wantStatus(t, l, 1, consent.StatusWithdrawn)
		mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
		wantStatus(t, l, 1, consent.StatusGranted)
		l.Close()
	}
}

// TestAClockThatIsFarBehindIsRefused, because one of the two is wrong; and the repair dates the ledger anew.
func TestAClockThatIsFarBehindIsRefused(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2028, 1, 4, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	l := open(t, Options{Dir: dir, Clock: clock})
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	mustAppend(t, l, proof(l, 1, consent.MethodWithdraw, false))
	w := wordingNo(t, 1)
	if err := l.Publish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	l.Close()
	now = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	if _, err := Open(Options{Dir: dir, Clock: clock}); !errors.Is(err, ErrClock) {
		t.Fatalf("%v, want ErrClock", err)
	}
	r := &Repair{Clock: true}
	l = open(t, Options{Dir: dir, Clock: clock, Repair: r})
	if r.Reset != 1 {
		t.Errorf("%d states dated anew, want 1", r.Reset)
	}
	wantStatus(t, l, 1, consent.StatusWithdrawn)
	if st, _, err := l.Standing("demo", subject(1), "purpose0", l.Now()); err != nil || st.At.Time().After(now) {
		t.Errorf("the state is dated %v (%v)", st.At, err)
	}
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	wantStatus(t, l, 1, consent.StatusGranted)
	if err := l.Publish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if p, err := l.Wording("demo", w.Hash); err != nil || p.PublishedAt.Time().After(now.Add(time.Minute)) {
		t.Errorf("the text published again is dated %v (%v)", p.PublishedAt, err)
	}
	l.Close()
	open(t, Options{Dir: dir, Clock: clock})
}

// TestASetClockIsTold while consentd runs.
func TestASetClockIsTold(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	l := open(t, Options{Clock: func() time.Time { return now }})
	if err := l.Degraded(); err != nil {
		t.Errorf("at first: %v", err)
	}
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	now = now.Add(-time.Hour)
	if err := l.Degraded(); err == nil || !strings.Contains(err.Error(), "1h0m0s behind") {
		t.Errorf("an hour behind: %v", err)
	}
}

package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/consentd/consentd/storage/consent"
)

// TestARestoredLedgerTakesOverWhatWasSaidSince: of a copy, restored, and of proofs recorded after it in the generation
// before: states hold, ids are answered as the first time, nothing is counted, and readers do not wait for seqs that are
// of another generation. All of it after another start, too.
func TestARestoredLedgerTakesOverWhatWasSaidSince(t *testing.T) {
	disk := vfs.NewMem()
	l := open(t, Options{Dir: "a", fs: disk})
	mustAppend(t, l, proof(l, 1, consent.MethodAcceptAll, true))
	if err := l.Checkpoint("b"); err != nil {
		t.Fatal(err)
	}
	for n := range 40 { // so that its seq lies far beyond what the copy has
		mustAppend(t, l, proof(l, 100+n, consent.MethodAcceptAll, true))
	}
	withdrawn := proof(l, 1, consent.MethodWithdraw, false)
	first := mustAppend(t, l, withdrawn)
	r := open(t, Options{Dir: "b", fs: disk, Repair: &Repair{Copy: true}})
	wantStatus(t, r, 1, consent.StatusGranted)
	for _, want := range []int{1, 0} {
		if n, err := r.Absorb(context.Background(), []Former{{Generation: first.Generation, Seq: first.Seq, Proof: withdrawn}}); err != nil || n != want {
			t.Fatalf("took over %d, %v; want %d", n, err, want)
		}
	}
	for range 2 {
		wantWithin(t, func() { wantStatus(t, r, 1, consent.StatusWithdrawn) })
		again, err := r.Append(context.Background(), withdrawn)
		if err != nil || !again.Replayed || again.Seq != first.Seq || again.Generation != 1 || again.At != first.At {
			t.Errorf("a retry: %+v %v, want %+v", again, err, first)
		}
		if _, _, err := r.Proof(withdrawn.ID); err != ErrNotFound {
			t.Errorf("it is not here: %v", err)
		}
		if n := r.Next(consent.StreamProofs); n != 1 {
			t.Errorf("%d proofs, want 1", n)
		}
		if p := proof(r, 2, consent.MethodAcceptAll, true); p.RecordedAt <= withdrawn.RecordedAt {
			t.Errorf("the clock stands at %v, before %v", p.RecordedAt, withdrawn.RecordedAt)
		}
		if wrong, err := r.CheckEntries(context.Background(), func(uint64, uint64) {}); err != nil || len(wrong) > 0 {
			t.Errorf("looked through: %v %v", wrong, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open(t, Options{Dir: "b", fs: disk})
	}
}

// wantWithin bounds what must not hang.
func wantWithin(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for a proof that never comes")
	}
}

package warehouse_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// many are n proofs of one person, over months, of two logs; theirs are as many of others.
func many(t *testing.T, w *warehouse.Warehouse, n int) consent.SubjectKey {
	t.Helper()
	key := consent.SubjectKey{7}
	for generation := range uint32(2) {
		g := storagetest.NewGenerator(uint64(generation))
		g.Step = 3_600_000
		proofs := g.Proofs(n)
		for i, p := range proofs {
			if i%2 == 0 {
				p.Personal.Subject = key
				p.Commitment = p.Personal.Commit()
			}
		}
		if err := w.SendProofs(t.Context(), consent.Place{Edge: "e1", Generation: generation + 1}, proofs); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

func TestErasingAPersonIsOneMutationHoweverManyProofsTheyHave(t *testing.T) {
	w := open(t)
	const n = 5000
	key := many(t, w, n)
	erased, err := w.Erase(t.Context(), "shop", key)
	if err != nil || erased != n {
		t.Fatalf("%d erased, want %d: %v", erased, n, err)
	}
	if left := count(t, w, "SELECT count() FROM consent_personal WHERE subject = unhex('"+key.String()+"')"); left != 0 {
		t.Errorf("%d rows left", left)
	}
	if others := count(t, w, "SELECT count() FROM consent_personal"); others != n {
		t.Errorf("%d rows of others, want %d", others, n)
	}
	if made := count(t, w, "SELECT count() FROM system.mutations WHERE database = currentDatabase()"); made != 1 {
		t.Errorf("%d mutations, want one", made)
	}
	if inactive := count(t, w, "SELECT count() FROM consent_personal WHERE _row_exists = 0 SETTINGS apply_deleted_mask = 0"); inactive != 0 {
		t.Errorf("%d rows are masked, not gone", inactive)
	}
}

func TestAnErasureThatWasInterruptedIsWaitedForNotBegunAgain(t *testing.T) {
	w := open(t)
	key := many(t, w, 100)
	exec(t, w, "SYSTEM STOP MERGES consent_personal") // mutations, too
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := w.Erase(ctx, "shop", key); first <- err }()
	begun := func() bool {
		return count(t, w, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done") == 1
	}
	storagetest.Eventually(t, 10*time.Second, "the mutation is there", begun)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("an erasure that is not done was called %v", err)
	}
	second := make(chan error, 1)
	go func() { _, err := w.Erase(t.Context(), "shop", key); second <- err }()
	select {
	case err := <-second:
		t.Fatalf("the second call did not wait: %v", err)
	case <-time.After(300 * time.Millisecond): // a call that begins anew would have begun
	}
	if !begun() {
		t.Error("the second call made a mutation of its own")
	}
	exec(t, w, "SYSTEM START MERGES consent_personal")
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if left := count(t, w, "SELECT count() FROM consent_personal WHERE subject = unhex('"+key.String()+"')"); left != 0 {
		t.Errorf("%d rows left", left)
	}
	if made := count(t, w, "SELECT count() FROM system.mutations WHERE database = currentDatabase()"); made != 1 {
		t.Errorf("%d mutations, want the first call's", made)
	}
}

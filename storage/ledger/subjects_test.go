package ledger

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/consentd/consentd/storage/consent"
)

// TestASubjectIsFoundAcrossChunks: in full chunks, through their filters, and in the newest.
func TestASubjectIsFoundAcrossChunks(t *testing.T) {
	const all, people = 2*chunkProofs + 100, 3000
	fs := vfs.NewMem()
	l := open(t, Options{Dir: "data", fs: fs})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := w; i < all; i += 8 {
				mustAppend(t, l, proof(l, i%people, consent.MethodCustom, true))
			}
		})
	}
	writers.Wait()
	for range 2 {
		for n := 0; n < people; n += 100 {
			found := 0
			if err := l.Unshipped("demo", subject(n), func(uint64, *consent.Proof) error { found++; return nil }); err != nil {
				t.Fatal(err)
			}
			if want := (all - n + people - 1) / people; found != want {
				t.Errorf("subject %d: %d proofs, want %d", n, found, want)
			}
		}
		l.Close()
		l = open(t, Options{Dir: "data", fs: fs})
	}
	for chunk := range uint64(2) {
		if may, err := l.chunkMayHold(chunk, subject(99_999)); may || err != nil {
			t.Errorf("chunk %d may hold a proof of a stranger: %v %v", chunk, may, err)
		}
	}
	if done, err := l.Erase(t.Context(), "demo", subject(100)); err != nil || done.Proofs != 3 {
		t.Errorf("erased %+v, %v; want 3 proofs", done, err)
	}
}

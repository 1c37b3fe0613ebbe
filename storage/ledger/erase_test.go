package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// planted is a proof of a subject that carries words to look for.
func planted(l *Ledger, n int, word string) *consent.Proof {
	p := proof(l, n, consent.MethodCustom, true)
	p.Personal.Page, p.Personal.UserAgent, p.Personal.Identifier = "https://shop.example/"+word, "Browser "+word, []byte("sealed "+word)
	p.Commitment = p.Personal.Commit()
	return p
}

func erase(t *testing.T, l *Ledger, n int) Erased {
	t.Helper()
	done, err := l.Erase(t.Context(), "demo", subject(n))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestAnErasedSubjectLeavesItsFactsAndTheLog(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	var mine, others []*consent.Proof
	for i := range 300 {
		p := planted(l, i%3, "word")
		mustAppend(t, l, p)
		if i%3 == 1 {
			mine = append(mine, p)
		} else {
			others = append(others, p)
		}
	}
	if err := l.SetAside(consent.SetAside{Stream: consent.StreamProofs, Seq: 1, At: 5, Why: "constraint"}); err != nil {
		t.Fatal(err)
	}
	root, err := l.Log(consent.StreamProofs).Root(300)
	if err != nil {
		t.Fatal(err)
	}
	if done := erase(t, l, 1); done.Proofs != 100 || done.Before != 300 {
		t.Errorf("%+v", done)
	}
	check := func(l *Ledger) {
		t.Helper()
		for _, want := range mine {
			got, _, err := l.Proof(want.ID)
			if err != nil || !got.Erased() || !bytes.Equal(got.AppendFacts(nil), want.AppendFacts(nil)) {
				t.Fatalf("%+v %v", got, err)
			}
		}
		for _, want := range others {
			if got, _, err := l.Proof(want.ID); err != nil || got.Personal.Page != want.Personal.Page {
				t.Fatalf("somebody else: %+v %v", got, err)
			}
		}
		if again, err := l.Log(consent.StreamProofs).Root(300); err != nil || again != root {
			t.Errorf("the log is another: %v %v", again, err)
		}
		if s, err := l.State("demo", subject(1)); err != nil || s != nil {
			t.Errorf("state %+v %v", s, err)
		}
		if st, ok, err := l.Standing("demo", subject(1), "purpose0", l.Now()); err != nil || ok {
			t.Errorf("standing %+v %v", st, err)
		}
		aside, err := l.SetAsides()
		if err != nil || len(aside) != 1 || aside[0].Why != "constraint" {
			t.Fatalf("%+v %v", aside, err)
		}
		if p, err := consent.ParseProof(aside[0].Entry); err != nil || !p.Erased() || p.ID != mine[0].ID {
			t.Errorf("the row set aside: %+v %v", p, err)
		}
	}
	check(l)
	if done := erase(t, l, 1); done.Proofs != 0 {
		t.Errorf("erased again: %+v", done)
	}
	l.Close()
	check(open(t, Options{Dir: dir}))
}

func TestAfterAnErasureTheSubjectBeginsAnew(t *testing.T) {
	l := open(t, Options{})
	for range 3 * maxPile { // its pile is high, so that it is read before it is written
		mustAppend(t, l, proof(l, 1, consent.MethodCustom, true, true))
	}
	erase(t, l, 1)
	p := proof(l, 1, consent.MethodRejectAll, false)
	mustAppend(t, l, p)
	if st, ok, err := l.Standing("demo", subject(1), "purpose0", l.Now()); err != nil || !ok || st.Status != consent.StatusDenied {
		t.Errorf("%+v %v: a yes that was erased still counts", st, err) // else it would be withdrawn
	}
	if _, ok, err := l.Standing("demo", subject(1), "purpose1", l.Now()); err != nil || ok {
		t.Errorf("a purpose of before: %v", err)
	}
	if got, _, err := l.Proof(p.ID); err != nil || got.Erased() {
		t.Errorf("a later proof is erased: %v", err)
	}
	if r := mustAppend(t, l, p); !r.Replayed {
		t.Error("the same proof again is a new one")
	}
}

func TestErasingWhileOthersChooseLosesNothing(t *testing.T) {
	l := open(t, Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				mustAppend(t, l, proof(l, 10+w*100+i, consent.MethodCustom, true))
				mustAppend(t, l, proof(l, 1, consent.MethodCustom, i%2 == 0))
			}
		})
	}
	for range 20 {
		erase(t, l, 1)
	}
	wg.Wait()
	done := erase(t, l, 1)
	kept, gone := 0, 0
	err := l.Scan(consent.StreamProofs, 0, l.Next(consent.StreamProofs), func(_ uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		switch {
		case err != nil:
		case p.Erased():
			gone++
		default:
			kept++
		}
		return err
	})
	if err != nil || kept != 800 || gone != 800 || done.Before != 1600 {
		t.Errorf("%d kept, %d erased, %+v, %v", kept, gone, done, err)
	}
	wantRoot(t, l.Log(consent.StreamProofs), 1600)
	if s, err := l.State("demo", subject(1)); err != nil || s != nil {
		t.Errorf("%+v %v", s, err)
	}
}

func TestAnErasureAndATrimDoNotUndoEachOther(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	for i := range 2000 {
		mustAppend(t, l, proof(l, i%2, consent.MethodCustom, true))
	}
	if err := l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: 2000, End: 2000}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { erase(t, l, 1) })
	for seq := uint64(100); seq < 1800; seq += 100 {
		if err := l.Trim(consent.StreamProofs, seq); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	first := l.First(consent.StreamProofs)
	l.Close()
	l = open(t, Options{Dir: dir})
	if got := l.First(consent.StreamProofs); got != first {
		t.Errorf("the stream begins at %d, was trimmed to %d", got, first)
	}
}

// found counts the files below dir that hold a word.
func found(t *testing.T, dir, word string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a file the store has just removed
		}
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte(word)) {
			names = append(names, filepath.Base(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestScrubbingTakesWhatWasErasedOffTheDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	word := strings.Repeat("canary-", 3) + "7731" // long enough to stand uncompressed somewhere
	for i := range 500 {
		mustAppend(t, l, planted(l, i, map[bool]string{true: word, false: "other"}[i == 250]))
		if i == 300 {
			if err := l.db.Flush(); err != nil { // one copy in a table, one in a log that waits to be used again
				t.Fatal(err)
			}
		}
	}
	if files := found(t, dir, word); len(files) == 0 {
		t.Fatal("the control finds nothing to begin with")
	}
	erase(t, l, 250)
	if files := found(t, dir, word); len(files) == 0 {
		t.Fatal("it is gone before the scrubbing: the control proves nothing")
	}
	if err := l.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // files go in the background
		if left = found(t, dir, word); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("still in %q", left)
	}
	key := subject(250)
	l.Close()
	l = open(t, Options{Dir: dir})
	if files := found(t, dir, string(key[:])); len(files) > 0 {
		t.Errorf("the subject's key is in %q after a restart", files)
	}
	if files := found(t, dir, "other"); len(files) == 0 {
		t.Error("other people are gone too")
	}
	wantRoot(t, l.Log(consent.StreamProofs), 500)
	mustAppend(t, l, planted(l, 1, "after"))
}

func TestAClosedLedgerErasesNothing(t *testing.T) {
	l := open(t, Options{})
	l.Close()
	if _, err := l.Erase(t.Context(), "demo", subject(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

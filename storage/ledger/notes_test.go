package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// notesOf lists a space as "key=value" words.
func notesOf(t testing.TB, l *Ledger, space, from string) string {
	t.Helper()
	var all []string
	var start []byte
	if from != "" {
		start = []byte(from)
	}
	err := l.Notes(space, start, func(k, v []byte) error {
		all = append(all, fmt.Sprintf("%s=%s", k, v))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestNotesAreKeptBySpaceAndInOrder(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	note := func(space, k, v string) Note { return Note{space, []byte(k), []byte(v)} }
	if err := l.SetNotes(t.Context(), note("mail", "b", "2"), note("mail", "a", "1"), note("mailing", "a", "x"), note("mail", "c\x00\xff", "3"), note("mail", "", "0")); err != nil {
		t.Fatal(err)
	}
	if err := l.SetNotes(t.Context(), note("mail", "b", "two"), Note{Space: "mail", Key: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, row := range []struct{ name, space, from, want string }{
			{"a space, ascending", "mail", "", "=0 b=two c\x00\xff=3"},
			{"from a key on", "mail", "b", "b=two c\x00\xff=3"},
			{"from between two keys", "mail", "bb", "c\x00\xff=3"},
			{"a space whose name begins the same", "mailing", "", "a=x"},
			{"a space nobody wrote to", "m", "", ""},
		} {
			if got := notesOf(t, l, row.space, row.from); got != row.want {
				t.Errorf("%s: %q, want %q", row.name, got, row.want)
			}
		}
		if v, err := l.Note("mail", []byte("b")); err != nil || string(v) != "two" {
			t.Errorf("%q %v", v, err)
		}
		if _, err := l.Note("mail", []byte("a")); !errors.Is(err, ErrNotFound) {
			t.Errorf("a deleted note: %v", err)
		}
		l.Close()
		l = open(t, Options{Dir: dir})
	}
	stop := errors.New("stop")
	if err := l.Notes("mail", nil, func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the caller's error: %v", err)
	}
}

func TestNotesGoWithTheFirstProofOnly(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true)
	if _, err := l.AppendWith(t.Context(), p, Note{"optin", []byte("k"), []byte("first")}); err != nil {
		t.Fatal(err)
	}
	if r, err := l.AppendWith(t.Context(), p, Note{"optin", []byte("k"), []byte("again")}, Note{"optin", []byte("l"), []byte("new")}); err != nil || !r.Replayed {
		t.Fatalf("%+v %v", r, err)
	}
	other := *p
	other.Decisions = []consent.Choice{{Purpose: "purpose0", Granted: false}}
	if _, err := l.AppendWith(t.Context(), &other, Note{"optin", []byte("k"), []byte("conflict")}); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	mustAppend(t, l, proof(l, 2, consent.MethodCustom, true)) // what a replay might have left behind would go with it
	if got := notesOf(t, l, "optin", ""); got != "k=first" {
		t.Errorf("%q: a replay wrote notes", got)
	}
}

func TestATouchIsSeenAtOnceAndAfterARestart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	contact := func(n int) consent.Millis {
		t.Helper()
		s, err := l.State("demo", subject(n))
		if err != nil {
			t.Fatal(err)
		}
		return s.Contact().At
	}
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	contact(1) // the state is hot now
	now := l.Now()
	if err := l.Touch(t.Context(), "demo", now-5, subject(1), subject(2)); err != nil {
		t.Fatal(err)
	}
	if got := contact(1); got != now-5 {
		t.Errorf("contact at %d, want %d", got, now-5)
	}
	if s, err := l.State("demo", subject(2)); s != nil || err != nil {
		t.Errorf("a stranger has a state now: %v %v", s, err)
	}
	if err := l.Touch(t.Context(), "demo", now-10, subject(1)); err != nil || contact(1) != now-5 {
		t.Errorf("an earlier contact replaced a later one: %d %v", contact(1), err)
	}
	if err := l.Touch(t.Context(), "demo", now+1_000_000, subject(1)); err != nil || contact(1) > l.Now() {
		t.Errorf("a contact in the future: %d %v", contact(1), err)
	}
	before := contact(1)
	l.Close()
	l = open(t, Options{Dir: dir})
	if contact(1) != before {
		t.Errorf("after a restart %d, want %d", contact(1), before)
	}
}

// separate counts what must not be: proofs without their note, and notes without their proof.
func separate(t testing.TB, l *Ledger) (n int) {
	t.Helper()
	err := l.Scan(consent.StreamProofs, 0, l.Next(consent.StreamProofs), func(_ uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err != nil {
			return err
		}
		if v, err := l.Note("with", p.ID[:]); errors.Is(err, ErrNotFound) || string(v) != p.Site {
			n++
		} else if err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Notes("with", nil, func(k, _ []byte) error {
		if _, _, err := l.Proof(uuid.UUID(k)); errors.Is(err, ErrNotFound) {
			n++
		} else if err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func noteWith(p *consent.Proof) Note { return Note{"with", p.ID[:], []byte(p.Site)} }

func TestPowerCutKeepsAProofAndItsNotesTogether(t *testing.T) {
	for seed := range uint64(9) {
		acked, disk := crashWriting(t, seed, Options{}, func(l *Ledger, p *consent.Proof) error {
			_, err := l.AppendWith(t.Context(), p, noteWith(p))
			return err
		})
		l, err := Open(Options{Dir: "data", fs: disk, Reserve: 1})
		if err != nil {
			t.Fatalf("seed %d: recovering: %v", seed, err)
		}
		checkAcked(t, l, acked)
		checkWhole(t, l)
		if n := separate(t, l); n > 0 {
			t.Errorf("seed %d: %d proofs and notes are without the other", seed, n)
		}
		l.Close()
	}
}

// TestPowerCutTearsWhatIsWrittenApart is the control: with two writes in place of one the test above must go red.
func TestPowerCutTearsWhatIsWrittenApart(t *testing.T) {
	torn := 0
	for seed := range uint64(9) {
		_, disk := crashWriting(t, seed, Options{}, func(l *Ledger, p *consent.Proof) error {
			_, err := l.Append(t.Context(), p)
			return errors.Join(err, l.SetNotes(t.Context(), noteWith(p)))
		})
		l, err := Open(Options{Dir: "data", fs: disk, Reserve: 1})
		if err != nil {
			t.Fatal(err)
		}
		torn += separate(t, l)
		l.Close()
	}
	if torn == 0 {
		t.Fatal("nothing was torn: the crash test proves nothing")
	}
}

// cutAfter runs write on a crashable disk and gives what is found there after the power went right behind it.
func cutAfter(t *testing.T, o Options, write func(*Ledger)) *Ledger {
	t.Helper()
	mem := vfs.NewCrashableMem()
	o.Dir, o.fs, o.Reserve = "data", mem, 1
	l := open(t, o)
	write(l)
	return open(t, Options{Dir: "data", Reserve: 1, fs: mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))})})
}

// TestPowerCutLosesNoNoteAndNoContact has its control built in: without syncs, both are lost.
func TestPowerCutLosesNoNoteAndNoContact(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		var at consent.Millis
		l := cutAfter(t, Options{noSync: noSync}, func(l *Ledger) {
			mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
			at = l.Now()
			if err := errors.Join(l.SetNotes(t.Context(), Note{"mail", []byte("k"), []byte("v")}), l.Touch(t.Context(), "demo", at, subject(1))); err != nil {
				t.Fatal(err)
			}
		})
		_, err := l.Note("mail", []byte("k"))
		s, err2 := l.State("demo", subject(1))
		if err2 != nil {
			t.Fatal(err2)
		}
		if noSync && (err == nil || s != nil) {
			t.Error("nothing was lost without any sync: the test proves nothing")
		}
		if !noSync && (err != nil || s.Contact() != (consent.Contact{At: at})) {
			t.Errorf("after a power cut: note %v, contact %+v, want %d", err, s.Contact(), at)
		}
	}
}

// TestNotesAndContactsAreNotAnsweredBeforeTheSync: as for proofs.
func TestNotesAndContactsAreNotAnsweredBeforeTheSync(t *testing.T) {
	disk := &slowDisk{}
	l := open(t, Options{Dir: "data", Reserve: 1, fs: errorfs.Wrap(vfs.NewMem(), disk)})
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	mustAppend(t, l, proof(l, 2, consent.MethodCustom, true))
	release := disk.hold()
	defer release()
	answers := make(chan string, 6)
	ask := func(what string, f func() error) {
		go func() {
			if err := f(); err != nil {
				what += ": " + err.Error()
			}
			answers <- what
		}()
	}
	at := l.Now()
	applied := l.loose.applied.Load()
	ask("touch", func() error { return l.Touch(t.Context(), "demo", at, subject(1)) })
	eventually(t, func() bool { return l.loose.applied.Load() > applied })
	ask("set", func() error { return l.SetNotes(t.Context(), Note{"mail", []byte("k"), []byte("v")}) }) // waits behind the first
	eventually(t, func() bool { s := mustState(t, l, subject(1)); return s.Contact().At == at })
	eventually(t, func() bool { // what was read before is forgotten only after that
		v, hot := l.hot.get(nil, stateKey(nil, "demo", subject(1)))
		s, err := consent.ParseState(v)
		return !hot || err == nil && s.Contact().At == at
	})
	ask("the same touch", func() error { return l.Touch(t.Context(), "demo", at, subject(1)) })
	ask("standing", func() error { _, _, err := l.Standing("demo", subject(1), "purpose0", at); return err })
	ask("state", func() error { _, err := l.State("demo", subject(1)); return err })
	ask("note", func() error {
		if _, err := l.Note("mail", []byte("other")); !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("a note nobody wrote: %v", err)
		}
		return nil
	})
	select {
	case what := <-answers:
		t.Fatalf("%s was answered before the sync", what)
	case <-time.After(100 * time.Millisecond):
	}
	if _, ok, err := l.Standing("demo", subject(2), "purpose0", at); err != nil || !ok {
		t.Errorf("other subjects are answered meanwhile: %v %v", ok, err)
	}
	release()
	for range cap(answers) {
		if what := <-answers; strings.Contains(what, ":") {
			t.Error(what)
		}
	}
}

// mustState reads what is visible, durable or not.
func mustState(t *testing.T, l *Ledger, k consent.SubjectKey) (s consent.State) {
	t.Helper()
	_, err := l.view(stateKey(nil, "demo", k), func(v []byte) (err error) {
		s, err = consent.ParseState(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNearlyFullDiskLetsNotesGo(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem(), free: 1 << 30}
	l := open(t, Options{Dir: "data", fs: disk, Reserve: 1 << 20})
	k := []byte("k")
	if err := l.SetNotes(t.Context(), Note{"mail", k, []byte("v")}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	disk.set(1)
	l.checkSpace()
	for name, err := range map[string]error{
		"a new note":           l.SetNotes(t.Context(), Note{"mail", k, []byte("w")}),
		"a note and a removal": l.SetNotes(t.Context(), Note{"mail", k, nil}, Note{"mail", []byte("l"), []byte("w")}),
		"a contact":            l.Touch(t.Context(), "demo", l.Now()+1, subject(1)),
	} {
		if !errors.Is(err, ErrNoSpace) {
			t.Errorf("%s: %v, want ErrNoSpace", name, err)
		}
	}
	if err := l.SetNotes(t.Context(), Note{Space: "mail", Key: k}); err != nil {
		t.Errorf("a removal: %v", err)
	}
	if _, err := l.Note("mail", k); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}

// TestContactsAndProofsOfOnePersonMeet: whoever writes when, the state has the latest contact and every choice, in
// memory as in the store.
func TestContactsAndProofsOfOnePersonMeet(t *testing.T) {
	l := open(t, Options{})
	base := l.Now() - 1_000_000
	p := proof(l, 1, consent.MethodCustom, true)
	p.RecordedAt = base
	mustAppend(t, l, p)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				switch {
				case w == 0:
					p := proof(l, 1, consent.MethodCustom, i%2 == 0, true)
					p.RecordedAt = base + consent.Millis(i)
					if _, err := l.Append(t.Context(), p); err != nil {
						t.Error(err)
					}
				case w%2 == 0:
					if err := l.Touch(t.Context(), "demo", base+consent.Millis(10*i+w), subject(1), subject(1)); err != nil {
						t.Error(err)
					}
				default:
					if _, err := l.State("demo", subject(1)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	s, err := l.State("demo", subject(1))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Contact().At, base+990+6; got != want {
		t.Errorf("contact %d, want %d", got-base, want-base)
	}
	if st, _, err := l.Standing("demo", subject(1), "purpose0", l.Now()); err != nil || st.Status != consent.StatusWithdrawn || st.At != base+99 || st.Contact != s.Contact() {
		t.Errorf("%+v %v", st, err)
	}
	if got := mustState(t, l, subject(1)); got.Contact() != s.Contact() {
		t.Errorf("the store says %+v, memory %+v", got.Contact(), s.Contact())
	}
}

// TestNothingIsKeptAboutStrangers: a contact of somebody who never decided anything is nobody's business.
func TestNothingIsKeptAboutStrangers(t *testing.T) {
	l := open(t, Options{})
	if err := l.Touch(t.Context(), "demo", l.Now()); err != nil {
		t.Errorf("nobody: %v", err)
	}
	if err := l.Touch(t.Context(), "demo", l.Now(), subject(7)); err != nil {
		t.Errorf("a stranger: %v", err)
	}
	if there, err := l.has(stateKey(nil, "demo", subject(7))); err != nil || there {
		t.Errorf("something is kept about a stranger: %v %v", there, err)
	}
	mustAppend(t, l, proof(l, 7, consent.MethodCustom, true))
	if err := l.Touch(t.Context(), "other", l.Now(), subject(7)); err != nil {
		t.Error(err)
	}
	if there, err := l.has(stateKey(nil, "other", subject(7))); err != nil || there {
		t.Errorf("something is kept about another site's person: %v %v", there, err)
	}
}

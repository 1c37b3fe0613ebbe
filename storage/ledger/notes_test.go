package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
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

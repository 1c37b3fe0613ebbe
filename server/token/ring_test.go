package token_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/server/token"
)

// A test that needs another process starts itself with childDir set; its arguments say what to do.
const childDir = "TOKEN_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Args[1:]); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func child(dir string, args []string) error {
	os.Stdin.Read(make([]byte, 1)) // start together: the parent closes it
	r, err := token.OpenRing(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	switch args[0] {
	case "issue":
		raw, _, err := r.Issue(grant())
		os.Stdout.WriteString(raw)
		return err
	case "rotate":
		return r.Rotate()
	case "revoke":
		return r.Revoke(args[1])
	case "retire":
		return r.Retire(args[1])
	}
	return errors.New("unknown child")
}

type process struct {
	cmd   *exec.Cmd
	start io.Closer
	out   bytes.Buffer
}

func prepare(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), childDir+"="+dir)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) finish(t *testing.T) string {
	t.Helper()
	p.start.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return p.out.String()
}

// withinTwoSeconds is the promise about what other processes do: four looks of a ring, which looks every 500 ms. A
// ticker like its own counts them: on a machine that stands still, neither looks.
func withinTwoSeconds(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for looks := 0; !cond(); {
		if looks == 4 {
			t.Fatalf("not within four looks: %s", what)
		}
		select {
		case <-tick.C:
			looks++
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }

func TestARotatedKeySignsAndTheOlderStillVerifies(t *testing.T) {
	r := open(t, newDir(t), nil)
	old, oldClaims := issue(t, r, grant())
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh, freshClaims := issue(t, r, grant())
	if oldClaims.KeyID == freshClaims.KeyID {
		t.Fatal("the new token was signed with the old key")
	}
	keys := r.Keys()
	if len(keys) != 2 || keys[0] != (token.Key{ID: oldClaims.KeyID}) || keys[1] != (token.Key{ID: freshClaims.KeyID, Signs: true}) {
		t.Errorf("the ring lists %+v", keys)
	}
	for _, raw := range []string{old, fresh} {
		if _, err := r.Verify(raw); err != nil {
			t.Error(err)
		}
	}
	if err := r.Retire(oldClaims.KeyID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(old); !errors.Is(err, token.ErrInvalid) || !strings.Contains(err.Error(), "not in the ring") {
		t.Errorf("signed with the retired key: got %v, want ErrInvalid", err)
	}
	if _, err := r.Verify(fresh); err != nil {
		t.Error(err)
	}
}

func TestOnlyAKeyThatDoesNotSignIsRetired(t *testing.T) {
	r := open(t, newDir(t), nil)
	if err := r.Retire(r.Keys()[0].ID); !errors.Is(err, token.ErrSigningKey) {
		t.Errorf("the signing key: got %v, want ErrSigningKey", err)
	}
	if err := r.Retire("0123456789abcdef"); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("an unknown key: got %v, want ErrUnknownKey", err)
	}
}

func TestARevokedTokenIsRefusedAtOnceAndAfterAReopen(t *testing.T) {
	dir := newDir(t)
	r := open(t, dir, nil)
	raw, c := issue(t, r, grant())
	other, _ := issue(t, r, grant())
	if _, err := r.Verify(raw); err != nil { // now it is remembered
		t.Fatal(err)
	}
	for range 2 { // revoking twice is no error
		if err := r.Revoke(c.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, ring := range []*token.Ring{r, open(t, dir, nil)} {
		if _, err := ring.Verify(raw); !errors.Is(err, token.ErrRevoked) {
			t.Errorf("got %v, want ErrRevoked", err)
		}
		if _, err := ring.Verify(other); err != nil {
			t.Errorf("another token: %v", err)
		}
	}
}

func TestOnlyAnIdCanBeRevoked(t *testing.T) {
	r := open(t, newDir(t), nil)
	for _, jti := range []string{"", "x", "../../0001.key", "0197A000-0000-7000-8000-000000000001", "{0197a000-0000-7000-8000-000000000001}"} {
		if err := r.Revoke(jti); !errors.Is(err, token.ErrTokenID) {
			t.Errorf("%q: got %v, want ErrTokenID", jti, err)
		}
	}
}

func TestARevocationIsForgottenOnceNoTokenCanNeedIt(t *testing.T) {
	c, dir := newClock(), newDir(t)
	r := open(t, dir, c.Now)
	g := grant()
	g.TTL = token.MaxTTL
	raw, claims := issue(t, r, g)
	if err := r.Revoke(claims.ID); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		entries, err := os.ReadDir(filepath.Join(dir, "revoked"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	c.Advance(token.MaxTTL - time.Second)
	if _, err := open(t, dir, c.Now).Verify(raw); !errors.Is(err, token.ErrRevoked) || count() != 1 {
		t.Fatalf("in the last second of its life: %v, %d files", err, count())
	}
	c.Advance(31 * 24 * time.Hour)
	if _, err := open(t, dir, c.Now).Verify(raw); !errors.Is(err, token.ErrExpired) || count() != 0 {
		t.Errorf("long after: %v, %d files", err, count())
	}
}

func TestWhatAnotherProcessDoesIsNoticedWithinTwoSeconds(t *testing.T) {
	dir := newDir(t)
	r := open(t, dir, nil)
	raw, c := issue(t, r, grant())
	kept, keptClaims := issue(t, r, grant())
	verify := func(raw string, want error) func() bool {
		return func() bool { _, err := r.Verify(raw); return errors.Is(err, want) }
	}
	if !verify(raw, nil)() {
		t.Fatal("not accepted to begin with")
	}
	prepare(t, dir, "revoke", c.ID).finish(t)
	withinTwoSeconds(t, "a revocation", verify(raw, token.ErrRevoked))
	prepare(t, dir, "rotate").finish(t)
	withinTwoSeconds(t, "a new key", func() bool { return len(r.Keys()) == 2 })
	theirs := prepare(t, dir, "issue").finish(t)
	if !verify(theirs, nil)() || !verify(kept, nil)() {
		t.Error("after the rotation a good token is refused")
	}
	prepare(t, dir, "retire", keptClaims.KeyID).finish(t)
	withinTwoSeconds(t, "a retired key", verify(kept, token.ErrInvalid))
}

// TestAChangeWithinOneTickOfTheDirectorysClockIsNoticed: file systems stamp changes to some milliseconds, so two
// changes can carry one time.
func TestAChangeWithinOneTickOfTheDirectorysClockIsNoticed(t *testing.T) {
	dir := newDir(t)
	r := open(t, dir, nil)
	raw, c := issue(t, r, grant())
	_, other := issue(t, r, grant())
	if err := r.Revoke(other.ID); err != nil { // so that the ring has just looked
		t.Fatal(err)
	}
	revoked := filepath.Join(dir, "revoked")
	before, err := os.Stat(revoked)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(revoked, c.ID+".9999999999"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(revoked, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	withinTwoSeconds(t, "the revocation", func() bool { _, err := r.Verify(raw); return errors.Is(err, token.ErrRevoked) })
}

func TestProcessesThatStartAtOnceShareOneRing(t *testing.T) {
	dir := newDir(t)
	var all [5]*process
	for i := range all {
		all[i] = prepare(t, dir, "issue")
	}
	for _, p := range all {
		p.start.Close()
	}
	raws := make([]string, len(all))
	for i, p := range all {
		raws[i] = p.finish(t)
	}
	r := open(t, dir, nil)
	if len(r.Keys()) != 1 {
		t.Errorf("the ring has %d keys, want 1", len(r.Keys()))
	}
	for _, raw := range raws {
		if _, err := r.Verify(raw); err != nil {
			t.Error(err)
		}
	}
}

func TestRotationsAtOnceEachAddAKey(t *testing.T) {
	dir := newDir(t)
	r := open(t, dir, nil)
	var all [4]*process
	for i := range all {
		all[i] = prepare(t, dir, "rotate")
	}
	for _, p := range all {
		p.start.Close()
	}
	for _, p := range all {
		p.finish(t)
	}
	withinTwoSeconds(t, "five keys", func() bool { return len(r.Keys()) == 5 })
}

func TestADamagedKeyIsReportedAndHidesNoRevocation(t *testing.T) {
	dir := newDir(t)
	r := open(t, dir, nil)
	raw, c := issue(t, r, grant())
	bad := filepath.Join(dir, "0002.key")
	if err := os.WriteFile(bad, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	withinTwoSeconds(t, "the damage", func() bool { return errors.Is(r.Err(), keyfile.ErrMalformed) })
	if _, err := r.Verify(raw); err != nil {
		t.Errorf("a good token meanwhile: %v", err)
	}
	if err := r.Revoke(c.ID); !errors.Is(err, keyfile.ErrMalformed) {
		t.Errorf("revoking meanwhile: got %v, want the damage told", err)
	}
	if _, err := r.Verify(raw); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("after revoking: got %v, want ErrRevoked", err)
	}
	if _, err := token.OpenRing(dir); !errors.Is(err, keyfile.ErrMalformed) || !strings.Contains(err.Error(), bad) {
		t.Errorf("opening: got %v, want ErrMalformed that names the file", err)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	withinTwoSeconds(t, "the repair", func() bool { return r.Err() == nil })
}

func TestOneKeyUnderTwoNumbersIsRefused(t *testing.T) {
	dir := newDir(t)
	open(t, dir, nil)
	text, err := os.ReadFile(filepath.Join(dir, "0001.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "0002.key"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := token.OpenRing(dir); err == nil || !strings.Contains(err.Error(), "numbers 1 and 2 are the same key") {
		t.Errorf("got %v", err)
	}
}

package mail

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
)

// A process of its own that can be killed: this test binary, told by its environment to be one.
const (
	childDir    = "CONSENTD_MAIL_CHILD"  // data directory
	childServer = "CONSENTD_MAIL_SERVER" // where mails go
	childPeople = "CONSENTD_MAIL_PEOPLE" // "from to": whom to queue a mail for
	childForget = "CONSENTD_MAIL_FORGET" // "1": jobs are not made durable, the control
)

// TestMailChild is that process; as a test it does nothing.
func TestMailChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	var from, to int
	if _, err := fmt.Sscan(os.Getenv(childPeople), &from, &to); err != nil {
		t.Fatal(err)
	}
	var store Store = openLedger(t, dir)
	if os.Getenv(childForget) == "1" {
		store = &forgetful{Store: store, notes: map[string][]byte{}}
	}
	d := open(t, os.Getenv(childServer), func(o *Options) { o.Store = store }).run()
	for i := from; i < to; i++ {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
		fmt.Printf("queued %d\n", i)
	}
	d.empty()
	fmt.Println("empty")
}

// forgetful keeps what it is told in memory.
type forgetful struct {
	Store
	mu    sync.Mutex // covers notes
	notes map[string][]byte
}

func (f *forgetful) SetNotes(_ context.Context, notes ...ledger.Note) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range notes {
		f.notes[string(n.Key)] = n.Value
	}
	return nil
}

func (f *forgetful) Note(_ string, key []byte) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.notes[string(key)]; v != nil {
		return v, nil
	}
	return nil, ledger.ErrNotFound
}

// child is a running process.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, dir, server string, from, to int, forget bool) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMailChild$", "-test.v")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childServer+"="+server, fmt.Sprintf("%s=%d %d", childPeople, from, to))
	if forget {
		cmd.Env = append(cmd.Env, childForget+"=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t, cmd, bufio.NewScanner(out)}
	t.Cleanup(c.kill)
	return c
}

// says waits for a line.
func (c *child) says(want string) {
	c.t.Helper()
	var said []string
	for c.lines.Scan() {
		if said = append(said, c.lines.Text()); c.lines.Text() == want {
			return
		}
	}
	c.t.Fatalf("the process ended without saying %q:\n%s", want, strings.Join(said, "\n"))
}

// kill is kill -9.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// lost kills a process twice, once with the server down and once in the middle of sending, and counts: who never had
// a mail, and who has more than two. Copies have to be recognisable.
func lost(t *testing.T, forget bool) (nobody, tooMany, copies int) {
	t.Helper()
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "DATA" { // a mail takes its time, so that the kill comes in the middle of some
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}})
	proxy := storagetest.NewProxy(t, s.Addr)
	proxy.Refuse()
	dir, server := t.TempDir(), "smtp://"+proxy.Addr()
	const people = 300
	c := startChild(t, dir, server, 0, people/2, forget)
	c.says(fmt.Sprintf("queued %d", people/2-1))
	c.kill()
	if n := len(s.Mails()); n > 0 {
		t.Fatalf("%d mails through a server that is down", n)
	}
	c = startChild(t, dir, server, people/2, people, forget)
	c.says(fmt.Sprintf("queued %d", people-1))
	proxy.Heal(t)
	s.Wait(t, people/5)
	c.kill()
	startChild(t, dir, server, 0, 0, forget).says("empty")
	ids, each := map[string]string{}, map[string]int{}
	for _, m := range s.Mails() {
		id := m.Read(t).Header.Get("Message-Id")
		if first, known := ids[m.To]; known && first != id {
			t.Errorf("two mails to one person are told apart: %s, %s", first, id)
		}
		ids[m.To] = id
		if each[m.To]++; each[m.To] == 2 {
			copies++
		} else if each[m.To] > 2 {
			tooMany++
		}
	}
	return people - len(each), tooMany, copies
}

// TestKilled: kill -9 of the process while the mail server is down, and again while it sends. Nobody is forgotten;
// at most the mails in the server's hands at that moment come twice, as the same mail.
func TestKilled(t *testing.T) {
	nobody, tooMany, copies := lost(t, false)
	if nobody != 0 || tooMany != 0 || copies > 4 { // connections
		t.Errorf("%d people have no mail, %d more than two, %d two", nobody, tooMany, copies)
	}
	t.Logf("%d mails came twice", copies)
}

// The control: without the store, the same test finds people forgotten.
func TestKilledWithoutAStore(t *testing.T) {
	if nobody, _, _ := lost(t, true); nobody == 0 {
		t.Error("nobody was forgotten: the test finds nothing")
	}
}

// TestAJobIsWrittenWithItsProof: in the proof's own batch, and a replay queues nothing.
func TestAJobIsWrittenWithItsProof(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	d := open(t, s.URL()).run()
	j := d.job("a@exemple.fr")
	p := storagetest.NewGenerator(1).Proof()
	for range 2 {
		again := *p
		if _, err := d.ledger.AppendWith(t.Context(), &again, d.Note(j)); err != nil {
			t.Fatal(err)
		}
		d.Wake(j)
		s.Wait(t, 1)
		d.empty()
	}
	if n := len(s.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

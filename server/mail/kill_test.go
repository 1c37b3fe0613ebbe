package mail

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
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
	childStore  = "CONSENTD_MAIL_STORE"  // "": the ledger; "none", "unmarked": a control
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
	switch os.Getenv(childStore) {
	case "none":
		store = &forgetful{Store: store, notes: map[string][]byte{}}
	case "unmarked":
		store = unmarked{store}
	}
	d := open(t, os.Getenv(childServer), func(o *Options) { o.Store, o.Turn, o.Timeout = store, time.Hour, time.Hour }).run()
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

// unmarked is a store that is never told of a mail being handed over.
type unmarked struct{ Store }

func (u unmarked) SetNotes(ctx context.Context, notes ...ledger.Note) error {
	if n := notes[0]; n.Value != nil {
		if _, err := u.Note(n.Space, n.Key); err == nil { // it is there already
			return nil
		}
	}
	return u.Store.SetNotes(ctx, notes...)
}

// child is a running process.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, dir, server string, from, to int, store string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMailChild$", "-test.v")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childServer+"="+server, fmt.Sprintf("%s=%d %d", childPeople, from, to), childStore+"="+store)
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

// tally counts the copies of each person's mail, which have to be recognisable as such.
func tally(t *testing.T, mails []*mailtest.Mail) map[string]int {
	t.Helper()
	ids, copies := map[string]string{}, map[string]int{}
	for _, m := range mails {
		id := m.Read(t).Header.Get("Message-Id")
		if first, known := ids[m.To]; known && first != id {
			t.Errorf("two mails to one person are told apart: %s, %s", first, id)
		}
		ids[m.To] = id
		copies[m.To]++
	}
	return copies
}

const killsWhileSending = 4

// lost kills a process once with the server down, and a few times in the middle of sending. It counts who never had a
// mail, who has more than two, and who has two.
func lost(t *testing.T, store string) (nobody, tooMany, twice int) {
	t.Helper()
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "DATA" || command == "TAKEN" { // a mail takes its time, so that a kill comes in the middle of one
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}})
	proxy := storagetest.NewProxy(t, s.Addr)
	proxy.Refuse()
	dir, server := t.TempDir(), "smtp://"+proxy.Addr()
	const people = 300
	c := startChild(t, dir, server, 0, people/2, store)
	c.says(fmt.Sprintf("queued %d", people/2-1))
	c.kill()
	if n := len(s.Mails()); n > 0 {
		t.Fatalf("%d mails through a server that is down", n)
	}
	c = startChild(t, dir, server, people/2, people, store)
	c.says(fmt.Sprintf("queued %d", people-1))
	proxy.Heal(t)
	for i := range killsWhileSending {
		s.Wait(t, (i+1)*people/8)
		c.kill()
		if store == "none" { // it has forgotten everybody by now
			break
		}
		c = startChild(t, dir, server, 0, 0, store)
	}
	c.kill()
	startChild(t, dir, server, 0, 0, store).says("empty")
	copies := tally(t, s.Mails())
	for _, n := range copies {
		if n == 2 {
			twice++
		} else if n > 2 {
			tooMany++
		}
	}
	return people - len(copies), tooMany, twice
}

// TestKilled: kill -9 of the process while the mail server is down, and again and again while it sends. Nobody is
// forgotten; each kill repeats one mail at most, as the same mail.
func TestKilled(t *testing.T) {
	nobody, tooMany, twice := lost(t, "")
	if nobody != 0 || tooMany != 0 || twice > killsWhileSending+1 {
		t.Errorf("%d people have no mail, %d more than two, %d two", nobody, tooMany, twice)
	}
	t.Logf("%d mails came twice after %d kills", twice, killsWhileSending+1)
}

// The control: without the store, the same test finds people forgotten.
func TestKilledWithoutAStore(t *testing.T) {
	if nobody, _, _ := lost(t, "none"); nobody == 0 {
		t.Error("nobody was forgotten: the test finds nothing")
	}
}

// killedInTheMoment kills a process twice while one mail is taken and not yet answered, and gives the copies of that
// mail and of the others.
func killedInTheMoment(t *testing.T, dir, store string) (copies int, others map[string]int) {
	t.Helper()
	var held atomic.Value // the first mail that was taken: its answers never come
	taken, free := make(chan struct{}), make(chan struct{})
	var kills atomic.Int32
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, to string) error {
		if command != "TAKEN" {
			return nil
		}
		held.CompareAndSwap(nil, to)
		if held.Load() == to && kills.Load() < 2 {
			taken <- struct{}{}
			<-free
		}
		return nil
	}})
	t.Cleanup(func() { close(free) })
	c := startChild(t, dir, s.URL(), 0, 10, store)
	c.says("queued 9")
	for range 2 {
		<-taken
		kills.Add(1)
		c.kill()
		c = startChild(t, dir, s.URL(), 0, 0, store)
	}
	c.says("empty")
	c.kill()
	others = tally(t, s.Mails())
	copies = others[held.Load().(string)]
	delete(others, held.Load().(string))
	return copies, others
}

// TestKilledInTheMoment: twice, with the same mail taken and not answered. It is not sent a third time; it is given up
// where somebody sees it. The others come once.
func TestKilledInTheMoment(t *testing.T) {
	dir := t.TempDir()
	copies, others := killedInTheMoment(t, dir, "")
	if copies != 2 || len(others) != 9 {
		t.Errorf("%d copies, %d others", copies, len(others))
	}
	for to, n := range others {
		if n != 1 {
			t.Errorf("%s has %d", to, n)
		}
	}
	d := open(t, "", func(o *Options) { o.Store = openLedger(t, dir) })
	if l := d.dead(); l.Why != ReasonUnsure {
		t.Errorf("%+v", l)
	}
}

// The control: a store that is not told beforehand has the mail sent a third time.
func TestKilledInTheMomentUnmarked(t *testing.T) {
	if copies, _ := killedInTheMoment(t, t.TempDir(), "unmarked"); copies != 3 {
		t.Errorf("%d copies: the test finds nothing", copies)
	}
}

// TestOneMailAtATimeIsHandedOver while the server answers in time; the control is a server that does not.
func TestOneMailAtATimeIsHandedOver(t *testing.T) {
	for _, row := range []struct {
		turn time.Duration
		want func(most int32) bool
	}{{time.Hour, func(most int32) bool { return most == 1 }}, {time.Nanosecond, func(most int32) bool { return most > 1 }}} {
		var now, most atomic.Int32
		s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
			if command == "DATA" { // the end was said
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if command == "TAKEN" {
				now.Add(-1)
			}
			return nil
		}})
		d := open(t, s.URL(), func(o *Options) { o.Turn = row.turn })
		for i := range 30 {
			d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
		}
		d.run().empty()
		wantEach(t, s.Mails(), 30, 1)
		if !row.want(most.Load()) {
			t.Errorf("turn %s: %d mails in the server's hands at once", row.turn, most.Load())
		}
	}
}

// TestForgettingWhileAMailIsHandedOver leaves no note behind, and the mail that was not handed over is not sent.
func TestForgettingWhileAMailIsHandedOver(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "TAKEN" && first.CompareAndSwap(false, true) {
			close(arrived)
			<-release
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) { o.Connections, o.Turn = 2, time.Hour }).run()
	d.queue(d.job("first@exemple.fr"))
	<-arrived
	d.queue(d.job("second@exemple.fr"))
	storagetest.Eventually(t, time.Minute, "the second waits for its turn", func() bool { all, _ := s.Connections(); return all > 1 })
	for _, who := range []string{"first@exemple.fr", "second@exemple.fr"} {
		if n, err := d.Forget(t.Context(), "club", subject(who)); err != nil || n != 1 {
			t.Fatal(who, n, err)
		}
	}
	close(release)
	d.empty()
	wantEach(t, s.Mails(), 1, 1)
	for _, space := range []string{spaceWaiting, spaceDead} {
		if err := d.ledger.Notes(space, nil, func(key, _ []byte) error { return fmt.Errorf("%x is left in %s", key, space) }); err != nil {
			t.Error(err)
		}
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

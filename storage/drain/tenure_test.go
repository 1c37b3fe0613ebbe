package drain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
)

// copyOf is a process on an equal copy of another's data directory, as cp -r makes it.
func copyOf(e *edge, url string, p *storagetest.Proxy, o func(*drain.Options)) *edge {
	r := newRigAt(e.t, url)
	c := &edge{rig: r, ledger: &lived{Ledger: r.ledger, instance: e.ledger.instance, generation: e.ledger.generation}}
	opt := r.options(r.warehouse(p))
	opt.Ledger, opt.ProbeEvery, opt.Lease = c.ledger, 100*time.Millisecond, 3*time.Second
	if o != nil {
		o(&opt)
	}
	c.drain = drain.New(opt)
	return c
}

func (e *edge) decided(within time.Duration) time.Duration {
	e.t.Helper()
	began := time.Now()
	select {
	case <-e.drain.Decided():
	case <-time.After(within):
		e.t.Fatalf("not decided after %v: %v", within, e.drain.Health())
	}
	return time.Since(began)
}

// TestTwoCopiesOfOneDirectoryNeverBothRecord: what they record has equal places, so one of them would be lost.
func TestTwoCopiesOfOneDirectoryNeverBothRecord(t *testing.T) {
	url := kit.Database(t)
	patient := func(o *drain.Options) { o.Lease = 20 * time.Second } // a busy machine is no death
	first := copyOf(newEdge(t, url, 1), url, nil, patient).start()
	first.decided(time.Minute)
	second := copyOf(first, url, nil, patient).start()
	second.decided(time.Minute)
	if !errors.Is(second.ledger.reason(), drain.ErrRefused) {
		t.Fatalf("the copy may record: %v", second.ledger.reason())
	}
	if why := second.drain.Health().Error(); !strings.Contains(why, "another process with a copy of this data directory is running") || !strings.Contains(why, "--edge OTHER") {
		t.Error(why)
	}
	if first.ledger.reason() != nil || first.drain.Health() != nil {
		t.Errorf("the first: %v, %v", first.ledger.reason(), first.drain.Health())
	}
}

// TestAHolderThatSleptFindsAnotherInItsPlace: a process that was stopped, or cut off, for longer than the lease has lost
// the name.
func TestAHolderThatSleptFindsAnotherInItsPlace(t *testing.T) {
	url, link := kit.Database(t), storagetest.NewProxy(t, kit.Engine(t).Addr())
	asleep := copyOf(newEdge(t, url, 1), url, link, nil).start()
	asleep.decided(time.Minute)
	link.Refuse()
	second := copyOf(asleep, url, nil, nil).start()
	if took := second.decided(time.Minute); took < 2*time.Second {
		t.Errorf("it took the name after %v, which is no lease", took)
	}
	if second.ledger.reason() != nil {
		t.Fatal(second.ledger.reason())
	}
	link.Heal(t)
	asleep.refused()
	if why := asleep.drain.Health().Error(); !strings.Contains(why, "has taken its place") && !strings.Contains(why, "is running") {
		t.Error(why)
	}
}

// TestARestartNeedNotWait: neither after a stop in good order nor after a kill of which the directory knows.
func TestARestartNeedNotWait(t *testing.T) {
	url := kit.Database(t)
	long := func(o *drain.Options) { o.Lease = time.Hour }
	first := copyOf(newEdge(t, url, 1), url, nil, long).start()
	first.decided(time.Minute)
	first.stop()
	session := uuid.New()
	again := copyOf(first, url, nil, func(o *drain.Options) { long(o); o.Session = session }).start()
	again.decided(20 * time.Second)
	killed := copyOf(again, url, nil, func(o *drain.Options) { long(o); o.Replaces = []uuid.UUID{session} }).start()
	killed.decided(20 * time.Second)
	if killed.ledger.reason() != nil {
		t.Error(killed.ledger.reason())
	}
	storagetest.Eventually(t, time.Minute, "whoever was taken for dead stops recording", func() bool { return again.ledger.reason() != nil })
}

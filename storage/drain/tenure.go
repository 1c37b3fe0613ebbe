package drain

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// A copy of a data directory has the instance, the generation and the places of its original. So of all processes that
// run on copies of one ledger one holds the name of the edge: it says so in the warehouse four times a lease. Another
// that finds it there waits, and watches. If the holder gives a sign of life, the newcomer records nothing more; if it is
// silent for a lease, by the newcomer's own clock, the newcomer takes its place, and the holder, should it have been
// asleep, finds another in its place and records nothing more.

// tenure is what a drain knows of who holds the name.
type tenure struct {
	mine    atomic.Bool // it was this process, when it last looked
	decided chan struct{}
	once    sync.Once

	mu      sync.Mutex // covers what follows
	other   consent.Holder
	silent  time.Time // since when other has shown no sign of life
	looked  time.Time // at other, last
	renewed time.Time
}

func newTenure() tenure { return tenure{decided: make(chan struct{})} }

// holds notes that the name is ours, and that the warehouse knows that we live.
func (t *tenure) holds() {
	t.mu.Lock()
	t.renewed = time.Now()
	t.mu.Unlock()
	t.mine.Store(true)
}

// decide ends the wait of Decided.
func (t *tenure) decide() { t.once.Do(func() { close(t.decided) }) }

// Decided is closed once it is known whether this process may record: it holds the name of the edge, or was refused
// it and the ledger is suspended, or the warehouse could not be asked.
func (d *Drain) Decided() <-chan struct{} { return d.tenure.decided }

// claimant is what this process claims.
func (d *Drain) claimant() consent.Claim {
	l := d.opt.Ledger
	return consent.Claim{Edge: l.Edge(), Instance: l.Instance(), Generation: d.generation(), Predecessors: d.opt.Predecessors,
		Session: d.opt.Session, Replaces: d.opt.Replaces}
}

// renew gives a sign of life when it is time.
func (d *Drain) renew(ctx context.Context) error {
	d.tenure.mu.Lock()
	due := time.Since(d.tenure.renewed) >= d.opt.Lease/4
	d.tenure.mu.Unlock()
	if !due {
		return nil
	}
	d.connecting.Lock()
	defer d.connecting.Unlock()
	return d.takeName(ctx)
}

// release gives the name up, so that the next start need not wait. A warehouse that does not answer in time keeps it.
func (d *Drain) release() {
	if !d.tenure.mine.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := d.opt.Warehouse.Release(ctx, d.claimant()); err != nil {
		d.opt.Log.Debug("the name of this edge was not given up: the next start may wait for it", "error", err)
	}
}

// heldByCopy judges a holder with a copy of this ledger: it is alive, or gone, or that is not known yet.
func (d *Drain) heldByCopy(ctx context.Context, c consent.Claim, h *consent.Holder) error {
	if d.tenure.mine.Swap(false) {
		return d.refuseFor(c, h, "has taken its place while this one was silent")
	}
	switch d.tenure.watch(h, d.opt.Lease) {
	case alive:
		return d.refuseFor(c, h, "is running")
	case gone:
		d.opt.Replaces = append(d.opt.Replaces, h.Session)
		return d.takeName(ctx)
	}
	return fmt.Errorf("waiting up to %v: the name of edge %q is held by another process, last seen %s, which runs on this data directory or on a copy of it, or was killed",
		d.opt.Lease, c.Edge, h.Seen.Time().UTC().Format(time.RFC3339))
}

func (d *Drain) refuseFor(c consent.Claim, h *consent.Holder, what string) error {
	r := &refusal{fmt.Sprintf("another process with a copy of this data directory %s (edge %q, session %s, last seen %s). "+
		"Nothing is recorded or shipped. Stop one of the two; if both are to run, this one needs a name and a data directory of its own: consentd serve --edge OTHER --data DIR",
		what, c.Edge, h.Session, h.Seen.Time().UTC().Format(time.RFC3339))}
	defer d.suspend(r)
	return d.refuse(r)
}

type sign byte

const (
	unknown sign = iota
	alive
	gone
)

// watch compares what is seen of another holder with what was seen before.
func (t *tenure) watch(h *consent.Holder, lease time.Duration) sign {
	t.mu.Lock()
	defer t.mu.Unlock()
	was, unseen := t.other, time.Since(t.looked)
	t.other, t.looked = *h, time.Now()
	switch {
	case was.Session == uuid.Nil || was.Session != h.Session || was.Seen == h.Seen && unseen > lease/2: // it may not have been able to show one
		t.silent = time.Now()
		return unknown
	case was.Seen != h.Seen:
		return alive
	case time.Since(t.silent) >= lease:
		return gone
	}
	return unknown
}

// Package kill9 kills a recording consentd with SIGKILL, again and again, under load, and then counts.
//
// What it holds the program to is the promise of DESIGN §3: every choice that was answered with 201 before the
// kill is in the ledger after the restart, under the same seq, and in ClickHouse exactly once; and the seqs of
// ClickHouse run from 0 without a gap. A choice whose answer the kill cut off is sent again under the same id until it is
// answered, as a browser does: from then on it is held to the same promise, so that nothing in ClickHouse is unexplained.
//
// It does not show that anything was synced: the page cache outlives a killed process. Crash clones in
// storage/ledger do that, with a control.
//
// # Files
//
//	kill9.go      Options, Run: the cycles
//	client.go     one connection that sends choices and reads answers
//	record.go     Record: what was acknowledged, by seq
//	warehouse.go  comparing it with the rows of ClickHouse
//	consentd.go   Consentd: the real program as a Server
//	arrival.go    waiting until everything is in ClickHouse; saying what is not
package kill9

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// Options of Run.
type Options struct {
	Server Server
	Cycles int
	Conns  int           // connections under load; 0: 128
	Load   time.Duration // the longest time a program is loaded before it is killed; 0: 300 ms
	Least  int           // choices a cycle has acknowledged before it is killed, however long that takes
	Seed   uint64        // of when it is killed
	Say    func(format string, args ...any)
}

// Server is the program under test.
type Server interface {
	Start(ctx context.Context) error // over what the last run left; returns when it answers
	Kill()                           // SIGKILL, and wait until it is gone
	Addr() netip.AddrPort
	Choice(ctx context.Context) (rig.Choice, error) // the request that records a choice; asked once it runs
	// Rows writes id and seq of every proof in ClickHouse, one a line, ordered by seq, once n are there. When no more
	// come it writes those that are, and its error is ErrMissing.
	Rows(ctx context.Context, n uint64, out io.Writer) error
}

// Report is what Run counted.
type Report struct {
	Cycles       int
	Acknowledged uint64 // answered with 201, or with 200 when they were sent again
	Resent       uint64 // of those, cut off by a kill and sent again
	Kept         uint64 // of those, already on disk
	Refused      uint64 // answered with 503
	Rows         uint64 // in ClickHouse: acknowledged, or on disk when the answer was cut off
	Problems     []Problem
}

// problemsShown bounds the list of each kind: a program that forgets forgets thousands, and must not hide what else
// it does.
const problemsShown = 5

// ErrBroken means that the promise was not kept; the error's text says where.
var ErrBroken = errors.New("kill9: an acknowledged choice was not kept as promised")

// Err is nil when the promise was kept.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	count := map[string]int{}
	var kinds, shown []string
	for _, p := range r.Problems {
		if count[p.Kind]++; count[p.Kind] == 1 {
			kinds = append(kinds, p.Kind)
		}
		if count[p.Kind] <= problemsShown {
			shown = append(shown, p.Text)
		}
	}
	for _, kind := range kinds {
		if more := count[kind] - problemsShown; more > 0 {
			shown = append(shown, fmt.Sprintf("and %d more like %q", more, kind))
		}
	}
	return fmt.Errorf("%w:\n%s", ErrBroken, strings.Join(shown, "\n"))
}

// Run runs the cycles and then compares with ClickHouse. The error is about the run, not about the promise.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Conns == 0 {
		o.Conns = 128
	}
	if o.Load == 0 {
		o.Load = 300 * time.Millisecond
	}
	k := &killer{o: o, record: NewRecord(), rand: rand.New(rand.NewPCG(o.Seed, 1))}
	defer o.Server.Kill()
	for cycle := range o.Cycles {
		if err := k.cycle(ctx); err != nil {
			return nil, fmt.Errorf("cycle %d: %w", cycle, err)
		}
		if cycle%10 == 9 || cycle == o.Cycles-1 {
			o.Say("%d cycles, %d choices acknowledged, %d problems", cycle+1, k.record.Len(), len(k.record.Problems()))
		}
	}
	if err := k.last(ctx); err != nil {
		return nil, err
	}
	return &Report{
		Cycles: o.Cycles, Acknowledged: k.record.Len(), Resent: k.resent, Kept: k.kept, Refused: k.refused, Rows: k.rows, Problems: k.record.Problems(),
	}, ctx.Err()
}

// killer is one Run.
type killer struct {
	o       Options
	record  *Record
	rand    *rand.Rand
	choice  rig.Choice
	latest  []sent // acknowledged in the last cycle
	cut     []sent // not answered in the last cycle
	resent  uint64 // of those, answered when they came again; kept how many the program had on disk
	kept    uint64
	refused uint64
	rows    uint64
}

// cycle starts the program over what the last kill left, asks for everything the last cycle was promised, and
// loads it until it is killed.
func (k *killer) cycle(ctx context.Context) error {
	if err := k.start(ctx); err != nil {
		return err
	}
	if err := k.recall(ctx); err != nil {
		return err
	}
	if err := k.resend(ctx); err != nil {
		return err
	}
	k.latest = k.latest[:0]
	err := k.load(ctx)
	k.o.Server.Kill() // waits until it is gone, also when the load ended for another reason
	return err
}

func (k *killer) start(ctx context.Context) (err error) {
	if err := k.o.Server.Start(ctx); err != nil {
		return fmt.Errorf("starting after a kill: %w", err)
	}
	if k.choice.Bytes == nil {
		k.choice, err = k.o.Server.Choice(ctx)
	}
	return err
}

// load sends new choices over every connection until the server is gone. Its time begins once all are connected:
// on a busy machine that takes as long as the load.
func (k *killer) load(ctx context.Context) error {
	clients := make([]*client, k.o.Conns)
	for i := range clients {
		c, err := dial(ctx, k.o.Server.Addr())
		if err != nil {
			return err
		}
		clients[i] = c
		defer c.Close()
	}
	var acks atomic.Int64
	over, killed := make(chan struct{}), make(chan struct{})
	loaded := k.o.Load/4 + time.Duration(k.rand.Int64N(int64(k.o.Load)*3/4))
	go func() {
		defer close(killed)
		k.awaitKill(ctx, loaded, &acks, over)
		k.o.Server.Kill()
	}()
	var wg sync.WaitGroup
	for i, c := range clients {
		seed := rand.NewPCG(k.rand.Uint64(), uint64(i))
		wg.Go(func() { c.sendNew(k.choice, seed, &acks) })
	}
	wg.Wait()
	close(over)
	<-killed // or it would kill the next one
	odd := false
	for _, c := range clients {
		for _, s := range c.acked {
			k.record.Acknowledge(s.id, s.seq)
		}
		k.latest = append(k.latest, c.acked...)
		k.cut = append(k.cut, c.cut...)
		k.refused += c.refused
		if c.odd != "" {
			odd = true
			k.record.problem("%s", c.odd)
		}
	}
	if n := acks.Load(); n < int64(k.o.Least) && !odd && ctx.Err() == nil {
		return fmt.Errorf("%d choices were acknowledged before it was gone or %v had passed, want %d", n, patience, k.o.Least)
	}
	return ctx.Err()
}

// awaitKill returns when the program has been loaded for so long and has acknowledged the least it must. It goes on
// without that when the load is over, and when patience ends.
func (k *killer) awaitKill(ctx context.Context, loaded time.Duration, acks *atomic.Int64, over <-chan struct{}) {
	wait := func(d time.Duration) bool {
		select {
		case <-over:
		case <-ctx.Done():
		case <-time.After(d):
			return true
		}
		return false
	}
	limit := time.Now().Add(patience)
	for more := wait(loaded); more && acks.Load() < int64(k.o.Least) && time.Now().Before(limit); more = wait(time.Millisecond) {
	}
}

// recall sends every choice of the last cycle again, byte for byte. A program that kept it answers 200 with the
// seq of the first time; 201 means that it had forgotten.
func (k *killer) recall(ctx context.Context) error {
	var wg sync.WaitGroup
	var failed sync.Map
	for i := range k.o.Conns {
		wg.Go(func() {
			c, err := dial(ctx, k.o.Server.Addr())
			if err != nil {
				failed.Store(i, err)
				return
			}
			defer c.Close()
			for j := i; j < len(k.latest) && err == nil; j += k.o.Conns {
				err = k.recallOne(c, k.latest[j])
			}
			if err != nil {
				failed.Store(i, err)
			}
		})
	}
	wg.Wait()
	var err error
	failed.Range(func(_, e any) bool { err = e.(error); return false })
	if err != nil {
		return fmt.Errorf("asking again for what was acknowledged: %w", err)
	}
	return nil
}

// resend sends every choice that the kill left unanswered again, under the same id, until it is answered. Whether the
// program had it on disk or not, it is acknowledged now, once.
func (k *killer) resend(ctx context.Context) error {
	if len(k.cut) == 0 {
		return nil
	}
	c, err := dial(ctx, k.o.Server.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	for _, s := range k.cut {
		status, seq, err := c.sendUntilTaken(s.request)
		switch {
		case err != nil:
			return fmt.Errorf("sending again what was not answered: %w", err)
		case status != statusCreated && status != statusOK:
			k.record.problem("choice %s, cut off by a kill, is answered with %d when it comes again", s.id, status)
			continue
		case status == statusOK:
			k.kept++
		}
		k.resent++
		k.record.Acknowledge(s.id, seq)
	}
	k.cut = k.cut[:0]
	return nil
}

func (k *killer) recallOne(c *client, s sent) error {
	status, seq, err := c.sendUntilTaken(s.request)
	switch {
	case err != nil:
		return err
	case status == statusCreated:
		k.record.problem("choice %s was acknowledged as seq %d and forgotten", s.id, s.seq)
	case status != statusOK:
		k.record.problem("choice %s, acknowledged as seq %d, is answered with %d when it comes again", s.id, s.seq, status)
	case seq != s.seq:
		k.record.problem("choice %s was acknowledged as seq %d and is now seq %d", s.id, s.seq, seq)
	}
	return nil
}

// last starts the program a last time, records one more choice, whose seq says how many there must be, and
// compares all of them with ClickHouse.
func (k *killer) last(ctx context.Context) error {
	if err := k.start(ctx); err != nil {
		return err
	}
	if err := k.recall(ctx); err != nil {
		return err
	}
	if err := k.resend(ctx); err != nil {
		return err
	}
	c, err := dial(ctx, k.o.Server.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	k.choice.Patch(rand.NewPCG(k.rand.Uint64(), 0), k.choice.Bytes)
	status, seq, err := c.send(k.choice.Bytes)
	if err != nil || status != statusCreated {
		return fmt.Errorf("recording a last choice: status %d: %w", status, err)
	}
	k.record.Acknowledge(idOf(k.choice, k.choice.Bytes), seq)
	k.rows, err = k.compare(ctx, seq+1)
	return err
}

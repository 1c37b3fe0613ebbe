package drain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

const (
	// maxClock is how far the warehouse's clock may be from ours: its TTLs, and the hours people compare, go by it.
	maxClock = 5 * time.Minute

	// restarted is how far the moment a server says it started may move without it having started again: it counts whole
	// seconds, and an answer takes a while.
	restarted = 3 * time.Second
)

// pulse is what the probes have found.
type pulse struct {
	mu      sync.Mutex // covers what follows
	problem error
	since   time.Time     // of the problem
	ahead   time.Duration // the warehouse's clock before ours
	up      time.Time     // when its server started; zero: never seen
}

// probeLoop looks at the warehouse every ProbeEvery, also while nothing is to be sent, or a sender hangs.
func (d *Drain) probeLoop(ctx context.Context) error {
	t := time.NewTicker(d.opt.ProbeEvery)
	defer t.Stop()
	for {
		d.probe(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// probe looks once. A warehouse that is back, is another server, or does not know our claim is connected to anew.
func (d *Drain) probe(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, d.opt.ProbeTimeout)
	defer cancel()
	began := d.opt.Clock()
	p, err := d.opt.Warehouse.Probe(asking, d.opt.Ledger.Edge())
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		if d.pulse.failed(err, began) {
			d.opt.Log.Warn("the warehouse does not answer as it should", "error", err)
		}
		d.away()
		d.tenure.decide()
		return
	}
	was, fresh := d.pulse.beats(p, d.opt.Clock())
	if was != nil {
		d.opt.Log.Info("the warehouse answers again")
	}
	if !d.connected.Load() || was != nil || fresh || !d.claimed(p.Claims) || d.renew(asking) != nil {
		d.away()
		select {
		case d.lost <- struct{}{}:
		default:
		}
	}
}

// connectLoop connects anew when a probe asks for it: the streams do so by themselves, and only when they have rows.
func (d *Drain) connectLoop(ctx context.Context) error {
	for {
		select {
		case <-d.lost:
		case <-ctx.Done():
			return nil
		}
		if err := d.connect(ctx); err != nil && ctx.Err() == nil && d.refused.Load() == nil {
			if d.pulse.failed(err, d.opt.Clock()) {
				d.opt.Log.Warn("the warehouse answers, and cannot be used", "error", err)
			}
		}
	}
}

// claimed reports whether the warehouse knows this ledger as the holder of its edge's name, and nobody newer.
func (d *Drain) claimed(all []consent.Holder) (ours bool) {
	g := d.generation()
	for _, h := range all {
		ours = ours || h.Instance == d.opt.Ledger.Instance() && h.Generation == g && h.Session == d.opt.Session
		if h.Generation > g {
			return false
		}
	}
	return ours
}

func (p *pulse) failed(err error, at time.Time) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first = p.problem == nil; first {
		p.since = at
	}
	p.problem = err
	return first
}

// beats notes a sign of life; was is the problem it ends, fresh that the server has started anew since the last.
func (p *pulse) beats(now *consent.Pulse, at time.Time) (was error, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh = !p.up.IsZero() && now.Up.Sub(p.up).Abs() > restarted
	if p.up.IsZero() || fresh {
		p.up = now.Up
	}
	if now.Now > 0 { // else it has none of our tables, and was asked nothing more
		p.ahead = now.Now.Time().Sub(at)
	}
	was, p.problem = p.problem, nil
	return was, fresh
}

func (p *pulse) health() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem == nil {
		return nil
	}
	return fmt.Errorf("ClickHouse, since %s: %w", p.since.UTC().Format(time.RFC3339), p.problem)
}

// Clock is nil while the warehouse's clock and ours agree, else says which is to be set.
func (d *Drain) Clock() error {
	d.pulse.mu.Lock()
	defer d.pulse.mu.Unlock()
	if d.pulse.ahead.Abs() <= maxClock {
		return nil
	}
	where := "ahead of"
	if d.pulse.ahead < 0 {
		where = "behind"
	}
	return fmt.Errorf("ClickHouse's clock is %s %s this machine's: compare both with a third (timedatectl, chronyc tracking) and set the wrong one; choices keep the time of this machine",
		d.pulse.ahead.Abs().Round(time.Second), where)
}

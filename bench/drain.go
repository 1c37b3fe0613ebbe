package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/storage/warehouse"
)

// Goals of DESIGN §11 for shipping. The record rate an edge must follow is the one its freshness is promised at.
const (
	followed    = 10_000 // proofs/s
	drainRatio  = 5
	bytesAProof = 120
)

// drain ships a backlog whose every identifier is random, and then says what a proof takes on disk.
func (b *bench) drain(ctx context.Context) (err error) {
	c, err := rig.New(b.binary, filepath.Join(b.dir, fmt.Sprintf("drain-%d", time.Now().UnixNano()))) // shipping happens once
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	b.say("building a backlog of %s proofs", thousands(float64(b.backlog)))
	if err := c.Prefill(ctx, b.backlog, false, b.filling(b.backlog, time.Now())); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	w, err := c.Warehouse()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := b.shipping(ctx, c, w); err != nil {
		return err
	}
	return b.footprint(ctx, c, w)
}

// shipping times the backlog on its way, from the first look at the tables to the last proof queryable.
func (b *bench) shipping(ctx context.Context, c *rig.Consentd, w *warehouse.Warehouse) error {
	before, err := rig.Sample(c.PID())
	if err != nil {
		return err
	}
	var first, last struct {
		at time.Time
		n  uint64
	}
	err = rig.AwaitArrived(ctx, w, b.backlog, 20*time.Millisecond, 10*time.Minute, func(at time.Time, n uint64) {
		if first.at.IsZero() {
			first.at, first.n = at, n
		}
		if n > last.n || last.at.IsZero() {
			last.at, last.n = at, n
		}
	})
	if err != nil {
		return err
	}
	after, err := rig.Sample(c.PID())
	if err != nil {
		return err
	}
	spent, rows := after.Since(before), float64(last.n-first.n)
	if rows == 0 {
		return fmt.Errorf("all %d proofs had arrived before they could be watched: raise -backlog", b.backlog)
	}
	rate := rows / last.at.Sub(first.at).Seconds()
	b.say("%-28s %9.0f/s  server %3.0f %%  engine %3.0f %%", "drain", rate, 100*spent.Share(spent.Server), 100*spent.Share(spent.Engine))
	b.add(row{
		what: "drain into ClickHouse, backlog of " + thousands(float64(b.backlog)),
		goal: fmt.Sprintf("≥ %d × %s/s", drainRatio, thousands(followed)), measured: thousands(rate) + "/s",
		ratio: fmt.Sprintf("%.1f", rate/followed), verdict: atLeast(drainRatio, rate/followed),
		micros: fmt.Sprintf("%.1f, ClickHouse %.1f", micros(spent.Server, rows), micros(spent.Engine, rows)), shares: shares(spent),
	})
	return nil
}

func micros(d time.Duration, n float64) float64 { return float64(d.Microseconds()) / n }

// footprint is what the two tables take once ClickHouse has come to rest: merged as far as it merges by itself,
// which is what a disk really holds.
func (b *bench) footprint(ctx context.Context, c *rig.Consentd, w *warehouse.Warehouse) error {
	if err := b.settle(ctx, c.PID()); err != nil {
		return err
	}
	s, err := w.Stats(ctx)
	if err != nil {
		return err
	}
	if s.Rows["consent_facts"] == 0 || s.Rows["consent_personal"] == 0 {
		return fmt.Errorf("the tables hold no proofs: %v", s.Rows)
	}
	facts := float64(s.Bytes["consent_facts"]) / float64(s.Rows["consent_facts"])
	personal := float64(s.Bytes["consent_personal"]) / float64(s.Rows["consent_personal"])
	b.add(row{
		what: "bytes a proof takes in ClickHouse", goal: fmt.Sprintf("≤ %d", bytesAProof),
		measured: fmt.Sprintf("%.1f = facts %.1f + personal %.1f", facts+personal, facts, personal),
		ratio:    fmt.Sprintf("%.2f", (facts+personal)/bytesAProof), verdict: atMost(bytesAProof, facts+personal),
	})
	return nil
}

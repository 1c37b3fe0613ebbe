package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// Goals of DESIGN §11 for recording.
const (
	recordRatio = 0.5
	recordP99   = 10 * time.Millisecond
)

// record measures durable proofs/s over HTTP beside bare Fiber POSTs of the same bytes: first with ClickHouse
// held off, which shows the ledger's own speed, then with the embedded one receiving all of it, which is what
// an edge does all day. What the first part left unshipped is timed on its way out.
func (b *bench) record(ctx context.Context) (err error) {
	c, err := rig.New(b.binary, filepath.Join(b.dir, "record"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if err := c.Start(ctx, rig.NoWarehouse); err != nil {
		return err
	}
	if err := b.recordBeside(ctx, c, "record, fsynced; ClickHouse held off"); err != nil {
		return err
	}
	if err := c.Stop(); err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	return b.recordBeside(ctx, c, "record, fsynced; ClickHouse following")
}

func (b *bench) recordBeside(ctx context.Context, c *rig.Consentd, what string) (err error) {
	bare, addr, err := b.startBare(ctx, bareAnswerSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop(10*time.Second)) }()
	shown, err := c.Banner(ctx)
	if err != nil {
		return err
	}
	real := rig.NewChoice("/v1/sites/"+rig.Site+"/consents", c.Addr.String(), shown)
	same := rig.NewChoice("/bare", addr.String(), shown)
	pairs, err := b.interleave(ctx,
		plain("bare POST", addr, bare, same.Request, 204),
		edge("record", c, real.Request, 201))
	if err != nil {
		return err
	}
	b.addPairs(what, "/s", recordRatio, recordP99, pairs)
	return nil
}

// addPairs adds two rows: the ratio to bare Fiber, and the 99th percentile.
func (b *bench) addPairs(what, unit string, ratio float64, p99 time.Duration, pairs []pair) {
	got := median(pairs, func(p pair) float64 { return p.real.Rate() / p.bare.Rate() })
	cpu := median(pairs, func(p pair) float64 {
		return p.bare.perRequest(p.bare.spent.Server) / p.real.perRequest(p.real.spent.Server)
	})
	bare := median(pairs, func(p pair) float64 { return p.bare.Rate() })
	bareMicros := median(pairs, func(p pair) float64 { return p.bare.perRequest(p.bare.spent.Server) })
	var reals []sample
	for _, p := range pairs {
		reals = append(reals, p.real)
		if err := p.real.Clean(); err != nil {
			b.note("%s: %v", what, err)
		}
	}
	mid := middle(reals)
	micros := median(reals, func(s sample) float64 { return s.perRequest(s.spent.Server) })
	b.add(row{
		what: what, goal: fmt.Sprintf("≥ %.1f of bare Fiber", ratio), measured: thousands(mid.Rate()) + unit,
		bare: thousands(bare) + unit, ratio: fmt.Sprintf("%.2f (CPU %.2f)", got, cpu), verdict: atLeast(ratio, got),
		latency: latencies(&mid.Latency), micros: fmt.Sprintf("%.1f (%.1f)", micros, bareMicros), shares: shares(mid.spent),
	})
	tail := median(reals, func(s sample) time.Duration { return s.Latency.Quantile(0.99) })
	bareTail := median(pairs, func(p pair) time.Duration { return p.bare.Latency.Quantile(0.99) })
	b.add(row{
		what: "… p99 at " + fmt.Sprint(b.conns) + " connections", goal: "≤ " + p99.String(), measured: milliseconds(tail),
		bare: milliseconds(bareTail), ratio: fmt.Sprintf("%.1f", tail.Seconds()/bareTail.Seconds()),
		verdict: atMost(p99.Seconds(), tail.Seconds()),
	})
}

func (b *bench) add(r row) { b.table.rows = append(b.table.rows, r) }

func (b *bench) note(format string, args ...any) {
	b.table.notes = append(b.table.notes, fmt.Sprintf(format, args...))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }

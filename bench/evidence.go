package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/consentd/consentd/bench/rig"
)

// logRatio is what is left of the record rate with the log beside without: sealing, tiles and evidence cost the record
// path under 5 %.
const logRatio = 0.95

// evidence measures what the log of proofs costs: two programs that differ in nothing else, in turns, ClickHouse held
// off. The one without hashes no leaf, keeps no tile and signs nothing.
func (b *bench) evidence(ctx context.Context) (err error) {
	var targets [2]target // without, with
	for i, more := range [][]string{{rig.NoWarehouse, rig.Unlogged}, {rig.NoWarehouse}} {
		name := []string{"record without the log", "record with the log"}[i]
		// A directory without the log is taken once: a run that is repeated in a kept one begins anew.
		c, failed := rig.New(b.binary, filepath.Join(b.dir, fmt.Sprintf("evidence-%d-%d", i, b.table.date.UnixNano())))
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, c.Stop()) }()
		if err := c.Start(ctx, more...); err != nil {
			return err
		}
		shown, err := c.Banner(ctx)
		if err != nil {
			return err
		}
		targets[i] = edge(name, c, rig.NewChoice("/v1/sites/"+rig.Site+"/consents", c.Addr.String(), shown).Request, 201)
	}
	pairs, err := b.interleave(ctx, targets[0], targets[1])
	if err != nil {
		return err
	}
	b.addLogged(pairs)
	return nil
}

// addLogged adds the row of what the log costs; the column of bare Fiber has the program without it.
func (b *bench) addLogged(pairs []pair) {
	with := make([]sample, len(pairs))
	for i, p := range pairs {
		with[i] = p.real
		for _, s := range []sample{p.bare, p.real} {
			if err := s.Clean(); err != nil {
				b.note("evidence: %v", err)
			}
		}
	}
	micros := func(s sample) float64 { return s.perRequest(s.spent.Server) }
	rate := median(pairs, func(p pair) float64 { return p.real.Rate() / p.bare.Rate() })
	cpu := median(pairs, func(p pair) float64 { return micros(p.bare) / micros(p.real) })
	mid := middle(with)
	b.add(row{
		what: "record with tiles and sealing, beside without", goal: fmt.Sprintf("≥ %.2f of without", logRatio), measured: thousands(mid.Rate()) + "/s",
		bare: thousands(median(pairs, func(p pair) float64 { return p.bare.Rate() })) + "/s without", ratio: fmt.Sprintf("%.2f (CPU %.2f)", rate, cpu),
		verdict: atLeast(logRatio, rate), latency: latencies(&mid.Latency),
		micros: fmt.Sprintf("%.1f (%.1f without)", median(with, micros), median(pairs, func(p pair) float64 { return micros(p.bare) })), shares: shares(mid.spent),
	})
}

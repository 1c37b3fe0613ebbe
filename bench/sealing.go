package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// sealingRatio: signing the logs may cost a twentieth of recording.
const sealingRatio = 0.95

// sealing measures what evidence costs a record: two consentds in turns, one that signs its logs every second, one that
// never does while it is measured. ClickHouse is held off. The verdict is over processor time, because that differs
// less from turn to turn than what it is to judge.
func (b *bench) sealing(ctx context.Context) (err error) {
	without, unsealed, err := b.recorder(ctx, "unsealed", "--seal-every=24h")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, without.Stop()) }()
	with, sealed, err := b.recorder(ctx, "sealed")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, with.Stop()) }()
	pairs, err := b.interleave(ctx, edge("record, logs unsigned", without, unsealed, 201), edge("record, logs signed", with, sealed, 201))
	if err != nil {
		return err
	}
	b.addSealing(pairs)
	return nil
}

// recorder starts a consentd, and gives a choice to send it.
func (b *bench) recorder(ctx context.Context, dir string, more ...string) (*rig.Consentd, load.Request, error) {
	c, err := rig.New(b.binary, filepath.Join(b.dir, dir))
	if err != nil {
		return nil, load.Request{}, err
	}
	if err := c.Start(ctx, append(more, rig.NoWarehouse)...); err != nil {
		return nil, load.Request{}, err
	}
	shown, err := c.Banner(ctx)
	if err != nil {
		return nil, load.Request{}, errors.Join(err, c.Stop())
	}
	return c, rig.NewChoice("/v1/sites/"+rig.Site+"/consents", c.Addr.String(), shown).Request, nil
}

func (b *bench) addSealing(pairs []pair) {
	rates := median(pairs, func(p pair) float64 { return p.real.Rate() / p.bare.Rate() })
	cpu := median(pairs, func(p pair) float64 {
		return p.bare.perRequest(p.bare.spent.Server) / p.real.perRequest(p.real.spent.Server)
	})
	micros := func(of func(pair) sample) float64 {
		return median(pairs, func(p pair) float64 { return of(p).perRequest(of(p).spent.Server) })
	}
	signed := micros(func(p pair) sample { return p.real })
	unsigned := micros(func(p pair) sample { return p.bare })
	b.add(row{
		what: "record with the logs signed every second, beside unsigned", goal: fmt.Sprintf("≥ %.2f of the unsigned", sealingRatio),
		measured: fmt.Sprintf("CPU %.2f", cpu), ratio: fmt.Sprintf("%.2f", rates), verdict: atLeast(sealingRatio, cpu),
		micros: fmt.Sprintf("%.1f (unsigned %.1f)", signed, unsigned),
	})
}

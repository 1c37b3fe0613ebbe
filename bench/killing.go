package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/bench/kill9"
	"github.com/consentd/consentd/bench/rig"
)

// killing kills the program under load and counts what it kept. The goal is not a speed.
func (b *bench) killing(ctx context.Context) error {
	c, err := rig.New(b.binary, filepath.Join(b.dir, fmt.Sprintf("kill9-%d", time.Now().UnixNano())))
	if err != nil {
		return err
	}
	seed := uint64(time.Now().UnixNano())
	b.say("kill -9: %d cycles, seed %d", b.cycles, seed)
	report, err := kill9.Run(ctx, kill9.Options{
		Server: &kill9.Consentd{C: c}, Cycles: b.cycles, Conns: b.conns, Seed: seed, Say: b.say,
	})
	if err != nil {
		return err
	}
	kept := "met"
	if len(report.Problems) > 0 {
		kept = "missed"
	}
	b.add(row{
		what: fmt.Sprintf("kill -9 under %d connections, %s cycles", b.conns, thousands(float64(report.Cycles))),
		goal: "0 lost, 0 twice",
		measured: fmt.Sprintf("%d problems; %s acknowledged, %s of them after a retry, %s rows, %s refused with 503", len(report.Problems),
			thousands(float64(report.Acknowledged)), thousands(float64(report.Resent)), thousands(float64(report.Rows)), thousands(float64(report.Refused))),
		verdict: kept,
	})
	return report.Err()
}

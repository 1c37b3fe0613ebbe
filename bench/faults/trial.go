package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// Verdicts of a run.
const (
	held    = "held"
	ended   = "ended"
	lost    = "lost"
	changed = "changed"
	hang    = "hang"
	mute    = "mute"
	stuck   = "stuck"
)

func red(verdict string) bool { return verdict != held && verdict != ended }

// outcome is one run.
type outcome struct {
	phase     string
	injection injection
	verdict   string
	why       string // of a red one, and what the program said last
	hits      int    // calls that failed
	on        []string
	counts    map[string]int // calls made
}

// worker makes one run after the other in a folder of its own.
type worker struct {
	c     *rig.Consentd
	seeds map[string]*witness.Seed // by name
}

// trial makes one run. The error is about the run, not about the program.
func (k *worker) trial(ctx context.Context, p phase, i injection) (o outcome, err error) {
	o = outcome{phase: p.name, injection: i, verdict: held}
	seed := k.seeds[p.seed]
	if err := seed.Lay(k.c); err != nil {
		return o, err
	}
	w, trace := seed.Witness.Clone(), filepath.Join(k.c.Dir, "strace.out")
	os.Remove(trace)
	first, err := k.fail(ctx, p, i, w, trace)
	if err != nil {
		return o, err
	}
	o.hits, o.on = hits(trace)
	o.counts = counts(trace)
	o.judge(first)
	return o, k.again(ctx, w, &o)
}

// fail runs the program while calls fail, until it has ended.
func (k *worker) fail(ctx context.Context, p phase, i injection, w *witness.Witness, trace string) (l witness.Life, err error) {
	os.Remove(k.c.Log())
	var wrap []string
	if p.exec {
		wrap = append([]string{"strace", "-D"}, i.args(trace, paths(k.c.Data()))...)
	}
	if err := k.c.Launch(wrap, append([]string{rig.NoWarehouse}, p.flags...)...); err != nil {
		return l, err
	}
	defer k.c.Kill()
	if l = witness.AwaitStart(ctx, k.c, witness.StartLimit); !l.Up {
		return l, nil
	}
	if !p.exec {
		detach, err := attach(ctx, k.c, i, trace)
		if err != nil {
			return l, err
		}
		defer detach()
	}
	p.drive(ctx, k.c, w)
	l = witness.AwaitStop(k.c, witness.StopLimit)
	l.Up = l.Ended // a stop that hangs is told from a start that does by having been up
	return l, nil
}

// judge reads the first life: how it ended.
func (o *outcome) judge(l witness.Life) {
	switch {
	case !l.Ended:
		o.verdict, o.why = hang, "neither answered, nor ended, nor stopped in time: "+l.Last()
	case l.Code == 0 && l.Up:
	case l.Fault() != "":
		o.verdict, o.why = mute, l.Fault()+": "+l.Last()
	default:
		o.verdict, o.why = ended, l.Last()
	}
}

// again starts the program without any fault and asks for everything. What is found there outweighs how the first life
// ended.
func (k *worker) again(ctx context.Context, w *witness.Witness, o *outcome) error {
	os.Remove(k.c.Log())
	if err := k.c.Launch(nil, rig.NoWarehouse); err != nil {
		return err
	}
	defer k.c.Kill()
	l := witness.AwaitStart(ctx, k.c, witness.StartLimit)
	if !l.Up {
		o.verdict, o.why = stuck, l.Last()
		return ctx.Err()
	}
	if err := w.Renew(ctx, k.c); err != nil {
		o.verdict, o.why = stuck, err.Error()
		return ctx.Err()
	}
	if _, err := w.Resolve(ctx, k.c, driveLimit); err != nil {
		o.verdict, o.why = stuck, err.Error()
		return ctx.Err()
	}
	f := w.Check(ctx, k.c)
	w.CheckDense(f)
	switch {
	case f.Changed > 0:
		o.verdict, o.why = changed, f.String()
	case f.Lost() > 0:
		o.verdict, o.why = lost, f.String()
	case f.Refused > 0:
		o.verdict, o.why = stuck, f.String()
	}
	if l := witness.AwaitStop(k.c, witness.StopLimit); !l.Ended && !red(o.verdict) {
		o.verdict, o.why = hang, "the next start did not stop in time: "+l.Last()
	}
	return ctx.Err()
}

func (o outcome) String() string {
	return fmt.Sprintf("%-8s %-7s %s on %s: %s", o.verdict, o.phase, o.injection, strings.Join(o.on, " "), strings.TrimSpace(o.why))
}

package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// target is one server under load: where it listens, which process it is, what it is sent.
type target struct {
	name string
	addr netip.AddrPort
	pid  int
	req  load.Request
	want []int

	admin netip.AddrPort // where it gives profiles; zero: nowhere
}

// edge is a consentd that answers req with one status.
func edge(name string, c *rig.Consentd, req load.Request, status int) target {
	return target{name, c.Addr, c.PID(), req, []int{status}, c.Admin}
}

// plain is a bare server at addr.
func plain(name string, addr netip.AddrPort, p *rig.Process, req load.Request, status int) target {
	return target{name: name, addr: addr, pid: p.PID(), req: req, want: []int{status}}
}

// sample is one measured run.
type sample struct {
	*load.Result
	spent rig.Spent
}

// perRequest is d over the answered requests, in µs.
func (s sample) perRequest(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(max(1, s.Answered))
}

// measure warms t up and then runs it once. Connections are new each time, as idle ones may have been closed.
func (b *bench) measure(ctx context.Context, t target, o load.Options) (s sample, err error) {
	o.Addr, o.Request, o.Want, o.Seed = t.addr, t.req, t.want, uint64(time.Now().UnixNano())
	if o.Conns == 0 {
		o.Conns, o.Workers = b.conns, b.workers
	}
	client, err := load.Dial(o)
	if err != nil {
		return s, err
	}
	defer client.Close()
	if _, err := client.Run(ctx, b.warm); err != nil {
		return s, fmt.Errorf("warming up %s: %w", t.name, err)
	}
	before, err := rig.Sample(t.pid)
	if err != nil {
		return s, err
	}
	profiled := b.profiling(ctx, t)
	if s.Result, err = client.Run(ctx, b.length); err != nil {
		return s, fmt.Errorf("loading %s: %w", t.name, err)
	}
	if err := profiled(); err != nil {
		return s, err
	}
	after, err := rig.Sample(t.pid)
	if err != nil {
		return s, err
	}
	s.spent = after.Since(before)
	b.shared = max(b.shared, s.spent.Share(s.spent.Other+s.spent.Stolen))
	b.say("%-28s %9.0f/s  p99 %8v  generator %3.0f %%  server %3.0f %%  engine %3.0f %%  other %3.0f %%", t.name, s.Rate(),
		s.Latency.Quantile(0.99).Round(10*time.Microsecond), 100*s.spent.Share(s.spent.Generator),
		100*s.spent.Share(s.spent.Server), 100*s.spent.Share(s.spent.Engine), 100*s.spent.Share(s.spent.Other))
	if s.Answered == 0 {
		return s, fmt.Errorf("loading %s: %w", t.name, s.Clean())
	}
	return s, ctx.Err()
}

// pair is one turn: the bare server, then the real one.
type pair struct{ bare, real sample }

// interleave measures bare and real in turns. Before each turn both servers must be idle: what one still ships or
// compacts would slow the other one down.
func (b *bench) interleave(ctx context.Context, bare, real target) ([]pair, error) {
	pairs := make([]pair, b.rounds)
	for i := range pairs {
		for _, turn := range []struct {
			target, other target
			sample        *sample
		}{{bare, real, &pairs[i].bare}, {real, bare, &pairs[i].real}} {
			err := b.settle(ctx, turn.other.pid)
			if err == nil {
				*turn.sample, err = b.measure(ctx, turn.target, load.Options{})
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return pairs, nil
}

// Idle means under a twentieth of one core over half a second; a minute or two is what compacting a few
// gigabytes takes.
const (
	idleShare  = 0.05
	idleWindow = 500 * time.Millisecond
	idleLimit  = 5 * time.Minute
)

// settle waits until the server and its children do nothing.
func (b *bench) settle(ctx context.Context, pid int) error {
	limit := time.Now().Add(idleLimit)
	for {
		before, err := rig.Sample(pid)
		if err != nil {
			return err
		}
		select { // the window of the measurement, not a wait for something
		case <-time.After(idleWindow):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := rig.Sample(pid)
		if err != nil {
			return err
		}
		if s := after.Since(before); float64(s.Server+s.Engine) < idleShare*float64(s.Wall) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("the server is still busy %v after the load", idleLimit)
		}
	}
}

// median takes the middle of f over all; of an even number the lower middle.
func median[T any, V cmp.Ordered](all []T, f func(T) V) V {
	vs := make([]V, len(all))
	for i, t := range all {
		vs[i] = f(t)
	}
	slices.Sort(vs)
	return vs[(len(vs)-1)/2]
}

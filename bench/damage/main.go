package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

func main() { rig.Main("damage", run) }

// errRed means that damage went unnoticed, or was not answered as promised; the output above says where.
var errRed = errors.New("damage was passed over in silence, or the program hung, or it refused without saying what")

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c := campaign{say: func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }, watch: watch}
	fs := flag.NewFlagSet("damage", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&c.binary, "binary", "bin/consentd", "the built program")
	fs.StringVar(&c.dir, "keep", "", "folder for data directories, kept (default: a temporary one)")
	fs.IntVar(&c.cases, "cases", 2000, "how many")
	fs.IntVar(&c.proofs, "proofs", 10_000, "acknowledged proofs in a directory")
	fs.IntVar(&c.only, "only", -1, "this case alone; its directory is left as it is with -keep")
	fs.IntVar(&c.parallel, "parallel", 2, "cases at once")
	fs.Uint64Var(&c.seed, "seed", 1, "of what is damaged, and how")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "consentd-damage-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.dir)
	}
	all, err := c.run(ctx)
	if bad := writeTable(stdout, all); err == nil && len(bad) > 0 {
		err = errRed
	}
	return err
}

// watch is how long a report has to stand: longer than a program waits for ClickHouse.
const watch = 15 * time.Second

// campaign is all cases.
type campaign struct {
	binary, dir string
	cases       int
	only        int // -1: all
	proofs      int
	parallel    int
	seed        uint64
	watch       time.Duration
	say         func(format string, args ...any)

	mu  sync.Mutex
	all []outcome
}

// run makes the seeds and all cases. It returns what was judged so far with an error.
func (c *campaign) run(ctx context.Context) ([]outcome, error) {
	workers, err := c.workers(ctx)
	if err != nil {
		return nil, err
	}
	first, end := 0, c.cases
	if c.only >= 0 {
		first, end = c.only, c.only+1
	}
	next := atomic.Int64{}
	next.Store(int64(first))
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, k := range workers {
		wg.Go(func() {
			for n := int(next.Add(1) - 1); n < end && errs[i] == nil; n = int(next.Add(1) - 1) {
				var o outcome
				if o, errs[i] = k.trial(ctx, c.seed, n); errs[i] == nil {
					c.note(o)
				}
			}
		})
	}
	wg.Wait()
	return c.all, errors.Join(errs...)
}

func (c *campaign) note(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, o)
	if red(o.verdict) || c.only >= 0 {
		c.say("%s", o)
	} else if len(c.all)%100 == 0 {
		c.say("%d cases, the last took %v", len(c.all), o.took.Round(time.Millisecond))
	}
}

// workers makes the seeds, sees that they are what they should be, and makes a worker for each case at once.
func (c *campaign) workers(ctx context.Context) (all []*worker, err error) {
	for i := range max(1, c.parallel) {
		p, err := rig.New(c.binary, filepath.Join(c.dir, fmt.Sprintf("case-%d", i)))
		if err != nil {
			return nil, err
		}
		all = append(all, &worker{c: p, watch: c.watch})
	}
	s, err := makeSeeds(ctx, all[0].c, c.dir, c.proofs)
	if err != nil {
		return nil, fmt.Errorf("making what is damaged: %w", err)
	}
	for _, k := range all {
		k.seeds = s
	}
	return all, all[0].control(ctx, all)
}

// control runs every seed undamaged: it has to be found equal. What /readyz complains of then is no report of damage.
func (k *worker) control(ctx context.Context, all []*worker) error {
	for _, s := range k.seeds.all {
		if err := s.Lay(k.c); err != nil {
			return err
		}
		if err := k.c.Start(ctx, rig.NoWarehouse); err != nil {
			return err
		}
		if k.usual == nil {
			k.usual = map[string]bool{}
			for name := range k.reports(ctx) {
				k.usual[name] = true
			}
		}
		if err := k.c.Stop(); err != nil {
			return err
		}
		o := outcome{n: -1, seed: s.Name, what: "undamaged"}
		if err := s.Lay(k.c); err != nil {
			return err
		}
		if err := k.live(ctx, s.Witness.Clone(), &o); err != nil {
			return err
		}
		if o.verdict != equal {
			return fmt.Errorf("without any damage: %s", o)
		}
	}
	for _, other := range all {
		other.usual = k.usual
	}
	return nil
}

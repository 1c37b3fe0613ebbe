package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

func main() { rig.Main("faults", run) }

// errRed means that the program did not stand the faults; the output above says where.
var errRed = errors.New("what was acknowledged was not kept, or the program hung, or it ended without saying why")

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c := campaign{say: func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }}
	fs := flag.NewFlagSet("faults", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&c.binary, "binary", "bin/consentd", "the built program")
	fs.StringVar(&c.dir, "keep", "", "folder for data directories, kept (default: a temporary one)")
	fs.StringVar(&c.phase, "phase", "", "only this phase")
	fs.StringVar(&c.call, "syscall", "", "only these calls, with commas")
	fs.IntVar(&c.parallel, "parallel", 2, "runs at once")
	dense := fs.Bool("dense", false, "try every count instead of one and a half times the last")
	if err := fs.Parse(args); err != nil {
		return err
	}
	c.rungs = ladder(*dense)
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "consentd-faults-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.dir)
	}
	all, err := c.run(ctx)
	writeTable(stdout, all)
	text, bad := totals(all)
	fmt.Fprintln(stdout, text)
	if err == nil && len(bad) > 0 {
		err = errRed
	}
	return err
}

// campaign is all runs.
type campaign struct {
	binary, dir string
	phase, call string // narrow it; "": all
	rungs       []string
	proofs      int // acknowledged before a run; 0: 2,000
	parallel    int
	say         func(format string, args ...any)

	mu  sync.Mutex
	all []outcome
}

// task is one call and fault in one phase; its counts are walked one after the other.
type task struct {
	phase phase
	call  string
	fault fault
	most  int // how often the phase makes the call
	whens []string
}

// run makes the seeds, counts what each phase calls, and lets each call fail. It returns what was judged so far with an
// error.
func (c *campaign) run(ctx context.Context) ([]outcome, error) {
	if err := usable(ctx); err != nil {
		return nil, err
	}
	workers, err := c.workers(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := c.tasks(ctx, workers[0])
	if err != nil {
		return c.all, err
	}
	c.say("%d pairs of call and fault", len(tasks))
	if err := c.share(ctx, workers, tasks); err != nil {
		return c.all, err
	}
	return c.all, c.restores(ctx, workers[0])
}

// share has the workers do the tasks.
func (c *campaign) share(ctx context.Context, workers []*worker, tasks []task) error {
	queue := make(chan task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, k := range workers {
		wg.Go(func() {
			for t := range queue {
				if errs[i] = c.walk(ctx, k, t); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// walk lets the 1st, the 2nd, … call fail until the phase makes fewer.
func (c *campaign) walk(ctx context.Context, k *worker, t task) error {
	for _, when := range t.whens {
		if n, err := strconv.Atoi(when); err == nil && n > t.most {
			return nil
		}
		o, err := k.trial(ctx, t.phase, injection{t.call, t.fault, when})
		if err != nil {
			return err
		}
		if c.note(o); o.hits == 0 {
			return nil
		}
	}
	return nil
}

func (c *campaign) note(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, o)
	if red(o.verdict) {
		c.say("%s", o)
	} else if len(c.all)%50 == 0 {
		c.say("%d runs", len(c.all))
	}
}

// tasks counts what each phase calls when nothing fails, and lists what is to fail.
func (c *campaign) tasks(ctx context.Context, k *worker) (tasks []task, err error) {
	for _, p := range phases() {
		if c.phase != "" && c.phase != p.name {
			continue
		}
		o, err := k.trial(ctx, p, injection{syscall: strings.Join(sites(), ",")})
		if err != nil {
			return nil, err
		}
		if o.verdict != held {
			return nil, fmt.Errorf("without any fault: %s", o)
		}
		tasks = append(tasks, c.pairs(p, o.counts)...)
	}
	return tasks, nil
}

func (c *campaign) pairs(p phase, made map[string]int) (tasks []task) {
	for _, call := range sites() {
		if made[call] == 0 || c.call != "" && !slices.Contains(strings.Split(c.call, ","), call) {
			continue
		}
		for _, f := range faults() {
			if f.happens(call) {
				tasks = append(tasks, task{p, call, f, made[call], f.counts(c.rungs)})
			}
		}
	}
	return tasks
}

// restores lets the calls of `consentd restore` fail.
func (c *campaign) restores(ctx context.Context, k *worker) error {
	if c.phase != "" && c.phase != restorePhase {
		return nil
	}
	if !k.c.Knows(ctx, restorePhase) {
		c.say("this program has no restore: that phase was left out")
		return nil
	}
	backup, err := k.makeBackup(ctx)
	if err != nil {
		return err
	}
	o, err := k.restore(ctx, backup, injection{syscall: strings.Join(sites(), ",")})
	if err != nil {
		return err
	}
	if o.verdict != held {
		return fmt.Errorf("without any fault: %s", o)
	}
	for _, t := range c.pairs(phase{name: restorePhase}, o.counts) {
		for _, when := range t.whens {
			if n, err := strconv.Atoi(when); err == nil && n > t.most {
				break
			}
			o, err := k.restore(ctx, backup, injection{t.call, t.fault, when})
			if err != nil {
				return err
			}
			if c.note(o); o.hits == 0 {
				break
			}
		}
	}
	return nil
}

// workers makes the seeds and one worker for each run at once.
func (c *campaign) workers(ctx context.Context) ([]*worker, error) {
	first, err := rig.New(c.binary, filepath.Join(c.dir, "run-0"))
	if err != nil {
		return nil, err
	}
	seeds, err := c.seeds(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("making what the runs begin with: %w", err)
	}
	all := []*worker{{first, seeds}}
	for i := 1; i < c.parallel; i++ {
		another, err := rig.New(c.binary, filepath.Join(c.dir, fmt.Sprintf("run-%d", i)))
		if err != nil {
			return nil, err
		}
		all = append(all, &worker{another, seeds})
	}
	return all, nil
}

// rounds is how often the program is started and killed for a seed: each start flushes what the last one logged, and the
// fourth table makes the next start compact.
const rounds = 4

// seeds makes two directories of the same proofs, one left by kill -9 with a log to replay, one left in good order; and one
// in which nothing ever started.
func (c *campaign) seeds(ctx context.Context, p *rig.Consentd) (map[string]*witness.Seed, error) {
	if c.proofs == 0 {
		c.proofs = 2000
	}
	if err := os.RemoveAll(p.Data()); err != nil { // of an earlier campaign in a folder that was kept
		return nil, err
	}
	var w *witness.Witness
	var err error
	for round := range rounds {
		w, err = witness.Grow(ctx, p, w, c.proofs/rounds, func(w *witness.Witness) error {
			if round == 0 { // a log of new keys is sealed at once, later ones wait for ClickHouse
				return w.Seal(ctx, p, time.Minute)
			}
			return w.NoteProofs(ctx, p)
		})
		if err != nil {
			return nil, err
		}
	}
	crashed, err := witness.Keep(killed, p, filepath.Join(c.dir, killed), w)
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx, rig.NoWarehouse); err != nil {
		return nil, err
	}
	if l := witness.AwaitStop(p, time.Minute); l.Code != 0 {
		return nil, fmt.Errorf("stopping: %s", l.Log)
	}
	clean, err := witness.Keep(left, p, filepath.Join(c.dir, left), w)
	first, err2 := witness.Empty(empty, filepath.Join(c.dir, empty), w)
	return map[string]*witness.Seed{left: clean, killed: crashed, empty: first}, errors.Join(err, err2)
}

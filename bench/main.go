package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
	"github.com/google/pprof/profile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: its settings, its bare server, its table.
type bench struct {
	binary   string        // the built program
	conns    int           // connections of the closed loops
	workers  int           // event loops of the generator
	rounds   int           // turns of each pair
	length   time.Duration // of one measured run
	warm     time.Duration // before it
	subjects uint64        // known to the lookups
	backlog  uint64        // proofs to ship
	rate     float64       // proofs/s of the freshness run
	steady   time.Duration // length of the freshness run
	cycles   int           // kill -9 cycles
	dir      string        // data directories; removed at the end unless it was given
	out      string        // RESULTS.md
	profile  string        // where a CPU profile goes; "": none is taken

	taken  []*profile.Profile
	looked bool    // lookup has run
	shared float64 // the largest part of the machine others took during a measured run
	self   string  // this executable, for the bare server
	stderr io.Writer
	table  table
}

// scenario is a part of the run that can be asked for by name.
type scenario struct {
	name string
	run  func(*bench, context.Context) error
}

// scenarios in the order they run. kill9 and fiber only run when they are named.
func scenarios() []scenario {
	return []scenario{
		{"record", (*bench).record},
		{"lookup", (*bench).lookup},
		{"batch", (*bench).lookup},
		{"drain", (*bench).drain},
		{"fresh", (*bench).fresh},
		{"kill9", (*bench).killing},
		{"fiber", (*bench).fiber},
	}
}

// run is main without the process around it, so that a test can run it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "bare" {
		return serveBare(ctx, args[1:], stderr)
	}
	b, names, err := parse(args, stderr)
	if err != nil {
		return err
	}
	// The generator allocates next to nothing while it measures; collecting rarely keeps it that way.
	debug.SetGCPercent(400)
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "consentd-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	b.table.date, b.table.commit, b.table.machine = time.Now(), rig.Commit(ctx), rig.Machine(ctx)
	b.table.setting = fmt.Sprintf("%d connections, %d generator threads, medians of %d turns of %v", b.conns, b.workers, b.rounds, b.length)
	var failed []error
	for _, s := range scenarios() {
		if slices.Contains(names, s.name) && ctx.Err() == nil {
			if err := s.run(b, ctx); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
				b.say("%s did not finish: %v", s.name, err)
				b.note("%s did not finish", s.name)
			}
		}
	}
	if b.shared > sharedNote {
		b.note("the machine was shared: others took up to %.0f %% of its processors during a measured run; rates and tails suffer from that, "+
			"processor times per request much less", 100*b.shared)
	}
	fmt.Fprint(stdout, b.table.String())
	if b.profile != "" {
		failed = append(failed, b.writeProfile())
	}
	if b.out != "" {
		failed = append(failed, writeResults(b.out, &b.table))
	}
	return errors.Join(failed...)
}

const (
	// sharedNote is the part of the machine others may take before the table says so.
	sharedNote  = 0.05
	resultsFile = "bench/RESULTS.md"
)

// parse reads flags and scenario names; no name means all that compare with a goal.
func parse(args []string, stderr io.Writer) (*bench, []string, error) {
	b := &bench{stderr: stderr}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	quick := fs.Bool("quick", false, "a run of seconds that shows the bench works; its figures say nothing")
	fs.StringVar(&b.binary, "binary", "bin/consentd", "the built program")
	fs.IntVar(&b.conns, "conns", 128, "connections of the closed loops")
	fs.IntVar(&b.workers, "workers", max(1, runtime.NumCPU()/2), "threads of the generator; half the cores, since the server needs more per request than it does")
	fs.IntVar(&b.rounds, "rounds", 5, "turns of each pair; medians are reported")
	fs.DurationVar(&b.length, "length", 5*time.Second, "length of one measured run")
	fs.DurationVar(&b.warm, "warm", time.Second, "warm-up before each measured run")
	fs.Uint64Var(&b.subjects, "subjects", 10_000_000, "subjects the lookups know")
	fs.Uint64Var(&b.backlog, "backlog", 2_000_000, "proofs the drain ships")
	fs.Float64Var(&b.rate, "rate", 10_000, "proofs/s of the freshness run")
	fs.DurationVar(&b.steady, "steady", 20*time.Second, "length of the freshness run")
	fs.IntVar(&b.cycles, "cycles", 1000, "cycles of kill9")
	fs.StringVar(&b.dir, "dir", "", "where data directories are made, and kept for the next run (default: a temporary one)")
	fs.StringVar(&b.out, "out", "", "file the table is put in front of (default for a full run: "+resultsFile+")")
	fs.StringVar(&b.profile, "profile", "", "file for one CPU profile of all measured runs of consentd (make profile)")
	if err := fs.Parse(args); err != nil {
		return nil, nil, err
	}
	if *quick {
		b.quick()
	}
	names := fs.Args()
	if len(names) == 0 {
		names = []string{"record", "lookup", "batch", "drain", "fresh"}
		if b.out == "" && !*quick {
			b.out = resultsFile
		}
	}
	known := scenarios()
	for _, n := range names {
		if !slices.ContainsFunc(known, func(s scenario) bool { return s.name == n }) {
			return nil, nil, fmt.Errorf("no scenario is called %q", n)
		}
	}
	return b, names, nil
}

func (b *bench) quick() {
	b.conns, b.rounds, b.length, b.warm = 16, 1, 300*time.Millisecond, 50*time.Millisecond
	b.subjects, b.backlog, b.rate, b.steady, b.cycles = 2000, 5000, 500, 2*time.Second, 2
}

// say reports progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stderr, strings.TrimSuffix(format, "\n")+"\n", args...)
}

// startBare runs the bare server; its GET answers with so many bytes.
func (b *bench) startBare(ctx context.Context, answer int) (p *rig.Process, addr netip.AddrPort, err error) {
	if addr, err = rig.FreeAddr(); err != nil {
		return nil, addr, err
	}
	args := []string{"bare", "-addr", addr.String(), "-answer", fmt.Sprint(answer)}
	if p, err = rig.Start(b.self, args, filepath.Join(b.dir, "bare.log")); err != nil {
		return nil, addr, err
	}
	if err = p.AwaitOK(ctx, "http://"+addr.String()+"/healthz", 10*time.Second); err != nil {
		p.Kill()
	}
	return p, addr, err
}

// bareAnswerSize is what GET /bare answers with when there is no real answer to imitate.
const bareAnswerSize = 256

// fiber measures the bare server alone: what the generator can reach on this machine.
func (b *bench) fiber(ctx context.Context) (err error) {
	bare, addr, err := b.startBare(ctx, bareAnswerSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop(10*time.Second)) }()
	shown := &rig.Shown{Hash: strings.Repeat("0", 64), Surface: "banner", Locale: "fr", Purposes: []string{"ads", "analytics"}}
	post := plain("bare POST", addr, bare, rig.NewChoice("/bare", addr.String(), shown).Request, 204)
	get := plain("bare GET", addr, bare, load.Request{Bytes: load.Build("GET", "/bare", addr.String(), nil, nil)}, 200)
	for _, t := range []target{post, get} {
		var all []sample
		for range b.rounds {
			s, err := b.measure(ctx, t, load.Options{})
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		b.table.rows = append(b.table.rows, bareRow(t.name, all))
	}
	return nil
}

func bareRow(name string, all []sample) row {
	s := middle(all)
	return row{
		what: name, measured: thousands(s.Rate()) + "/s", latency: latencies(&s.Latency),
		micros: fmt.Sprintf("%.1f", s.perRequest(s.spent.Server)), shares: shares(s.spent),
	}
}

// middle is the sample of the median rate.
func middle(all []sample) sample {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b sample) int { return int(a.Rate() - b.Rate()) })
	return sorted[(len(sorted)-1)/2]
}

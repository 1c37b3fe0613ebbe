package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/consentd/consentd/bench/rig"
)

func main() { rig.Main("mutants", run) }

// errRed means that a guard can be removed without a test saying so, or that the list is out of date.
var errRed = errors.New("a guard is not held by the tests it names")

// outcome is one guard.
type outcome struct {
	guard
	verdict, why string
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("mutants", flag.ContinueOnError)
	fs.SetOutput(stderr)
	only := fs.String("only", "", "only guards whose promise or file contains this")
	parallel := fs.Int("parallel", 1, "guards at once; the linker wants a core each")
	if err := fs.Parse(args); err != nil {
		return err
	}
	root, err := root(ctx)
	if err != nil {
		return err
	}
	var chosen []guard
	for _, g := range guards {
		if strings.Contains(g.promise, *only) || strings.Contains(g.file, *only) {
			chosen = append(chosen, g)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no guard promises %q", *only)
	}
	all := make([]outcome, len(chosen))
	each(*parallel, len(chosen), func(i int) {
		all[i] = judge(ctx, root, chosen[i])
		fmt.Fprintf(stderr, "%-8s  %s\n", all[i].verdict, all[i].promise)
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	return report(stdout, all)
}

// root is the folder of the module.
func root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
}

// judge removes one guard; where that is noticed, it makes sure that the guard was the reason.
func judge(ctx context.Context, root string, g guard) (o outcome) {
	o.guard = g
	dir, err := os.MkdirTemp("", "consentd-mutant-")
	if err != nil {
		o.verdict, o.why = broken, err.Error()
		return o
	}
	defer os.RemoveAll(dir)
	if o.verdict, o.why = g.remove(ctx, root, dir); o.verdict != noticed {
		return o
	}
	if why := g.hold(ctx, root); why != "" {
		o.verdict, o.why = failing, why
	}
	return o
}

// each calls do with 0 … n-1, so many at once.
func each(parallel, n int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(1, parallel) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// report prints the table.
func report(out io.Writer, all []outcome) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "without this guard\tin\tthe tests")
	n := 0
	for _, o := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.promise, o.file, o.verdict)
		if o.verdict == noticed {
			n++
		}
	}
	t.Flush()
	fmt.Fprintf(out, "%d guards, %d noticed\n", len(all), n)
	for _, o := range all {
		if o.verdict != noticed {
			fmt.Fprintf(out, "\n%s: %s\n%s\n", o.verdict, o.promise, o.why)
		}
	}
	if n < len(all) {
		return errRed
	}
	return nil
}

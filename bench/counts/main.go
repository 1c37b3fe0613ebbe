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
	"time"

	"github.com/consentd/consentd/bench/rig"
)

func main() { rig.Main("counts", run) }

// scene is the stage of one scenario.
type scene struct {
	binary, dir string
	proofs      int // recorded in each part
	machines    int
}

// Of the clients.
const (
	conns    = 16
	patience = 20 * time.Second
)

// errRefused means that the run is of no use: choices were refused that should have been acknowledged.
var errRefused = errors.New("the program did not acknowledge every choice")

type scenario struct {
	name string
	run  func(*scene, context.Context) error
}

func scenarios() []scenario {
	return []scenario{
		{"restore", (*scene).restore},
		{"rebuilt", (*scene).rebuilt},
		{"edges", (*scene).edges},
	}
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s scene
	fs := flag.NewFlagSet("counts", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.binary, "binary", "bin/consentd", "the built program")
	fs.StringVar(&s.dir, "keep", "", "folder for data directories, kept (default: a temporary one)")
	fs.IntVar(&s.proofs, "proofs", 3000, "choices in each part of a scenario")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "consentd-counts-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	var failed []error
	for _, sc := range scenarios() {
		if names := fs.Args(); len(names) > 0 && !slices.Contains(names, sc.name) {
			continue
		}
		err := sc.run(&s, ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", sc.name, err))
			fmt.Fprintf(stdout, "%-8s RED: %v\n", sc.name, err)
			continue
		}
		fmt.Fprintf(stdout, "%-8s every proof is known, and counted once\n", sc.name)
	}
	return errors.Join(failed...)
}

// machine is a place for a data directory.
func (s *scene) machine(name string) (*rig.Consentd, error) {
	s.machines++
	return rig.New(s.binary, filepath.Join(s.dir, fmt.Sprintf("%d-%s", s.machines, name)))
}

// another is a machine without a data directory that serves the addresses of one that is gone.
func (s *scene) another(name string, gone *rig.Consentd) (*rig.Consentd, error) {
	c, err := s.machine(name)
	if err != nil {
		return nil, err
	}
	c.Addr, c.Admin = gone.Addr, gone.Admin
	return c, os.RemoveAll(c.Data())
}

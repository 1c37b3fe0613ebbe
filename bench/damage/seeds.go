package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// Seeds.
const (
	left   = "left in good order"
	killed = "killed"
	tail   = "killed with an unsealed tail"
)

// seeds are the directories that are damaged, and one of an earlier day.
type seeds struct {
	all     []*witness.Seed
	earlier *witness.Seed
}

// unsealed is how many proofs the tail has that no checkpoint covers.
const unsealed = 200

// sealLimit is how long a program waits for ClickHouse before it seals without, and some.
const sealLimit = time.Minute

// makeSeeds records n proofs in several lives of the program, so that there are tables of several ages.
func makeSeeds(ctx context.Context, c *rig.Consentd, dir string, n int) (s *seeds, err error) {
	if err := os.RemoveAll(c.Data()); err != nil { // of an earlier campaign in a folder that was kept
		return nil, err
	}
	s = &seeds{}
	sealed := func(w *witness.Witness) error { return errors.Join(w.Seal(ctx, c, sealLimit), w.NoteProofs(ctx, c)) }
	keep := func(name string, w *witness.Witness) (*witness.Seed, error) {
		return witness.Keep(name, c, filepath.Join(dir, fmt.Sprintf("seed-%d", len(s.all))), w)
	}
	w, err := witness.Grow(ctx, c, nil, n/2, sealed)
	if err != nil {
		return nil, err
	}
	if s.earlier, err = witness.Keep("earlier", c, filepath.Join(dir, "earlier"), w); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		n   int
		end func(*witness.Witness) error
	}{
		{n / 8, func(*witness.Witness) error { return nil }},
		{n / 8, func(*witness.Witness) error { return stop(c) }},
		{n - n/2 - 2*(n/8), sealed},
	} {
		if w, err = witness.Grow(ctx, c, w, part.n, part.end); err != nil {
			return nil, err
		}
	}
	k, err := keep(killed, w)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, k)
	if w, err = witness.Grow(ctx, c, w, unsealed, func(w *witness.Witness) error { return w.NoteProofs(ctx, c) }); err != nil {
		return nil, err
	}
	t, err := keep(tail, w)
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, t)
	if err := k.Lay(c); err != nil {
		return nil, err
	}
	if _, err := witness.Grow(ctx, c, k.Witness.Clone(), 0, func(*witness.Witness) error { return stop(c) }); err != nil {
		return nil, err
	}
	l, err := keep(left, k.Witness)
	s.all = append(s.all, l)
	return s, err
}

func stop(c *rig.Consentd) error {
	if l := witness.AwaitStop(c, sealLimit); l.Code != 0 {
		return fmt.Errorf("stopping: %s", l.Log)
	}
	return nil
}

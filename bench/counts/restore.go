package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// backup is the command that makes one of a running program; it prints the path.
func backup(ctx context.Context, c *rig.Consentd) (path string, err error) {
	out, err := c.Operate(ctx, "backup")
	if err != nil {
		return "", err
	}
	lines := strings.Split(out, "\n")
	return lines[len(lines)-1], nil
}

// restoreTo is the command that makes a data directory of a backup.
func restoreTo(ctx context.Context, c *rig.Consentd, path string, more ...string) error {
	var out strings.Builder
	return c.Command(ctx, &out, append([]string{"restore", "--data", c.Data(), path}, more...)...)
}

// restore loses the machine and keeps ClickHouse, which runs elsewhere.
func (s *scene) restore(ctx context.Context) (err error) {
	host, err := s.machine("clickhouse") // a program that runs for its engine alone
	if err != nil {
		return err
	}
	if err := host.Start(ctx, "--edge", "host"); err != nil { // a name of its own: it ships nothing
		return err
	}
	defer func() { err = errors.Join(err, host.Stop()) }()
	url, err := host.EngineURL()
	if err != nil {
		return err
	}
	return s.lose(ctx, "--clickhouse", url)
}

// rebuilt loses the machine and the embedded ClickHouse on it.
func (s *scene) rebuilt(ctx context.Context) error { return s.lose(ctx) }

// lose records, backs up under load, loses the machine, restores on another, and lets browsers go on.
func (s *scene) lose(ctx context.Context, clickhouse ...string) (err error) {
	old, err := s.machine("old")
	if err != nil {
		return err
	}
	if err := old.Start(ctx, clickhouse...); err != nil {
		return err
	}
	machine := old.Process
	defer machine.Kill()
	w, err := witness.New(ctx, old)
	if err != nil {
		return err
	}
	if got := w.Post(ctx, old, s.proofs, conns, patience); got != s.proofs {
		return errRefused
	}
	before := w.Clone()
	path, err := s.backupUnderLoad(ctx, old, w)
	if err != nil {
		return err
	}
	all := w.Len()
	if err := expect(ctx, old, w, all, "before the loss", clickhouse...); err != nil {
		return err
	}
	machine.Kill() // the machine is gone, the browsers and what they hold are not

	c, err := s.another("new", old)
	if err != nil {
		return err
	}
	if err := restoreTo(ctx, c, path, clickhouse...); err != nil {
		return err
	}
	if err := c.Start(ctx, clickhouse...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	return s.goOn(ctx, c, before, w, clickhouse)
}

// backupUnderLoad makes a backup while as many choices come in as were there, and returns a copy of it elsewhere.
func (s *scene) backupUnderLoad(ctx context.Context, c *rig.Consentd, w *witness.Witness) (path string, err error) {
	posted := make(chan int)
	go func() { posted <- w.Post(ctx, c, s.proofs, conns, patience) }()
	made, err := backup(ctx, c)
	if got := <-posted; err == nil && got != s.proofs {
		err = errRefused
	}
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.dir, fmt.Sprintf("backup-%d", s.machines))
	return path, witness.Copy(path, made)
}

// goOn is what comes after a restore: everything of before is known, browsers send again what they had sent, and new
// choices come in. before is what was acknowledged before the backup, sent everything.
func (s *scene) goOn(ctx context.Context, c *rig.Consentd, before, sent *witness.Witness, clickhouse []string) error {
	if err := known(ctx, c, before, "after the restore"); err != nil {
		return err
	}
	now, err := witness.New(ctx, c)
	if err != nil {
		return err
	}
	if err := now.Repeat(ctx, c, sent.Choices(), conns, patience); err != nil {
		return err
	}
	if err := expect(ctx, c, now, sent.Len(), "after browsers sent everything again", clickhouse...); err != nil {
		return err
	}
	if got := now.Post(ctx, c, s.proofs/10, conns, patience); got != s.proofs/10 {
		return errRefused
	}
	return errors.Join(
		known(ctx, c, now, "in the end"),
		expect(ctx, c, now, sent.Len()+s.proofs/10, "after new choices", clickhouse...))
}

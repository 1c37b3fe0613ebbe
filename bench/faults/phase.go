package main

import (
	"context"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// phase is a part of the program's life during which calls fail.
type phase struct {
	name  string
	seed  string   // what it begins with
	exec  bool     // traced from its first instruction; otherwise from when it answers
	flags []string // more flags of serve
	// drive has the program do what the phase is about. What comes back is in the witness; errors are the program's answer.
	drive func(ctx context.Context, c *rig.Consentd, w *witness.Witness)
}

// Seeds.
const (
	left   = "left"   // in good order
	killed = "killed" // by kill -9
	empty  = "empty"
)

func phases() []phase {
	return []phase{
		{name: "first", seed: empty, exec: true, drive: post(40)},
		{name: "start", seed: left, exec: true, drive: post(40)},
		{name: "recover", seed: killed, exec: true, drive: post(40)},
		{name: "append", seed: left, drive: post(200)},
		{name: "lookup", seed: left, flags: []string{"--cache", "1"}, drive: look},
		{name: "backup", seed: left, drive: backup},
		{name: "erase", seed: killed, drive: erase},
	}
}

// driveLimit is how long one request may wait during a run: the judge is the stop.
const driveLimit = 3 * time.Second

func post(n int) func(context.Context, *rig.Consentd, *witness.Witness) {
	return func(ctx context.Context, c *rig.Consentd, w *witness.Witness) { w.Post(ctx, c, n, 8, driveLimit) }
}

// look asks for every proof and every device; what is answered has to be right while reads fail, too.
func look(ctx context.Context, c *rig.Consentd, w *witness.Witness) {
	w.NoteReads(w.Check(ctx, c))
	post(20)(ctx, c, w)
}

func backup(ctx context.Context, c *rig.Consentd, w *witness.Witness) {
	ctx, cancel := context.WithTimeout(ctx, 2*driveLimit)
	defer cancel()
	c.Operate(ctx, "backup") // refused or not: the running server is judged
	post(20)(ctx, c, w)
}

// erase forgets one person, which rewrites the ledger's files.
func erase(ctx context.Context, c *rig.Consentd, w *witness.Witness) {
	ctx, cancel := context.WithTimeout(ctx, 2*driveLimit)
	defer cancel()
	person := w.Choices()[0].Device
	w.Forget(person)
	c.Operate(ctx, "erase", "--site", rig.Site, "--device", person.String())
	post(20)(ctx, c, w)
}

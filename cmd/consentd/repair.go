package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
)

type repairCmd struct {
	dataFlags
	warehouseFlags
	Edge  string `help:"Name of this edge, as serve has it." default:"e1" env:"CONSENTD_EDGE" placeholder:"NAME"`
	Clock bool   `help:"The clock of this machine was ahead once: date the ledger anew, and with it where everybody stands."`
	Yes   bool   `help:"Do it. Without, it only says what it would do, and exits 1."`
}

func (c *repairCmd) Help() string {
	return `For a data directory that serve refuses. It takes what is there for all there is and goes on in a new generation, so
that nothing recorded from now on is taken for what is missing. It cannot bring anything back: a backup can, see
consentd restore. Where people stand who said something that is missing here is taken from ClickHouse, if that has it.

Examples: consentd repair --data /var/lib/consentd
          consentd repair --data /var/lib/consentd --yes
          consentd repair --data /var/lib/consentd --clock --yes`
}

func (c *repairCmd) Run(ctx context.Context, s streams) error {
	if _, err := os.Stat(c.ledger()); err != nil {
		return fmt.Errorf("there is no ledger to repair: %w", err)
	}
	release, err := holdData(c.dataFlags)
	if err != nil {
		return err
	}
	if err := release(); err != nil {
		return err
	}
	w, done := c.ask(ctx, s)
	defer done()
	if !c.Yes {
		return c.tell(ctx, s, w)
	}
	return c.do(ctx, s, w)
}

// ask finds the ClickHouse that may know more; nil: none can be asked, which is said.
func (c *repairCmd) ask(ctx context.Context, s streams) (w *warehouse.Warehouse, done func()) {
	url, stop := c.Clickhouse, func() {}
	if url == "" {
		if _, err := os.Stat(filepath.Join(c.engine(), "data")); err != nil {
			fmt.Fprintln(s.err, "WARNING: no ClickHouse was asked: if there is one, name it with --clickhouse. It may know of proofs that are missing here, and of newer generations")
			return nil, stop
		}
		e, err := engine.Open(ctx, engine.Options{Dir: c.engine(), Lib: c.EngineLib, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Fprintf(s.err, "WARNING: the embedded ClickHouse does not start (%v): what it has is not known\n", err)
			return nil, stop
		}
		url, stop = e.URL(), func() { e.Close() }
	}
	w, err := warehouse.Open(warehouse.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		if err = w.Ping(ctx); err == nil {
			return w, func() { w.Close(); stop() }
		}
		w.Close()
	}
	fmt.Fprintf(s.err, "WARNING: ClickHouse cannot be asked (%v): what it has is not known\n", err)
	return nil, stop
}

// tell says what would be done; opening without repair says what is wrong, and changes nothing when it fails.
func (c *repairCmd) tell(ctx context.Context, s streams, w *warehouse.Warehouse) error {
	if g, next, err := ledger.Acknowledged(c.ledger()); err == nil {
		fmt.Fprintf(s.out, "acknowledged: %d proofs, in generation %d\n", next[consent.StreamProofs], g)
	} else {
		fmt.Fprintf(s.out, "acknowledged: not known (%v)\n", err)
	}
	highest, err := c.elsewhere(ctx, s, w)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "would go on in generation %d or later, with what is there\n", highest+1)
	l, err := ledger.Open(ledger.Options{Dir: c.ledger(), Edge: c.Edge, Log: quiet})
	if err != nil {
		fmt.Fprintf(s.out, "wrong: %v\n", err)
	} else {
		fmt.Fprintf(s.out, "the ledger itself opens, with %d proofs; a new generation is for what is newer elsewhere\n", l.Next(consent.StreamProofs))
		if err := l.Close(); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.err, "nothing was changed; a copy of the directory first, then: --yes")
	return exitCode(1)
}

// elsewhere says what ClickHouse has, and gives the highest generation that is known of anywhere.
func (c *repairCmd) elsewhere(ctx context.Context, s streams, w *warehouse.Warehouse) (highest uint32, err error) {
	highest = generationNear(c.dataFlags)
	if w == nil {
		return highest, nil
	}
	lives, err := w.Lives(ctx, c.Edge)
	if err != nil {
		return highest, err
	}
	for _, l := range lives {
		highest = max(highest, l.Generation)
		fmt.Fprintf(s.out, "ClickHouse: generation %d up to proof %d, the newest of %v\n", l.Generation, l.Next, l.Newest)
	}
	return highest, nil
}

func (c *repairCmd) do(ctx context.Context, s streams, w *warehouse.Warehouse) (err error) {
	highest, err := c.elsewhere(ctx, s, w)
	if err != nil {
		return err
	}
	_, acknowledged, markErr := ledger.Acknowledged(c.ledger())
	repair := &ledger.Repair{AtLeast: highest + 1, Clock: c.Clock}
	l, err := ledger.Open(ledger.Options{Dir: c.ledger(), Edge: c.Edge, Log: quiet, Repair: repair})
	if errors.Is(err, ledger.ErrClock) { // which says what to do
		return err
	}
	if err != nil {
		return fmt.Errorf("%w. This cannot be repaired: restore a backup with consentd restore --replace", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, word := range repair.Words() {
		fmt.Fprintf(s.out, "passed over: %s\n", word)
	}
	if markErr == nil {
		for _, stream := range consent.Streams() {
			if a, h := acknowledged[stream], l.Next(stream); a > h {
				fmt.Fprintf(s.out, "missing: %d %s (acknowledged %d, holds %d)\n", a-h, stream, a, h)
			}
		}
	}
	if c.Clock {
		fmt.Fprintf(s.out, "clock: %d persons were dated ahead, and are dated %s now\n", repair.Reset, time.Now().UTC().Format(time.RFC3339))
	}
	all := l.Generations()
	fmt.Fprintf(s.out, "goes on with %d proofs, in generation %d\n", l.Next(consent.StreamProofs), all[len(all)-1].Number)
	if w == nil {
		return nil
	}
	r := &restoring{s: s, elsewhere: w}
	if r.lives, err = w.Lives(ctx, c.Edge); err != nil {
		return err
	}
	if err := r.absorb(ctx, l); err != nil {
		return err
	}
	return r.supersede(ctx, l)
}

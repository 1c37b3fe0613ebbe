package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Tables carry a sum for each of their blocks, which is looked at when a block is read. So that damage is found before
// somebody needs what it hit, all of them are read through: small stores at once at start, large ones slowly, again and
// again.
const (
	scrubAtStart = 64 << 20         // bytes of tables that Open checks itself: some 50 ms
	scrubPause   = 24 * time.Hour   // between two rounds
	scrubRate    = 16 << 20         // bytes a second of a round
	scrubFirst   = 30 * time.Second // after a start
)

// Checked is what looking through the tables found.
type Checked struct {
	Tables int
	Bytes  uint64
	Wrong  []error
}

// CheckTables reads every table of the store through; pace is called after each with its size, and an error of it ends
// the round and is returned. Tables that compactions remove meanwhile are passed over.
func (l *Ledger) CheckTables(ctx context.Context, pace func(bytes uint64) error) (c Checked, err error) {
	levels, err := l.db.SSTables()
	if err != nil {
		return c, fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range slices.Concat(levels...) {
		if t.Virtual {
			continue
		}
		name := fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))
		if err := l.checkTable(ctx, name); err != nil {
			if live, liveErr := l.live(uint64(t.BackingSSTNum)); liveErr != nil {
				return c, liveErr
			} else if live {
				c.Wrong = append(c.Wrong, fmt.Errorf("table %s: %s", name, corruption(err)))
			}
		}
		c.Tables++
		c.Bytes += t.Size
		if err := pace(t.Size); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (l *Ledger) checkTable(ctx context.Context, name string) error {
	f, err := l.opt.fs.Open(l.opt.fs.PathJoin(l.opt.Dir, name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		f.Close()
		return err
	}
	r, err := sstable.NewReader(ctx, readable, l.readerOptions)
	if err != nil {
		readable.Close()
		return err
	}
	defer r.Close()
	return r.ValidateBlockChecksums()
}

// live reports whether a table still belongs to the store.
func (l *Ledger) live(table uint64) (bool, error) {
	levels, err := l.db.SSTables()
	if err != nil {
		return false, fmt.Errorf("listing tables: %w", err)
	}
	return slices.ContainsFunc(slices.Concat(levels...), func(t pebble.SSTableInfo) bool { return uint64(t.BackingSSTNum) == table }), nil
}

// checkSmall is the round that Open makes when there is little to read.
func (l *Ledger) checkSmall() error {
	if m := l.db.Metrics(); m.Total().TablesSize > scrubAtStart {
		return nil
	}
	c, err := l.CheckTables(context.Background(), func(uint64) error { return nil })
	if err != nil {
		return err
	}
	if len(c.Wrong) > 0 {
		return fmt.Errorf("%w: %w", ErrDamaged, c.Wrong[0])
	}
	return nil
}

// scrubTables makes rounds until the ledger closes.
func (l *Ledger) scrubTables() {
	defer l.done.Done()
	for pause := scrubFirst; ; pause = scrubPause {
		if l.stopped(pause) {
			return
		}
		c, err := l.CheckTables(context.Background(), func(bytes uint64) error {
			l.metrics.scrubbed.Add(float64(bytes))
			if l.stopped(time.Duration(bytes) * time.Second / scrubRate) {
				return ErrClosed
			}
			return nil
		})
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			l.opt.Log.Error("ledger: looking through the tables ended early", "error", err)
			continue
		}
		for _, wrong := range c.Wrong {
			l.damage.found(wrong)
			l.opt.Log.Error("ledger: a table is damaged", "error", wrong)
		}
		l.metrics.damaged.Set(float64(len(c.Wrong)))
	}
}

// stopped waits, and reports whether the ledger began to close meanwhile.
func (l *Ledger) stopped(wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-l.stopGuard:
		return true
	}
}

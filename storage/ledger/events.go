package ledger

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleLogger sends Pebble's words to the log. Pebble calls Fatalf when it cannot go on and must not be
// returned to: the calling goroutine parks, the ledger has failed, and the program is about to exit.
type pebbleLogger struct{ l *Ledger }

func (p pebbleLogger) Infof(format string, args ...any) {
	p.l.opt.Log.Debug("pebble", "event", fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Errorf(format string, args ...any) {
	p.l.opt.Log.Error("pebble", "event", fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Fatalf(format string, args ...any) {
	p.l.fail(fmt.Errorf(format, args...))
	select {}
}

// events are what Pebble tells besides.
func (l *Ledger) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: l.backgroundError,
		DataCorruption: func(d pebble.DataCorruptionInfo) {
			l.damage.found(fmt.Errorf("%s: %s", d.Path, corruption(d.Details)))
		},
		FlushEnd: func(i pebble.FlushInfo) {
			if i.Err == nil {
				l.failing.Store(0)
			}
		},
		CompactionEnd: func(i pebble.CompactionInfo) {
			if i.Err == nil {
				l.failing.Store(0)
			}
		},
	}
}

// failingMost is how many flushes and compactions may fail in a row. Pebble tries again at once and for ever; its
// errors are of the disk.
const failingMost = 5

// backgroundError is told of every flush or compaction that failed. What was acknowledged is in the write-ahead log all
// the same. A full disk may get space again, and is waited for, but not by Open: a program that cannot start has to
// say so.
func (l *Ledger) backgroundError(err error) {
	n := l.failing.Add(1)
	l.opt.Log.Error("ledger: a flush or compaction failed", "error", err)
	switch {
	case pebble.IsCorruptionError(err):
		l.damage.found(errors.New(corruption(err)))
	case errors.Is(err, syscall.ENOSPC) && l.opened.Load():
	case n >= failingMost:
		l.fail(fmt.Errorf("%d flushes or compactions in a row failed: %w", n, err))
	}
	time.Sleep(min(time.Duration(n)*50*time.Millisecond, time.Second))
}

// damage remembers the first damage that was met.
type damage struct {
	mu    sync.Mutex
	first error
	times int
}

func (d *damage) found(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times++; d.first == nil {
		d.first = err
	}
}

// error says what was met, or nil.
func (d *damage) error() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first == nil {
		return nil
	}
	return fmt.Errorf("%w: %w (met %d times). Lookups that need it fail; restore a backup: consentd restore", ErrDamaged, d.first, d.times)
}

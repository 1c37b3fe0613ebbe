package ledger

import (
	"errors"
	"fmt"
	"time"
)

// spaceInterval is how often free space is looked at. At the fastest this machine class records, 64 MiB a
// second, the default reserve lasts eight looks.
const spaceInterval = time.Second

// guard looks at the disk and the clock. It stops admission while the disk is nearly full. Pebble ends the process on a full disk, and its
// errors stay after space is freed; so the ledger stops well before. Lookups and the drain go on: shipping
// and trimming is what frees space.
func (l *Ledger) guard() {
	defer l.done.Done()
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.checkSpace()
			l.checkClock()
		case <-l.stopGuard:
			return
		}
	}
}

// checkSpace looks once. A look that fails changes nothing: not knowing is no reason to refuse choices.
func (l *Ledger) checkSpace() {
	l.looking.Lock() // the last look is the latest
	defer l.looking.Unlock()
	usage, err := l.opt.fs.GetDiskUsage(l.opt.Dir)
	if err != nil {
		l.opt.Log.Warn("ledger: free disk space unknown", "error", err)
		return
	}
	l.free.Store(usage.AvailBytes)
	full := usage.AvailBytes < l.opt.Reserve
	if l.full.Swap(full) == full {
		return
	}
	if full {
		l.opt.Log.Error("ledger: disk nearly full, no choice is admitted until space is freed",
			"free_bytes", usage.AvailBytes, "reserve_bytes", l.opt.Reserve)
	} else {
		l.opt.Log.Info("ledger: disk space is back, admitting again", "free_bytes", usage.AvailBytes)
	}
}

// Suspend stops admission until the next start: what is recorded here contradicts something elsewhere, and reason
// says what and what to do. Lookups go on.
func (l *Ledger) Suspend(reason error) {
	if l.suspended.CompareAndSwap(nil, &reason) {
		l.opt.Log.Error("ledger: nothing more is recorded", "reason", reason)
	}
}

// Degraded says what an operator has to know although choices are recorded, or nil: damage, a clock that is wrong, a
// tail that nothing vouches for.
func (l *Ledger) Degraded() error {
	return errors.Join(l.damage.error(), l.clockProblem(), l.tailProblem())
}

// Tail gives the proofs that nothing outside the store vouches for; nil: none.
func (l *Ledger) Tail() *Tail { return l.tail }

func (l *Ledger) tailProblem() error {
	if l.tail == nil {
		return nil
	}
	return fmt.Errorf("this machine stopped before consentd did. Proofs up to %d were acknowledged for certain and are here; whether any was acknowledged after %d, which is the last one here, is known to the disk alone. This is said until the next clean stop",
		l.tail.First, l.tail.End)
}

// Free is how many bytes of the disk were free when the space guard last looked, within a second; it keeps reserve of
// them for itself.
func (l *Ledger) Free() (free, reserve uint64) { return l.free.Load(), l.opt.Reserve }

// Health says what keeps the ledger from admitting, or nil.
func (l *Ledger) Health() error {
	if err := l.Err(); err != nil {
		return err
	}
	if err := l.suspended.Load(); err != nil {
		return *err
	}
	if l.full.Load() {
		return ErrNoSpace
	}
	return nil
}

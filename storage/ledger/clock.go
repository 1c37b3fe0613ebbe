package ledger

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// The ledger's clock is a hybrid logical clock (Kulkarni et al. 2014): the wall clock, except that it never runs
// back, not within a run and not behind the last entry on disk; proofs dated with one millisecond are told apart by a
// counter. So a later choice always has a later moment, whatever happens to the wall clock.

// ErrClock means that the wall clock lies so far behind the last entry that one of the two must be wrong.
var ErrClock = errors.New("ledger: the clock is wrong, or was when the last entry was dated")

// Bounds of a wall clock that lies behind the ledger's.
const (
	skewTold    = 5 * time.Second // more is told by Degraded
	skewRefused = 24 * time.Hour  // more is refused by Open: a day forgives a wrong time zone
	stepTold    = 5 * time.Minute // a step of the wall clock within a run that is told
)

// clock says what time it is. Its zero value is ready.
type clock struct {
	mu      sync.Mutex
	last    consent.Millis // latest time a proof was dated with
	logical uint32         // of the last proof

	stepped time.Duration // the largest step of the wall clock seen in this run
	base    time.Time     // when it was first looked at, with a monotonic reading
}

// date completes the moment of p, whose RecordedAt is from Now: the first proof of a millisecond gets 0, every other
// one more than the one before.
func (c *clock) date(p *consent.Proof) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.RecordedAt > c.last {
		c.last, c.logical = p.RecordedAt, 0
	} else {
		c.logical++
	}
	p.Logical = c.logical
}

// watch notices that the wall clock was set: it then runs apart from the monotonic one.
func (c *clock) watch(now time.Time) (step time.Duration, isNew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() {
		c.base = now
		return 0, false
	}
	step = now.Round(0).Sub(c.base.Round(0)) - now.Sub(c.base)
	if step.Abs() < stepTold {
		return 0, false
	}
	c.base = now
	c.stepped = step
	return step, true
}

func (c *clock) step() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stepped
}

// Now is the ledger's clock, to the millisecond; it never falls.
func (l *Ledger) Now() consent.Millis {
	now := l.opt.Clock().UnixMilli()
	for {
		last := l.latest.Load()
		if now <= last {
			return consent.Millis(last)
		}
		if l.latest.CompareAndSwap(last, now) {
			return consent.Millis(now)
		}
	}
}

// Skew is how far the wall clock lies behind the ledger's: above zero after it was set back.
func (l *Ledger) Skew() time.Duration {
	return max(0, time.Duration(l.latest.Load()-l.opt.Clock().UnixMilli())*time.Millisecond)
}

// farBehind refuses a wall clock that cannot be right if the last entry's date is.
func (l *Ledger) farBehind(last consent.Millis) error {
	wall := consent.ToMillis(l.opt.Clock())
	if behind := time.Duration(last-wall) * time.Millisecond; behind > skewRefused {
		return fmt.Errorf("%w: it says %v, and the last entry is dated %v. If the clock of this machine is wrong, set it; if it was ahead when that entry was made, run: consentd repair --clock", ErrClock, wall, last)
	}
	return nil
}

// setClock starts the clock one millisecond after everything dated before: what was dated with the same one in another
// run has counted its own moments.
func (l *Ledger) setClock(last consent.Millis) error {
	if err := l.farBehind(last); err != nil {
		return err
	}
	if last > 0 {
		l.latest.Store(int64(last) + 1)
	}
	return nil
}

// checkClock looks for steps, once a second.
func (l *Ledger) checkClock() {
	if step, isNew := l.time.watch(l.opt.Clock()); isNew {
		l.opt.Log.Warn("the clock of this machine was set", "by", step.Round(time.Second), "skew", l.Skew().Round(time.Second))
	}
}

// clockProblem says what is to be told of the clock, or nil.
func (l *Ledger) clockProblem() error {
	if skew := l.Skew(); skew > skewTold {
		return fmt.Errorf("the clock of this machine is %v behind the last entry: until it has caught up, everything is dated %v. If it was ahead before, run: consentd repair --clock",
			skew.Round(time.Second), consent.Millis(l.latest.Load()))
	}
	if step := l.time.step(); step > 0 {
		return fmt.Errorf("the clock of this machine was set forward by %v while consentd ran; if that was a mistake, set it right at once and run: consentd repair --clock", step.Round(time.Second))
	}
	return nil
}

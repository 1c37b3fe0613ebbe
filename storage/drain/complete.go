package drain

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// late is how long a row may take to be shipped before an answer is said to lack it: well over Options.Linger and an
// insert.
const late = 5 * time.Second

// known is what is known of what the warehouse holds.
type known struct {
	mu      sync.Mutex // covers what follows
	away    int        // how often the warehouse has been away: an audit that began before says nothing of after
	checked bool       // compared since
	at      time.Time  // when the last audit ended well
	problem error      // of the last audit
	missing []span     // being sent again
	stuck   bool       // missing was sent again, and is missing still
	lost    []span
}

func (k *known) unchecked() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away++
	k.checked = false
}

// begin gives a mark for found and refilled.
func (k *known) begin() (mark int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.away
}

// found takes the result of comparing. lost is looked for when whole.
func (k *known) found(mark int, missing, lost []span, whole bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checked = k.checked || mark == k.away && whole
	k.at, k.problem = time.Now(), nil
	k.missing, k.stuck = missing, false
	if whole {
		k.lost = lost
	}
}

// refilled takes what is missing after all was sent again.
func (k *known) refilled(mark int, left []span) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if mark == k.away {
		k.missing, k.stuck = left, len(left) > 0
	}
}

func (k *known) failed(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problem = err
}

// Rows is nil while the warehouse has, as far as is known, all it has confirmed; else what it lacks and what becomes of
// that.
func (d *Drain) Rows() error {
	k := &d.known
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	if k.problem != nil {
		errs = append(errs, fmt.Errorf("what ClickHouse holds could not be compared with what was shipped: %w", k.problem))
	}
	switch {
	case k.stuck:
		errs = append(errs, fmt.Errorf("%d rows were sent again and are still missing from ClickHouse: look for a TTL or a statement that deletes them", total(k.missing)))
	case len(k.missing) > 0:
		errs = append(errs, fmt.Errorf("ClickHouse has lost %d rows; they are being sent again", total(k.missing)))
	}
	for _, l := range k.lost {
		errs = append(errs, fmt.Errorf("ClickHouse has lost %d %s of seq %d to %d, which this edge no longer holds: restore them from a backup of ClickHouse",
			l.rows, l.s.name, l.first, l.end-1))
	}
	return errors.Join(errs...)
}

// Gaps says which rows of this edge an answer of the warehouse may lack; none: it has everything that is older than
// a few seconds. Other edges know their own.
func (d *Drain) Gaps() []consent.Gap {
	var all []consent.Gap
	if d.refused.Load() != nil {
		all = append(all, consent.Gap{Reason: consent.GapRefused})
	}
	all = append(all, d.known.gaps()...)
	if g, ok := d.backlogGap(); ok {
		all = append(all, g)
	}
	return all
}

func (k *known) gaps() (all []consent.Gap) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.checked {
		all = append(all, consent.Gap{Reason: consent.GapUnchecked})
	}
	for _, m := range k.missing {
		all = append(all, consent.Gap{Reason: consent.GapRefilling, Since: m.since, Before: m.before})
	}
	for _, l := range k.lost {
		all = append(all, consent.Gap{Reason: consent.GapLost, Since: l.since, Before: l.before})
	}
	return all
}

// backlogGap is what waits longer than it should. Wordings are in no answer by time.
func (d *Drain) backlogGap() (g consent.Gap, any bool) {
	for _, s := range d.streams {
		next := s.shipped.Load()
		if s.id == consent.StreamWordings || next >= d.opt.Ledger.Next(s.id) {
			continue
		}
		at := s.at(next)
		if d.opt.Clock().Sub(at.Time()) < late {
			continue
		}
		if !any || at < g.Since {
			g = consent.Gap{Reason: consent.GapBacklog, Since: at}
		}
		any = true
	}
	return g, any
}

// age is how long ago the last audit ended.
func (k *known) age() (time.Duration, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Since(k.at), !k.at.IsZero()
}

// lostRows counts those of a stream.
func (k *known) lostRows(s consent.Stream) (n uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.lost {
		if l.s.id == s {
			n += l.rows
		}
	}
	return n
}

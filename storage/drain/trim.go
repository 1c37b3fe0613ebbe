package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

const (
	// trimEvery bounds how much one DeleteRange forgets at once, and how late.
	trimEvery = time.Minute

	// settle is how long this process must have seen an entry as shipped before it is trimmed, however old it
	// is: a backlog of days is not forgotten in the minute it arrives. Well over the half minute in which
	// Linux writes out what ClickHouse did not fsync.
	settle = 15 * time.Minute

	// keepProofs is the tail of the proofs stream that stays whatever its age: the log's newest tiles are
	// computed from it.
	keepProofs = 512
)

// mark says that everything before seq was shipped at that time.
type mark struct {
	at  time.Time
	seq uint64
}

func (d *Drain) trimLoop(ctx context.Context) error {
	t := time.NewTicker(trimEvery)
	defer t.Stop()
	marks := make([][]mark, len(d.streams))
	for {
		for _, s := range d.streams {
			if err := s.trim(&marks[s.id]); err != nil {
				return err
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// trim forgets the entries of s that are older than KeepShipped, were shipped before settle, and have since been found in
// the warehouse: what waits to be sent again, or could not be compared, stays.
func (s *stream) trim(marks *[]mark) error {
	now := s.d.opt.Clock()
	*marks = append(*marks, mark{now, s.shipped.Load()})
	before := uint64(0)
	for len(*marks) > 0 && now.Sub((*marks)[0].at) >= min(settle, s.d.opt.KeepShipped) {
		before = (*marks)[0].seq
		*marks = (*marks)[1:]
	}
	if before == 0 {
		return nil
	}
	before, err := s.trimmable(min(before, s.counted.Load()), now)
	if err != nil || before <= s.d.opt.Ledger.First(s.id) {
		return err
	}
	return s.d.opt.Ledger.Trim(s.id, before)
}

// trimmable cuts before down to entries that are old at now and to the tail the log needs. Rows set aside do not
// matter: the ledger keeps a copy with the note.
func (s *stream) trimmable(before uint64, now time.Time) (uint64, error) {
	if s.id == consent.StreamProofs {
		next := s.d.opt.Ledger.Next(s.id)
		before = min(before, next-min(next, keepProofs))
	}
	return s.firstYoung(now, s.d.opt.Ledger.First(s.id), before)
}

// farAhead is how far an entry may be dated in the future before its date is taken for a mistake of the clock.
const farAhead = 24 * time.Hour

// firstYoung finds, by halving, the first entry of [lo, hi) recorded within KeepShipped: times of an edge never fall, but
// for the moment between stamping a proof and queueing it, and once a clock that was ahead is set right. Entries dated
// far ahead count as old, or they would hold up everything behind them until their time comes; young ones before them
// may then go early: they were shipped and counted.
func (s *stream) firstYoung(now time.Time, lo, hi uint64) (uint64, error) {
	from, ahead := consent.ToMillis(now.Add(-s.d.opt.KeepShipped)), consent.ToMillis(now.Add(farAhead))
	for lo < hi {
		mid := lo + (hi-lo)/2
		b, err := s.read(mid, mid+1, nil)
		switch {
		case errors.Is(err, ErrGap):
			return 0, fmt.Errorf("%w: %s %d", ErrGap, s.name, mid)
		case err != nil:
			return 0, err
		case b.damaged, b.oldest >= from && b.oldest <= ahead:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return lo, nil
}

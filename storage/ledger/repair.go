package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Repair makes a ledger that Open refuses usable again: what it holds is taken for all there is, and it goes on in a
// new generation, so that nothing written from now on is taken for what was lost. It cannot bring back what is
// missing, and it mends no hole: a ledger with tables missing has to be restored from a backup.
type Repair struct {
	AtLeast uint32 // the new generation's number is no lower: 1 more than any that is known elsewhere
	Clock   bool   // the clock was once ahead: date it anew, and with it every state

	Copy bool // the directory is a copy that Checkpoint wrote: it has no record of what was acknowledged

	Noted []string // by Open: what it passed over, in words
	Reset int      // by Open: states that were dated ahead
}

func (r *Repair) noted(err error) { r.Noted = append(r.Noted, err.Error()) }

// repair does what Options.Repair asks for.
func (l *Ledger) repair(h *head) error {
	r := l.opt.Repair
	if r == nil {
		return nil
	}
	if r.Clock {
		if err := l.resetClock(h); err != nil {
			return fmt.Errorf("dating the ledger anew: %w", err)
		}
	} else if err := l.farBehind(h.clock); err != nil {
		return err // before a generation begins whose watermark would never be written
	}
	return l.begin(r.AtLeast, h.next)
}

// resetClock takes everything dated after now for said now, in the order it had: nothing said later may lose against
// a date that was wrong. Proofs keep theirs, which are in the log; texts published under a wrong date are published
// again.
func (l *Ledger) resetClock(h *head) error {
	now := consent.ToMillis(l.opt.Clock())
	b := l.db.NewBatch()
	defer b.Close()
	if err := errors.Join(l.resetStates(b, now), l.forgetPublished(b, now)); err != nil {
		return err
	}
	h.clock = now
	if err := b.Set(metaKey("head"), h.append(nil), nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// resetStates commits what has gathered in b whenever it has grown large.
func (l *Ledger) resetStates(b *pebble.Batch, now consent.Millis) error {
	prefix := []byte{prefixState}
	return l.each(prefix, after(prefix), func(key, value []byte) error {
		s, err := consent.ParseState(value)
		if err != nil {
			return fmt.Errorf("reading a state: %w", err)
		}
		if !s.NoLaterThan(now) {
			return nil
		}
		l.opt.Repair.Reset++
		if err := b.Set(key, consent.AppendState(nil, s), nil); err != nil || b.Len() < maxGroupBytes {
			return err
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.Reset()
		return nil
	})
}

// forgetPublished lets what was published after now be published again: evidence asks for a text that was public
// before the choice.
func (l *Ledger) forgetPublished(b *pebble.Batch, now consent.Millis) error {
	return l.Scan(consent.StreamWordings, 0, l.Next(consent.StreamWordings), func(seq uint64, raw []byte) error {
		p, err := consent.ParsePublication(raw)
		if err != nil || p.PublishedAt <= now {
			return err
		}
		if err := b.Delete(publishedKey(nil, p, seq), nil); err != nil || !p.Recurs() {
			return err
		}
		return b.Delete(currentKey(nil, p), nil)
	})
}

// Words are what was passed over, without doubles.
func (r *Repair) Words() []string { return slices.Compact(r.Noted) }

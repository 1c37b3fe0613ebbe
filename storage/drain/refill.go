package drain

import (
	"context"
	"errors"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// Resent is what Resend tells while it works.
type Resent struct {
	Stream string
	Sent   uint64 // entries of the stream
	Of     uint64
}

// Resend sends again what has been shipped of the streams from seq on, as far as the ledger still holds it, whether the
// warehouse lacks it or not. tell is called after each batch. It goes on beside what is shipped for the first time; rows that
// are there are not counted twice. What was erased stays erased.
func (d *Drain) Resend(ctx context.Context, streams []consent.Stream, from uint64, tell func(Resent)) error {
	d.auditing.Lock()
	defer d.auditing.Unlock()
	if err := d.connect(ctx); err != nil {
		return err
	}
	for _, id := range streams {
		s := d.streams[id]
		all := span{s: s, first: max(from, d.opt.Ledger.First(id)), end: s.shipped.Load()}
		if all.first >= all.end {
			tell(Resent{Stream: s.name})
			continue
		}
		if err := d.refill(ctx, all, tell); err != nil {
			return err
		}
	}
	return nil
}

// Compare has what the warehouse holds counted now and what is missing sent again, and returns when that is done. Rows says what it
// came to.
func (d *Drain) Compare(ctx context.Context) error {
	if err := d.connect(ctx); err != nil {
		return err
	}
	err := d.audit(ctx, true)
	if err == nil && !d.connected.Load() {
		return d.Health()
	}
	return err
}

// Settle returns once no batch that was read before the call is being sent again: what is erased in the ledger before
// is not brought back after.
func (d *Drain) Settle(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		d.sending.Lock()
		defer d.sending.Unlock()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for rows that are being sent again: %w", ctx.Err())
	}
}

// refill sends a span again, around the rows that were set aside. Errors of the warehouse are warehouseErrors.
func (d *Drain) refill(ctx context.Context, m span, tell func(Resent)) error {
	s := m.s
	aside, err := s.setAsides()
	if err != nil {
		return err
	}
	for at := m.first; at < m.end; {
		end := min(at+s.most, m.end)
		if in := within(aside, at, end); len(in) > 0 {
			end = in[0]
		}
		if end > at {
			end = s.generationFrom(at, end).End
			if err := s.resend(ctx, at, end); err != nil {
				return err
			}
		} else {
			end = at + 1
		}
		at = end
		if tell != nil {
			tell(Resent{Stream: s.name, Sent: at - m.first, Of: m.end - m.first})
		}
	}
	return nil
}

// resend sends [first, end), of one generation, again. A row that is refused is found by halving, and set aside.
func (s *stream) resend(ctx context.Context, first, end uint64) error {
	if s.d.refused.Load() != nil || !s.d.connected.Load() {
		return ofWarehouse(errors.New("the warehouse went away while rows were sent again"))
	}
	b, err := s.sendOnce(ctx, first, end)
	switch {
	case b != nil && b.damaged && (err == nil || errors.Is(err, errNothing)):
		if err := s.note(b.end, consent.ErrBinary); err != nil {
			return err
		}
		if b.end+1 < end {
			return s.resend(ctx, b.end+1, end)
		}
		return nil
	case err == nil || errors.Is(err, errNothing):
		return nil
	case poisonous(err) && end-first == 1:
		return s.note(first, err)
	case poisonous(err):
		half := first + (end-first)/2
		return errors.Join(s.resend(ctx, first, half), s.resend(ctx, half, end))
	}
	return err
}

var errNothing = errors.New("nothing to send")

// sendOnce reads and sends a range; Settle waits for it.
func (s *stream) sendOnce(ctx context.Context, first, end uint64) (*batch, error) {
	s.d.sending.Lock()
	defer s.d.sending.Unlock()
	first = max(first, s.d.opt.Ledger.First(s.id))
	if first >= end {
		return nil, errNothing
	}
	var bare map[uint64]bool
	if s.id == consent.StreamProofs {
		var err error
		r := consent.Rows{Edge: s.d.opt.Ledger.Edge(), Generation: s.d.opt.Ledger.Generation(s.id, first), First: first, End: end}
		if bare, err = s.d.opt.Warehouse.ErasedHere(ctx, r); err != nil {
			return nil, ofWarehouse(err)
		}
	}
	b, err := s.read(first, end, bare)
	if err != nil {
		return nil, err
	}
	if b.end == b.first {
		return b, errNothing
	}
	if err := b.send(ctx); err != nil {
		return b, ofWarehouse(err)
	}
	s.d.metrics.refilled.WithLabelValues(s.name).Add(float64(b.end - b.first))
	return b, nil
}

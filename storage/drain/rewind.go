package drain

import (
	"context"
	"errors"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// ErrRewind means that a stream cannot be rewound to where it was asked to: that entry is no longer held, or
// not shipped yet.
var ErrRewind = errors.New("drain: not a shipped entry that the ledger still holds")

type rewind struct {
	to   uint64
	done chan error
}

// Rewind sends s again from seq on, after the warehouse lost rows: seq lies between the ledger's First and what has
// been shipped. It returns once the cursor is durable; Run must be running. Rows the warehouse still has
// are not counted twice.
func (d *Drain) Rewind(ctx context.Context, s consent.Stream, seq uint64) error {
	r := &rewind{to: seq, done: make(chan error, 1)}
	st := d.streams[s]
	st.mu.Lock()
	if st.rewind != nil {
		st.mu.Unlock()
		return fmt.Errorf("%w: another rewind is under way", ErrRewind)
	}
	st.rewind = r
	if st.interrupt != nil {
		st.interrupt()
	}
	st.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.rewind == r {
			st.rewind = nil
		}
		return ctx.Err()
	}
}

// interruptible gives a context for waits that a rewind ends.
func (s *stream) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	idle, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt = cancel
	return idle, cancel
}

// applyRewind moves the cursor back when asked to. Only the run goroutine moves cursors.
func (s *stream) applyRewind() error {
	s.mu.Lock()
	r := s.rewind
	s.rewind = nil
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	first := s.d.opt.Ledger.First(s.id)
	if r.to < first || r.to > s.cursor.Next {
		r.done <- fmt.Errorf("%w: %s %d is not within %d and %d", ErrRewind, s.name, r.to, first, s.cursor.Next)
		return nil
	}
	s.ahead, s.suspect = nil, 0
	err := s.save(consent.Cursor{Next: r.to, End: r.to})
	if err == nil {
		s.d.opt.Log.Warn("sending again", "stream", s.name, "from", r.to, "rows", s.d.Backlog(s.id))
	}
	r.done <- err
	return err
}

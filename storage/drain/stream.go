package drain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// stream ships one stream. Its run goroutine owns every field without a lock.
type stream struct {
	d    *Drain
	id   consent.Stream
	name string
	most uint64 // rows of a batch
	read reader

	cursor  consent.Cursor // as saved
	suspect uint64         // batches end here until it is reached: a row before it was refused
	ahead   *prefetch      // the batch after the one being sent, or nil
	ready   bool           // the schema was applied since the last failure
	pause   backoff

	shipped atomic.Uint64 // cursor.Next, for others
	counted atomic.Uint64 // everything before it was shipped, and found in the warehouse or lost for good

	mu      sync.Mutex // covers what follows
	problem error      // of the last attempt
	since   time.Time  // of the first failure in a row
}

func newStream(d *Drain, id consent.Stream) *stream {
	s := &stream{d: d, id: id, name: id.String(), most: uint64(d.opt.BatchRows), read: d.reader(id)}
	if id == consent.StreamWordings {
		s.most = min(s.most, wordingRows)
	}
	s.pause = backoff{min: d.opt.MinBackoff, max: d.opt.MaxBackoff}
	if c, err := d.opt.Ledger.Cursor(id); err == nil { // run reads it again and reports
		s.shipped.Store(c.Next)
	}
	return s
}

// run returns nil when ctx ends, and what the ledger says when it fails.
func (s *stream) run(ctx context.Context) error {
	cursor, err := s.d.opt.Ledger.Cursor(s.id)
	if err != nil {
		return err
	}
	s.cursor = cursor
	s.shipped.Store(cursor.Next)
	for ctx.Err() == nil {
		if err := s.step(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// step does one thing: the wait for a warehouse that takes our rows, or one batch. Errors are the ledger's.
func (s *stream) step(ctx context.Context) error {
	if !s.ready || s.d.refused.Load() != nil {
		if err := s.d.connect(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			s.failed(ctx, err)
			return nil
		}
		s.ready = true
		s.succeeded()
	}
	b, err := s.next(ctx)
	if err != nil || b == nil || s.d.refused.Load() != nil {
		return err
	}
	return s.ship(ctx, b)
}

// next returns the batch to send, its range durable in the ledger; nil when ctx ends.
func (s *stream) next(ctx context.Context) (*batch, error) {
	if s.cursor.Next < s.cursor.End { // a range was fixed before, maybe sent
		return s.take(s.cursor.End)
	}
	if err := s.await(ctx, s.cursor.Next); err != nil || ctx.Err() != nil {
		return nil, err
	}
	if err := s.linger(ctx); err != nil || ctx.Err() != nil {
		return nil, err
	}
	end := s.cut(s.cursor.Next, min(s.d.opt.Ledger.Next(s.id), s.cursor.Next+s.most))
	if s.suspect > s.cursor.Next {
		end = min(end, s.suspect)
	}
	if err := s.save(consent.Cursor{Next: s.cursor.Next, End: end}); err != nil {
		return nil, err
	}
	return s.take(end)
}

// await waits until entry seq is durable; nil also when ctx ends.
func (s *stream) await(ctx context.Context, seq uint64) error {
	err := s.d.opt.Ledger.Wait(ctx, s.id, seq)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// linger lets a batch fill up.
func (s *stream) linger(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.opt.Linger)
	defer cancel()
	return s.await(ctx, s.cursor.Next+s.most-1)
}

// take decodes [cursor.Next, end), or picks up what was decoded ahead.
func (s *stream) take(end uint64) (*batch, error) {
	if p := s.ahead; p != nil && p.first == s.cursor.Next { // else it is the one after: a batch is being tried again
		s.ahead = nil
		if b, err := p.wait(); p.end == end {
			return b, err
		}
	}
	return s.read(s.cursor.Next, end, nil)
}

// ship sends b until it is in, refused, or ctx ends. The range was saved by next.
func (s *stream) ship(ctx context.Context, b *batch) error {
	if b.damaged {
		return s.damaged(b)
	}
	s.decodeAhead(b.end)
	err := b.send(ctx)
	switch {
	case err == nil:
		return s.confirm(b)
	case ctx.Err() != nil:
		return nil
	case poisonous(err):
		s.d.metrics.batches.WithLabelValues(s.name, "refused").Inc()
		return s.halve(b, err)
	}
	s.d.metrics.batches.WithLabelValues(s.name, "failed").Inc()
	s.ready = false
	s.d.away()
	s.failed(ctx, err)
	return nil
}

// cut ends a batch where a generation ends: one batch is of one.
func (s *stream) cut(first, end uint64) uint64 { return s.generationFrom(first, end).End }

// decodeAhead starts on the next full batch while this one is being sent. A batch that is not full gains
// nothing, and its range would be fixed too early.
func (s *stream) decodeAhead(first uint64) {
	end := first + s.most
	if s.ahead != nil || s.suspect > first || s.d.opt.Ledger.Next(s.id) < end || s.cut(first, end) != end {
		return
	}
	s.ahead = newPrefetch(s.read, first, end)
}

// confirm moves the cursor past b. With a decoded batch behind it, the same write fixes that range.
func (s *stream) confirm(b *batch) error {
	now := s.d.opt.Clock()
	m := s.d.metrics
	m.rows.WithLabelValues(s.name).Add(float64(b.end - b.first))
	m.batches.WithLabelValues(s.name, "sent").Inc()
	m.freshness.WithLabelValues(s.name).Observe(max(0, now.Sub(b.oldest.Time()).Seconds()))
	s.succeeded()
	c := consent.Cursor{Next: b.end, End: b.end}
	if s.ahead != nil {
		c.End = s.ahead.end
	}
	return s.save(c)
}

func (s *stream) save(c consent.Cursor) error {
	if err := s.d.opt.Ledger.SaveCursor(s.id, c); err != nil {
		return err
	}
	s.cursor = c
	s.shipped.Store(c.Next)
	return nil
}

// halve narrows a refused range down to one row, which is set aside. Each half is made durable before it is
// sent, like any other range.
func (s *stream) halve(b *batch, why error) error {
	s.ahead = nil
	n := b.end - b.first
	if n == 1 {
		return s.setAside(b.first, why)
	}
	s.suspect = max(s.suspect, b.end)
	return s.save(consent.Cursor{Next: b.first, End: b.first + n/2})
}

// damaged ships what stands before an entry that cannot be decoded, then sets that entry aside.
func (s *stream) damaged(b *batch) error {
	s.ahead = nil
	if b.end == b.first {
		return s.setAside(b.first, consent.ErrBinary)
	}
	return s.save(consent.Cursor{Next: b.first, End: b.end})
}

// setAside notes one row and goes on behind it. why is free of personal data: warehouse errors name codes,
// not values.
func (s *stream) setAside(seq uint64, why error) error {
	if err := s.note(seq, why); err != nil {
		return err
	}
	s.succeeded() // the warehouse is up: it answered
	return s.save(consent.Cursor{Next: seq + 1, End: seq + 1})
}

// note puts a row aside in the ledger.
func (s *stream) note(seq uint64, why error) error {
	now := s.d.opt.Clock()
	if err := s.d.opt.Ledger.SetAside(consent.SetAside{Stream: s.id, Seq: seq, At: consent.ToMillis(now), Why: why.Error()}); err != nil {
		return err
	}
	s.d.metrics.setAside.Inc()
	s.d.opt.Log.Error("the warehouse refuses a row for good; it stays in the ledger, set aside", "stream", s.name, "seq", seq, "why", why)
	return nil
}

func poisonous(err error) bool {
	var p interface{ Poison() bool }
	return errors.As(err, &p) && p.Poison()
}

// failed notes the failure and waits before the next attempt.
func (s *stream) failed(ctx context.Context, err error) {
	wait := s.pause.next()
	s.mu.Lock()
	first := s.problem == nil
	if first {
		s.since = s.d.opt.Clock()
	}
	s.problem = err
	s.mu.Unlock()
	if first {
		s.d.opt.Log.Warn("the warehouse does not take rows; the ledger keeps them", "stream", s.name, "backlog", s.d.Backlog(s.id), "error", err)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *stream) succeeded() {
	s.pause.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem != nil {
		s.d.opt.Log.Info("the warehouse takes rows again", "stream", s.name, "backlog", s.d.Backlog(s.id), "after", s.d.opt.Clock().Sub(s.since).Round(time.Millisecond))
	}
	s.problem = nil
}

func (s *stream) health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == nil {
		return nil
	}
	return fmt.Errorf("%s: %d rows wait since %s: %w", s.name, s.d.Backlog(s.id), s.since.UTC().Format(time.RFC3339), s.problem)
}

// prefetch is a batch being decoded.
type prefetch struct {
	first, end uint64
	done       chan struct{}
	b          *batch
	err        error
}

func newPrefetch(read reader, first, end uint64) *prefetch {
	p := &prefetch{first: first, end: end, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.b, p.err = read(first, end, nil)
	}()
	return p
}

func (p *prefetch) wait() (*batch, error) {
	<-p.done
	return p.b, p.err
}

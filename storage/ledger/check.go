package ledger

import (
	"context"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// CheckEntries reads every entry that is held through: it has to decode, its leaf has to be in the tree, and the id of
// a proof has to lead to it. pace is called now and then with how many were read. wrong lists at most the first hundred.
func (l *Ledger) CheckEntries(ctx context.Context, pace func(read, of uint64)) (wrong []error, err error) {
	of := uint64(0)
	for _, s := range consent.Streams() {
		of += l.Next(s) - l.First(s)
	}
	c := entryCheck{ctx: ctx, l: l, pace: func(read uint64) { pace(read, of) }}
	for _, s := range consent.Streams() {
		if err := c.stream(s); err != nil {
			return c.wrong, err
		}
	}
	err = l.EachState(func(string, consent.SubjectKey, consent.State) error { return ctx.Err() })
	if ctx.Err() == nil && err != nil {
		c.found(err)
		err = nil
	}
	return c.wrong, err
}

// entryCheck is a round of CheckEntries.
type entryCheck struct {
	ctx   context.Context
	l     *Ledger
	pace  func(read uint64)
	read  uint64
	wrong []error
}

func (c *entryCheck) found(err error) {
	const most = 100
	if len(c.wrong) < most {
		c.wrong = append(c.wrong, err)
	}
}

// stream checks tile by tile. What cannot be read through is a finding; the rest of the stream is passed over.
func (c *entryCheck) stream(s consent.Stream) error {
	end := c.l.Next(s)
	for first := c.l.First(s); first < end; {
		next := min(first-first%tileWidth+tileWidth, end)
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.tile(s, first, next); err != nil {
			c.found(fmt.Errorf("%s %d to %d: %w", s, first, next-1, err))
		}
		c.read += next - first
		c.pace(c.read)
		first = next
	}
	return nil
}

// tile checks the entries [first, end) of one tile.
func (c *entryCheck) tile(s consent.Stream, first, end uint64) error {
	var hashes []byte
	logged := s != consent.StreamPrompts
	if logged {
		var err error
		if hashes, err = c.l.Log(s).edge(nil, 0, first, int(end-first)); err != nil {
			return err
		}
	}
	next, room, facts := first, make([]byte, 0, 1024), []byte(nil)
	err := c.l.Scan(s, first, end, func(seq uint64, raw []byte) (err error) {
		next = seq + 1
		if !logged {
			_, err = consent.ParsePrompt(raw)
			return err
		}
		if facts, err = appendEntryFacts(facts[:0], s, raw); err != nil {
			return err
		}
		leaf := leafOf(room, facts)
		if at := (seq - first) * hashSize; string(hashes[at:at+hashSize]) != string(leaf[:]) {
			c.found(fmt.Errorf("%s %d: its hash is not the one in the log", s, seq))
		}
		return c.id(s, seq, raw)
	})
	if err == nil && next != end {
		err = fmt.Errorf("%w: it ends at %d", ErrDamaged, next)
	}
	return err
}

// id checks that the id of a proof leads to it.
func (c *entryCheck) id(s consent.Stream, seq uint64, raw []byte) error {
	if s != consent.StreamProofs {
		return nil
	}
	p, err := consent.ParseProof(raw)
	if err != nil {
		return err
	}
	rec, found, err := c.l.idRecord(idKey(nil, p.ID))
	if err == nil && (!found || rec.seq != seq) {
		err = fmt.Errorf("%w: the id of proof %d does not lead to it", ErrDamaged, seq)
	}
	return err
}

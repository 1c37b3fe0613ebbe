package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Generation is one life of an edge's streams, counted from 1. A new one begins where a ledger goes on from less than
// it once held (a restored backup, a lost tail): what is written from then on has seqs that were given out before.
// So (edge, generation, seq) never names two entries.
type Generation struct {
	Number   uint32
	Instance uuid.UUID // of the ledger that began it: a copy of a directory, put to work, is another
	Began    consent.Millis
	First    [streams]uint64 // of each stream, the first seq that was written in it
}

// Generations lists those of this ledger, oldest first; the last is the one being written. It is not to be changed.
func (l *Ledger) Generations() []Generation { return l.generations }

// Generation is the one in which the entry seq of a stream was written, or would be.
func (l *Ledger) Generation(s consent.Stream, seq uint64) uint32 {
	for i := len(l.generations) - 1; i > 0; i-- {
		if l.generations[i].First[s] <= seq {
			return l.generations[i].Number
		}
	}
	return l.generations[0].Number
}

// Instance tells this ledger from every other, also from one that was copied from it and began a new generation.
func (l *Ledger) Instance() uuid.UUID { return l.current().Instance }

func (l *Ledger) current() *Generation { return &l.generations[len(l.generations)-1] }

const generationSize = 4 + 16 + 8 + 8*streams

func appendGenerations(b []byte, all []Generation) []byte {
	for _, g := range all {
		b = binary.BigEndian.AppendUint32(b, g.Number)
		b = append(b, g.Instance[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(g.Began))
		b = appendSeqs(b, g.First)
	}
	return b
}

func parseGenerations(b []byte) (all []Generation, err error) {
	if len(b) == 0 || len(b)%generationSize != 0 {
		return nil, consent.ErrBinary
	}
	for ; len(b) > 0; b = b[generationSize:] {
		g := Generation{Number: binary.BigEndian.Uint32(b), Began: consent.Millis(binary.BigEndian.Uint64(b[20:]))}
		copy(g.Instance[:], b[4:20])
		if g.First, err = parseSeqs(b[28:generationSize]); err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

func (l *Ledger) readGenerations() error {
	v, err := l.get(metaKey("generations"))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: it does not say which generation it is", ErrDamaged)
	}
	if err == nil {
		l.generations, err = parseGenerations(v)
	}
	if err != nil {
		return fmt.Errorf("reading generations: %w", err)
	}
	return nil
}

// begin makes a new generation out of what is there. number is at least the one after the last.
func (l *Ledger) begin(number uint32, next [streams]uint64) error {
	if n := len(l.generations); n > 0 {
		number = max(number, l.generations[n-1].Number+1)
	}
	all := append(l.generations, Generation{Number: max(number, 1), Instance: uuid.New(), Began: consent.ToMillis(l.opt.Clock()), First: next})
	if err := l.db.Set(metaKey("generations"), appendGenerations(nil, all), pebble.Sync); err != nil {
		return fmt.Errorf("beginning a generation: %w", err)
	}
	l.generations = all
	return nil
}

package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Next is the durable length of a stream: the first seq that is not on disk yet.
func (l *Ledger) Next(s consent.Stream) uint64 { return l.durable[s].Load() }

// Wait returns once entry seq of s is durable, when ctx ends, or with ErrFatal.
func (l *Ledger) Wait(ctx context.Context, s consent.Stream, seq uint64) error {
	for {
		changed := l.grown[s].wait()
		if l.Next(s) > seq {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.fatal:
			return l.Err()
		}
	}
}

// First is the oldest entry still held of a stream; everything before it was shipped and trimmed.
func (l *Ledger) First(s consent.Stream) uint64 { return l.prev[s].Load() }

// Scan calls fn for the durable entries [first, end) in order. raw is valid only during the call. An error
// of fn ends the scan and is returned.
func (l *Ledger) Scan(s consent.Stream, first, end uint64, fn func(seq uint64, raw []byte) error) error {
	end = min(end, l.Next(s))
	if first >= end {
		return nil
	}
	return l.each(entryKey(nil, s, first), entryKey(nil, s, end), func(key, raw []byte) error { return fn(seqOf(key), raw) })
}

// Cursor reads how far s has been shipped; the zero Cursor: nothing yet.
func (l *Ledger) Cursor(s consent.Stream) (consent.Cursor, error) {
	v, err := l.get(cursorKey(s))
	if errors.Is(err, ErrNotFound) {
		return consent.Cursor{}, nil
	}
	if err == nil && len(v) != 16 {
		err = consent.ErrBinary
	}
	if err != nil {
		return consent.Cursor{}, fmt.Errorf("reading cursor of %s: %w", s, err)
	}
	return consent.Cursor{Next: binary.BigEndian.Uint64(v), End: binary.BigEndian.Uint64(v[8:])}, nil
}

// SaveCursor makes c durable before it returns.
func (l *Ledger) SaveCursor(s consent.Stream, c consent.Cursor) error {
	v := binary.BigEndian.AppendUint64(nil, c.Next)
	if err := l.write(cursorKey(s), binary.BigEndian.AppendUint64(v, c.End)); err != nil {
		return fmt.Errorf("saving cursor of %s: %w", s, err)
	}
	l.cursors[s].Store(c.Next)
	return nil
}

// SetAside makes a durable note that one entry was refused by the warehouse, with a copy of the entry: Trim may
// forget the original.
func (l *Ledger) SetAside(a consent.SetAside) error {
	entry, err := l.get(entryKey(nil, a.Stream, a.Seq))
	if err != nil {
		return fmt.Errorf("setting aside %s %d: %w", a.Stream, a.Seq, err)
	}
	if err := l.write(asideKey(a.Stream, a.Seq), appendAside(nil, a, entry)); err != nil {
		return fmt.Errorf("setting aside %s %d: %w", a.Stream, a.Seq, err)
	}
	return nil
}

func appendAside(b []byte, a consent.SetAside, entry []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(a.At))
	b = append(binary.AppendUvarint(b, uint64(len(a.Why))), a.Why...)
	return append(b, entry...)
}

// SetAsides lists all rows set aside, by stream and seq.
func (l *Ledger) SetAsides() ([]consent.SetAside, error) {
	prefix := []byte{prefixAside}
	var all []consent.SetAside
	err := l.each(prefix, after(prefix), func(key, value []byte) error {
		a, err := parseAside(key, value)
		all = append(all, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing rows set aside: %w", err)
	}
	return all, nil
}

func parseAside(k, v []byte) (consent.SetAside, error) {
	if len(k) != 10 || len(v) < 8 {
		return consent.SetAside{}, consent.ErrBinary
	}
	a := consent.SetAside{Stream: consent.Stream(k[1]), Seq: seqOf(k), At: consent.Millis(binary.BigEndian.Uint64(v))}
	n, size := binary.Uvarint(v[8:])
	if size <= 0 || n > uint64(len(v)-8-size) {
		return a, consent.ErrBinary
	}
	rest := v[8+size:]
	a.Why, a.Entry = string(rest[:n]), append([]byte(nil), rest[n:]...)
	return a, nil
}

// Trim forgets the entries of s before seq; they must have been shipped. It keeps at least the newest entry
// of every stream (it shows recovery where the stream ends), the proofs of the newest chunk (its filter and the leaves of
// the log's unfinished tile are made from them) and all publications: they are few, and what their log says is nowhere else in its order.
func (l *Ledger) Trim(s consent.Stream, seq uint64) error {
	next := l.Next(s)
	if next == 0 || s == consent.StreamWordings {
		return nil
	}
	keep := next - 1
	if s == consent.StreamProofs {
		keep -= keep % chunkProofs
	}
	seq = min(seq, keep, l.cursors[s].Load())
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if seq <= l.First(s) {
		return nil
	}
	if err := l.forget(s, seq); err != nil {
		return fmt.Errorf("trimming %s: %w", s, err)
	}
	l.prev[s].Store(seq)
	if s == consent.StreamPrompts {
		return l.forgetPrompts()
	}
	return nil
}

// forget removes the entries of s before seq, and notes in the same batch that they are not missing.
func (l *Ledger) forget(s consent.Stream, seq uint64) error {
	b := l.db.NewBatch()
	defer b.Close()
	var trimmed [streams]uint64
	for i := range trimmed {
		trimmed[i] = l.prev[i].Load()
	}
	trimmed[s] = seq
	err := errors.Join(b.DeleteRange(entryKey(nil, s, 0), entryKey(nil, s, seq), nil), b.Set(metaKey("trimmed"), appendSeqs(nil, trimmed), nil))
	if s == consent.StreamProofs {
		err = errors.Join(err, b.DeleteRange(filterKey(nil, 0), filterKey(nil, seq/chunkProofs), nil))
	}
	if err != nil {
		return err
	}
	return l.writeDirect(b)
}

// forgetPrompts drops the prompt ids of days that addPrompt no longer asks about.
func (l *Ledger) forgetPrompts() error {
	today := dayOf(l.Now())
	if err := l.db.DeleteRange(promptDay(nil, 0), promptDay(nil, today-2), pebble.NoSync); err != nil {
		return fmt.Errorf("forgetting old prompt ids: %w", err)
	}
	return nil
}

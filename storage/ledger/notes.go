package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Notes are small durable records beside the proofs: what a confirmation link stands for, a mail that waits to
// be sent. They have no seq, are no part of the log and are never shipped. A note that goes with a proof is
// written in the proof's own batch: after a crash both are there or neither is.

// Note is one record. Its space is a constant of the program, without 0x00; within a space a key has one value.
type Note struct {
	Space string
	Key   []byte
	Value []byte // nil: the note is deleted
}

// AppendWith is Append, with notes in the same batch. A replay writes none of them: they are there already, or
// were changed since.
func (l *Ledger) AppendWith(ctx context.Context, p *consent.Proof, notes ...Note) (Receipt, error) {
	return l.append(ctx, p, notes)
}

// SetNotes makes notes durable, all of them or none, before it returns. Errors as for Append; who only deletes is
// let through on a full disk.
func (l *Ledger) SetNotes(ctx context.Context, notes ...Note) error {
	r := l.request((*sequencer).addNotes)
	r.notes, r.frees = notes, onlyDeletes(notes)
	_, err := l.submit(ctx, r)
	return err
}

func onlyDeletes(notes []Note) bool {
	for i := range notes {
		if notes[i].Value != nil {
			return false
		}
	}
	return true
}

// Note reads a copy of one value, or ErrNotFound.
func (l *Ledger) Note(space string, key []byte) ([]byte, error) {
	v, err := l.get(noteKey(nil, space, key))
	if settled := l.loose.wait(l); settled != nil {
		return nil, settled
	}
	return v, err
}

// Notes calls fn for the notes of a space whose key is at or after from, in ascending order; nil: from the first.
// key and value are valid only during the call. An error of fn ends it and is returned.
func (l *Ledger) Notes(space string, from []byte, fn func(key, value []byte) error) error {
	prefix := noteKey(nil, space, nil)
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: noteKey(nil, space, from), UpperBound: after(prefix)})
	if err != nil {
		return fmt.Errorf("reading notes of %s: %w", space, err)
	}
	if err := l.loose.wait(l); err != nil { // the iterator's view is from before: all of it is durable now
		return errors.Join(err, it.Close())
	}
	return eachOf(it, func(key, value []byte) error { return fn(key[len(prefix):], value) })
}

// Touch notes that the people behind keys were in contact with the site, of their own accord, at a moment: what
// keeps a consent to be contacted from running out. The latest contact counts; one in the future counts as now.
// It is durable when Touch returns. Nothing is kept about subjects who never decided anything. Errors as for
// Append.
func (l *Ledger) Touch(ctx context.Context, site string, at consent.Millis, keys ...consent.SubjectKey) error {
	at = min(at, l.Now())
	known, err := l.untouched(site, at, keys)
	if err != nil || len(known) == 0 {
		return err
	}
	r := l.request((*sequencer).addContacts)
	r.site, r.touched, r.entry = site, known, consent.AppendState(r.entry[:0], consent.ContactState(at))
	_, err = l.submit(ctx, r)
	return err
}

// untouched are the keys that have a state which does not know of a contact at or after at. It reads here, on
// the caller's goroutine, what the sequencer must not take the time for.
func (l *Ledger) untouched(site string, at consent.Millis, keys []consent.SubjectKey) ([]consent.SubjectKey, error) {
	var room [96]byte
	state := make([]byte, 0, typicalState)
	var known []consent.SubjectKey
	for _, k := range keys {
		v, err := l.rawState(state[:0], stateKey(room[:0], site, k))
		if err != nil {
			return nil, err
		}
		if len(v) == 0 {
			continue
		}
		s, err := consent.ParseState(v)
		if err != nil {
			return nil, fmt.Errorf("reading state: %w", err)
		}
		if c := s.Contact(); c.At < at {
			known = append(known, k)
		} else if err := l.contactSettled(c); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// contactSettled waits until a contact that was read is durable: that of a proof with its proof, one that was
// reported with whatever is in flight.
func (l *Ledger) contactSettled(c consent.Contact) error {
	switch {
	case c.At == 0:
		return nil
	case c.Edge == "":
		return l.loose.wait(l)
	}
	return l.settled(c.Edge, c.Seq)
}

// loose is how far writes without a seq have come. A batch is visible before it is durable; a reader who may have
// seen one waits for it here.
type loose struct {
	applied atomic.Uint64 // number of the last group with such writes; set before it becomes visible
	durable atomic.Uint64 // number of the last one on disk
	grown   gate
}

// wait returns once everything that was visible at the call is durable.
func (w *loose) wait(l *Ledger) error {
	seen := w.applied.Load()
	for w.durable.Load() < seen {
		changed := w.grown.wait()
		if w.durable.Load() >= seen {
			break
		}
		select {
		case <-changed:
		case <-l.fatal:
			return l.Err()
		}
	}
	return nil
}

func (s *sequencer) addNotes(r *request) error {
	for i := range r.notes {
		n := &r.notes[i]
		s.key = noteKey(s.key[:0], n.Space, n.Key)
		var err error
		if n.Value == nil {
			err = s.open.batch.Delete(s.key, nil)
		} else {
			err = s.open.batch.Set(s.key, n.Value, nil)
		}
		if err != nil {
			return err
		}
		s.open.loose = true
	}
	return nil
}

func (s *sequencer) addContacts(r *request) error {
	for _, k := range r.touched {
		if err := s.merge(r.site, k, r.entry); err != nil {
			return err
		}
	}
	s.open.loose = true
	return nil
}

package ledger

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/consentd/consentd/storage/consent"
)

// Former is a proof that this edge recorded in an earlier generation and that this ledger does not hold: it was
// acknowledged after the backup that the ledger was restored from.
type Former struct {
	Generation uint32
	Seq        uint64 // in its generation
	Proof      *consent.Proof
}

// Absorb takes what was decided in proofs that lie elsewhere into the states, so that a consent withdrawn after a
// backup stays withdrawn when that is restored, and their ids, so that a browser's retry is answered like the first
// time. They get no seq here and are no part of the log. Those the ledger knows already are passed over; n counts the
// others. A proof whose personal part is erased says nothing of anybody: only its id cannot be told again. Durable
// when it returns; errors as for Append.
func (l *Ledger) Absorb(ctx context.Context, all []Former) (n int, err error) {
	r := l.request((*sequencer).addFormer)
	r.former = all
	receipt, err := l.submit(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("taking over what was recorded after the backup: %w", err)
	}
	return int(receipt.Seq), nil
}

func (s *sequencer) addFormer(r *request) error {
	n := uint64(0)
	for i := range r.former {
		f := &r.former[i]
		if f.Proof.Erased() {
			continue
		}
		_, found, err := s.known(f.Proof.ID)
		if err != nil {
			return err
		}
		if found {
			continue
		}
		n++
		if err := s.absorb(f); err != nil {
			return err
		}
	}
	s.open.loose = true
	r.receipt = Receipt{Seq: n}
	return nil
}

func (s *sequencer) absorb(f *Former) error {
	p := f.Proof
	s.l.raise(p.RecordedAt)
	rec := idRecord{generation: f.Generation, seq: f.Seq, at: p.RecordedAt, digest: p.Digest()}
	s.open.ids[p.ID] = rec
	s.ids.add(p.ID)
	s.key, s.value = formerKey(s.key[:0], p.ID), rec.append(s.value[:0])
	if err := s.open.batch.Set(s.key, s.value, nil); err != nil {
		return err
	}
	return s.fold(p, f.Seq)
}

// raise has the clock go on after a moment that was given out elsewhere.
func (l *Ledger) raise(at consent.Millis) {
	for {
		last := l.latest.Load()
		if int64(at) < last || l.latest.CompareAndSwap(last, int64(at)+1) {
			return
		}
	}
}

// EachState calls fn for every subject that has a state, in the order of sites. An error of fn ends it and is returned.
func (l *Ledger) EachState(fn func(site string, key consent.SubjectKey, s consent.State) error) error {
	prefix := []byte{prefixState}
	return l.each(prefix, after(prefix), func(key, value []byte) error {
		site, k, err := parseStateKey(key)
		if err != nil {
			return err
		}
		s, err := consent.ParseState(value)
		if err != nil {
			return fmt.Errorf("reading the state of %s in %s: %w", k, site, err)
		}
		return fn(site, k, s)
	})
}

func parseStateKey(key []byte) (site string, k consent.SubjectKey, err error) {
	at := len(key) - len(k)
	if at < 2 || key[at-1] != 0 {
		return "", k, fmt.Errorf("%w: the key of a state has %d bytes", ErrDamaged, len(key))
	}
	copy(k[:], key[at:])
	return string(key[1 : at-1]), k, nil
}

// TryLock holds a data directory that is not open, so that nobody opens it; the function lets go. ErrLocked: it is open.
func TryLock(dir string) (release func() error, err error) {
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, lockError(dir, err)
	}
	return lock.Close, nil
}

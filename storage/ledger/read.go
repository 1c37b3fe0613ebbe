package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// get reads a copy of the value of key, or ErrNotFound.
func (l *Ledger) get(key []byte) ([]byte, error) {
	v, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, readError(err)
	}
	defer closer.Close()
	return append([]byte(nil), v...), nil
}

// view calls fn with the value of key, which must not be kept; found is false when there is none.
func (l *Ledger) view(key []byte, fn func(v []byte) error) (found bool, err error) {
	v, closer, err := l.db.Get(key)
	if err == pebble.ErrNotFound { //nolint:errorlint // Pebble returns the bare value, and this is the hottest line
		return false, nil
	}
	if err != nil {
		return false, readError(err)
	}
	defer closer.Close()
	return true, fn(v)
}

func (l *Ledger) has(key []byte) (bool, error) {
	return l.view(key, func([]byte) error { return nil })
}

func (l *Ledger) idRecord(key []byte) (rec idRecord, found bool, err error) {
	found, err = l.view(key, func(v []byte) (err error) {
		rec, err = parseIDRecord(v)
		return err
	})
	return rec, found, err
}

// rawState appends the binary state of a subject to dst: nothing when there is none.
func (l *Ledger) rawState(dst, key []byte) ([]byte, error) {
	if v, ok := l.hot.get(dst, key); ok {
		return v, nil
	}
	if l.seen.stranger(key) {
		return dst, nil
	}
	version := l.hot.version(key)
	v, closer, err := l.db.Get(append([]byte(nil), key...)) // a copy, so that key can live on the caller's stack
	if err == pebble.ErrNotFound {
		l.hot.put(key, nil, version)
		return dst, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	l.hot.put(key, v, version)
	return append(dst, v...), closer.Close()
}

// typicalState is room for the state of a subject who decided on a handful of purposes at once.
const typicalState = 256

// settled waits until what was read is durable: seq is the proof it rests on, edge where that was recorded.
func (l *Ledger) settled(edge string, seq uint64) error {
	if edge != l.opt.Edge || seq < l.durable[consent.StreamProofs].Load() || seq >= l.placed.Load() { // the last: of an earlier generation, see Absorb
		return nil
	}
	return l.Wait(context.Background(), consent.StreamProofs, seq)
}

// stands waits until st, as it was read, is durable.
func (l *Ledger) stands(st *consent.Standing) error {
	if err := l.settled(st.Edge, st.Seq); err != nil {
		return err
	}
	return l.contactSettled(st.Contact)
}

// Standing answers where one purpose of one subject stands at now; false: never asked.
func (l *Ledger) Standing(site string, key consent.SubjectKey, purpose string, now consent.Millis) (consent.Standing, bool, error) {
	var room [96]byte
	var state [typicalState]byte
	v, err := l.rawState(state[:0], stateKey(room[:0], site, key))
	if err != nil || len(v) == 0 {
		return consent.Standing{}, false, err
	}
	st, ok, err := consent.FindStanding(v, purpose, l.opt.Edge, now)
	if err == nil && ok {
		err = l.stands(&st)
	}
	return st, ok && err == nil, err
}

// State answers everything known of one subject; nil: never seen.
func (l *Ledger) State(site string, key consent.SubjectKey) (consent.State, error) {
	var room [96]byte
	var state [typicalState]byte
	v, err := l.rawState(state[:0], stateKey(room[:0], site, key))
	if err != nil || len(v) == 0 {
		return nil, err
	}
	s, err := consent.ParseState(v)
	if err == nil {
		err = l.contactSettled(s.Contact())
	}
	for i := range s {
		if err == nil {
			err = l.settled(s[i].Edge, s[i].Seq)
		}
	}
	return s, err
}

// Standings answers many subjects, where each stands at now. visit is called once for each key, in the order of
// keys; sts is parallel to purposes, a zero Standing means never asked, and it must not be kept. Each subject is
// read as of one moment, the whole is not. It works on the calling goroutine: who has many keys spreads them.
func (l *Ledger) Standings(site string, keys []consent.SubjectKey, purposes []string, now consent.Millis, visit func(i int, sts []consent.Standing)) error {
	var room [96]byte
	state := make([]byte, 0, typicalState)
	sts := make([]consent.Standing, len(purposes))
	for i, k := range keys {
		v, err := l.rawState(state[:0], stateKey(room[:0], site, k))
		if err != nil {
			return err
		}
		clear(sts)
		if err := l.find(v, purposes, now, sts); err != nil {
			return err
		}
		visit(i, sts)
	}
	return nil
}

// find fills sts with what the binary state v says of purposes at now, once it is durable.
func (l *Ledger) find(v []byte, purposes []string, now consent.Millis, sts []consent.Standing) error {
	if len(v) == 0 {
		return nil
	}
	for j, p := range purposes {
		st, ok, err := consent.FindStanding(v, p, l.opt.Edge, now)
		if err == nil && ok {
			err = l.stands(&st)
		}
		if err != nil {
			return err
		}
		sts[j] = st
	}
	return nil
}

// Proof finds a proof by its id. ErrNotFound: never recorded here, or shipped and trimmed.
func (l *Ledger) Proof(id uuid.UUID) (*consent.Proof, uint64, error) {
	rec, found, err := l.idRecord(idKey(nil, id))
	if err != nil {
		return nil, 0, err
	}
	if !found {
		return nil, 0, ErrNotFound
	}
	if err := l.settled(l.opt.Edge, rec.seq); err != nil {
		return nil, 0, err
	}
	var p *consent.Proof
	found, err = l.view(entryKey(nil, consent.StreamProofs, rec.seq), func(v []byte) (err error) {
		if p, err = consent.ParseProof(v); err == nil && p.ID != id {
			return fmt.Errorf("%w: proof %d is not the one its id leads to", ErrDamaged, rec.seq)
		}
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return p, rec.seq, err
}

// Wording finds a wording the site published at any time. A publication that is still syncing is not found.
func (l *Ledger) Wording(site string, h consent.Hash) (*consent.Publication, error) {
	var p *consent.Publication
	found, err := l.view(wordingKey(nil, site, h), func(v []byte) (err error) {
		p, err = consent.ParsePublication(v)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return p, err
}

// Publications calls fn for what a site published of one kind, with its place in the log, oldest first; of wordings
// and snapshots each once.
func (l *Ledger) Publications(site string, kind consent.PublicationKind, fn func(seq uint64, p *consent.Publication) error) error {
	seqs, err := l.publishedSeqs(site, kind)
	if err != nil {
		return fmt.Errorf("listing publications of %s: %w", site, err)
	}
	for _, seq := range seqs {
		p, err := l.Publication(seq)
		if err != nil {
			return err
		}
		if err := fn(seq, p); err != nil {
			return err
		}
	}
	return nil
}

// publishedSeqs are the durable ones, ascending.
func (l *Ledger) publishedSeqs(site string, kind consent.PublicationKind) ([]uint64, error) {
	prefix := publishedKeys(nil, prefixPublished, site, kind)
	var seqs []uint64
	err := l.each(prefix, after(prefix), func(_, v []byte) error {
		if len(v) != 8 {
			return consent.ErrBinary
		}
		if seq := binary.BigEndian.Uint64(v); seq < l.Next(consent.StreamWordings) {
			seqs = append(seqs, seq)
		}
		return nil
	})
	slices.Sort(seqs)
	return seqs, err
}

// Publication reads one entry of the log of publications, or ErrNotFound.
func (l *Ledger) Publication(seq uint64) (p *consent.Publication, err error) {
	if seq >= l.Next(consent.StreamWordings) {
		return nil, ErrNotFound
	}
	found, err := l.view(entryKey(nil, consent.StreamWordings, seq), func(v []byte) (err error) {
		p, err = consent.ParsePublication(v)
		return err
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return p, err
}

// Unshipped calls fn for every proof of a subject that has not been shipped yet, oldest first: what the
// warehouse cannot know. Microseconds while the warehouse keeps up; with 21 million waiting it reads 42 MB.
func (l *Ledger) Unshipped(site string, key consent.SubjectKey, fn func(seq uint64, p *consent.Proof) error) error {
	return l.ofSubject(site, key, l.cursors[consent.StreamProofs].Load(), l.Next(consent.StreamProofs), fn)
}

// Held calls fn for every proof of a subject that is still here, shipped or not, oldest first.
func (l *Ledger) Held(site string, key consent.SubjectKey, fn func(seq uint64, p *consent.Proof) error) error {
	return l.ofSubject(site, key, l.First(consent.StreamProofs), l.Next(consent.StreamProofs), fn)
}

package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Erased says what Erase did.
type Erased struct {
	Proofs int    // whose personal part was removed here
	Before uint64 // every proof with a lower seq was looked at; later ones are a new beginning
}

// Erase forgets a subject: where it stands, and the personal part of every proof of it that is held here, rows set
// aside included. Facts stay, and with them the log. It is durable when it returns, and no read sees anything of it
// from then on. Errors as for Append; a full disk does not keep it back.
//
// # Contract
//
// It reads the chunks of proofs that may hold one of the subject (see subjects.go). What has been shipped lies in the warehouse as well: wait until the drain's cursor has passed Before, because it sends what it
// read before the erasure, and only then erase there. What a backup holds has to be erased when it is restored. Bytes
// leave the disk with Scrub.
//
// A proof of somebody else that names the subject's device is not touched: its commitment would no longer open. Erase
// the subjects of a person one by one.
func (l *Ledger) Erase(ctx context.Context, site string, key consent.SubjectKey) (Erased, error) {
	r := l.request((*sequencer).addErasure)
	r.site, r.touched, r.frees = site, []consent.SubjectKey{key}, true
	receipt, err := l.submit(ctx, r)
	if err != nil {
		return Erased{}, err
	}
	done := Erased{Before: receipt.Seq}
	for from := l.First(consent.StreamProofs); from < done.Before; {
		n, next, err := l.eraseSome(site, key, from, done.Before)
		if err != nil {
			return done, fmt.Errorf("erasing: %w", err)
		}
		done.Proofs, from = done.Proofs+n, next
	}
	return done, l.eraseAside(site, key)
}

// addErasure removes the state, in its place among the proofs, and says which proof comes next.
func (s *sequencer) addErasure(r *request) error {
	for _, k := range r.touched {
		s.key = stateKey(s.key[:0], r.site, k)
		s.piles.forget(k)
		s.open.ordered.add(pebble.InternalKeyKindDelete, s.key, nil)
	}
	s.open.loose = true
	r.receipt = Receipt{Seq: s.head.next[consent.StreamProofs]}
	return nil
}

// forget takes back that a pile is high: what is read to write it in full would be what is being erased.
func (p *piles) forget(subject consent.SubjectKey) {
	delete(p.seen, binary.BigEndian.Uint64(subject[:]))
}

// eraseStride is how many entries are looked at before what was found is written.
const eraseStride = 16 * chunkProofs

// eraseSome rewrites the subject's entries among the next held ones, and gives where to go on. Trim waits meanwhile:
// an entry it has forgotten must not come back.
func (l *Ledger) eraseSome(site string, key consent.SubjectKey, from, end uint64) (n int, next uint64, err error) {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	from = max(from, l.First(consent.StreamProofs))
	next = min(from+eraseStride, end)
	b := l.db.NewBatch()
	defer b.Close()
	err = l.ofSubject(site, key, from, next, func(seq uint64, p *consent.Proof) error {
		if p.Erased() {
			return nil
		}
		n++
		p.Erase()
		return b.Set(entryKey(nil, consent.StreamProofs, seq), consent.AppendProof(nil, p), nil)
	})
	if err != nil || n == 0 {
		return 0, next, err
	}
	return n, next, l.writeDirect(b)
}

// erasedEntry is an entry without its personal part; nil when it is of somebody else.
func erasedEntry(raw []byte, site string, key consent.SubjectKey) ([]byte, error) {
	p, err := consent.ParseProof(raw)
	if err != nil || p.Personal.Subject != key || p.Site != site || p.Erased() {
		return nil, err
	}
	p.Erase()
	return consent.AppendProof(nil, p), nil
}

func (l *Ledger) eraseAside(site string, key consent.SubjectKey) error {
	all, err := l.SetAsides()
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Stream != consent.StreamProofs {
			continue
		}
		bare, err := erasedEntry(a.Entry, site, key)
		if errors.Is(err, consent.ErrBinary) { // damaged: that is why it was set aside
			continue
		}
		if err != nil || bare == nil {
			return err
		}
		if err := l.write(asideKey(a.Stream, a.Seq), appendAside(nil, a, bare)); err != nil {
			return fmt.Errorf("erasing: %w", err)
		}
	}
	return nil
}

// Scrub removes from the disk what was erased: it rewrites the whole store, and replaces every file of the write-ahead
// log instead of writing over it. It takes as long as reading and writing all of the ledger, at the cost of what goes
// on beside it: once after many erasures, at a quiet hour. Bounds of files, which may be keys of subjects, stay in the
// store's list of files until the next start.
func (l *Ledger) Scrub(ctx context.Context) error {
	l.fs.fresh.Add(1)
	defer l.fs.fresh.Add(-1)
	for range l.recycled + 2 { // those that wait to be used again, and the one in use
		if err := l.write(metaKey("scrub"), []byte{1}); err != nil { // a flush of nothing changes no file
			return fmt.Errorf("scrubbing: %w", err)
		}
		if err := l.db.Flush(); err != nil {
			return fmt.Errorf("scrubbing: %w", err)
		}
	}
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, true); err != nil {
		return fmt.Errorf("scrubbing: %w", err)
	}
	return nil
}

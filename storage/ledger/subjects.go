package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// Which proofs a subject has among those still held is answered by a Bloom filter for each chunk of them: finding one
// person among 21 million waiting proofs reads 42 MB of filters and a chunk or two instead of all entries. The filter of
// the newest chunk is written when the chunk is full; until then the chunk is read through.
//
// # Why filters
//
// A key for each proof and subject would be written, compacted and deleted with every proof; a filter costs two bytes
// a proof, once.

const (
	chunkProofs = 4096
	filterBytes = 2 * chunkProofs // 16 bits a proof
	filterBits  = 8 * filterBytes
	filterUses  = 6 // one chunk in a thousand is read in vain
)

// subjectFilter belongs to the sequencer, or is read from the store.
type subjectFilter []byte

func newSubjectFilter() subjectFilter { return make(subjectFilter, filterBytes) }

// probes of a subject key, which is random as it is (an HMAC).
func (subjectFilter) probes(k consent.SubjectKey) (start, step uint64) {
	return binary.BigEndian.Uint64(k[:]), binary.BigEndian.Uint64(k[8:]) | 1
}

func (f subjectFilter) add(k consent.SubjectKey) {
	at, step := f.probes(k)
	for range filterUses {
		f[at%filterBits/8] |= 1 << (at % 8)
		at += step
	}
}

func (f subjectFilter) mayHold(k consent.SubjectKey) bool {
	at, step := f.probes(k)
	for range filterUses {
		if f[at%filterBits/8]&(1<<(at%8)) == 0 {
			return false
		}
		at += step
	}
	return true
}

// note takes the subject of proof seq into the filter of its chunk, and writes that with the chunk's last proof.
func (s *sequencer) note(k consent.SubjectKey, seq uint64) error {
	s.subjects.add(k)
	if (seq+1)%chunkProofs != 0 {
		return nil
	}
	err := s.open.batch.Set(filterKey(s.key[:0], seq/chunkProofs), s.subjects, nil)
	clear(s.subjects)
	return err
}

// recoverFilter fills the filter of the newest chunk from its entries, which Trim keeps.
func (l *Ledger) recoverFilter(next uint64) (subjectFilter, error) {
	f := newSubjectFilter()
	err := l.Scan(consent.StreamProofs, next-next%chunkProofs, next, func(_ uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err == nil {
			f.add(p.Personal.Subject)
		}
		return err
	})
	return f, err
}

// ofSubject calls fn with the proofs [first, end) of a subject that are held, in order.
func (l *Ledger) ofSubject(site string, key consent.SubjectKey, first, end uint64, fn func(seq uint64, p *consent.Proof) error) error {
	for first < end {
		next := min(first-first%chunkProofs+chunkProofs, end)
		if may, err := l.chunkMayHold(first/chunkProofs, key); err != nil {
			return err
		} else if may {
			if err := l.scanSubject(site, key, first, next, fn); err != nil {
				return err
			}
		}
		first = next
	}
	return nil
}

// chunkMayHold is true where there is no filter: the newest chunk has none yet.
func (l *Ledger) chunkMayHold(chunk uint64, key consent.SubjectKey) (may bool, err error) {
	var room [16]byte
	found, err := l.view(filterKey(room[:0], chunk), func(v []byte) error {
		if len(v) != filterBytes {
			return fmt.Errorf("%w: the filter of chunk %d has %d bytes", consent.ErrBinary, chunk, len(v))
		}
		may = subjectFilter(v).mayHold(key)
		return nil
	})
	return may || !found, err
}

func (l *Ledger) scanSubject(site string, key consent.SubjectKey, first, end uint64, fn func(seq uint64, p *consent.Proof) error) error {
	return l.Scan(consent.StreamProofs, first, end, func(seq uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err != nil || p.Personal.Subject != key || p.Site != site {
			return err
		}
		return fn(seq, p)
	})
}

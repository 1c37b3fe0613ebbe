package ledger

import (
	"encoding/binary"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// The key space, layout 2. Integers are big-endian, so that keys sort by number.
//
//	key                              value                       what it is
//	'm' "layout"                     2                           version of this table
//	'm' "edge"                       name                        the edge this directory belongs to
//	'm' "head"                       see head.go                 how far the ledger goes, as of the last batch
//	'm' "trimmed"                    3 × seq 8                   first entry of each stream that is still held
//	'm' "direct"                     count 8                     writes outside of the batches
//	'm' "generations"                see generation.go           the lives of the streams
//	'e' stream 1 │ seq 8             consent binary              entry: proof, prompt or publication
//	'u' chunk 8                      8 KiB                       filter of the subjects of 4,096 proofs, see subjects.go
//	'i' proof id 16                  seq 8 │ at 8 │ digest 16    idempotency, and a proof's place by its id
//	'f' proof id 16                  the same │ generation 4     the same of what was absorbed, see absorb.go
//	'p' day 4 │ prompt id 16         (empty)                     prompts seen, by UTC day
//	's' site │ 0x00 │ subject 16     consent binary              current state of a subject, merged
//	't' level 1 │ n 8                up to 256 × 32              tile of the log of proofs, see tree.go
//	'l' stream 1 │ level 1 │ n 8     up to 256 × 32              tile of another log
//	'w' site │ 0x00 │ hash 32        consent binary              publication of a wording
//	'y' site │ 0x00 │ kind │ 0x00 │  seq 8                       publications of a kind: identity 32, or seq 8 of those that recur
//	'z' site │ 0x00 │ kind │ 0x00 │  identity 32                 the current one of those that recur: locale
//	'c' stream 1                     next 8 │ end 8              cursor of the drain
//	'n' space │ 0x00 │ key           whatever                    note: a small record beside the proofs
//	'x' stream 1 │ seq 8             at 8 │ why │ entry          row set aside
const layout = 2

const (
	prefixMeta      = 'm'
	prefixEntry     = 'e'
	prefixID        = 'i'
	prefixFormer    = 'f'
	prefixPrompt    = 'p'
	prefixState     = 's'
	prefixFilter    = 'u'
	prefixTile      = 't'
	prefixOtherTile = 'l'
	prefixWording   = 'w'
	prefixPublished = 'y'
	prefixCurrent   = 'z'
	prefixCursor    = 'c'
	prefixNote      = 'n'
	prefixAside     = 'x'
)

func metaKey(name string) []byte { return append([]byte{prefixMeta}, name...) }

func entryKey(b []byte, s consent.Stream, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixEntry, byte(s)), seq)
}

func idKey(b []byte, id uuid.UUID) []byte { return append(append(b, prefixID), id[:]...) }

func formerKey(b []byte, id uuid.UUID) []byte { return append(append(b, prefixFormer), id[:]...) }

func promptKey(b []byte, day uint32, id uuid.UUID) []byte {
	return append(promptDay(b, day), id[:]...)
}

func promptDay(b []byte, day uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, prefixPrompt), day)
}

// dayOf counts UTC days since 1970.
func dayOf(t consent.Millis) uint32 { return uint32(int64(t) / (24 * time.Hour).Milliseconds()) }

func stateKey(b []byte, site string, k consent.SubjectKey) []byte {
	return append(append(append(append(b, prefixState), site...), 0), k[:]...)
}

func tileKey(b []byte, log consent.Stream, level int, n uint64) []byte {
	if log == consent.StreamProofs {
		b = append(b, prefixTile)
	} else {
		b = append(b, prefixOtherTile, byte(log))
	}
	return binary.BigEndian.AppendUint64(append(b, byte(level)), n)
}

// publishedKeys is the start of all keys of one kind of publications of a site.
func publishedKeys(b []byte, prefix byte, site string, kind consent.PublicationKind) []byte {
	return append(append(append(append(append(b, prefix), site...), 0), kind...), 0)
}

func publishedKey(b []byte, p *consent.Publication, seq uint64) []byte {
	b = publishedKeys(b, prefixPublished, p.Site, p.Kind)
	if p.Recurs() {
		return binary.BigEndian.AppendUint64(b, seq)
	}
	identity := p.Identity()
	return append(b, identity[:]...)
}

func currentKey(b []byte, p *consent.Publication) []byte {
	return append(publishedKeys(b, prefixCurrent, p.Site, p.Kind), p.Locale...)
}

func wordingKey(b []byte, site string, h consent.Hash) []byte {
	return append(append(append(append(b, prefixWording), site...), 0), h[:]...)
}

func noteKey(b []byte, space string, key []byte) []byte {
	return append(append(append(append(b, prefixNote), space...), 0), key...)
}

func cursorKey(s consent.Stream) []byte { return []byte{prefixCursor, byte(s)} }

func asideKey(s consent.Stream, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixAside, byte(s)}, seq)
}

// idRecord is the value behind a proof id.
type idRecord struct {
	seq        uint64
	at         consent.Millis
	digest     [16]byte
	generation uint32 // of one that was absorbed; 0: the one its seq lies in
}

const (
	idRecordSize     = 8 + 8 + 16
	formerRecordSize = idRecordSize + 4
)

func (r idRecord) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	b = append(b, r.digest[:]...)
	if r.generation != 0 {
		b = binary.BigEndian.AppendUint32(b, r.generation)
	}
	return b
}

func parseIDRecord(b []byte) (r idRecord, err error) {
	if len(b) != idRecordSize && len(b) != formerRecordSize {
		return r, consent.ErrBinary
	}
	r.seq = binary.BigEndian.Uint64(b)
	r.at = consent.Millis(binary.BigEndian.Uint64(b[8:]))
	copy(r.digest[:], b[16:])
	if len(b) == formerRecordSize {
		r.generation = binary.BigEndian.Uint32(b[idRecordSize:])
	}
	return r, nil
}

func filterKey(b []byte, chunk uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefixFilter), chunk)
}

func millisOf(b []byte) consent.Millis { return consent.Millis(binary.BigEndian.Uint64(b)) }

func seqOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// after is the first key behind every key that starts with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

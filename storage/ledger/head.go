package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// head is what every batch of the sequencer says of itself: how far the ledger goes once the batch is on disk. Recovery
// holds it against the entries that are there, and against the watermark outside the store.
type head struct {
	clock consent.Millis  // latest time given out
	ids   consent.Millis  // latest time in any proof id
	batch uint64          // batches written since the ledger was made
	next  [streams]uint64 // first seq of each stream that is not given out
}

const headSize = 8 * (3 + streams)

func (h head) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.clock))
	b = binary.BigEndian.AppendUint64(b, uint64(h.ids))
	b = binary.BigEndian.AppendUint64(b, h.batch)
	return appendSeqs(b, h.next)
}

func parseHead(b []byte) (h head, err error) {
	if len(b) != headSize {
		return h, consent.ErrBinary
	}
	h.clock = consent.Millis(binary.BigEndian.Uint64(b))
	h.ids = consent.Millis(binary.BigEndian.Uint64(b[8:]))
	h.batch = binary.BigEndian.Uint64(b[16:])
	h.next, err = parseSeqs(b[24:])
	return h, err
}

// appendSeqs writes one seq for each stream.
func appendSeqs(b []byte, seqs [streams]uint64) []byte {
	for _, s := range seqs {
		b = binary.BigEndian.AppendUint64(b, s)
	}
	return b
}

func parseSeqs(b []byte) (seqs [streams]uint64, err error) {
	if len(b) != 8*streams {
		return seqs, consent.ErrBinary
	}
	for i := range seqs {
		seqs[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return seqs, nil
}

// readHead gives the zero head of a ledger in which nothing was written yet.
func (l *Ledger) readHead() (h head, err error) {
	v, err := l.get(metaKey("head"))
	if errors.Is(err, ErrNotFound) {
		return head{}, nil
	}
	if err == nil {
		h, err = parseHead(v)
	}
	if err != nil {
		return h, fmt.Errorf("reading the head: %w", err)
	}
	return h, nil
}

// readTrimmed gives the first entry of each stream that Trim has left.
func (l *Ledger) readTrimmed() (first [streams]uint64, err error) {
	v, err := l.get(metaKey("trimmed"))
	if errors.Is(err, ErrNotFound) {
		return first, nil
	}
	if err == nil {
		first, err = parseSeqs(v)
	}
	if err != nil {
		return first, fmt.Errorf("reading what was trimmed: %w", err)
	}
	return first, nil
}

package ledger

import (
	"encoding/binary"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// recentIDs tells ids that were certainly never recorded from those that have to be looked up. It belongs to
// the sequencer.
//
// A proof id carries its client's time. Ids recorded in this generation are in a Bloom filter; all older ones
// carry a time of at most floor. So an id with a later time that is not in the filter is new, and that is
// nearly every id. Clients whose clocks run ahead raise the floor: then more is looked up, nothing is missed.
//
// # Why
//
// Looking up every id cost 3.5 of 45 µs a record, most of it for the answer "no"; in a large ledger it reads
// from disk.
type recentIDs struct {
	floor consent.Millis // highest time of any id of an earlier generation
	top   consent.Millis // highest time of any id ever recorded
	bits  []uint64
	count int
}

const (
	generationIDs  = 1 << 20            // ids in one generation: 20 s at the fastest
	generationBits = generationIDs << 4 // 16 bits and 6 probes an id: one false alarm in a thousand
	idProbes       = 6
)

// newRecentIDs starts a generation above everything recorded so far.
func newRecentIDs(top consent.Millis) recentIDs {
	return recentIDs{floor: top, top: top, bits: make([]uint64, generationBits/64)}
}

// fresh reports that id was certainly never recorded.
func (r *recentIDs) fresh(id uuid.UUID) bool {
	if consent.IDTime(id) <= r.floor {
		return false
	}
	a, b := probes(id)
	for range idProbes {
		if r.bits[a%generationBits/64]&(1<<(a%64)) == 0 {
			return true
		}
		a += b
	}
	return false
}

func (r *recentIDs) add(id uuid.UUID) {
	if r.count++; r.count == generationIDs {
		r.floor, r.count = r.top, 1
		clear(r.bits)
	}
	r.top = max(r.top, consent.IDTime(id))
	a, b := probes(id)
	for range idProbes {
		r.bits[a%generationBits/64] |= 1 << (a % 64)
		a += b
	}
}

// probes: the last 62 bits of a UUIDv7 are random as they are; who makes them collide on purpose only slows
// down his own requests.
func probes(id uuid.UUID) (start, step uint64) {
	low := binary.BigEndian.Uint64(id[8:])
	return low ^ binary.BigEndian.Uint64(id[:]), low>>17 | 1
}

package ledger

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// seenSubjects tells subjects who certainly have no state, so that asking about a stranger costs no walk
// through the levels of the store (17 µs once the blocks no longer fit in memory). It is a Bloom filter over
// all state keys: filled after a start, added to before a new state becomes readable, never removed from.
//
// A filter that is too small for its subjects lets more of them through; it never hides one.
type seenSubjects struct {
	seed     maphash.Seed
	words    []atomic.Uint64
	complete atomic.Bool // every state of the store has been added
}

const seenProbes = 4

// mostSeen is the largest filter, in bytes: enough for 800 million subjects. It is allocated whole at the start, unlike
// the rest of Options.Cache, which is taken as it fills: a share of a very large one would end the program.
const mostSeen = 1 << 30

// newSeenSubjects takes about so many bytes; ten bits a subject miss one stranger in a hundred.
func newSeenSubjects(bytes int64) *seenSubjects {
	words := 1 << (bits.Len64(uint64(max(bytes/8, 1))) - 1)
	return &seenSubjects{seed: maphash.MakeSeed(), words: make([]atomic.Uint64, words)}
}

// stranger reports that key certainly has no state.
func (s *seenSubjects) stranger(key []byte) bool {
	if !s.complete.Load() {
		return false
	}
	h := maphash.Bytes(s.seed, key)
	for range seenProbes {
		word, bit := s.probe(h)
		if word.Load()&bit == 0 {
			return true
		}
		h = bits.RotateLeft64(h, 21) * 0x9e3779b97f4a7c15
	}
	return false
}

func (s *seenSubjects) add(key []byte) {
	h := maphash.Bytes(s.seed, key)
	for range seenProbes {
		if word, bit := s.probe(h); word.Load()&bit == 0 {
			word.Or(bit)
		}
		h = bits.RotateLeft64(h, 21) * 0x9e3779b97f4a7c15
	}
}

func (s *seenSubjects) probe(h uint64) (word *atomic.Uint64, bit uint64) {
	return &s.words[h>>6&uint64(len(s.words)-1)], 1 << (h & 63)
}

package ledger

import (
	"hash/maphash"
	"sync"

	"github.com/VictoriaMetrics/fastcache"
)

// hotStates keeps the binary states that were read lately, also that a subject has none, so that asking again
// costs two memory reads instead of a walk through the levels of the store.
//
// A reader notes the version of the key's guard before it reads the store and puts what it found only while
// the version is the same; the sequencer forgets a key after a batch that touches it has become readable, and
// raises the version with it. So nothing older than the store ever stays.
//
// # Why fastcache
//
// It keeps ten million small values outside the garbage collector's sight in a fixed amount of memory, and a
// hit copies one value. What it drops when it is full costs one read of the store. Go's map with an eviction
// list of its own would be scanned; larger block caches still pay 6 µs a read for finding the block.
type hotStates struct {
	cache  *fastcache.Cache
	seed   maphash.Seed
	guards [hotGuards]guard
}

// hotGuards is how many keys share no guard with another; only keys that are read and written in the same
// microseconds ever meet.
const hotGuards = 1 << 12

type guard struct {
	mu      sync.Mutex
	version uint64 // raised when a key of this guard is forgotten
}

func newHotStates(bytes int64) *hotStates {
	return &hotStates{cache: fastcache.New(int(bytes)), seed: maphash.MakeSeed()}
}

func (h *hotStates) guard(key []byte) *guard {
	return &h.guards[maphash.Bytes(h.seed, key)%hotGuards]
}

// get appends the state of key to dst; ok: it is known, an empty one meaning that there is none.
func (h *hotStates) get(dst, key []byte) (v []byte, ok bool) { return h.cache.HasGet(dst, key) }

// version is to be taken before the store is read.
func (h *hotStates) version(key []byte) uint64 {
	g := h.guard(key)
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.version
}

// put keeps what the store said, unless the key has been forgotten since version was taken.
func (h *hotStates) put(key, state []byte, version uint64) {
	g := h.guard(key)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.version == version {
		h.cache.Set(key, state)
	}
}

// forget makes the next reader ask the store.
func (h *hotStates) forget(key []byte) {
	g := h.guard(key)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version++
	h.cache.Del(key)
}

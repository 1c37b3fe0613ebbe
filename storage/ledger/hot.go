package ledger

import (
	"errors"
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

func (h *hotStates) guard(key []byte) *guard { return &h.guards[h.index(key)] }

func (h *hotStates) index(key []byte) uint64 { return maphash.Bytes(h.seed, key) % hotGuards }

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

// versions notes those of all guards, for a reader of many keys.
func (h *hotStates) versions(v *[hotGuards]uint64) {
	for i := range h.guards {
		g := &h.guards[i]
		g.mu.Lock()
		v[i] = g.version
		g.mu.Unlock()
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

// warmStride is how many states are read from one view of the store: few enough that hardly any has been
// written meanwhile.
const warmStride = 1 << 14

// warm goes through all states after a start: it reads as many into memory as fit, so that the first lookups
// are as fast as later ones, and notes who has any. A million takes about a second of one core.
func (l *Ledger) warm() {
	defer l.done.Done()
	versions := new([hotGuards]uint64)
	next, room := []byte{prefixState}, l.opt.hotBytes()
	for next != nil {
		select {
		case <-l.stopGuard:
			return
		default:
		}
		l.hot.versions(versions)
		var err error
		if next, room, err = l.warmFrom(next, room, versions); err != nil {
			l.opt.Log.Warn("ledger: reading states into memory ended early", "error", err)
			return
		}
	}
	l.seen.complete.Store(true)
}

// warmFrom reads one stride and gives the key to go on from; nil: that was the last.
func (l *Ledger) warmFrom(from []byte, room int64, versions *[hotGuards]uint64) (next []byte, left int64, err error) {
	n := 0
	err = l.each(from, after([]byte{prefixState}), func(key, state []byte) error {
		if n++; n > warmStride {
			next = append([]byte(nil), key...)
			return errStride
		}
		l.seen.add(key)
		if room > 0 {
			l.hot.put(key, state, versions[l.hot.index(key)])
			room -= int64(len(key) + len(state) + hotOverhead)
		}
		return nil
	})
	if errors.Is(err, errStride) {
		err = nil
	}
	return next, room, err
}

// errStride ends a stride.
var errStride = errors.New("enough for once")

// hotOverhead is what fastcache adds to a key and its value, in bytes.
const hotOverhead = 4

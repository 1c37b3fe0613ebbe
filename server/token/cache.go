package token

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// remembered bounds how long a verified token is taken on trust. Expiry is exact all the same; the bound is for
// the day something else that should end a token is forgotten here.
const remembered = time.Minute

// cache holds verified tokens. It belongs to one state of the ring: a changed key or revocation makes a new
// state with an empty cache, so nothing verified under the old one can be found again.
//
// 256 sets of 4: room for a thousand tokens, which is more than an operator can keep apart, in a fixed 8 KiB.
// Only tokens that verified enter, so a stranger cannot fill it.
type cache struct {
	seed maphash.Seed
	sets [256][4]atomic.Pointer[entry]
}

// entry is immutable once it is published.
type entry struct {
	hash   uint64
	raw    string
	until  int64 // Unix ns: the sooner of expiry and verification + remembered
	claims *Claims
}

// get compares whole tokens, so another token never hits; and compares them only when a hash under a random
// secret seed agrees, so the time it takes tells nothing about a token that is guessed byte by byte.
func (c *cache) get(hash uint64, raw string, now int64) *Claims {
	set := &c.sets[hash%uint64(len(c.sets))]
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == hash && e.raw == raw && now < e.until {
			return e.claims
		}
	}
	return nil
}

// put takes the place of the same token, else a free or outdated one, else one chosen by the hash.
func (c *cache) put(e *entry, now int64) {
	set := &c.sets[e.hash%uint64(len(c.sets))]
	place := &set[(e.hash>>32)%uint64(len(set))]
	for i := range set {
		old := set[i].Load()
		if old != nil && old.raw == e.raw {
			place = &set[i]
			break
		}
		if old == nil || old.until <= now {
			place = &set[i]
		}
	}
	place.Store(e)
}

package server

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter holds a token bucket per (site, network). Its memory is bounded: a shard keeps two generations of
// buckets; when the young one is full the old one is dropped whole, and a bucket used again moves to the young
// one. A network that is forgotten starts with a full bucket, which matters only to somebody who commands more
// than 60,000 networks, and no bucket per network stops them.
type limiter struct {
	seed   maphash.Seed
	shards [64]limitShard
}

// shardRoom is how many buckets a generation of a shard holds: 64 × 1,024 × 2, about 20 MB when full.
const shardRoom = 1024

type limitShard struct {
	mu         sync.Mutex // held for all below
	young, old map[limitKey]*rate.Limiter
	_          [40]byte // the next shard begins on another cache line
}

type limitKey struct {
	site string
	net  netip.Addr
}

func newLimiter() *limiter {
	l := &limiter{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].young = make(map[limitKey]*rate.Limiter)
	}
	return l
}

// allow takes one token from the bucket of ip's network on site, or says after how many seconds there will be
// one. perSecond 0 means no limit.
func (l *limiter) allow(site string, ip netip.Addr, now time.Time, perSecond float64, burst int) (ok bool, wait int) {
	if perSecond <= 0 {
		return true, 0
	}
	b := l.bucket(limitKey{site, network(ip)}, rate.Limit(perSecond), burst)
	if b.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - b.TokensAt(now)
	return false, max(1, int(math.Ceil(missing/perSecond)))
}

func (l *limiter) bucket(k limitKey, limit rate.Limit, burst int) *rate.Limiter {
	s := &l.shards[maphash.Comparable(l.seed, k)%uint64(len(l.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.young[k]
	if b == nil {
		if b = s.old[k]; b == nil {
			b = rate.NewLimiter(limit, burst)
		}
		if len(s.young) >= shardRoom {
			s.old, s.young = s.young, make(map[limitKey]*rate.Limiter, shardRoom)
		}
		s.young[k] = b
	}
	if b.Limit() != limit || b.Burst() != burst { // the configuration changed
		b.SetLimit(limit)
		b.SetBurst(burst)
	}
	return b
}

// size counts the buckets held.
func (l *limiter) size() (n int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.young) + len(s.old)
		s.mu.Unlock()
	}
	return n
}

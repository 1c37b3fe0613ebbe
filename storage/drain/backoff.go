package drain

import (
	"math/rand/v2"
	"time"
)

// backoff doubles from min to max; each wait is drawn between half of it and all of it, so that edges
// that lost one warehouse together do not return together.
type backoff struct {
	min, max time.Duration
	last     time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return b.last/2 + rand.N(b.last/2+1)
}

func (b *backoff) reset() { b.last = 0 }

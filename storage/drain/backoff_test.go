package drain

import (
	"testing"
	"time"
)

func TestBackoffDoublesUpToItsBoundAndStartsAgain(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: time.Second}
	for round := range 2 {
		for i, full := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
			full *= time.Millisecond
			if got := b.next(); got < full/2 || got > full {
				t.Errorf("round %d, wait %d is %v, want %v to %v", round, i, got, full/2, full)
			}
		}
		b.reset()
	}
}

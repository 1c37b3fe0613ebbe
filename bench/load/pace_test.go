package load

import (
	"testing"
	"time"
)

func TestPaceHandsOutEveryMomentOnce(t *testing.T) {
	p := share(1000, 0, 1)
	for i := range 10 {
		due := time.Duration(i) * time.Millisecond
		if at, ok := p.take(due - 1); ok {
			t.Fatalf("request %d was handed out before its moment, for %v", i, at)
		}
		if at, ok := p.take(due); !ok || at != due {
			t.Fatalf("request %d: moment %v, %v; want %v", i, at, ok, due)
		}
	}
}

func TestPaceMakesUpForAStallWithTheOldMoments(t *testing.T) {
	p := share(1000, 0, 1)
	stalled := 50 * time.Millisecond
	for i := range 51 {
		at, ok := p.take(stalled)
		if want := time.Duration(i) * time.Millisecond; !ok || at != want {
			t.Fatalf("after the stall, request %d has moment %v, %v; want %v", i, at, ok, want)
		}
	}
	if _, ok := p.take(stalled); ok {
		t.Error("more was handed out than was due")
	}
}

func TestPaceCountsWhatItStillOwes(t *testing.T) {
	p := share(1000, 0, 1)
	p.take(0)
	if n := p.owed(10 * time.Millisecond); n != 9 {
		t.Errorf("owes %d of 10 requests after one, want 9", n)
	}
	closed := share(0, 0, 1)
	if n := closed.owed(time.Hour); n != 0 {
		t.Errorf("a closed loop owes %d requests", n)
	}
}

func TestWorkersShareARateWithoutMeeting(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 4 {
		p := share(1000, i, 4)
		for range 25 {
			at := p.due()
			p.n++
			if seen[at] {
				t.Fatalf("two workers send at %v", at)
			}
			seen[at] = true
		}
	}
	for i := range 100 {
		if at := time.Duration(i) * time.Millisecond; !seen[at] {
			t.Errorf("nobody sends at %v", at)
		}
	}
}

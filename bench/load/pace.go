package load

import "time"

// pacer says when the requests of a constant rate are due. It never skips one: after a stall the missed ones
// are due at once, each with its own moment, so that their waiting counts.
type pacer struct {
	rate float64       // a second; 0: no pacer
	from time.Duration // moment of the first
	n    uint64        // handed out so far
}

// due is the moment of the next request.
func (p *pacer) due() time.Duration {
	return p.from + time.Duration(float64(p.n)*1e9/p.rate)
}

// take hands out the next request if its moment has come.
func (p *pacer) take(now time.Duration) (at time.Duration, ok bool) {
	if at = p.due(); at > now {
		return 0, false
	}
	p.n++
	return at, true
}

// owed counts the requests due before end that were not handed out, and forgets them.
func (p *pacer) owed(end time.Duration) (n uint64) {
	for p.rate > 0 && p.due() < end {
		p.n++
		n++
	}
	return n
}

// share is worker i's part of a rate over n workers, the workers' moments interleaved.
func share(rate float64, i, n int) pacer {
	if rate == 0 {
		return pacer{}
	}
	return pacer{rate: rate / float64(n), from: time.Duration(float64(i) * 1e9 / rate)}
}

// Package load sends HTTP/1.1 requests over keep-alive connections and times the answers. It exists because
// a generator that costs more than the server under test measures itself: here one request costs one write,
// one read and a share of one epoll_wait, no allocation, no goroutine switch.
//
// It guarantees that every answer counted has been read to its last byte, that answers other than the wanted
// status never enter the latencies, and that at a constant rate a late request is timed from the moment it
// was due, not from the moment a connection was free (no coordinated omission).
//
// It does not speak TLS, HTTP/2, chunked answers or pipelining, and resolves no names: it is for a server on
// the same machine.
//
// # Files
//
//	load.go         Options, Client, Result: what a caller sees
//	request.go      Request: prebuilt bytes with the few changing fields patched in place
//	response.go     Response: reads answers out of whatever pieces the socket gives
//	histogram.go    Histogram: latencies in logarithmic buckets
//	pace.go         pacer: when the next request of a constant rate is due
//	loop_linux.go   the epoll loop of one worker
//	loop_other.go   a goroutine per connection, for systems without epoll
//
// # Why no library
//
// The known generators (wrk, hey, vegeta, fasthttp's client) either cannot change a field per request or
// cost several times the requests they measure.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options says what is sent, where to and how fast.
type Options struct {
	Addr    netip.AddrPort // the server
	Conns   int            // keep-alive connections, one request in flight on each
	Workers int            // event loops the connections are spread over, each one thread; 0: 1
	Rate    float64        // requests/s over all connections; 0: closed loop, as fast as answers come
	Request Request
	Want    []int  // the statuses that count as answered; others are counted apart
	Seed    uint64 // of what Request.Patch draws from; the same seed sends the same requests per worker

	// Drain is how long Run waits for answers to what it has sent; 0: 5 s, far above any latency worth reporting.
	Drain time.Duration

	// OnAnswer sees the body of every wanted answer, in the loop of worker; the bytes are valid during the
	// call. Nil costs nothing.
	OnAnswer func(worker int, at time.Time, body []byte)
}

// Errors of Dial and Run.
var (
	ErrGone    = errors.New("load: every connection to the server is gone")
	ErrOptions = errors.New("load: options")
)

const defaultDrain = 5 * time.Second

// Client holds open connections, so that a warm-up and several measured runs use the same ones.
type Client struct {
	o       Options
	workers []*worker
}

// Dial opens every connection.
func Dial(o Options) (*Client, error) {
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	if o.Conns < o.Workers || len(o.Request.Bytes) == 0 || len(o.Want) == 0 || o.Rate < 0 {
		return nil, fmt.Errorf("%w: at least one connection a worker, a request and a wanted status are needed", ErrOptions)
	}
	c := &Client{o: o}
	for i := range o.Workers {
		share := o.Conns/o.Workers + btoi(i < o.Conns%o.Workers)
		w, err := newWorker(o, i, share)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("connecting to %s: %w", o.Addr, err)
		}
		c.workers = append(c.workers, w)
	}
	return c, nil
}

// Close closes every connection.
func (c *Client) Close() {
	for _, w := range c.workers {
		w.close()
	}
}

// Run sends for d, waits for the answers still due, and reports. It ends early, without an error, when ctx
// ends; and with ErrGone when no connection is left.
func (c *Client) Run(ctx context.Context, d time.Duration) (*Result, error) {
	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	run := run{began: time.Now(), length: d, stop: &stop}
	errs := make([]error, len(c.workers))
	var wg sync.WaitGroup
	for i, w := range c.workers {
		wg.Go(func() { errs[i] = w.runLoop(run) })
	}
	wg.Wait()
	r := &Result{Status: map[int]uint64{}}
	for _, w := range c.workers {
		w.tally.addTo(r)
	}
	return r, errors.Join(errs...)
}

// run is one Run as its workers see it. Times inside a run are durations since began.
type run struct {
	began  time.Time
	length time.Duration
	stop   *atomic.Bool // set when the caller's context ends
}

func (r run) now() time.Duration { return time.Since(r.began) }

// first is the moment of a connection's first request: it has one, however late the worker gets to run.
func (r run) first() time.Duration { return min(r.now(), r.length-1) }

// over reports whether nothing new is to be sent.
func (r run) over(now time.Duration) bool { return now >= r.length || r.stop.Load() }

// Result is what one Run saw.
type Result struct {
	Latency    Histogram      // of wanted answers only
	Answered   uint64         // wanted answers
	Status     map[int]uint64 // every answer, by status code
	Broken     uint64         // connections lost, or answers that broke the protocol
	Unanswered uint64         // sent, or due at a constant rate, and not answered when Run ended
	Bytes      uint64         // read
	Elapsed    time.Duration  // from the start to the last answer
}

// Rate is wanted answers per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}

// Clean reports whether every request got a wanted answer; if not, the error says what came instead.
func (r *Result) Clean() error {
	var all uint64
	for _, n := range r.Status {
		all += n
	}
	if all == r.Answered && r.Broken == 0 && r.Unanswered == 0 {
		return nil
	}
	return fmt.Errorf("load: %d answers of the wanted status, statuses %v, %d broken connections, %d unanswered",
		r.Answered, r.Status, r.Broken, r.Unanswered)
}

// tally is what one worker counted in one run. Only the worker touches it until the run is over.
type tally struct {
	latency    Histogram
	status     [600]uint64
	answered   uint64
	broken     uint64
	unanswered uint64
	bytes      uint64
	last       time.Duration
}

// answer counts one whole answer and reports whether its status was wanted.
func (t *tally) answer(want []int, status int, took, now time.Duration) bool {
	t.last = now
	t.status[status]++
	for _, s := range want {
		if s == status {
			t.answered++
			t.latency.Record(took)
			return true
		}
	}
	return false
}

func (t *tally) addTo(r *Result) {
	r.Latency.Add(&t.latency)
	r.Answered += t.answered
	r.Broken += t.broken
	r.Unanswered += t.unanswered
	r.Bytes += t.bytes
	r.Elapsed = max(r.Elapsed, t.last)
	for status, n := range t.status {
		if n > 0 {
			r.Status[status] += n
		}
	}
}

// newRand gives each worker its own stream of one seed.
func newRand(seed uint64, worker int) *rand.PCG { return rand.NewPCG(seed, uint64(worker)) }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

//go:build !linux || portable

// The tag portable builds this loop where epoll is, so that it can be tested there.

package load

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// worker is, where there is no epoll, one goroutine per connection behind the same counting. It costs about
// twice as much per request: figures from such a machine say so in their generator share.
type worker struct {
	o     Options
	index int
	conns []*conn
	rand  *rand.PCG

	mu    sync.Mutex // covers all below, and rand
	pace  pacer
	tally *tally
}

// conn is one keep-alive connection; its goroutine owns it.
type conn struct {
	net.Conn
	request []byte
	buf     []byte
	answer  Response
}

func newWorker(o Options, index, conns int) (*worker, error) {
	w := &worker{o: o, index: index, rand: newRand(o.Seed, index)}
	for range conns {
		c := &conn{request: append([]byte(nil), o.Request.Bytes...), buf: make([]byte, 64<<10)}
		if err := w.connect(c); err != nil {
			w.close()
			return nil, err
		}
		w.conns = append(w.conns, c)
	}
	return w, nil
}

func (w *worker) connect(c *conn) (err error) {
	c.Conn, err = net.Dial("tcp", w.o.Addr.String())
	c.answer = Response{Keep: w.o.OnAnswer != nil}
	return err
}

func (w *worker) close() {
	for _, c := range w.conns {
		if c.Conn != nil {
			c.Close()
		}
	}
}

func (w *worker) runLoop(r run) error {
	w.pace, w.tally = share(w.o.Rate, w.index, w.o.Workers), &tally{}
	var wg sync.WaitGroup
	for _, c := range w.conns {
		if c.Conn != nil {
			wg.Go(func() { w.serve(r, c) })
		}
	}
	wg.Wait()
	if !r.stop.Load() {
		w.tally.unanswered += w.pace.owed(r.length)
	}
	for _, c := range w.conns {
		if c.Conn != nil {
			return nil
		}
	}
	return ErrGone
}

// serve sends on one connection, request after request, until the run is over.
func (w *worker) serve(r run, c *conn) {
	for now := r.first(); c.Conn != nil; now = r.now() {
		at, ok := w.next(r, c, now)
		if !ok {
			return
		}
		time.Sleep(at - r.now())
		c.SetDeadline(r.began.Add(r.length + w.o.Drain))
		if _, err := c.Write(c.request); err != nil || !w.read(r, c, at) {
			w.replace(c)
		}
	}
}

// next is the moment of the connection's next request, now in a closed loop, which it writes into c.request.
func (w *worker) next(r run, c *conn, now time.Duration) (at time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at = now; w.o.Rate > 0 {
		at = w.pace.due()
	}
	if at >= r.length || r.stop.Load() {
		return 0, false
	}
	w.pace.n++
	if w.o.Request.Patch != nil {
		w.o.Request.Patch(w.rand, c.request)
	}
	return at, true
}

// read takes one whole answer and counts it; false means that the connection is of no more use.
func (w *worker) read(r run, c *conn, at time.Duration) bool {
	for {
		n, err := c.Conn.Read(c.buf)
		if err != nil {
			return false
		}
		used, done, err := c.answer.Feed(c.buf[:n])
		if err != nil || used != n {
			return false
		}
		if done {
			w.count(r, c, at)
			return !c.answer.Close
		}
	}
}

func (w *worker) count(r run, c *conn, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := r.now()
	if w.tally.answer(w.o.Want, c.answer.Status, now-at, now) && w.o.OnAnswer != nil {
		w.o.OnAnswer(w.index, r.began.Add(now), c.answer.Body)
	}
}

func (w *worker) replace(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.answer.Close {
		w.tally.broken++
	}
	c.Conn.Close()
	if w.connect(c) != nil {
		c.Conn = nil
	}
}

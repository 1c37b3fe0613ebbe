package server

import (
	"errors"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// What is under way takes memory in three ways, each with a bound that follows from Options.Memory:
//
//   - every connection: its buffers, its goroutine, a header, a small body and a small answer. Their number is
//     bounded (half of Memory), and when it comes near the bound no connection is kept for another request.
//   - large bodies and answers under a token: a quarter of Memory.
//   - large answers for everybody (pages, files of the log, copies of one's own choices): an eighth, so that
//     strangers who read slowly keep no operator's program from its batch.
//
// Who finds no room is answered 503 with Retry-After. The last eighth is for what the estimates miss. Nothing here
// waits: what waits takes memory too.
//
// # Why sums and not a semaphore
//
// golang.org/x/sync/semaphore queues who finds no room; the one thing asked here is whether there is room now.

const (
	defaultMemory = 1 << 30
	// connectionCost is what a connection takes at most, in bytes: 4,000 that were kept after a header or a request line
	// of 16 KiB took 70 to 90 KiB each, with what the collector had not collected; 5,000 with an ordinary one 20 KiB
	// each (November 2026, amd64).
	connectionCost = 96 << 10
	// keptBuffer is how large a buffer a connection may keep for its next request, in bytes.
	keptBuffer = 16 << 10
	// smallAnswer is an answer that is part of the cost of a connection, in bytes.
	smallAnswer = keptBuffer
)

// memory is what requests hold beyond what every connection has.
type memory struct {
	trusted, strangers account
	relief             relief
}

func newMemory(all int64) *memory {
	m := &memory{}
	m.relief.after, m.relief.give = afterBurst, giveBack
	m.trusted.size, m.strangers.size = all/4, all/8
	return m
}

// account counts bytes up to a bound.
type account struct {
	size int64 // does not change
	used atomic.Int64
}

// take reports whether n more bytes have room, and takes them if so.
func (a *account) take(n int64) bool {
	if a.used.Add(n) > a.size {
		a.used.Add(-n)
		return false
	}
	return true
}

// grant is memory a request has taken.
type grant struct {
	of *account
	n  int64
}

var errNoRoom = errors.New("no room for a large request or answer; Options.Memory (--memory) bounds it")

// hold takes n bytes for as long as the request of ctx and its answer are under way. What is larger than the whole
// account is given all of it, when nobody else holds any.
func (s *Server) hold(ctx *fasthttp.RequestCtx, a *account, n int) error {
	c, ok := ctx.Conn().(*coarseConn)
	if !ok {
		return nil // a handler called without a connection: nothing would end the hold
	}
	more := min(int64(n), a.size-c.holds(a))
	if !a.take(more) {
		return later(codeOverloaded, "nothing was done; ask again, for less at once if it can be", 1, errNoRoom)
	}
	c.grants = append(c.grants, grant{a, more})
	s.memory.relief.saw(s.weight())
	return nil
}

// holdBatch takes what the answer about n subjects will need: its parts, made by several workers, and the whole put
// together. each is what one takes at most, in bytes.
func (s *Server) holdBatch(ctx *fasthttp.RequestCtx, n, each int) error {
	return s.hold(ctx, &s.memory.trusted, 2*n*each)
}

// holds sums what the request under way has taken of a.
func (c *coarseConn) holds(a *account) (n int64) {
	for _, g := range c.grants {
		if g.of == a {
			n += g.n
		}
	}
	return n
}

// holdAnswer counts an answer that is larger than every connection may have, until it has left: whoever asks for
// megabytes and reads them slowly has them lie here. An answer to what has been recorded is counted and never taken
// back.
func (s *Server) holdAnswer(ctx *fasthttp.RequestCtx, r *route) error {
	n := len(ctx.Response.Body())
	c, ok := ctx.Conn().(*coarseConn)
	if n <= smallAnswer || r.shared || !ok {
		return nil
	}
	a := &s.memory.strangers
	if r.scope != "" {
		a = &s.memory.trusted
	}
	more := int64(n) - c.holds(a) // what a batch has set aside is for this
	if more <= 0 {
		return nil
	}
	if r.method != get && r.scope == "" {
		a.used.Add(more)
		c.grants = append(c.grants, grant{a, more})
		return nil
	}
	err := s.hold(ctx, a, int(more))
	if err != nil {
		ctx.Response.ReleaseBody(0)
	}
	return err
}

// held is what is taken now, in bytes.
func (m *memory) held() int64 { return m.trusted.used.Load() + m.strangers.used.Load() }

// weight is held and what open connections may take, in bytes.
func (s *Server) weight() int64 {
	return s.memory.held() + int64(s.http.GetOpenConnectionsCount())*connectionCost
}

// connState gives back what a request has taken once its answer has left, or its connection has ended.
func (s *Server) connState(conn net.Conn, state fasthttp.ConnState) {
	c, ok := conn.(*coarseConn)
	if !ok || state == fasthttp.StateActive {
		return
	}
	for _, g := range c.grants {
		g.of.used.Add(-g.n)
	}
	if len(c.grants) > 0 || state != fasthttp.StateIdle {
		c.grants = nil
		s.memory.relief.saw(s.weight())
	}
}

// crowded reports whether connections are near their bound: none is then kept for another request, or those that
// rest would keep out those who come.
func (s *Server) crowded() bool {
	return int(s.http.GetOpenConnectionsCount()) > s.opt.MaxConnections/8*7
}

// relief gives memory back to the system after a burst. The runtime does so by itself, over minutes and only as far
// as its next collection lets it: pools keep what they hold for two.
type relief struct {
	after time.Duration // how long after a burst; does not change
	give  func()        // giveBack; does not change
	peak  atomic.Int64
	due   atomic.Bool
}

const (
	burst      = 64 << 20 // bytes; less is not worth a collection
	afterBurst = 15 * time.Second
)

// saw is told how much is held. A burst is over when it is a quarter of what it was.
func (r *relief) saw(held int64) {
	peak := r.peak.Load()
	if held >= peak {
		r.peak.CompareAndSwap(peak, held) // who loses is nearly as large
		return
	}
	if peak < burst || held > peak/4 || !r.due.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(r.after, func() {
		r.peak.Store(0)
		r.due.Store(false)
		r.give()
	})
}

// giveBack gives the system what the heap does not use. Pools let go of what they hold at the second collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

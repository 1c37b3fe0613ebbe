//go:build !portable

package load

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// worker is one event loop on one thread. Everything in it belongs to the goroutine that runs it.
type worker struct {
	o      Options
	index  int
	epoll  int
	timer  int // timerfd that ticks while a constant rate runs; -1: none
	conns  []*conn
	live   int    // open connections
	flying int    // requests in flight
	buf    []byte // what the socket last gave; answers are parsed where they lie
	rand   *rand.PCG
	events []unix.EpollEvent

	run   run
	pace  pacer
	idle  []*conn // connections without a request in flight
	tally *tally
}

// conn is one keep-alive connection with at most one request in flight.
type conn struct {
	fd      int
	index   int32 // in worker.conns: what epoll hands back
	request []byte
	unsent  []byte        // the part of the request the socket had no room for
	began   time.Duration // when the request was sent, or due at a constant rate
	busy    bool          // a request is in flight
	polled  bool          // epoll watches for room to write
	answer  Response
}

const (
	readBuffer = 64 << 10
	timerIndex = -1
	// tick is how late a request of a constant rate can be sent on an idle machine; that lateness is in its
	// latency. Half a millisecond costs 2,000 wake-ups/s and is far below any bound measured at a rate.
	tick = 500 * time.Microsecond
)

func newWorker(o Options, index, conns int) (*worker, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &worker{
		o: o, index: index, epoll: ep, timer: -1, buf: make([]byte, readBuffer), rand: newRand(o.Seed, index),
		events: make([]unix.EpollEvent, conns+1),
	}
	for i := range conns {
		c := &conn{index: int32(i), request: append([]byte(nil), o.Request.Bytes...)}
		w.conns = append(w.conns, c)
		if err := w.connect(c); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// connect opens c's socket; it blocks, which on loopback is over at once.
func (w *worker) connect(c *conn) error {
	c.fd = -1
	fd, err := dial(w.o.Addr)
	if err != nil {
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.index}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		unix.Close(fd)
		return err
	}
	c.fd, c.polled, c.unsent = fd, false, nil
	c.answer = Response{Keep: w.o.OnAnswer != nil}
	w.live++
	return nil
}

func dial(addr netip.AddrPort) (int, error) {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()})
	if addr.Addr().Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Connect(fd, to),
		unix.SetNonblock(fd, true),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (w *worker) close() {
	for _, c := range w.conns {
		w.drop(c)
	}
	if w.timer >= 0 {
		unix.Close(w.timer)
	}
	unix.Close(w.epoll)
}

func (w *worker) drop(c *conn) {
	if c.busy {
		c.busy = false
		w.flying--
	}
	if c.fd >= 0 {
		unix.Close(c.fd) // leaves the epoll set with it
		c.fd = -1
		w.live--
	}
}

// runLoop sends and reads until the run is over and every answer is in, or too late.
func (w *worker) runLoop(r run) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.begin(r)
	if err := w.startTimer(); err != nil {
		return err
	}
	w.sendDue(w.run.first())
	for {
		now := w.run.now()
		w.sendDue(now)
		if w.run.over(now) && (w.flying == 0 || now > w.run.length+w.o.Drain) {
			break
		}
		if w.live == 0 {
			return ErrGone
		}
		if err := w.wait(); err != nil {
			return err
		}
	}
	w.finish()
	return nil
}

func (w *worker) begin(r run) {
	w.run, w.tally, w.idle = r, &tally{}, w.idle[:0]
	w.pace = share(w.o.Rate, w.index, w.o.Workers)
	for _, c := range w.conns {
		if c.fd >= 0 && !c.busy {
			w.idle = append(w.idle, c)
		}
	}
}

// finish counts what never got its answer; connections that still owe one are replaced, so that a late
// answer cannot be taken for one of the next run.
func (w *worker) finish() {
	for _, c := range w.conns {
		if c.fd >= 0 && c.busy {
			w.tally.unanswered++
			w.reconnect(c)
		}
	}
	if !w.run.stop.Load() {
		w.tally.unanswered += w.pace.owed(w.run.length)
	}
}

func (w *worker) startTimer() error {
	if w.o.Rate == 0 || w.timer >= 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	w.timer = fd
	every := unix.NsecToTimespec(int64(tick))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return err
	}
	return unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerIndex})
}

// sendDue gives idle connections their next request: at once in a closed loop, when due at a constant rate.
// Requests due before the end are sent even after it.
func (w *worker) sendDue(now time.Duration) {
	for w.anyIdle() {
		at := now
		if w.o.Rate > 0 {
			var ok bool
			if at, ok = w.pace.take(now); !ok {
				return
			}
		}
		if at >= w.run.length || w.run.stop.Load() {
			return
		}
		w.send(w.takeIdle(), at)
	}
}

// anyIdle forgets idle connections that were lost, and reports whether one is left.
func (w *worker) anyIdle() bool {
	for len(w.idle) > 0 && w.idle[len(w.idle)-1].fd < 0 {
		w.takeIdle()
	}
	return len(w.idle) > 0
}

func (w *worker) takeIdle() *conn {
	c := w.idle[len(w.idle)-1]
	w.idle = w.idle[:len(w.idle)-1]
	return c
}

// wait handles what the kernel has; it comes back after a tenth of a second at the latest, to see the end.
func (w *worker) wait() error {
	n, err := unix.EpollWait(w.epoll, w.events, 100)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for _, ev := range w.events[:max(n, 0)] {
		if ev.Fd == timerIndex {
			var ticks [8]byte
			unix.Read(w.timer, ticks[:]) // only to re-arm; how many were missed does not matter
			continue
		}
		c := w.conns[ev.Fd]
		switch {
		case c.fd < 0: // dropped by an event before this one
		case ev.Events&unix.EPOLLOUT != 0:
			w.flush(c)
		default:
			w.read(c)
		}
	}
	return nil
}

func (w *worker) send(c *conn, at time.Duration) {
	if w.o.Request.Patch != nil {
		w.o.Request.Patch(w.rand, c.request)
	}
	c.began, c.busy, c.unsent = at, true, c.request
	w.flying++
	w.flush(c)
}

// flush writes what is unsent; what the socket has no room for waits for EPOLLOUT.
func (w *worker) flush(c *conn) {
	n, err := unix.Write(c.fd, c.unsent)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		w.broken(c)
		return
	}
	c.unsent = c.unsent[max(n, 0):]
	if full := len(c.unsent) > 0; full != c.polled {
		c.polled = full
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: c.index}
		if full {
			ev.Events |= unix.EPOLLOUT
		}
		unix.EpollCtl(w.epoll, unix.EPOLL_CTL_MOD, c.fd, &ev) // fails only for a descriptor that is not there
	}
}

// read takes what the socket has; a whole answer is counted and followed by the next request.
func (w *worker) read(c *conn) {
	n, err := unix.Read(c.fd, w.buf)
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	if err != nil || n <= 0 || !c.busy { // an idle connection has nothing to say but goodbye
		w.broken(c)
		return
	}
	w.tally.bytes += uint64(n)
	used, done, err := c.answer.Feed(w.buf[:n])
	if err != nil || used != n {
		w.broken(c)
		return
	}
	if done {
		w.answered(c)
	}
}

func (w *worker) answered(c *conn) {
	now := w.run.now()
	c.busy = false
	w.flying--
	if w.tally.answer(w.o.Want, c.answer.Status, now-c.began, now) && w.o.OnAnswer != nil {
		w.o.OnAnswer(w.index, w.run.began.Add(now), c.answer.Body)
	}
	if c.answer.Close {
		w.reconnect(c)
		return
	}
	w.idle = append(w.idle, c)
	w.sendDue(now)
}

func (w *worker) broken(c *conn) {
	w.tally.broken++
	w.reconnect(c)
}

// reconnect replaces c's socket; if the server does not take it, there is one connection less.
func (w *worker) reconnect(c *conn) {
	listed := slices.Contains(w.idle, c)
	w.drop(c)
	if w.connect(c) == nil && !listed {
		w.idle = append(w.idle, c)
	}
}

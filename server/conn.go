package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// doorman wraps what a listener accepts, for three things fasthttp leaves undone: cheap deadlines, answers that
// arrive although the request was not read to its end, and a shutdown that waits for nobody but those whose request
// is being handled or whose answer is going out. Closing it twice is no error.
type doorman struct {
	net.Listener
	conns *conns
}

func (l doorman) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &coarseConn{Conn: c, conns: l.conns}
	if !l.conns.add(conn) {
		c.Close()
	}
	return conn, nil
}

func (l doorman) Close() error {
	if err := l.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// conns is the set of open connections.
type conns struct {
	mu      sync.Mutex // covers open and the change of closing
	open    map[*coarseConn]struct{}
	closing atomic.Bool // no connection reads another request
}

// add reports whether c may be served.
func (s *conns) add(c *coarseConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[*coarseConn]struct{})
	}
	s.open[c] = struct{}{}
	return !s.closing.Load()
}

func (s *conns) remove(c *coarseConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// closeReading ends every connection that has no whole request under way: idle ones, and those that sent a part of one
// and may never send the rest. The others end when they would read the next.
func (s *conns) closeReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Store(true)
	for c := range s.open {
		if !c.handling.Load() {
			c.Conn.Close() // its goroutine sees the end and cleans up
		}
	}
}

// closeAll ends every connection, whatever is under way on it.
func (s *conns) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		c.Conn.Close()
	}
}

// coarseConn makes deadlines cheap. fasthttp moves a connection's deadlines three times per request, and each
// move rearms a timer of the runtime: on small answers that is a tenth of the whole cost. A deadline that would
// move by less than a second is left where it is: it then fires at most a second early, which no timeout here
// is fine enough to notice. And a read deadline is set when something is read: between two requests that arrive
// whole only the one for being idle is, not the shorter one for a request to arrive.
//
// It is used by one goroutine at a time, as fasthttp does; Close may come from another.
type coarseConn struct {
	net.Conn
	read, write time.Time   // the deadlines in force
	due         time.Time   // the read deadline asked for; in force from the next Read on
	ended       bool        // the client has said everything it will
	grants      []grant     // memory of the request under way beyond what every connection has
	handling    atomic.Bool // from the call of a handler until the next request is read
	linger      atomic.Bool // the client may still be sending
	conns       *conns
}

func (c *coarseConn) Read(p []byte) (int, error) {
	if c.handling.Load() {
		c.handling.Store(false)
	}
	if c.conns.closing.Load() { // after the store: closeReading sees one of the two
		return 0, net.ErrClosed
	}
	if !settled(c.read, c.due) {
		c.read = c.due
		if err := c.Conn.SetReadDeadline(c.due); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	c.ended = c.ended || err == io.EOF
	return n, err
}

func (c *coarseConn) SetReadDeadline(t time.Time) error {
	c.due = t
	return nil
}

func (c *coarseConn) SetWriteDeadline(t time.Time) error {
	if settled(c.write, t) {
		return nil
	}
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *coarseConn) SetDeadline(t time.Time) error {
	c.read, c.due, c.write = t, t, t
	return c.Conn.SetDeadline(t)
}

// settled reports whether a deadline at now need not move to next. The zero time, no deadline, always moves.
func settled(now, next time.Time) bool {
	if now.IsZero() || next.IsZero() {
		return now.IsZero() && next.IsZero()
	}
	d := next.Sub(now)
	return d >= 0 && d < time.Second
}

// Bounds of a lingering close: about what a client sends before it has seen the answer.
const (
	lingerBytes = 2 * maxLargeBody
	lingerTime  = 500 * time.Millisecond // without a byte
	lingerMost  = 10 * lingerTime
)

// Close ends a connection whose request was refused unread by reading on for a moment: bytes that arrive at a
// closed socket make the kernel reset the connection, and the client would lose the answer that says why.
func (c *coarseConn) Close() error {
	c.conns.remove(c)
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok || !c.linger.Load() {
		return c.Conn.Close()
	}
	tcp.CloseWrite()
	buf, end := make([]byte, 16<<10), time.Now().Add(lingerMost)
	for left := lingerBytes; left > 0 && time.Now().Before(end); {
		tcp.SetReadDeadline(time.Now().Add(lingerTime))
		n, err := tcp.Read(buf)
		if left -= n; err != nil {
			break // whatever it is, the connection is closed next
		}
	}
	return tcp.Close()
}

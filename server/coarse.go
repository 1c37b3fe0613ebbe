package server

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// coarseListener makes deadlines cheap. fasthttp moves a connection's deadlines three times per request, and
// each move rearms a timer of the runtime: on small answers that is a tenth of the whole cost. A deadline
// that would move by less than a second is left where it is: it then fires at most a second early, which no
// timeout here is fine enough to notice.
type coarseListener struct{ net.Listener }

func (l coarseListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &coarseConn{Conn: c}, nil
}

// coarseConn is used by one goroutine at a time, as fasthttp does; Close may come from another.
type coarseConn struct {
	net.Conn
	read, write time.Time   // the deadlines in force
	linger      atomic.Bool // the client may still be sending
}

// Bounds of a lingering close: about what a client sends before it has seen the answer.
const (
	lingerBytes = 2 * maxLargeBody
	lingerTime  = 500 * time.Millisecond
)

// Close ends a connection whose request was refused unread by reading on for a moment: bytes that arrive at a
// closed socket make the kernel reset the connection, and the client would lose the answer that says why.
func (c *coarseConn) Close() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok || !c.linger.Load() {
		return c.Conn.Close()
	}
	tcp.CloseWrite()
	tcp.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, tcp, lingerBytes) // whatever comes of it, the connection is closed next
	return tcp.Close()
}

func (c *coarseConn) SetReadDeadline(t time.Time) error {
	if settled(c.read, t) {
		return nil
	}
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *coarseConn) SetWriteDeadline(t time.Time) error {
	if settled(c.write, t) {
		return nil
	}
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}

func (c *coarseConn) SetDeadline(t time.Time) error {
	c.read, c.write = t, t
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

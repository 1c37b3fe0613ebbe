package storagetest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP link in front of a server that fails on command. Commands act on connections open now
// and on those opened later, until Heal.
type Proxy struct {
	target string
	addr   string // fixed: Refuse frees the port, Heal takes it again

	mu       sync.Mutex // covers what follows
	changed  *sync.Cond
	listener net.Listener
	links    map[*link]struct{}
	cutAfter int64 // bytes client→server still to pass before every link is cut; -1: no cut
	muteIn   int64 // bytes client→server still to pass before answers vanish; -1: not asked for
	swallow  bool  // answers of the server vanish
	stalled  bool  // nothing passes in either direction
	sent     int64 // bytes passed client→server since NewProxy
	cuts     int
	lost     int64 // bytes of answers swallowed
	closed   bool
}

type link struct{ client, server net.Conn }

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// NewProxy opens a healthy link to target (host:port). It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, links: map[*link]struct{}{}, cutAfter: -1, muteIn: -1}
	p.changed = sync.NewCond(&p.mu)
	l, err := listen()
	if err != nil {
		t.Fatalf("opening proxy: %v", err)
	}
	p.addr, p.listener = l.Addr().String(), l
	go p.accept(l)
	t.Cleanup(p.close)
	return p
}

// listen takes a port below those the system hands out by itself (from 32768 on Linux, from 49152 elsewhere): while it is
// free, nobody is given it.
func listen() (l net.Listener, err error) {
	for range 100 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			break
		}
	}
	return l, err
}

// Addr is the host:port to dial.
func (p *Proxy) Addr() string { return p.addr }

// Refuse closes the port and every link: connections are refused until Heal.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.dropAll()
}

// CutAfter lets n more bytes pass from client to server, over all links, then cuts every link in that
// moment. It happens once; links opened later are whole.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAfter = n
}

// SwallowAnswersAfter lets n more bytes pass from client to server, over all links, and from then on drops
// what the server answers: it works, the client never hears. With n over the size of a statement and under
// that of its rows, the server's go-ahead passes and its confirmation does not.
func (p *Proxy) SwallowAnswersAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.muteIn = n
}

// Stall holds everything in both directions; connections stay open.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

// Heal ends every failure. Links whose answers were swallowed are cut: they are out of step for good.
func (p *Proxy) Heal(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.swallow {
		p.dropAll()
	}
	p.cutAfter, p.muteIn, p.swallow, p.stalled = -1, -1, false, false
	p.changed.Broadcast()
	if p.listener != nil {
		return
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatalf("reopening proxy: %v", err)
	}
	p.listener = l
	go p.accept(l)
}

// Sent counts the bytes that passed from client to server.
func (p *Proxy) Sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// Cuts counts how often CutAfter struck.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Swallowed counts the bytes of answers that vanished.
func (p *Proxy) Swallowed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.stalled = true, false
	p.changed.Broadcast()
}

// dropAll needs mu.
func (p *Proxy) dropAll() {
	for l := range p.links {
		l.close()
	}
	clear(p.links)
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client, server}
		p.mu.Lock()
		if p.listener != listener || p.closed {
			l.close()
		} else {
			p.links[l] = struct{}{}
			go p.copy(l, l.server, l.client, p.passRequest)
			go p.copy(l, l.client, l.server, p.passAnswer)
		}
		p.mu.Unlock()
	}
}

// copy moves bytes until one side ends; pass says how many of n bytes may go on and whether the link
// lives after them.
func (p *Proxy) copy(l *link, dst io.Writer, src io.Reader, pass func(n int) (int, bool)) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		n, alive := pass(n)
		if _, werr := dst.Write(buf[:n]); werr != nil || err != nil || !alive {
			break
		}
	}
	l.close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *Proxy) passRequest(n int) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait()
	alive := true
	if p.cutAfter >= 0 && int64(n) >= p.cutAfter {
		n, alive = int(p.cutAfter), false
		p.cutAfter = -1
		p.cuts++
	} else if p.cutAfter >= 0 {
		p.cutAfter -= int64(n)
	}
	p.sent += int64(n)
	if p.muteIn >= 0 {
		p.muteIn = max(0, p.muteIn-int64(n))
		p.swallow = p.swallow || p.muteIn == 0
	}
	return n, alive
}

func (p *Proxy) passAnswer(n int) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait()
	if p.swallow {
		p.lost += int64(n)
		return 0, true
	}
	return n, true
}

// wait needs mu.
func (p *Proxy) wait() {
	for p.stalled && !p.closed {
		p.changed.Wait()
	}
}

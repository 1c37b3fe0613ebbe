package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

const (
	// portAttempts bounds the search for a port that is still free when ClickHouse comes to listen. One
	// is nearly always enough.
	portAttempts = 8

	// The wait before a restart doubles from firstBackoff to maxBackoff, give or take half of it.
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second

	// steadyAfter: a child that served this long makes its failures forgotten.
	steadyAfter = time.Minute
)

// supervise owns the child from the first start to the end of life. It sends the outcome of the first
// start, and closes stopped when it leaves.
//
// The thread stays locked because on Linux the child is killed when the thread that forked it ends.
func (e *Engine) supervise(start, life context.Context, first chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(e.stopped)
	p, err := e.firstStart(start)
	first <- err
	if err != nil {
		return
	}
	failures := 0
	for {
		since := time.Now()
		select {
		case <-life.Done():
			p.stop()
			return
		case <-p.done:
		}
		if time.Since(since) > steadyAfter {
			failures = 0
		}
		if p, failures = e.revive(life, p.died(), failures); p == nil {
			return
		}
	}
}

// firstStart chooses port and passwords anew until the child has its port. What was chosen for a port
// that was taken is not used again: the other process may have seen the password.
func (e *Engine) firstStart(ctx context.Context) (*process, error) {
	var taken error
	for range portAttempts {
		port, err := e.opts.pickPort()
		if err != nil {
			return nil, err
		}
		e.choose(port)
		if err := writeConfig(e.opts, e.Connection()); err != nil {
			return nil, err
		}
		p, err := e.start(ctx)
		if err == nil || !errors.Is(err, errPortTaken) {
			return p, err
		}
		taken = err
		e.opts.Log.Debug("embedded ClickHouse: choosing another port", "err", err)
	}
	return nil, fmt.Errorf("after %d ports: %w", portAttempts, taken)
}

func (e *Engine) choose(port int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn = Connection{
		Addr:           net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		User:           userName,
		Password:       newPassword(),
		Reader:         readerName,
		ReaderPassword: newPassword(),
	}
}

// start starts a child on the chosen port and returns it when it serves and connection.json says so. On an
// error no child is left.
func (e *Engine) start(ctx context.Context) (*process, error) {
	began := time.Now()
	conn := e.Connection()
	p, err := startProcess(e.opts, e.lib, conn.Addr, e.lock)
	if err != nil {
		return nil, err
	}
	conn.PID = p.pid()
	if err := p.awaitReady(ctx, conn); err != nil {
		p.stop()
		return nil, err
	}
	if err := writeConnection(e.opts.Dir, conn); err != nil {
		p.stop()
		return nil, err
	}
	e.mu.Lock()
	e.conn.PID, e.problem = conn.PID, nil
	e.mu.Unlock()
	e.opts.Log.Info("embedded ClickHouse is ready", "addr", conn.Addr, "pid", conn.PID, "took", time.Since(began))
	return p, nil
}

// revive brings a dead child back, however long it takes, and returns it with the count of failures so
// far. It returns nil when life ended first.
func (e *Engine) revive(life context.Context, cause error, failures int) (*process, int) {
	for {
		e.setProblem(fmt.Errorf("the embedded ClickHouse is down and being restarted: %w; its log is %s",
			cause, filepath.Join(e.opts.Dir, logFile)))
		wait := backoff(failures)
		failures++
		e.opts.Log.Warn("embedded ClickHouse is down", "cause", cause, "restart_in", wait)
		select {
		case <-life.Done():
			return nil, failures
		case <-time.After(wait):
		}
		p, err := e.start(life)
		if err == nil {
			e.mu.Lock()
			e.restarts++
			e.mu.Unlock()
			return p, failures
		}
		cause = err
	}
}

// backoff is the wait before a restart after so many failures in a row. The jitter keeps several
// engines of one machine from starting together.
func backoff(failures int) time.Duration {
	wait := min(firstBackoff<<min(failures, 10), maxBackoff)
	return wait/2 + rand.N(wait)
}

// freePort asks the system for a port nobody listens on. Somebody may before we do.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Engine is a running embedded ClickHouse with its supervisor. All methods may be called at any time
// from any goroutine.
type Engine struct {
	opts Options
	lib  string
	lock *os.File // held from Open to Close, and by the child

	cancel  context.CancelFunc // ends the supervisor
	stopped chan struct{}      // closed when the supervisor has ended and the child is gone
	closing sync.Once
	closed  error // of the first Close

	mu       sync.Mutex // covers what follows
	conn     Connection // fixed after Open, but for PID
	problem  error      // nil while serving
	restarts int
}

// Open starts an engine on o.Dir and returns when it answers queries. ctx bounds the start only; the engine
// lives until Close. Its errors are [ErrMissing] when there is no library, [ErrInUse] when another engine holds
// the folder, or what hindered the start.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	lib, err := Find(o.Lib)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, o)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	e := &Engine{opts: o, lib: lib, lock: lock, cancel: cancel, stopped: make(chan struct{})}
	first := make(chan error, 1)
	go e.supervise(ctx, life, first)
	if err := <-first; err != nil {
		cancel()
		<-e.stopped
		lock.Close()
		return nil, fmt.Errorf("opening the embedded ClickHouse in %s: %w", o.Dir, err)
	}
	return e, nil
}

// Close ends the child, with SIGTERM and after some seconds with SIGKILL, removes connection.json and
// frees the folder. The data stays.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.cancel()
		<-e.stopped
		e.setProblem(errors.New("the embedded ClickHouse is closed"))
		e.closed = errors.Join(removeConnection(e.opts.Dir), e.lock.Close())
	})
	return e.closed
}

// Connection returns address, users and passwords. All but PID hold until Close.
func (e *Engine) Connection() Connection {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn
}

// Addr is 127.0.0.1:port.
func (e *Engine) Addr() string { return e.Connection().Addr }

// User may do everything.
func (e *Engine) User() string { return e.Connection().User }

// Password is User's.
func (e *Engine) Password() string { return e.Connection().Password }

// URL is clickhouse://user:password@127.0.0.1:port/default. It is a secret.
func (e *Engine) URL() string { return e.Connection().URL() }

// ReaderURL is URL for the user who may read every table and change none.
func (e *Engine) ReaderURL() string { return e.Connection().ReaderURL() }

// CopyDir is where the server may write copies of its databases (BACKUP … TO File) and read them; it is not made.
func (e *Engine) CopyDir() string { return filepath.Join(e.opts.Dir, backupDir) }

// Health is nil while the engine serves, else what is wrong and what to do, fit for an operator's eyes. It
// is cheap: it tells what the supervisor knows and asks nobody.
func (e *Engine) Health() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

// Restarts counts how often a dead child was brought back since Open.
func (e *Engine) Restarts() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.restarts
}

func (e *Engine) setProblem(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem = err
}

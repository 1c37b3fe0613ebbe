// Package storagetest is the test kit of the storage packages, over the real things: the embedded
// ClickHouse, a network in front of it that breaks on command, and proofs that look like a site's.
//
// It guarantees that what a test sees is what production does: there is no fake server in it. It is imported
// by tests only.
//
// # Files
//
//	storagetest.go  Main and Database: one engine per test binary, one database per test; engines to kill
//	cluster.go      Cluster: two shards and a server that knows them
//	proxy.go        Proxy: a TCP link that refuses, cuts, swallows, stalls and heals
//	generate.go     Generator: deterministic proofs, prompts and wordings
//	poll.go         Eventually: wait for a condition with a deadline
//	log.go          Log: what a program prints, to be read while it does
package storagetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/engine"
)

// Kit is what Main hands to the tests of one binary: the engine they share, started by the first who asks.
type Kit struct {
	mu  sync.Mutex // covers what follows
	dir string
	eng *engine.Engine
	err error
}

// Main is the body of a TestMain: it becomes the engine's child process when asked, runs the tests, and ends
// the engine. set hands the Kit to the test binary.
//
//	func TestMain(m *testing.M) { storagetest.Main(m, func(k *storagetest.Kit) { kit = k }) }
func Main(m *testing.M, set func(*Kit)) {
	engine.RunChildIfAsked()
	k := &Kit{}
	set(k)
	code := m.Run()
	if err := k.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// memory bounds the shared engine: enough for a million-row merge, little enough for two at once.
const memory = 3 << 30

// Engine starts the shared engine, or returns the running one.
func (k *Kit) Engine(t testing.TB) *engine.Engine {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.eng == nil && k.err == nil {
		if k.dir, k.err = os.MkdirTemp("", "consentd-engine-"); k.err == nil {
			k.eng, k.err = start(engine.Options{Dir: k.dir})
		}
	}
	if k.err != nil {
		t.Fatalf("the tests need the real ClickHouse (npm ci in storage/engine): %v", k.err)
	}
	return k.eng
}

// OwnEngine starts an engine for one test, to be killed in it.
func OwnEngine(t testing.TB) *engine.Engine {
	t.Helper()
	return ownEngine(t, engine.Options{})
}

func ownEngine(t testing.TB, o engine.Options) *engine.Engine {
	t.Helper()
	o.Dir = t.TempDir()
	e, err := start(o)
	if err != nil {
		t.Fatalf("the tests need the real ClickHouse (npm ci in storage/engine): %v", err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// KillEngine kills e's process with SIGKILL and waits until its supervisor has brought it back.
func KillEngine(t testing.TB, e *engine.Engine) {
	t.Helper()
	pid := e.Connection().PID
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatalf("killing the engine: %v", err)
	}
	Eventually(t, time.Minute, "the engine is back", func() bool { return e.Connection().PID != pid && e.Health() == nil })
}

func start(o engine.Options) (*engine.Engine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	o.MemoryBytes, o.Log = memory, slog.New(slog.DiscardHandler)
	return engine.Open(ctx, o)
}

func (k *Kit) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.eng == nil {
		return nil
	}
	return errors.Join(k.eng.Close(), os.RemoveAll(k.dir))
}

// Database gives the address of a database that no other test uses, on the shared engine. It does not exist
// yet: Migrate creates it.
func (k *Kit) Database(t testing.TB) string {
	t.Helper()
	return FreshDatabase(t, k.Engine(t).URL())
}

// FreshDatabase gives address with a database name of its own in place of the one it has.
func FreshDatabase(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parsing engine address: %v", err)
	}
	var b [6]byte
	rand.Read(b[:])
	u.Path = "/t_" + hex.EncodeToString(b[:])
	return u.String()
}

// Through gives address with the proxy's host and port in place of its own.
func Through(t testing.TB, address string, p *Proxy) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parsing engine address: %v", err)
	}
	return strings.Replace(address, "@"+u.Host, "@"+p.Addr(), 1)
}

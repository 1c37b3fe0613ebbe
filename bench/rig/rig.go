// Package rig runs the program under measurement as its own process, the way an operator would: a built
// binary, flags, a data directory, HTTP. It also says how much processor time each side of a measurement took.
//
// It guarantees that a process it started is gone when Stop or Kill returns, and that a process that dies or
// never gets ready is reported with the end of its own log.
//
// It knows nothing of the program but its command line and its HTTP contract; what it cannot ask there
// (rows as stored, the free pages of a disk) it does not ask.
//
// # Files
//
//	rig.go           Process: start, wait until it answers, stop, kill
//	consentd.go      Consentd: a data directory, a site and the program over them
//	site.go          the site's configuration, and the wording its visitors are shown
//	subjects.go      a population of subjects that can be drawn from without remembering it
//	store.go         writing it into a ledger, in bulk
//	metrics.go       reading /metrics
//	warehouse.go     counting what arrived in the embedded ClickHouse
//	usage.go         Usage: processor time of generator, server, engine and everything else
//	usage_linux.go   … from /proc
//	usage_other.go   … nowhere else
//	machine.go       what the figures were measured on
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Errors of a Process.
var (
	ErrDied     = errors.New("rig: the process ended on its own")
	ErrNotReady = errors.New("rig: the process does not answer")
)

// Process is a server running as a child.
type Process struct {
	cmd  *exec.Cmd
	log  string        // file that gets both of its outputs
	done chan struct{} // closed when it has been waited for
	err  error         // of Wait; set before done is closed
}

// Start runs path with args, its output appended to the file log.
func Start(path string, args []string, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own descriptor
	p := &Process{cmd: exec.Command(path, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// AwaitOK asks url until it answers 200, for at most limit.
func (p *Process) AwaitOK(ctx context.Context, url string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		last := askOK(ctx, url)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w (%v):\n%s", ErrDied, p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%w at %s (%v):\n%s", ErrNotReady, url, last, p.Tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func askOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return nil
}

// Stop asks the process to end and waits; after limit it is killed, and that is an error.
func (p *Process) Stop(limit time.Duration) error {
	p.Terminate()
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("rig: did not stop within %v:\n%s", limit, p.Tail())
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// AwaitExit waits until the process has ended, for at most limit. code is what it exited with, -1 when a signal ended it.
func (p *Process) AwaitExit(limit time.Duration) (code int, ended bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Terminate asks the process to end, and does not wait.
func (p *Process) Terminate() { p.cmd.Process.Signal(syscall.SIGTERM) } // fails only when it is gone already

// Exited reports whether the process has ended on its own, and how.
func (p *Process) Exited() error {
	select {
	case <-p.done:
		return fmt.Errorf("%w (%v):\n%s", ErrDied, p.err, p.Tail())
	default:
		return nil
	}
}

// Tail is the end of its log.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-2000):]))
}

// Ports of FreeAddr are below those a system hands out by itself, which may give one away again at any time: from 32768 on
// Linux, from 49152 elsewhere.
const firstPort, endPort = 20000, 32000

var given sync.Map // ports FreeAddr gave

// FreeAddr is a loopback address no one listened on a moment ago, another one at each call.
func FreeAddr() (addr netip.AddrPort, err error) {
	for range 100 {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(firstPort+rand.IntN(endPort-firstPort)))
		var l net.Listener
		if l, err = net.Listen("tcp", addr.String()); err != nil {
			continue // taken
		}
		l.Close()
		if _, twice := given.LoadOrStore(addr.Port(), true); !twice {
			return addr, nil
		}
	}
	return addr, fmt.Errorf("rig: no free port: %w", err)
}

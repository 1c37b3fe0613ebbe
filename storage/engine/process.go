package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// startQuery opens the port and then never ends. The quota of `default` counts its two statements.
const startQuery = "SYSTEM START LISTEN TCP; " +
	"SELECT sleepEachRow(3) FROM system.numbers SETTINGS max_block_size=1 FORMAT Null"

// stopTimeout is what a child gets between SIGTERM and SIGKILL. It ends within some 20 ms when idle; killing it is
// safe, because parts are written whole before they count. consentd stops within five seconds altogether.
const stopTimeout = time.Second

// readyTimeout bounds one look whether a starting child answers. Who listens there and says nothing is
// another process, and the child is about to say so.
const readyTimeout = time.Second

// process is one child. It is started and awaited by the supervisor's goroutine only; done and output may be
// used from anywhere.
type process struct {
	cmd    *exec.Cmd
	pipe   *os.File // our end; the child ends when it closes
	output *output
	done   chan struct{} // closed when the child is gone; err is set before
	err    error
}

// startProcess starts a child that will listen on addr. On Linux the child lives only as long as
// the calling thread: the caller has locked it.
func startProcess(o Options, lib, addr string, lock *os.File) (*process, error) {
	exe, err := selfExe()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(childSpec{Lib: lib, Args: libraryArgs(o.Dir, addr)})
	if err != nil {
		return nil, err
	}
	childEnd, ourEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childEnd.Close()
	p := &process{pipe: ourEnd, output: &output{}, done: make(chan struct{})}
	p.cmd = exec.Command(exe)
	p.cmd.Args = []string{"consentd-engine"} // what ps shows
	p.cmd.Dir = o.Dir
	p.cmd.Env = childEnviron(spec)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.ExtraFiles = []*os.File{childEnd, lock} // descriptors 3 and 4
	p.cmd.SysProcAttr = childAttr()
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		ourEnd.Close()
		return nil, fmt.Errorf("starting the embedded ClickHouse: %w", err)
	}
	go p.wait()
	return p, nil
}

func libraryArgs(dir, addr string) []string {
	host, port, _ := strings.Cut(addr, ":")
	return []string{
		"clickhouse",
		"--path=" + filepath.Join(dir, dataDir),
		"--config-file=" + filepath.Join(dir, configFile),
		"--listen_host=" + host,
		"--tcp_port=" + port,
		"--log-level=warning", // the configuration's own level is not heeded
		"--interactive",
		"--query", startQuery,
	}
}

// childEnviron leaves consentd's own environment out: it may hold secrets, and ClickHouse looks for
// credentials of cloud services in it.
func childEnviron(spec []byte) []string {
	env := []string{childEnv + "=" + string(spec), "TZ=UTC", "TERM=dumb", "GOMAXPROCS=1"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	p.pipe.Close()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the child: SIGTERM, and SIGKILL if that was not heard in time.
func (p *process) stop() {
	_ = terminate(p.cmd.Process) // fails only if the child is gone already
	select {
	case <-p.done:
		return
	case <-time.After(stopTimeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// died says why a child is gone. Only after done.
func (p *process) died() error {
	how := "ended"
	if p.err != nil {
		how = p.err.Error()
	}
	if how == "signal: killed" {
		return errors.New("killed from outside; if nobody did, the kernel did for want of memory")
	}
	if why := p.output.complaint(); why != "" {
		return fmt.Errorf("%s: %s", how, why)
	}
	return errors.New(how)
}

// awaitReady returns nil when the child answers a query. It returns an error when the child died or
// reported that it cannot listen, wrapping errPortTaken where that is the cause, or when ctx ended.
func (p *process) awaitReady(ctx context.Context, c Connection) error {
	for {
		if err := p.output.startFailed(); err != nil {
			return err
		}
		last := probe(ctx, readyTimeout, c.Addr, c.User, c.Password)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			if err := p.output.startFailed(); err != nil {
				return err
			}
			return p.died()
		case <-ctx.Done():
			return fmt.Errorf("%w (%v)", ctx.Err(), last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// errPortTaken: another process listens on the chosen port.
var errPortTaken = errors.New("the port is taken by another process")

// output keeps the last of what a child prints, for error texts. It is not passed on to our log: ClickHouse
// quotes queries in its errors, and they may name persons. Those go to the file in the data folder only.
type output struct {
	mu   sync.Mutex
	text []byte // at most outputKept
}

// outputKept is enough for ClickHouse's longest complaint with its stack trace.
const outputKept = 16 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	if over := len(o.text) - outputKept; over > 0 {
		o.text = append(o.text[:0], o.text[over:]...)
	}
	return len(b), nil
}

// startFailed tells that the start query was refused. A child with a terminal does not end then, it waits
// for a better query.
func (o *output) startFailed() error {
	o.mu.Lock()
	taken := bytes.Contains(o.text, []byte("Address already in use"))
	refused := bytes.Contains(o.text, []byte("Received exception"))
	o.mu.Unlock()
	switch {
	case taken:
		return errPortTaken
	case refused:
		return errors.New(o.complaint())
	}
	return nil
}

// complaint is the line that tells best why a child ended: its first fatal one, else the last exception it
// ended on. Errors it logged on the way, of clients and their queries, are none.
func (o *output) complaint() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found string
	for line := range strings.Lines(string(o.text)) {
		switch {
		case strings.Contains(line, "<Fatal>"):
			return firstLine(line)
		case strings.Contains(line, "<Error>"), strings.Contains(line, "<Warning>"):
		case strings.Contains(line, "Exception"), strings.HasPrefix(line, errLoading):
			found = line
		}
	}
	return firstLine(found)
}

// firstLine is the first line of s, at most 300 bytes of it.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s[:min(len(s), 300)]
}

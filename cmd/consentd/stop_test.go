package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/widget/measure"
)

// stopsWithin is the promise: from the signal to the exit.
const stopsWithin = 5 * time.Second

// stopsEnv has TestASignalStopsTheProgramAtAnyMomentOfItsStart run more often: the number of runs.
const stopsEnv = "CONSENTD_TEST_STOPS"

// process is a consentd that is a process of its own.
type process struct {
	program
	cmd    *exec.Cmd
	exited chan error
}

// exec starts consentd as a process.
func execute(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], args...), exited: make(chan error, 1)}
	p.ended = make(chan error)
	if signal.Ignored(syscall.SIGHUP) { // as under nohup: the process would leave it ignored, as it should
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // one that is handled is at its default in the process
	}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.WaitDelay = 10 * time.Second // a browser may hold the pipes
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// executeServe starts a server and waits until it serves.
func executeServe(t *testing.T, data, sites string, args ...string) (p *process, edge string) {
	t.Helper()
	p = execute(t, serveArgs(data, sites, args...)...)
	return p, p.says(t, `msg="consentd serves" url=(\S+)`)
}

func serveArgs(data, sites string, args ...string) []string {
	return append([]string{"serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
}

// signal sends one and waits for the exit: within stopsWithin, and well.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: %v\n%s", s, err, p.err.String())
	}
	select {
	case err := <-p.exited:
		if err != nil && !p.untouched(err) {
			t.Errorf("%v: %v\n%s", s, err, p.err.String())
		}
		t.Logf("%v: exited after %v", s, time.Since(began).Round(time.Millisecond))
	case <-time.After(stopsWithin):
		t.Errorf("%v: still there after %v\n%s", s, stopsWithin, p.err.String())
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// untouched: the signal came before the program had begun to listen for it, which ends it as it ends any.
func (p *process) untouched(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() && p.err.String() == "" && p.out.String() == ""
}

var allSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}

// TestASignalStopsTheProgramAtAnyMomentOfItsStart, with and without the embedded ClickHouse.
func TestASignalStopsTheProgramAtAnyMomentOfItsStart(t *testing.T) {
	runs := 15
	if many, err := strconv.Atoi(os.Getenv(stopsEnv)); err == nil {
		runs = many
	}
	sites := siteFile(t, origin)
	took := startTakes(t, sites)
	for i := range runs {
		data, args := t.TempDir(), []string{}
		if i%3 != 2 {
			args = append(args, "--engine-lib", filepath.Join(data, "none"))
		}
		p := execute(t, serveArgs(data, sites, args...)...)
		<-time.After(took * 2 * time.Duration(i) / time.Duration(runs)) // the moment is what is tested, not waited for
		t.Run(fmt.Sprintf("run %d of %d", i, runs), func(t *testing.T) { p.signal(t, allSignals[i%len(allSignals)]) })
	}
}

// startTakes measures a start without an engine.
func startTakes(t *testing.T, sites string) time.Duration {
	t.Helper()
	data, began := t.TempDir(), time.Now()
	p, _ := executeServe(t, data, sites, "--engine-lib", filepath.Join(data, "none"))
	took := time.Since(began)
	p.signal(t, syscall.SIGTERM)
	return took
}

// silence accepts connections and says nothing.
func silence(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return ln
}

// say opens a connection and says words on it.
func say(t *testing.T, url, words string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, words); err != nil {
		t.Fatal(err)
	}
	return c
}

// waitsFor is a server of which something does not end: a name, what it is started with, and what is done to it.
type waitsFor struct {
	name     string
	args     []string
	mayLeave bool // a call that heeds no context is left, and told
	do       func(t *testing.T, p *process, data, sites, edge string)
}

// hangs lists what a stop must not wait for.
func hangs(t *testing.T) []waitsFor {
	none := []string{"--engine-lib", filepath.Join(t.TempDir(), "none")}
	return []waitsFor{
		{"half-sent requests and idle connections, on both ports", none, false, func(t *testing.T, p *process, _, _, edge string) {
			for _, url := range []string{edge, p.says(t, `admin=(\S+)`)} {
				say(t, url, "")
				say(t, url, "POST /v1/sites/demo/consents HTTP/1.1\r\nHost: localh")
				say(t, url, "POST /v1/sites/demo/consents HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
				kept := say(t, url, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if line, err := bufio.NewReader(kept).ReadString('\n'); err != nil || !contains(line, "200") {
					t.Fatalf("%q %v", line, err)
				}
			}
		}},
		{"a reader who does not read", none, false, func(t *testing.T, _ *process, _, _, edge string) {
			c, many := say(t, edge, ""), strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n", 1000)
			for err := error(nil); err == nil; { // until the server reads no more, because it waits for us to
				c.SetWriteDeadline(time.Now().Add(time.Second))
				_, err = io.WriteString(c, many)
			}
		}},
		{"an embedded ClickHouse that is stopped", nil, false, func(t *testing.T, _ *process, data, _, edge string) {
			mustChoose(t, edge, tokenFor(t, data), "c1")
			freeze(t, data)
		}},
		{"an erasure that waits for a stopped ClickHouse", nil, false, func(t *testing.T, p *process, data, _, edge string) {
			freeze(t, data)
			mustChoose(t, edge, tokenFor(t, data), "c1")
			erasing := execute(t, "erase", "--data", data, "--site", "demo", "--external", "c1")
			erasing.says(t, `(ledger) `)
		}},
		{"a ClickHouse that does not answer", []string{"--clickhouse", "clickhouse://u:p@" + silence(t).Addr().String() + "/db"}, true, func(t *testing.T, _ *process, data, _, edge string) {
			mustChoose(t, edge, tokenFor(t, data), "c1")
		}},
		{"a mail server that does not answer", append(none, "--smtp", "smtp://"+silence(t).Addr().String()), false, func(t *testing.T, _ *process, _, sites, edge string) {
			mustSignUp(t, edge, sites, "jeanne@exemple.fr", 0)
		}},
		{"a browser that takes pictures", none, false, func(t *testing.T, p *process, data, _, _ string) {
			if _, err := measure.Find(); err != nil {
				t.Fatal(err)
			}
			execute(t, "snapshot", "--data", data, "--site", "demo")
			storagetest.Eventually(t, time.Minute, "a browser", func() bool { return len(children(t, p.cmd.Process.Pid)) > 0 })
		}},
	}
}

// TestAStopWaitsForNobody runs each with a signal of its own.
func TestAStopWaitsForNobody(t *testing.T) {
	for i, h := range hangs(t) {
		t.Run(h.name, func(t *testing.T) {
			data, sites := t.TempDir(), siteFile(t, origin)
			withForm(t, sites)
			p, edge := executeServe(t, data, sites, h.args...)
			h.do(t, p, data, sites, edge)
			p.signal(t, allSignals[i%len(allSignals)])
			if left := regexp.MustCompile(`left=("[^"]*"|\S+)`).FindStringSubmatch(p.err.String()); left != nil && !h.mayLeave {
				t.Errorf("left: %q\n%s", left, p.err.String())
			}
			if _, err := os.Stat(runningFile(data)); !os.IsNotExist(err) {
				t.Errorf("run.json: %v", err)
			}
		})
	}
}

// freeze stops the engine's process.
func freeze(t *testing.T, data string) {
	t.Helper()
	c, err := engine.Running(filepath.Join(data, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// children are the processes a process has started.
func children(t *testing.T, pid int) []string {
	t.Helper()
	var all []string
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, _ := os.ReadFile(task) // a thread that has ended has none
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}

// TestASecondSignalEndsAtOnce, and it is no clean stop.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	var said storagetest.Log
	codes, entered := make(chan int, 1), make(chan struct{})
	ctx := untilSignal(&said, func(code int) { codes <- code; <-entered })
	t.Cleanup(func() { close(entered) })
	for range 2 { // to this process, which listens
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	}
	select {
	case code := <-codes:
		if code == 0 || strings.Count(said.String(), "\n") != 1 || !contains(said.String(), "consentd: asked to stop a second time") {
			t.Errorf("%d %q", code, said.String())
		}
	case <-time.After(stopsWithin):
		t.Error("it goes on")
	}
}

// TestAStopNamesWhatItLeaves and closes nothing that what runs on may still use.
func TestAStopNamesWhatItLeaves(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	var order []string
	closes := func(name string) func() error {
		return func() error { order = append(order, name); return nil }
	}
	all := parts{{name: "ledger", base: true, close: closes("ledger")}, {name: "port", close: closes("port")},
		{name: "shipping", close: func() error { <-forever; return nil }}, {name: "mails", close: closes("mails")}}
	began := time.Now()
	left, err := all.close(time.Now().Add(forStop), nil)
	if err != nil || fmt.Sprint(left) != "[shipping]" || fmt.Sprint(order) != "[mails port]" || time.Since(began) > stopsWithin {
		t.Errorf("%v %v %v", left, order, err)
	}
	order = nil
	gone := make(chan struct{})
	late := parts{{name: "ledger", base: true, close: closes("ledger")}, {name: "engine", close: func() error { close(gone); return nil }},
		{name: "shipping", close: func() error { <-gone; return nil }}}
	if left, err := late.close(time.Now().Add(forStop), nil); err != nil || len(left) > 0 || fmt.Sprint(order) != "[ledger]" {
		t.Errorf("what waits for another part: %v %v %v", left, order, err)
	}
	order = nil
	if left, err := all[:2].close(time.Now().Add(forStop), nil); err != nil || len(left) > 0 || fmt.Sprint(order) != "[port ledger]" {
		t.Errorf("%v %v %v", left, order, err)
	}
	if left, _ := all[:2].close(time.Now().Add(forStop), []string{"requests"}); fmt.Sprint(left) != "[requests]" || order[len(order)-1] != "port" {
		t.Errorf("%v %v", left, order)
	}
}

// TestAStartThatHangsEndsWithTheReason: asked to stop, and where the ledger fails meanwhile.
func TestAStartThatHangsEndsWithTheReason(t *testing.T) {
	forever := make(chan struct{})
	t.Cleanup(func() { close(forever) })
	hang := step{"the museum", func(context.Context) error { <-forever; return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{log: slog.New(slog.DiscardHandler), end: func() {}}
	began := time.Now()
	cancel()
	if err := n.start(ctx, []step{hang}); err == nil || !contains(err.Error(), "asked to stop while opening the museum") || time.Since(began) > stopsWithin {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	broken := errors.New("the disk is broken")
	began = time.Now()
	failing, fail := context.WithCancelCause(t.Context())
	fail(broken)
	if err := n.start(failing, []step{hang}); !errors.Is(err, broken) || !contains(err.Error(), "while opening the museum") || time.Since(began) > stopsWithin {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

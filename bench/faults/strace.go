package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// errStrace means that no campaign can be run here; its text says what to do.
var errStrace = errors.New("faults need strace")

// usable is nil when strace is installed and may trace.
func usable(ctx context.Context) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("%w: install the package strace (apt-get install strace)", errStrace)
	}
	out, err := exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=getcwd", "-e", "inject=getcwd:error=EIO", "pwd", "-P").CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || bytes.Contains(out, []byte("ptrace")) {
		return fmt.Errorf("%w, and tracing is not allowed here: run as root, in a container with --cap-add SYS_PTRACE: %s", errStrace, bytes.TrimSpace(out))
	}
	return nil
}

// injection makes the nth call of a name fail.
type injection struct {
	syscall string
	fault   fault
	when    string // as strace reads it: "3" the third of each thread, "1+" every one; "": nothing fails, calls are counted
}

func (i injection) String() string { return i.syscall + " " + i.fault.name + " " + i.when }

// args are strace's for tracing one call (or several, with commas). Calls that are also made on sockets and elsewhere are
// narrowed to the files of the data directory.
func (i injection) args(out string, paths []string) []string {
	args := []string{"-f", "-qq", "-y", "-e", "signal=none", "-o", out, "-e", "trace=" + i.syscall}
	if slices.Contains(narrowed, i.syscall) {
		for _, p := range paths {
			args = append(args, "-P", p)
		}
	}
	if i.when != "" {
		args = append(args, "-e", fmt.Sprintf("inject=%s:%s:when=%s", i.syscall, i.fault.inject, i.when))
	}
	return args
}

// narrowed are the calls that say nothing about a disk unless one asks on which file.
var narrowed = []string{"read", "write", "openat", "newfstatat"}

// paths lists the files of a data directory, and those its ledger will soon have: strace matches whole names.
func paths(data string) []string {
	var all []string
	last := 0
	number := regexp.MustCompile(`\d{6}`)
	filepath.WalkDir(data, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			all = append(all, path)
			for _, d := range number.FindAllString(filepath.Base(path), -1) {
				n, _ := strconv.Atoi(d) // six digits
				last = max(last, n)
			}
		}
		return nil
	})
	ledger := filepath.Join(data, "ledger")
	for n := last; n < last+24; n++ {
		for _, name := range []string{"%06d.log", "%06d.sst", "MANIFEST-%06d", "OPTIONS-%06d", "temporary.%06d.dbtmp"} {
			all = append(all, filepath.Join(ledger, fmt.Sprintf(name, n)))
		}
	}
	return all
}

// attach has strace trace a running program and returns once it does.
func attach(ctx context.Context, c *rig.Consentd, i injection, out string) (detach func(), err error) {
	cmd := exec.CommandContext(ctx, "strace", append(i.args(out, paths(c.Data())), "-p", strconv.Itoa(c.PID()))...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	detach = func() {
		cmd.Process.Signal(os.Interrupt) // gone already when the program is
		cmd.Wait()
	}
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		if traced(c.PID()) {
			return detach, nil
		}
	}
	detach()
	return nil, fmt.Errorf("%w: attaching to the program: %s", errStrace, complaint.String())
}

// traced reports whether every thread of a process has a tracer.
func traced(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		if b, err := os.ReadFile(t); err == nil && strings.Contains(string(b), "TracerPid:\t0\n") {
			return false
		}
	}
	return len(tasks) > 0
}

// hits reads how many calls failed by the tracer's hand, and on which kinds of files.
func hits(out string) (n int, on []string) {
	b, err := os.ReadFile(out)
	if err != nil {
		return 0, nil
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "(INJECTED)") {
			n++
			if kind := fileKind(line); !slices.Contains(on, kind) {
				on = append(on, kind)
			}
		}
	}
	slices.Sort(on)
	return n, on
}

// counts reads how often each call was made.
func counts(out string) map[string]int {
	n := map[string]int{}
	b, _ := os.ReadFile(out) // absent: nothing was traced
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllSubmatch(b, -1) {
		n[string(m[1])]++
	}
	return n
}

// fileKind names what kind of file a traced call is about.
func fileKind(line string) string {
	for _, k := range []struct{ mark, kind string }{
		{".sst", "table"}, {"MANIFEST-", "manifest"}, {"OPTIONS-", "options"}, {"marker.", "marker"}, {"/keys/", "key"},
		{".checkpoint", "checkpoint"}, {"/backups", "backup"}, {"LOCK", "lock"}, {"/ledger/", "wal"}, {"/ledger", "folder"}, {"/data", "data"},
	} {
		if strings.Contains(line, k.mark) {
			return k.kind
		}
	}
	return "other"
}

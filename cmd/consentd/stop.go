package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// How long a stop takes. It is over five seconds after the signal, whatever hangs: an operator, an upgrade or a machine
// that shuts down waits for it, and what was acknowledged is on disk in any case.
const (
	// forRequests is what requests under way get, on both ports.
	forRequests = 2 * time.Second

	// forStop is when parts that have not ended are left as they are, counted from the signal.
	forStop = 4 * time.Second

	// forExit is when the process ends although run has not returned: something that should heed its context does not.
	forExit = 4500 * time.Millisecond

	// forPart bounds one part, so that one that hangs leaves time for the others.
	forPart = time.Second
)

// errStopped: the program was asked to end before it had begun to serve. It is no failure.
var errStopped = errors.New("stopped before it served")

// stopSignals are heeded alike. Those a parent has had ignored stay so: nohup means it.
func stopSignals() (heeded []os.Signal) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			heeded = append(heeded, s)
		}
	}
	return heeded
}

// untilSignal gives a context that ends with the first signal. A second one, or forExit, ends the process.
func untilSignal(stderr io.Writer, exit func(code int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, stopSignals()...)
	go func() {
		<-heard
		cancel()
		why := "it was asked to stop, and something did not end in time: ended without it. What was acknowledged is on disk"
		select {
		case <-heard:
			why = "asked to stop a second time: ended at once. What was acknowledged is on disk"
		case <-time.After(forExit):
		}
		lastLine(stderr, "consentd: "+why)
		exit(1)
	}()
	return ctx
}

// lastLine writes a line, and does not wait long for a reader who has stopped reading.
func lastLine(w io.Writer, line string) {
	said := make(chan struct{})
	go func() { defer close(said); fmt.Fprintln(w, line) }()
	select {
	case <-said:
	case <-time.After(100 * time.Millisecond):
	}
}

// part is something a node has opened, and how to close it.
type part struct {
	name  string
	base  bool // others stand on it: closed only once all of them have ended
	close func() error
}

// parts close in the reverse order of their opening, so that whatever still works has what it needs.
type parts []part

// close closes all, each within forPart and together before end. left names what did not end, beginning with what the
// caller knows of. What others stand on closes last, and not at all while something is left that may still use it: the
// ledger is then as a crash would leave it, which is safe.
func (all parts) close(end time.Time, left []string) (stillLeft []string, err error) {
	var errs []error
	ended := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", name, err))
		}
	}
	late := map[string]<-chan error{}
	for _, p := range slices.Backward(all) {
		if p.base {
			continue
		}
		done := closing(p)
		if err, ok := wait(done, min(forPart, time.Until(end))); ok {
			ended(p.name, err)
		} else {
			late[p.name] = done
		}
	}
	for name, done := range late { // what it waited for may be gone by now
		if err, ok := wait(done, min(forPart/4, time.Until(end))); ok {
			ended(name, err)
		} else {
			left = append(left, name)
		}
	}
	for _, p := range slices.Backward(all) {
		if !p.base || len(left) > 0 {
			continue
		}
		if err, ok := wait(closing(p), time.Until(end)); ok {
			ended(p.name, err)
		} else {
			left = append(left, p.name)
		}
	}
	return left, errors.Join(errs...)
}

func closing(p part) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.close() }()
	return done
}

// wait says whether done was told in time. Where no time is left, what ends at once still counts.
func wait(done <-chan error, d time.Duration) (err error, ended bool) {
	select {
	case err = <-done:
		return err, true
	case <-time.After(max(d, 10*time.Millisecond)):
		return nil, false
	}
}

// tellLeft says in one line what a stop did not wait for. It is no failure: a ClickHouse that does not answer, a mail
// server that hangs or a backup half written lose nothing that was acknowledged.
func tellLeft(log *slog.Logger, left []string) {
	if len(left) > 0 {
		log.Warn("stopped without waiting longer for some parts; what was acknowledged is on disk, and the next start goes on from there", "left", strings.Join(left, ", "))
	}
}

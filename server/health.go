package server

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// healthz answers as long as the process can answer at all.
func (s *Server) healthz(c *fiber.Ctx, _ *view) error {
	finish(c.Context(), fasthttp.StatusOK, mimeJSON, s.appendHealth(begin(c.Context())))
	return nil
}

// adminHealthz is healthz on the admin address.
func (s *Server) adminHealthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", mimeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(s.appendHealth(nil)) // whoever asked is gone if this fails
}

func (s *Server) appendHealth(b []byte) []byte {
	b = append(b, `{"ok":true,"version":`...)
	return append(consent.AppendJSONString(b, s.opt.Version), '}')
}

// readyz says of each part whether it works. What is wrong with one may quote a path, an address of the network or
// another server's words: that is told on the admin address. 503 only when an essential part fails: without a warehouse
// choices are collected and lookups answered, so it stays 200 and says so.
func (s *Server) readyz(c *fiber.Ctx, _ *view) error {
	rep := s.report()
	b := append(begin(c.Context()), `{"status":"`...)
	b = append(append(b, rep.status()...), `","checks":[`...)
	for i, r := range rep.results {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendResult(b, r), '}')
	}
	finish(c.Context(), rep.code(), mimeJSON, append(b, "]}"...))
	return nil
}

// adminReadyz is readyz on the admin address: with what is wrong, and with hints at what does not fail and is likely a
// mistake of the configuration.
func (s *Server) adminReadyz(w http.ResponseWriter, _ *http.Request) {
	rep := s.report()
	b := append([]byte(`{"status":"`), rep.status()...)
	b = append(b, `","checks":[`...)
	for i, r := range rep.results {
		if i > 0 {
			b = append(b, ',')
		}
		if b = appendResult(b, r); r.err != nil {
			b = consent.AppendJSONString(append(b, `,"wrong":`...), r.err.Error())
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	if hint := s.proxies.hint(); hint != "" {
		b = consent.AppendJSONString(append(b, `,"hints":[`...), hint)
		b = append(b, ']')
	}
	w.Header().Set("Content-Type", mimeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(rep.code())
	w.Write(append(b, '}')) // whoever asked is gone if this fails
}

// report is what the checks have found.
type report struct {
	draining bool
	results  []result
}

type result struct {
	Check
	err error
}

func (r *report) status() string {
	status := "ready"
	for _, res := range r.results {
		switch {
		case res.err != nil && res.Essential:
			return "unavailable"
		case res.err != nil:
			status = "degraded"
		}
	}
	if r.draining {
		return "unavailable"
	}
	return status
}

func (r *report) code() int {
	if r.status() == "unavailable" {
		return fasthttp.StatusServiceUnavailable
	}
	return fasthttp.StatusOK
}

// checkTimeout bounds all checks together: probes give up after a few seconds themselves.
const checkTimeout = 2 * time.Second

// report runs the checks side by side. One that does not answer in time is reported as such, and not begun again
// before it has: what hangs would otherwise pile up with every probe.
func (s *Server) report() *report {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	rep := &report{draining: s.draining.Load(), results: make([]result, len(s.probes))}
	for i := range s.probes {
		s.probes[i].start()
	}
	for i := range s.probes {
		rep.results[i] = result{s.probes[i].check, s.probes[i].wait(ctx)}
	}
	return rep
}

// probe is one check, and the run of it that is under way.
type probe struct {
	check Check

	mu  sync.Mutex // covers run
	run *probeRun  // nil: none is under way
}

type probeRun struct {
	began time.Time
	done  chan struct{} // closed once err is there
	err   error
}

func newProbes(checks []Check) []*probe {
	all := make([]*probe, len(checks))
	for i, c := range checks {
		all[i] = &probe{check: c}
	}
	return all
}

// start runs the check unless a run is under way.
func (p *probe) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		select {
		case <-p.run.done:
		default:
			return
		}
	}
	r := &probeRun{began: time.Now(), done: make(chan struct{})}
	p.run = r
	go func() {
		defer close(r.done)
		defer func() {
			if v := recover(); v != nil {
				r.err = fmt.Errorf("the check panicked: %T", v)
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		r.err = p.check.Do(ctx)
	}()
}

// wait gives what the run under way finds, or that it has not ended when ctx does.
func (p *probe) wait(ctx context.Context) error {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("the check does not answer, for %s so far", time.Since(r.began).Round(time.Second))
	}
}

// appendResult appends a check without its end, for more to follow.
func appendResult(b []byte, r result) []byte {
	b = append(b, `{"name":`...)
	b = consent.AppendJSONString(b, r.Name)
	b = append(b, `,"essential":`...)
	b = appendBool(b, r.Essential)
	b = append(b, `,"ok":`...)
	return appendBool(b, r.err == nil)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// gpc declares that the Global Privacy Control signal is honoured (privacycg.github.io/gpc-spec, §5).
func (s *Server) gpc(c *fiber.Ctx, _ *view) error {
	b := append(begin(c.Context()), `{"gpc":true,"lastUpdate":"2026-11-01"}`...)
	finish(c.Context(), fasthttp.StatusOK, mimeJSON, b)
	return nil
}

package server

import (
	"context"
	"net/http"
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

// readyz says of each part whether it works, and what is wrong where one does not. 503 only when an essential
// part fails: without a warehouse choices are collected and lookups answered, so it stays 200 and says so.
func (s *Server) readyz(c *fiber.Ctx, _ *view) error {
	ready, b := s.appendReady(begin(c.Context()))
	status := fasthttp.StatusOK
	if !ready {
		status = fasthttp.StatusServiceUnavailable
	}
	finish(c.Context(), status, mimeJSON, b)
	return nil
}

// adminReadyz is readyz on the admin address.
func (s *Server) adminReadyz(w http.ResponseWriter, _ *http.Request) {
	ready, b := s.appendReady(nil)
	w.Header().Set("Content-Type", mimeJSON)
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	w.Write(b) // whoever asked is gone if this fails
}

// checkTimeout bounds all checks together: probes give up after a few seconds themselves.
const checkTimeout = 2 * time.Second

func (s *Server) appendReady(b []byte) (ready bool, out []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	ready, degraded := !s.draining.Load(), false
	list := []byte{}
	for i, check := range s.opt.Checks {
		if i > 0 {
			list = append(list, ',')
		}
		err := check.Do(ctx)
		ready = ready && (err == nil || !check.Essential)
		degraded = degraded || err != nil
		list = appendCheck(list, check, err)
	}
	status := "ready"
	switch {
	case !ready:
		status = "unavailable"
	case degraded:
		status = "degraded"
	}
	b = append(b, `{"status":"`...)
	b = append(b, status...)
	b = append(b, `","checks":[`...)
	b = append(b, list...)
	return ready, append(b, "]}"...)
}

func appendCheck(b []byte, check Check, err error) []byte {
	b = append(b, `{"name":`...)
	b = consent.AppendJSONString(b, check.Name)
	b = append(b, `,"essential":`...)
	b = appendBool(b, check.Essential)
	b = append(b, `,"ok":`...)
	b = appendBool(b, err == nil)
	if err != nil {
		b = append(b, `,"wrong":`...)
		b = consent.AppendJSONString(b, err.Error())
	}
	return append(b, '}')
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

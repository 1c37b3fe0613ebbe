package server

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/consentd/consentd/server/token"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// serve is the outermost handler: whatever goes wrong further in, the process lives on (fasthttp recovers
// nothing) and the client gets a problem.
func (s *Server) serve(ctx *fasthttp.RequestCtx) {
	s.metrics.inFlight.Add(1)
	defer s.leave(ctx)
	if c, ok := ctx.Conn().(*coarseConn); ok {
		c.handling.Store(true) // before draining is read: either this request is refused, or Shutdown waits for it
	}
	if s.draining.Load() {
		s.fail(ctx, s.metrics.unrouted, "-", later(codeShuttingDown, "another edge, or this one in a moment", 1, nil))
		return
	}
	if v := ctx.Request.Header.Protocol(); string(v) != "HTTP/1.1" && string(v) != "HTTP/1.0" {
		hangUp(ctx)
		s.fail(ctx, s.metrics.unrouted, "-", refuse(505, codeVersion, "HTTP/1.1 or HTTP/1.0"))
		return
	}
	if !knownMethod(ctx.Method()) {
		s.fail(ctx, s.metrics.unrouted, "-", refuse(405, codeMethodNotAllowed, ""))
		return
	}
	s.route(ctx)
}

func (s *Server) leave(ctx *fasthttp.RequestCtx) {
	s.metrics.inFlight.Add(-1)
	if p := recover(); p != nil {
		s.fail(ctx, s.metrics.unrouted, "-", s.panicked("-", p))
	}
	leaveBody(ctx)
	if s.crowded() {
		ctx.Response.Header.SetConnectionClose()
	}
}

// knownMethod: Fiber answers any other with a bare text of its own.
func knownMethod(m []byte) bool {
	switch string(m) {
	case "GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE":
		return true
	}
	return false
}

// mount makes r a route of app. GET brings HEAD with it.
func (s *Server) mount(app *fiber.App, r *route) {
	m := s.metrics.route(r)
	r.site = strings.Contains(r.path, ":site")
	// What lies behind a link or an id is for whoever has it, and no search engine lists it.
	unlisted := r.page || r.cors && r.method == get
	h := func(c *fiber.Ctx) error {
		ctx := c.Context()
		err := s.guarded(c, r)
		if err == nil {
			err = s.holdAnswer(ctx, r)
		}
		if err != nil {
			tell := (*problem).send
			if r.page {
				tell = s.failPage
			}
			s.failWith(ctx, m, r.path, err, tell)
		}
		if unlisted {
			ctx.Response.Header.SetCanonical(headerRobots, noIndex)
		}
		if err != nil {
			return nil
		}
		m.observe(ctx)
		s.access(ctx, r.path)
		return nil
	}
	if r.method == get {
		app.Get(r.path, h)
		return
	}
	app.Add(r.method, r.path, h)
}

// guarded turns a panic into an error, here because only here the route is known.
func (s *Server) guarded(c *fiber.Ctx, r *route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(r.path, p)
		}
	}()
	return s.enter(c, r)
}

// enter does what comes before every handler, in this order: the token is good, the site exists, the token is
// for it, the browser may see the answer.
func (s *Server) enter(c *fiber.Ctx, r *route) error {
	ctx := c.Context()
	if !r.site {
		return r.do(c, nil)
	}
	var claims *token.Claims
	if r.scope != "" {
		var err error
		if claims, err = s.claims(ctx); err != nil {
			return err
		}
	}
	v, err := s.site(c.Params("site"))
	if err != nil {
		return err
	}
	if claims != nil {
		if err := claims.Allows(v.site.ID, r.scope); err != nil {
			return err
		}
	}
	if r.cors {
		v.allowOrigin(ctx)
	}
	return r.do(c, v)
}

// claims verifies the token of a request. token.Bearer would look at every byte of it again; Verify does so
// itself when it has not just seen the same token.
func (s *Server) claims(ctx *fasthttp.RequestCtx) (*token.Claims, error) {
	const scheme = "Bearer "
	header := text(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return nil, token.ErrMissing
	}
	return s.opt.Tokens.Verify(header[len(scheme):])
}

// text is a view of b as a string, for calls that keep nothing of it: b belongs to fasthttp and changes with
// the next request.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fail answers err to a program.
func (s *Server) fail(ctx *fasthttp.RequestCtx, m *routeMetrics, path string, err error) {
	s.failWith(ctx, m, path, err, (*problem).send)
}

// failWith has tell answer err, counts it, and logs it when it is ours.
func (s *Server) failWith(ctx *fasthttp.RequestCtx, m *routeMetrics, path string, err error, tell func(p *problem, ctx *fasthttp.RequestCtx, title string)) {
	p := problemOf(err)
	state := s.codes[codeKey{p.code, p.status}]
	if state == nil { // a code that is not in the list is a mistake of ours; the list is what clients rely on
		p = &problem{status: 500, code: codeInternal, cause: fmt.Errorf("code not listed: %w", p)}
		state = s.codes[codeKey{codeInternal, 500}]
	}
	tell(p, ctx, state.Title)
	state.count.Inc()
	if p.status >= 500 {
		s.logFailure(ctx, path, p, state)
	}
	m.observe(ctx)
	s.access(ctx, path)
}

// unrouted answers what Fiber found no route for.
func (s *Server) unrouted(c *fiber.Ctx, err error) { s.fail(c.Context(), s.metrics.unrouted, "-", err) }

// unreadable answers what fasthttp could not read.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	hangUp(ctx)
	s.fail(ctx, s.metrics.unrouted, "-", ofHTTP(err))
}

// headerReceived: a request with both a length and chunks is how one is smuggled past a proxy that believes the other
// of the two, and one with a coding but no length hides where it ends: nothing more is read from such a connection
// (RFC 9112 §6.1, §6.3).
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	switch n := h.ContentLength(); {
	case n == chunked && names(h, "content-length"), h.IsPost() && n < chunked && names(h, "transfer-encoding"):
		h.SetConnectionClose()
	}
	return fasthttp.RequestConfig{}
}

// names reports whether a header has a field, given in lower case, as it was sent.
func names(h *fasthttp.RequestHeader, field string) bool {
	return bytes.Contains(append([]byte("\n"), bytes.ToLower(h.RawHeaders())...), []byte("\n"+field+":"))
}

// requestID names a failed request in the answer and in the log.
func (s *Server) requestID() string {
	return s.idPrefix + "-" + strconv.FormatUint(s.requests.Add(1), 36)
}

// panicked keeps the place of a panic and, unless it is the runtime's own, not its words: they may quote a
// request.
func (s *Server) panicked(path string, p any) error {
	s.metrics.panics.Inc()
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	return &problem{status: 500, code: codeInternal, detail: "it has been logged",
		cause: fmt.Errorf("panic in %s: %s\n%s", path, what, debug.Stack())}
}

// logFailure writes one line per failure that needs a person, and at most one a second and code for those that
// pass: a full queue refuses tens of thousands a second.
func (s *Server) logFailure(ctx *fasthttp.RequestCtx, path string, p *problem, state *codeState) {
	id := s.requestID()
	ctx.Response.Header.Set("X-Request-Id", id)
	line := func() {
		level := slog.LevelWarn
		if state.Kind == Fatal {
			level = slog.LevelError
		}
		s.opt.Log.LogAttrs(s.ctx, level, "request failed", slog.String("request", id), slog.String("route", path),
			slog.String("code", p.code), slog.Int("status", p.status), slog.Any("cause", p.cause))
	}
	if state.Kind == Retry {
		state.often.Do(line)
		return
	}
	line()
}

// access writes the optional line per request: route template, never the path.
func (s *Server) access(ctx *fasthttp.RequestCtx, path string) {
	if !s.opt.AccessLog {
		return
	}
	s.opt.Log.LogAttrs(s.ctx, slog.LevelInfo, "request", slog.String("method", string(ctx.Method())), slog.String("route", path),
		slog.Int("status", ctx.Response.StatusCode()), slog.Duration("took", time.Since(ctx.Time())))
}

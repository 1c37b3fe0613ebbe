package server

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// maxAge is how long a browser may remember a preflight, in seconds; Chromium cuts it to two hours.
const maxAge = "7200"

// allowOrigin lets a page of the site read the answer: its own origin is echoed, never a wildcard. Credentials are
// allowed where the site shares its cookie by domain: this server may stand on it, and the only cookie it looks at
// is the choice itself. The script reads Date, to mend a proof id made by a wrong clock, and Retry-After.
func (v *view) allowOrigin(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetCanonical(headerVary, varyOrigin)
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if len(origin) > 0 && v.site.AllowsOrigin(text(origin)) {
		h.SetCanonical(headerAllowOrigin, origin)
		h.SetCanonical(headerExposeHeaders, exposed)
		if v.site.Options.CookieDomain != "" {
			h.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
		}
	}
}

var (
	headerAllowOrigin   = []byte("Access-Control-Allow-Origin")
	headerExposeHeaders = []byte("Access-Control-Expose-Headers")
	exposed             = []byte("Date, Retry-After")
)

// mountOptions answers OPTIONS on every path of the table.
func (s *Server) mountOptions(app *fiber.App, table []route) {
	for i := range table {
		first := slices.IndexFunc(table, func(r route) bool { return r.path == table[i].path })
		if first == i {
			s.mount(app, s.optionsRoute(table, table[i].path))
		}
	}
}

func (s *Server) optionsRoute(table []route, path string) *route {
	var methods, pages []string // pages: what scripts may call from other origins
	for _, r := range table {
		if r.path != path {
			continue
		}
		methods = append(methods, r.method)
		if r.method == get {
			methods = append(methods, fiber.MethodHead)
		}
		if r.cors {
			pages = append(pages, r.method)
		}
	}
	allow, cors := strings.Join(append(methods, fiber.MethodOptions), ", "), strings.Join(pages, ", ")
	return &route{method: fiber.MethodOptions, path: path, cors: len(pages) > 0,
		do: func(c *fiber.Ctx, v *view) error { return preflight(c.Context(), allow, cors) }}
}

// preflight answers OPTIONS. By now allowOrigin has run where pages may call; without its header the origin
// is not one of the site's.
func preflight(ctx *fasthttp.RequestCtx, allow, cors string) error {
	h := &ctx.Response.Header
	asks := len(ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestMethod)) > 0
	if cors != "" && asks {
		if len(h.PeekBytes(headerAllowOrigin)) == 0 {
			return refuse(403, "origin_foreign", "this origin is not among the site's origins")
		}
		h.Set(fasthttp.HeaderVary, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
		h.Set(fasthttp.HeaderAccessControlAllowMethods, cors)
		h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Content-Type")
		h.Set(fasthttp.HeaderAccessControlMaxAge, maxAge)
	}
	h.Set(fasthttp.HeaderAllow, allow)
	ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

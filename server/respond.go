package server

import (
	"github.com/valyala/fasthttp"
)

const (
	mimeJSON    = "application/json"
	mimeProblem = "application/problem+json"
)

// begin takes the response's own pooled buffer to append a body to; finish gives it back filled. Between
// the two nothing else may touch the response body.
func begin(ctx *fasthttp.RequestCtx) []byte { return ctx.Response.SwapBody(nil)[:0] }

// finish sends what was appended. Answers speak of a person or of a moment: no cache keeps them.
func finish(ctx *fasthttp.RequestCtx, status int, mime string, body []byte) {
	ctx.Response.SwapBody(body)
	ctx.Response.SetStatusCode(status)
	h := &ctx.Response.Header
	h.SetContentType(mime)
	h.SetCanonical(headerCacheControl, noStore)
	h.SetCanonical(headerNosniff, nosniff)
}

// Header names and values as bytes in canonical spelling, so that setting them neither copies to a string nor
// normalises. They are never written to.
var (
	headerCacheControl = []byte("Cache-Control")
	headerNosniff      = []byte("X-Content-Type-Options")
	headerVary         = []byte("Vary")
	headerRobots       = []byte("X-Robots-Tag")
	noIndex            = []byte("noindex")
	noStore            = []byte("no-store")
	nosniff            = []byte("nosniff")
	varyOrigin         = []byte("Origin")
)

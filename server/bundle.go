package server

import (
	"strings"

	"github.com/consentd/consentd/widget"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Cache rules of the script tag. Five minutes is how long a corrected text may go unseen; a day of
// stale-while-revalidate means nobody waits for the check; the form with a hash never changes.
const (
	bundleCache  = "public, max-age=300, stale-while-revalidate=86400"
	missingCache = "public, max-age=60"
	mimeScript   = "text/javascript; charset=utf-8"
)

// bundle serves /s/{site}.js, with or without ?lang=, and /s/{site}.{hash}.js.
//
// # Why an old hash is a 404
//
// A page that pins a hash also pins its integrity, so a redirect to the current script would only be blocked.
// The last few versions are still served while this process lives; after that the page is told, in its
// console, to take the script tag without a hash, or the current one.
func (s *Server) bundle(c *fiber.Ctx, _ *view) error {
	ctx := c.Context()
	id, hash, ok := scriptName(c.Params("file"))
	if !ok {
		return refuse(404, codeNotFound, "scripts are /s/{site}.js and /s/{site}.{hash}.js")
	}
	v, err := s.site(id)
	if err != nil {
		missingScript(ctx, "there is no site of this name on this server")
		return nil
	}
	if err := s.publish(v); err != nil {
		return err
	}
	if hash != "" {
		return s.pinned(ctx, v, hash)
	}
	b, varies, err := v.scripts.pick(c.Query("lang"), text(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)))
	if err == nil {
		err = s.announce(v, b)
	}
	if err != nil {
		return err
	}
	vary := fasthttp.HeaderAcceptEncoding
	if varies {
		vary += ", " + fasthttp.HeaderAcceptLanguage
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, bundleCache)
	public(&ctx.Response.Header)
	sendBundle(ctx, b, vary)
	return nil
}

// pinned serves a version by its hash. After a restart it may be one that nobody has asked for yet.
func (s *Server) pinned(ctx *fasthttp.RequestCtx, v *view, hash string) error {
	b, ok := s.bundles.Find(v.site.ID, hash)
	if !ok {
		if _, err := v.scripts.all(); err != nil {
			return err
		}
		b, ok = s.bundles.Find(v.site.ID, hash)
	}
	if !ok {
		missingScript(ctx, "this version of the script is gone; take the address without a hash, or the current one")
		return nil
	}
	if _, logged := s.announced.Load(b.Hash); !logged { // an older version was logged when it was the current one
		if err := s.announce(v, b); err != nil {
			return err
		}
	}
	forever(&ctx.Response.Header)
	sendBundle(ctx, b, fasthttp.HeaderAcceptEncoding)
	return nil
}

// scriptName splits site.js and site.hash.js; a site id has no dot.
func scriptName(file string) (id, hash string, ok bool) {
	stem, ok := strings.CutSuffix(file, ".js")
	id, hash, dotted := strings.Cut(stem, ".")
	return id, hash, ok && id != "" && (!dotted || hash != "") && !strings.Contains(hash, ".")
}

func sendBundle(ctx *fasthttp.RequestCtx, b *widget.Bundle, vary string) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderVary, vary)
	h.Set(fasthttp.HeaderETag, b.ETag)
	if fresh(ctx, b.ETag) {
		ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType(mimeScript)
	accept := text(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding))
	switch {
	case accepts(accept, "br"):
		h.SetContentEncoding("br")
		ctx.Response.SetBodyRaw(b.Brotli)
	case accepts(accept, "gzip"):
		h.SetContentEncoding("gzip")
		ctx.Response.SetBodyRaw(b.Gzip)
	default:
		ctx.Response.SetBodyRaw(b.JS)
	}
}

// declarations serves what TypeScript needs to know of window.consentd.
func (s *Server) declarations(c *fiber.Ctx, _ *view) error {
	h := &c.Context().Response.Header
	h.Set(fasthttp.HeaderCacheControl, bundleCache)
	public(h)
	h.SetContentType("text/plain; charset=utf-8")
	c.Context().Response.SetBodyString(widget.Declarations())
	return nil
}

// missingScript tells the owner of the page, in the only place they look. why is one of our sentences. A browser
// runs no script that comes with 404: to one that asks for a script (Sec-Fetch-Dest) it comes with 200.
func missingScript(ctx *fasthttp.RequestCtx, why string) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, missingCache)
	public(h)
	h.SetContentType(mimeScript)
	h.Set(fasthttp.HeaderVary, "Sec-Fetch-Dest")
	if text(ctx.Request.Header.Peek("Sec-Fetch-Dest")) != "script" {
		ctx.Response.SetStatusCode(fasthttp.StatusNotFound)
	}
	ctx.Response.SetBodyString("// consentd: " + why + ".\nconsole.warn(\"consentd: " + why + ".\");\n")
}

// accepts reads Accept-Encoding (RFC 9110 §12.5.3) as far as one coding goes: named, or covered by *, and not
// with q=0.
func accepts(header, coding string) bool {
	star := false
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(item, ";")
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, coding):
			return !zeroWeight(params)
		case name == "*":
			star = !zeroWeight(params)
		}
	}
	return star
}

func zeroWeight(params string) bool {
	q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
	return ok && strings.Trim(q, "0.") == ""
}

// fresh reports whether the client holds the version etag (RFC 9110 §13.1.2: weak comparison).
func fresh(ctx *fasthttp.RequestCtx, etag string) bool {
	header := text(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch))
	want := strings.TrimPrefix(etag, "W/")
	for item := range strings.SplitSeq(header, ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == want {
			return true
		}
	}
	return false
}

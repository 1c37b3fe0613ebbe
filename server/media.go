package server

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// body copies the body of a request into a string, from which everything is then read. Compressed bodies are
// refused rather than expanded: 32 KiB of gzip can hold 32 MiB.
func body(ctx *fasthttp.RequestCtx, limit int) (string, error) {
	h := &ctx.Request.Header
	if enc := h.Peek(fasthttp.HeaderContentEncoding); len(enc) > 0 && !strings.EqualFold(text(enc), "identity") {
		return "", refuse(415, codeCompressedBody, "send it without Content-Encoding")
	}
	if !jsonType(text(h.ContentType())) {
		return "", refuse(415, codeMediaType, "Content-Type: application/json, or text/plain from a beacon; UTF-8")
	}
	raw := ctx.Request.Body()
	if len(raw) > limit {
		return "", refuse(413, codeBodyTooLarge, "at most 16 KiB, for a lookup 4 MiB")
	}
	return string(raw), nil
}

// jsonType accepts application/json, and text/plain, which pages may post without a preflight.
func jsonType(v string) bool {
	media, params, _ := strings.Cut(v, ";")
	media = strings.TrimSpace(media)
	if !strings.EqualFold(media, "application/json") && !strings.EqualFold(media, "text/plain") {
		return false
	}
	name, charset, found := strings.Cut(strings.TrimSpace(params), "=")
	if !found || !strings.EqualFold(strings.TrimSpace(name), "charset") {
		return true
	}
	charset = strings.Trim(strings.TrimSpace(charset), `"`)
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

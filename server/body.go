package server

import (
	"bytes"
	"io"
	"strings"

	"github.com/valyala/fasthttp"
)

// Bodies are read by the handlers, not before them: how much one may send is known only once the router has found
// the route and the token is verified. Until then a request has brought at most prefetched bytes of its body into
// memory, whatever it announces.

// prefetched is how much of a body fasthttp reads before the handler is called, in bytes: it reads some in any case,
// and waiting for more than has to come delays a refusal.
const prefetched = 1

// chunked is the content length of a body that announces none.
const chunked = -1

// body copies the body of a request into a string, from which everything is then read. Compressed bodies are
// refused rather than expanded: 32 KiB of gzip can hold 32 MiB.
func (s *Server) body(ctx *fasthttp.RequestCtx, limit int) (string, error) {
	h := &ctx.Request.Header
	if enc := h.Peek(fasthttp.HeaderContentEncoding); len(enc) > 0 && !strings.EqualFold(text(enc), "identity") {
		return "", refuse(415, codeCompressedBody, "send it without Content-Encoding")
	}
	if !jsonType(text(h.ContentType())) {
		return "", refuse(415, codeMediaType, "Content-Type: application/json, or text/plain from a beacon; UTF-8")
	}
	return s.read(ctx, limit)
}

// read reads a body of at most limit bytes. One that is cut short, comes too slowly or is not HTTP ends the
// connection.
func (s *Server) read(ctx *fasthttp.RequestCtx, limit int) (string, error) {
	in := ctx.RequestBodyStream()
	if in == nil { // there is none
		raw := ctx.Request.Body()
		if len(raw) > limit {
			return "", tooLarge()
		}
		return string(raw), nil
	}
	n := ctx.Request.Header.ContentLength()
	if n > limit {
		return "", tooLarge()
	}
	var b []byte
	var err error
	if 0 <= n && n <= maxBody {
		b = make([]byte, n)
		_, err = io.ReadFull(in, b)
	} else {
		b, err = s.readLarge(ctx, in, n, limit)
	}
	if p, ours := err.(*problem); ours {
		return "", p
	}
	ctx.Request.CloseBodyStream() // it has no way to fail; what follows is the next request's, see leaveBody
	if err != nil {
		hangUp(ctx)
		return "", ofHTTP(err)
	}
	return text(b), nil
}

// readLarge reads a body that is long, or does not say how long it is, as it comes: only what has arrived takes
// memory, and beyond maxBody only where there is room for all of it.
func (s *Server) readLarge(ctx *fasthttp.RequestCtx, in io.Reader, n, limit int) ([]byte, error) {
	most := limit
	if n != chunked {
		most = n
	}
	var b bytes.Buffer
	limited := io.LimitReader(in, int64(limit)+1)
	_, err := io.CopyN(&b, limited, maxBody)
	if err == nil {
		if limit > maxBody {
			if err := s.hold(ctx, &s.memory.trusted, 2*most); err != nil { // a buffer that grows is copied
				return nil, err
			}
		}
		_, err = b.ReadFrom(limited)
	}
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case b.Len() > limit:
		return nil, tooLarge()
	case n != chunked && b.Len() < n, n == chunked && cut(ctx):
		return nil, io.ErrUnexpectedEOF
	}
	return b.Bytes(), nil
}

// cut reports whether the client hung up before the last chunk, which fasthttp's reader does not tell from the end.
func cut(ctx *fasthttp.RequestCtx) bool {
	c, ok := ctx.Conn().(*coarseConn)
	return ok && c.ended
}

// leaveBody sees to what of a body was not read: left where it is, it would be taken for the next request. A little
// is thrown away as it comes; for more the connection is ended.
func leaveBody(ctx *fasthttp.RequestCtx) {
	in := ctx.RequestBodyStream()
	if in == nil {
		return
	}
	if ctx.Request.Header.ContentLength() <= hardCap {
		left, err := io.Copy(io.Discard, io.LimitReader(in, hardCap+1))
		if err == nil && left <= hardCap {
			ctx.Request.CloseBodyStream() // see read
			return
		}
	}
	hangUp(ctx)
}

// hangUp ends the connection after the answer, and lets the client finish what it is saying so that it hears it.
func hangUp(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetConnectionClose()
	if c, ok := ctx.Conn().(*coarseConn); ok {
		c.linger.Store(true)
	}
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

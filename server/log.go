package server

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// The public log is served as C2SP tlog-tiles asks: a checkpoint that changes, and resources that never do. Under
// /log lies the log of proofs, under /log/published that of publications. Entries hold facts and commitments: nothing
// in them is personal.

const (
	mimeNote = "text/plain; charset=utf-8"
	mimeTile = "application/octet-stream"

	// A log is sealed every second; a cache that keeps a checkpoint longer shows an old one.
	checkpointCache = "public, max-age=1"
)

// What one network may fetch of the log: a monitor that starts from nothing is through a million entries in minutes.
const (
	logRate  = 50 // a second
	logBurst = 500
)

// checkpoint serves the last signed checkpoint of a log.
func (s *Server) checkpoint(log consent.Stream) func(*fiber.Ctx, *view) error {
	return func(c *fiber.Ctx, _ *view) error {
		if s.opt.Evidence == nil {
			return errNoEvidence()
		}
		note, _, err := s.opt.Evidence.Checkpoint(log)
		if err != nil {
			return evidenceError(err)
		}
		s.sendLog(c.Context(), mimeNote, checkpointCache, note)
		return nil
	}
}

// logKeys lists the verifier keys of this edge, newest first: who only learns them here trusts this server.
func (s *Server) logKeys(c *fiber.Ctx, _ *view) error {
	if s.opt.Evidence == nil {
		return errNoEvidence()
	}
	var list strings.Builder
	for _, k := range s.opt.Evidence.Keys() {
		list.WriteString(k.String() + "\n")
	}
	s.sendLog(c.Context(), mimeNote, missingCache, []byte(list.String()))
	return nil
}

// tile serves hashes and entries of a log.
func (s *Server) tile(log consent.Stream) func(*fiber.Ctx, *view) error {
	return func(c *fiber.Ctx, _ *view) error {
		ctx := c.Context()
		t, ok := evidence.ParseTile(c.Params("*"))
		if !ok {
			return refuse(404, codeNotFound, "tiles are named as in C2SP tlog-tiles")
		}
		if s.opt.Evidence == nil {
			return errNoEvidence()
		}
		client := s.clientIP(ctx)
		if ok, wait := s.limits.allow("", client, ctx.Time(), logRate, logBurst); !ok {
			s.noteRefused(ctx, client)
			return &problem{status: 429, code: codeRateLimited, retry: wait}
		}
		b, err := s.opt.Evidence.Tile(s.ctx, log, t)
		if err != nil {
			return evidenceError(err)
		}
		if t.Entries && accepts(text(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)), "gzip") {
			if b, err = zipped(b); err != nil {
				return err
			}
			ctx.Response.Header.SetContentEncoding("gzip")
		}
		ctx.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
		s.sendLog(ctx, mimeTile, "public, max-age=31536000, immutable", b)
		return nil
	}
}

// zipped compresses entries, which are five times smaller for it; hashes do not compress.
func zipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

func (s *Server) sendLog(ctx *fasthttp.RequestCtx, mime, cache string, b []byte) {
	h := &ctx.Response.Header
	public(h)
	h.Set(fasthttp.HeaderCacheControl, cache)
	h.SetContentType(mime)
	ctx.Response.SetBodyRaw(b)
}

package server

import (
	"errors"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// wording serves the canonical bytes a wording hash stands for: whoever hashes the body gets the name it was
// asked by. It is public and never changes.
func (s *Server) wording(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	h, err := consent.ParseHash(c.Params("hash"))
	if err != nil {
		return refuse(404, admit.UnknownWording, "a wording is named by 64 lower-case hex digits")
	}
	doc, err := s.wordingDoc(v, h)
	if errors.Is(err, ledger.ErrNotFound) {
		return refuse(404, admit.UnknownWording, "this site has never published a wording with this hash")
	}
	if err != nil {
		return err
	}
	forever(&ctx.Response.Header)
	etag := `"` + h.String() + `"`
	ctx.Response.Header.Set(fasthttp.HeaderETag, etag)
	if fresh(ctx, etag) {
		ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	ctx.Response.Header.SetContentType(mimeJSON)
	ctx.Response.SetBody(doc)
	return nil
}

func (s *Server) wordingDoc(v *view, h consent.Hash) ([]byte, error) {
	if w := v.docs[h]; w != nil {
		return w.Doc, nil
	}
	p, err := s.opt.Ledger.Wording(v.site.ID, h)
	if err != nil {
		return nil, err
	}
	return p.Doc, nil
}

// forever marks what is public and named by its own hash.
func forever(h *fasthttp.ResponseHeader) {
	h.Set(fasthttp.HeaderCacheControl, "public, max-age=31536000, immutable")
	public(h)
}

// public lets any page read an answer that is the same for everybody.
func public(h *fasthttp.ResponseHeader) {
	h.SetCanonical(headerNosniff, nosniff)
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

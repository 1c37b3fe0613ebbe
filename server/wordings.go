package server

import (
	"errors"
	"sync"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
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

// offerWording takes the wording of a form that a page draws itself: what it says was read from the page, so its
// hash is not known beforehand. It answers 201 when the document is published, 200 when it already was. Only a
// document in its one canonical form is taken, so that whoever sent it knows its hash.
func (s *Server) offerWording(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	cand := s.candidate(v)
	defer s.recycle(cand)
	if err := s.gate(ctx, cand, s.promptSteps); err != nil {
		return err
	}
	if err := s.throttle(ctx, v); err != nil {
		return err
	}
	doc, err := s.body(ctx, maxBody)
	if err != nil {
		return err
	}
	w, err := parseOffer(doc)
	if err != nil {
		return err
	}
	if known, err := s.findShown(v, w.Hash.String()); err != nil || known != nil {
		return answerOffer(ctx, fasthttp.StatusOK, w.Hash, err)
	}
	if refusals := admit.CheckWording(v.rules, &w.Wording); refusals != nil {
		return invalid(refusals)
	}
	if !s.offers.take(v.site.ID, s.opt.Ledger.Now()) {
		return refuse(429, codeTooManyWordings, "does the text of the form change with each visit?")
	}
	return answerOffer(ctx, fasthttp.StatusCreated, w.Hash, s.opt.Ledger.Publish(s.ctx, w))
}

// wordingDepth: a cookie of a service of a purpose.
const wordingDepth = 7

func parseOffer(doc string) (*consent.Published, error) {
	r := wire.New(doc, wordingDepth)
	r.Skip()
	if err := r.End(); err != nil {
		return nil, err
	}
	w, err := consent.ParseWording([]byte(doc))
	if err != nil {
		return nil, refuse(422, admit.WordingRefused, "not a wording document of version 1")
	}
	p, err := w.Publish()
	if err != nil {
		return nil, err
	}
	if string(p.Doc) != doc {
		return nil, refuse(422, codeNotCanonical, "RFC 8785 (JCS): members sorted, no white space, no member that is left out elsewhere")
	}
	return p, nil
}

func answerOffer(ctx *fasthttp.RequestCtx, status int, h consent.Hash, err error) error {
	if err != nil {
		return err
	}
	b := append(begin(ctx), `{"hash":"`...)
	b = consent.AppendHex(b, h[:])
	finish(ctx, status, mimeJSON, append(b, `"}`...))
	return nil
}

// maxOffers is how many new documents a site may publish from its pages in a day. A form has a handful; a page
// that writes the date or a name into its form would make one per visit.
const maxOffers = 500

// offers counts the new documents of a day, by site. A restart forgets; only the configured sites are in it.
type offers struct {
	mu    sync.Mutex
	day   int64
	count map[string]int
}

func (o *offers) take(site string, now consent.Millis) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if day := int64(now) / (24 * time.Hour).Milliseconds(); day != o.day || o.count == nil {
		o.day, o.count = day, map[string]int{}
	}
	if o.count[site] >= maxOffers {
		return false
	}
	o.count[site]++
	return true
}

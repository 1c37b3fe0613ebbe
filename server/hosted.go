package server

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// hosted is what the pages of a site are made of, prepared once per configuration. It does not change.
type hosted struct {
	look     *pages.Look
	purposes []consent.Purpose // what a person decides on away from the banner, in the order shown
	rows     map[shownIn]*consent.Published
	ends     map[shownIn]*consent.Published // unsubscribing from one; purpose "": from everything
}

// shownIn names a wording that is shown of one purpose.
type shownIn struct{ locale, purpose string }

func newHosted(st *site.Site) (*hosted, error) {
	look, err := pages.NewLook(st.Theme)
	if err != nil {
		return nil, fmt.Errorf("dressing the pages of %s: %w", st.ID, err)
	}
	h := &hosted{look: look, rows: map[shownIn]*consent.Published{}, ends: map[shownIn]*consent.Published{}}
	for _, p := range st.Purposes {
		if p.Asked() && !p.OnBanner() {
			h.purposes = append(h.purposes, p)
		}
	}
	var errs []error
	keep := func(in map[shownIn]*consent.Published, locale, purpose string, w consent.Wording) {
		p, err := w.Publish()
		in[shownIn{locale, purpose}] = p
		errs = append(errs, err)
	}
	for _, l := range st.Locales {
		for _, p := range h.purposes {
			keep(h.rows, l, p.ID, st.CentreWording(p, l))
			keep(h.ends, l, p.ID, st.UnsubscribeWording(l, p))
		}
		if len(h.purposes) > 0 {
			keep(h.ends, l, "", st.UnsubscribeWording(l, h.purposes...))
		}
	}
	return h, errors.Join(errs...)
}

// wordings lists everything the pages show, to be published before anybody can answer it.
func (h *hosted) wordings() (all []*consent.Published) {
	for _, m := range []map[shownIn]*consent.Published{h.rows, h.ends} {
		for _, w := range m {
			all = append(all, w)
		}
	}
	return all
}

// purpose finds what a person decides on here.
func (h *hosted) purpose(id string) (consent.Purpose, bool) {
	i := slices.IndexFunc(h.purposes, func(p consent.Purpose) bool { return p.ID == id })
	if i < 0 {
		return consent.Purpose{}, false
	}
	return h.purposes[i], true
}

// visit is one request for a page of a site: which site, in which language, through which link.
type visit struct {
	ctx    *fasthttp.RequestCtx
	v      *view
	h      *hosted
	locale string
	token  *link.Token // nil: the page is public
}

// enterPage begins a visit of a public page.
func (s *Server) enterPage(c *fiber.Ctx, v *view) (*visit, error) {
	h, err := v.hosted()
	if err != nil {
		return nil, err
	}
	ctx := c.Context()
	locale := pages.Pick(v.site.Locales, string(ctx.QueryArgs().Peek("lang")), string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)))
	return &visit{ctx: ctx, v: v, h: h, locale: locale}, nil
}

// enterLink begins a visit through a link. One that was not made here, or was cut on its way, is answered like one
// whose site is gone.
func (s *Server) enterLink(c *fiber.Ctx, kind link.Kind) (*visit, error) {
	t, err := s.opt.Links.Open(kind, c.Params("token"), s.opt.Ledger.Now())
	if t == nil {
		return nil, refuse(404, codeUnknownLink, "the address is not complete, or was never made here")
	}
	v, siteErr := s.site(t.Site)
	if siteErr != nil {
		return nil, refuse(404, codeUnknownLink, "its site is not served here")
	}
	if err != nil {
		return nil, &problem{status: 410, code: codeLinkExpired, site: v.site}
	}
	vis, err := s.enterPage(c, v)
	if err == nil {
		vis.token = t
	}
	return vis, err
}

// page begins a page of the visit; title is one of the site's words, or a text.
func (vis *visit) page(title string) pages.Page {
	st := vis.v.site
	p := pages.Page{Look: vis.h.look, Site: st.Name, Locale: vis.locale, Words: st.Words, Controller: st.Controller,
		Policy: consent.Link{Rel: "policy", Text: st.Banner.PolicyText[vis.locale], Href: st.Banner.PolicyHref[vis.locale]}}
	p.Title = title
	if word := p.T(title); word != "" {
		p.Title = word
	}
	return p
}

// switchable adds the other languages to a page that is there to be read: not to the answer of a form.
func (vis *visit) switchable(p pages.Page) pages.Page {
	p.Languages = pages.Switch(vis.v.site.Locales, vis.locale, func(l string) string { return "?lang=" + url.QueryEscape(l) })
	return p
}

// here is the address of the visited page in the visit's language, relative to itself: what stands before it, and
// the secret in it, need not be said.
func (vis *visit) here(more ...string) string {
	q := url.Values{}
	if len(vis.v.site.Locales) > 1 {
		q.Set("lang", vis.locale)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "?" + q.Encode()
}

// drawn is one of the pages of package pages.
type drawn interface{ Render() ([]byte, error) }

// send answers with a page. Targets are origins a form of it may be answered by a redirect to.
func (vis *visit) send(status int, page drawn, targets ...string) error {
	b, err := page.Render()
	if err != nil {
		return err
	}
	sendHTML(vis.ctx, status, vis.h.look.CSP(targets...), b)
	return nil
}

// sendHTML sends a page that no cache keeps and no other site frames, opens or learns the address of. The policy
// same-origin (rather than no-referrer) leaves an Origin on the page's own posts (Fetch, "append a request Origin
// header").
func sendHTML(ctx *fasthttp.RequestCtx, status int, csp string, body []byte) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderContentSecurityPolicy, csp)
	h.Set(fasthttp.HeaderReferrerPolicy, "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	finish(ctx, status, mimeHTML, append(begin(ctx), body...))
}

const mimeHTML = "text/html; charset=utf-8"

// seeOther sends the browser on with GET: reloading what it then shows posts nothing again (RFC 9110 §15.4.4).
func seeOther(ctx *fasthttp.RequestCtx, to string) error {
	ctx.Response.Header.Set(fasthttp.HeaderLocation, to)
	ctx.Response.Header.SetCanonical(headerCacheControl, noStore)
	ctx.Response.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}

// failPage answers a person with a page where a program gets a problem. It speaks for the site the problem names; a
// link that opens nothing names none, and is answered in this server's own name, in the browser's language.
func (s *Server) failPage(p *problem, ctx *fasthttp.RequestCtx, title string) {
	st, locale := s.speaker(ctx, p.site)
	if st == nil {
		p.send(ctx, title)
		return
	}
	words := failureWords(p)
	m := &pages.Message{Tone: pages.Bad, Page: pages.Page{Look: s.plain, Site: s.host(), Locale: locale, Words: st.Words}}
	if p.site != nil {
		m.Site, m.Controller = st.Name, st.Controller
	}
	m.Title, m.Text = m.T(words+"_title"), m.T(words)
	b, err := m.Render()
	if err != nil {
		p.send(ctx, title)
		return
	}
	sendHTML(ctx, p.status, s.plain.CSP(), b)
	p.header(&ctx.Response.Header)
}

// failureWords says in which of the site's words a problem is told.
func failureWords(p *problem) string {
	switch {
	case p.code == codeUnknownLink || p.code == codeLinkExpired:
		return "page.link"
	case p.status == 404 || p.status == 405:
		return "page.not_found"
	case p.status == 429 || p.status >= 500:
		return "page.later"
	}
	return "page.refused"
}

// speaker picks a site and a locale to say something in.
func (s *Server) speaker(ctx *fasthttp.RequestCtx, st *site.Site) (*site.Site, string) {
	asked, accept := string(ctx.QueryArgs().Peek("lang")), string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage))
	if st != nil {
		return st, pages.Pick(st.Locales, asked, accept)
	}
	var owners []*site.Site
	var locales []string
	for _, o := range s.opt.Sites.All() {
		for _, l := range o.Locales {
			owners, locales = append(owners, o), append(locales, l)
		}
	}
	if len(locales) == 0 {
		return nil, ""
	}
	l := pages.Pick(locales, asked, accept)
	return owners[slices.Index(locales, l)], l
}

// host is what this server is called in addresses.
func (s *Server) host() string {
	u, err := url.Parse(s.opt.PublicURL)
	if err != nil {
		return s.opt.PublicURL
	}
	return u.Host
}

// formBody reads the body of a form: plain or multipart encoding, as browsers and mailbox providers send it. The
// first value of each name counts; files are not read.
func (s *Server) formBody(ctx *fasthttp.RequestCtx) (map[string]string, error) {
	h := &ctx.Request.Header
	if enc := h.Peek(fasthttp.HeaderContentEncoding); len(enc) > 0 && !strings.EqualFold(text(enc), "identity") {
		return nil, refuse(415, codeCompressedBody, "send it without Content-Encoding")
	}
	raw, err := s.read(ctx, maxBody)
	if err != nil {
		return nil, err
	}
	media, params, err := mime.ParseMediaType(string(h.ContentType()))
	switch {
	case err == nil && media == fiber.MIMEApplicationForm:
		return plainForm(raw)
	case err == nil && media == fiber.MIMEMultipartForm:
		return multipartForm(raw, params["boundary"])
	}
	return nil, refuse(415, codeMediaType, "Content-Type: application/x-www-form-urlencoded or multipart/form-data")
}

// maxFormFields bounds what a form may hold; ours have a field for each purpose and a few more.
const maxFormFields = 128

func plainForm(body string) (map[string]string, error) {
	if strings.Count(body, "&") >= maxFormFields {
		return nil, refuse(422, codeInvalid, "too many fields")
	}
	q, err := url.ParseQuery(body)
	if err != nil {
		return nil, refuse(422, codeInvalid, "not a form")
	}
	all := make(map[string]string, len(q))
	for name, values := range q {
		all[name] = values[0]
	}
	return all, nil
}

func multipartForm(body, boundary string) (map[string]string, error) {
	all := map[string]string{}
	r := multipart.NewReader(strings.NewReader(body), boundary)
	for range maxFormFields {
		part, err := r.NextPart()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			break
		}
		value, err := io.ReadAll(part)
		if err != nil {
			break
		}
		if _, twice := all[part.FormName()]; !twice && part.FileName() == "" {
			all[part.FormName()] = string(value)
		}
	}
	return nil, refuse(422, codeInvalid, "not a form")
}

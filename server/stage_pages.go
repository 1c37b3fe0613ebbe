package server

import (
	"crypto/sha256"
	"net/http"
	"strconv"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
	"github.com/valyala/fasthttp"
)

// shown is a page of this server drawn for nobody: it names no address and no choice, and holds nothing that differs
// from one drawing to the next, so that its hash tells whether there is a picture of it.
type shown struct {
	page     string
	wordings []*consent.Published
	drawn    drawn
}

// stagePages puts the pages of this server that show a wording on the stage.
func (s *Server) stagePages(v *view, mux *http.ServeMux) (looks []Look, err error) {
	h, err := v.hosted()
	if err != nil {
		return nil, err
	}
	for _, l := range v.site.Locales {
		vis := &visit{ctx: &fasthttp.RequestCtx{}, v: v, h: h, locale: l}
		all, err := s.shownForms(vis)
		if err != nil {
			return nil, err
		}
		more, err := s.shownToPeople(vis)
		if err != nil {
			return nil, err
		}
		for _, p := range append(all, more...) {
			html, err := p.drawn.Render()
			if err != nil {
				return nil, err
			}
			path := "/pages/" + strconv.Itoa(len(looks))
			mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", mimeHTML)
				w.Header().Set("Content-Security-Policy", h.look.CSP())
				w.Write(html)
			})
			for _, w := range p.wordings {
				looks = append(looks, Look{Wording: w, Bundle: sha256.Sum256(html), Page: p.page, Path: path, Ready: `document.readyState === "complete"`})
			}
		}
	}
	return looks, nil
}

// shownForms are the forms this server draws and, of those with double opt-in, what the link in the mail shows to who
// agreed to everything.
func (s *Server) shownForms(vis *visit) (all []shown, err error) {
	for _, f := range vis.v.site.Forms {
		w := vis.v.current(consent.SurfaceForm(f.ID), vis.locale)
		if w == nil { // the page's own markup
			continue
		}
		form := s.drawForm(&sheet{visit: vis, form: f, wording: w})
		form.Page, form.Hidden = vis.switchable(form.Page), nil
		all = append(all, shown{consent.PageForm, []*consent.Published{w}, form})
		if !f.DoubleOptIn {
			continue
		}
		o := &optIn{Site: w.Site, Form: f.ID, Wording: w.Hash.String(), Locale: w.Locale}
		for _, p := range w.Purposes {
			if !p.Required {
				o.Decisions = append(o.Decisions, consent.Choice{Purpose: p.ID, Granted: true})
			}
		}
		m, err := s.drawConfirm(vis, o)
		if err != nil {
			return nil, err
		}
		all = append(all, shown{consent.PageConfirm, []*consent.Published{w}, m})
	}
	return all, nil
}

// shownToPeople are the preference centre, all of its rows at once, and what unsubscribing from everything and from
// each purpose looks like: as an e-mail address meets them that never chose anything.
func (s *Server) shownToPeople(vis *visit) (all []shown, err error) {
	if len(vis.h.purposes) == 0 {
		return nil, nil
	}
	vis.token = &link.Token{Site: vis.v.site.ID, SubjectKind: consent.KindEmail}
	centre, err := s.drawCentre(vis)
	if err != nil {
		return nil, err
	}
	centre.Page, centre.Export, centre.Stop.Hidden = vis.switchable(centre.Page), "#", nil
	var rows []*consent.Published
	for i, p := range vis.h.purposes {
		centre.Rows[i].Hidden = nil
		rows = append(rows, vis.h.rows[shownIn{vis.locale, p.ID}])
	}
	all = append(all, shown{consent.PageCentre, rows, centre})

	about := [][]string{nil} // everything
	for _, p := range vis.h.purposes {
		if len(vis.h.purposes) > 1 {
			about = append(about, []string{p.ID})
		}
	}
	for _, vis.token.Purposes = range about {
		w, err := vis.ending()
		if err != nil {
			return nil, err
		}
		page, err := s.drawUnsubscribe(vis)
		if err != nil {
			return nil, err
		}
		page.Hidden, page.Centre = nil, "#"
		if page.All != nil {
			page.All = &pages.Everything{Shown: page.All.Shown}
		}
		all = append(all, shown{consent.PageUnsubscribe, []*consent.Published{w}, page})
	}
	return all, nil
}

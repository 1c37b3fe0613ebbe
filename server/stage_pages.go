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

// drawnFor is a page of this server, drawn for nobody in particular, and the wordings it shows.
type drawnFor struct {
	page  drawn
	shows []*consent.Published
}

// stagePages adds the pages this server draws to a stage: hosted forms, the preference centre of somebody who never
// decided anything, unsubscribing from each purpose and from all. Nothing in them is secret or changes from one
// drawing to the next, so that the hash of a page is that of its code.
func (s *Server) stagePages(mux *http.ServeMux, v *view) (looks []Look, err error) {
	h, err := v.hosted()
	if err != nil {
		return nil, err
	}
	for _, locale := range v.site.Locales {
		vis := &visit{ctx: new(fasthttp.RequestCtx), v: v, h: h, locale: locale, token: &link.Token{Site: v.site.ID}}
		all, err := s.drawAll(vis)
		if err != nil {
			return nil, err
		}
		for i, d := range all {
			html, err := d.page.Render()
			if err != nil {
				return nil, err
			}
			path := "/pages/" + locale + "/" + strconv.Itoa(i)
			mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", mimeHTML)
				w.Header().Set("Content-Security-Policy", h.look.CSP())
				w.Write(html)
			})
			for _, w := range d.shows {
				looks = append(looks, Look{Wording: w, Bundle: sha256.Sum256(html), Path: path, Ready: "document.body"})
			}
		}
	}
	return looks, nil
}

// drawAll draws the pages of one locale.
func (s *Server) drawAll(vis *visit) (all []drawnFor, err error) {
	for _, f := range vis.v.site.Forms {
		if w := vis.v.current(consent.SurfaceForm(f.ID), vis.locale); w != nil {
			p := s.drawForm(&sheet{visit: vis, form: f, wording: w})
			p.Hidden = nil
			all = append(all, drawnFor{p, []*consent.Published{w}})
		}
	}
	if len(vis.h.purposes) == 0 {
		return all, nil
	}
	centre, err := s.drawCentre(vis)
	if err != nil {
		return nil, err
	}
	shown := drawnFor{page: centre}
	for i, p := range vis.h.purposes {
		centre.Rows[i].Hidden = nil
		shown.shows = append(shown.shows, vis.h.rows[shownIn{vis.locale, p.ID}])
	}
	plain(centre.Stop)
	all = append(all, shown)
	// From each of several purposes, and from everything: what is one of one is everything.
	about := [][]string{nil}
	for _, p := range vis.h.purposes {
		if len(vis.h.purposes) > 1 {
			about = append(about, []string{p.ID})
		}
	}
	for _, purposes := range about {
		vis.token.Purposes = purposes
		w, err := vis.ending()
		if err != nil {
			return nil, err
		}
		p, err := s.drawUnsubscribe(vis)
		if err != nil {
			return nil, err
		}
		p.Hidden, p.Centre = nil, "#"
		plain(p.All)
		all = append(all, drawnFor{p, []*consent.Published{w}})
	}
	return all, nil
}

// plain takes out of a button what it sends besides itself.
func plain(e *pages.Everything) {
	if e != nil {
		e.Hidden = nil
	}
}

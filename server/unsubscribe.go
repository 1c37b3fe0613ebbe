package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// enterUnsubscribe begins a visit through an unsubscribe link.
func (s *Server) enterUnsubscribe(c *fiber.Ctx) (*visit, error) {
	vis, err := s.enterLink(c, link.Unsubscribe)
	if err == nil && len(vis.h.purposes) == 0 {
		return nil, &problem{status: 404, code: codeUnknownLink, detail: "this site asks for nothing any more", site: vis.v.site}
	}
	return vis, err
}

// unsubscribePage shows the button, and writes nothing.
func (s *Server) unsubscribePage(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterUnsubscribe(c)
	if err != nil {
		return err
	}
	p, err := s.drawUnsubscribe(vis)
	if err != nil {
		return err
	}
	return vis.send(fasthttp.StatusOK, p)
}

func (s *Server) drawUnsubscribe(vis *visit) (*pages.Unsubscribe, error) {
	shown, err := vis.ending()
	if err != nil {
		return nil, err
	}
	all := vis.h.ends[shownIn{vis.locale, ""}]
	id := newID(s.opt.Ledger.Now())
	p := &pages.Unsubscribe{Page: vis.switchable(vis.page(shown.Title)), Action: vis.here(), Address: vis.token.Identifier, Shown: &shown.Wording,
		Hidden: ending(shown, "one", id), Centre: s.centreOf(vis, vis.token.SubjectKind, vis.token.Subject, s.sealedOf(vis))}
	if len(shown.Purposes) < len(all.Purposes) {
		p.All = &pages.Everything{Shown: &all.Wording, Hidden: ending(all, "all", id)}
	}
	return p, nil
}

func ending(w *consent.Published, do string, id uuid.UUID) []pages.Hidden {
	return []pages.Hidden{{Name: "do", Value: do}, {Name: "wording", Value: w.Hash.String()}, {Name: "id", Value: id.String()}}
}

// sealedOf seals the address a link carries; nil when it carries none.
func (s *Server) sealedOf(vis *visit) []byte {
	if vis.token.Identifier == "" {
		return nil
	}
	return s.opt.Seal.Seal(vis.v.site.ID, vis.token.SubjectKind, vis.token.Identifier)
}

// ending is what the page of a link shows: of the purposes the link names, as far as they are still asked; none
// named, or none left, stands for all.
func (vis *visit) ending() (*consent.Published, error) {
	var left []consent.Purpose
	for _, p := range vis.h.purposes {
		if slices.Contains(vis.token.Purposes, p.ID) {
			left = append(left, p)
		}
	}
	switch len(left) {
	case 0, len(vis.h.purposes):
		return vis.h.ends[shownIn{vis.locale, ""}], nil
	case 1:
		return vis.h.ends[shownIn{vis.locale, left[0].ID}], nil
	}
	return vis.v.site.UnsubscribeWording(vis.locale, left...).Publish()
}

// unsubscribe takes the button of the page, and the one-click POST of a mailbox provider (RFC 8058 §3.2): no cookie,
// no Origin, no page before it, no redirect after it. Everything said here has been said when it is said again.
func (s *Server) unsubscribe(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterUnsubscribe(c)
	if err != nil {
		return err
	}
	values, err := s.formBody(vis.ctx)
	if err != nil {
		return err
	}
	if err := s.publish(vis.v); err != nil {
		return err
	}
	shown, err := vis.ending()
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(values["List-Unsubscribe"], "One-Click"):
		err = s.endAll(vis, shown, consent.Hash{}, newID(s.opt.Ledger.Now()))
	case values["do"] == "one" || values["do"] == "all":
		if values["do"] == "all" {
			shown = vis.h.ends[shownIn{vis.locale, ""}]
		}
		err = s.endShown(vis, &shown, values)
	default:
		return refuse(422, codeInvalid, "List-Unsubscribe=One-Click, or the form of the page")
	}
	if err != nil {
		return err
	}
	m := &pages.Message{Page: vis.page("unsubscribe.done_title"), Tone: pages.Good, Purposes: brief(shown.Purposes),
		Link: consent.Link{Href: s.centreOf(vis, vis.token.SubjectKind, vis.token.Subject, s.sealedOf(vis))}}
	m.Text, m.Link.Text = m.T("unsubscribe.done"), m.T("unsubscribe.centre")
	return vis.send(fasthttp.StatusOK, m)
}

// brief keeps the names of purposes.
func brief(all []consent.ShownPurpose) []consent.ShownPurpose {
	out := make([]consent.ShownPurpose, len(all))
	for i, p := range all {
		out[i] = consent.ShownPurpose{ID: p.ID, Title: p.Title}
	}
	return out
}

// endShown ends what the page showed. A page that was drawn under an older configuration ends what stood on it.
func (s *Server) endShown(vis *visit, shown **consent.Published, values map[string]string) error {
	if values["wording"] != (*shown).Hash.String() {
		old, err := s.findShown(vis.v, values["wording"])
		if err != nil {
			return err
		}
		if old != nil && old.Surface == consent.SurfaceUnsubscribe {
			w, err := s.readWording(vis.v, old.Hash)
			if err != nil {
				return err
			}
			*shown = w
		}
	}
	return s.endAll(vis, *shown, (*shown).Hash, derivedID(s.buttonID(values["id"]), values["do"]))
}

// readWording reads a wording the site published at any time.
func (s *Server) readWording(v *view, h consent.Hash) (*consent.Published, error) {
	doc, err := s.wordingDoc(v, h)
	if err != nil {
		return nil, err
	}
	w, err := consent.ParseWording(doc)
	if err != nil {
		return nil, fmt.Errorf("reading published wording: %w", err)
	}
	return &consent.Published{Wording: *w, Doc: doc, Hash: h}, nil
}

// endAll withdraws the purposes of w. What is withdrawn already is not withdrawn again: a mailbox provider may send
// the same POST for days. hash is w's when the person had it before them, and zero when a provider asked for them.
func (s *Server) endAll(vis *visit, w *consent.Published, hash consent.Hash, id uuid.UUID) error {
	t := vis.token
	over, err := s.allWithdrawn(vis, t.Subject, w.Asked())
	if err != nil || over {
		return err
	}
	d := deed{id: id, surface: consent.SurfaceUnsubscribe, method: consent.MethodWithdraw, wording: hash, decisions: refusals(w)}
	if !hash.IsZero() {
		d.locale = w.Locale
		if err := s.opt.Ledger.Publish(s.ctx, w); err != nil { // some of several purposes: not known beforehand
			return fmt.Errorf("publishing wording: %w", err)
		}
	}
	_, err = s.perform(vis, d)
	return err
}

func (s *Server) allWithdrawn(vis *visit, key consent.SubjectKey, purposes []string) (bool, error) {
	stands, err := s.stands(vis, key)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(purposes, func(id string) bool { return stands[id].Status != consent.StatusWithdrawn }), nil
}

// refusals says no to everything w asks.
func refusals(w *consent.Published) (all []consent.Choice) {
	for _, id := range slices.Sorted(slices.Values(w.Asked())) {
		all = append(all, consent.Choice{Purpose: id})
	}
	return all
}

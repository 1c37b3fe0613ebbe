package server

import (
	"net/url"
	"strconv"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// A form drawn by this server, for browsers without scripts, for campaigns, and for pages that may carry no script
// at all. It is drawn from its wording document, so that what is seen is what the proof's hash stands for.

// sheet is a form as it was sent: the visit it came in on, and what its hidden fields say.
type sheet struct {
	*visit
	form    consent.Form
	wording *consent.Published
	values  map[string]string
	shown   *link.Token // what this server drew; nil: another page sent the form, or the day is over
}

// formPage draws a form. It writes nothing: a link to it may stand in a mail.
func (s *Server) formPage(c *fiber.Ctx, v *view) error {
	sh, err := s.enterForm(c, v)
	if err != nil {
		return err
	}
	p := s.drawForm(sh)
	p.Page = sh.switchable(p.Page)
	return sh.send(fasthttp.StatusOK, p, sh.target())
}

// enterForm begins a visit of a form this server can draw.
func (s *Server) enterForm(c *fiber.Ctx, v *view) (*sheet, error) {
	vis, err := s.enterPage(c, v)
	if err != nil {
		return nil, err
	}
	f, ok := v.site.Form(c.Params("form"))
	w := v.current(consent.SurfaceForm(f.ID), vis.locale)
	if !ok || w == nil {
		return nil, &problem{status: 404, code: codeUnknownForm, detail: "no form of this name is drawn here", site: v.site}
	}
	return &sheet{visit: vis, form: f, wording: w}, nil
}

// current finds what a surface shows in a locale; nil: nothing that is known beforehand.
func (v *view) current(surface, locale string) *consent.Published {
	for _, w := range v.site.Published {
		if w.Surface == surface && w.Locale == locale {
			return w
		}
	}
	return nil
}

// formStays is how long a form may lie open before it is sent.
const formStays = 24 * time.Hour

// drawForm draws the form with nothing filled in. Its hidden token says when, so that a program is told from a
// person, and gives the proof its id: sending it twice records it once.
func (s *Server) drawForm(sh *sheet) *pages.Form {
	now := s.opt.Ledger.Now()
	token := &link.Token{Kind: link.Form, Site: sh.v.site.ID, ID: newID(now), Made: now, Expires: now + millis(formStays)}
	if sh.shown != nil {
		token = sh.shown // the same form, sent once more: it was looked at since then
	}
	p := sh.page(sh.wording.Title)
	p.Public = true
	return &pages.Form{Page: p, Action: sh.here(), Shown: &sh.wording.Wording, Hidden: []pages.Hidden{
		{Name: "wording", Value: sh.wording.Hash.String()}, {Name: "t", Value: s.opt.Links.Seal(token)}}}
}

// target is the origin that the form's answer leads to; "": this server.
func (sh *sheet) target() string {
	u, err := url.Parse(sh.form.Redirect[sh.locale])
	if err != nil || u.Host == "" {
		return ""
	}
	host, err := asciiHostPort(u) // it goes into a header
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + host
}

// submitForm takes the form: in plain encoding, from its own page or one of the site's. Everything wrong with it is
// answered on the form itself; what was recorded is answered by a redirect to a page of the configuration.
func (s *Server) submitForm(c *fiber.Ctx, v *view) error {
	sh, err := s.enterForm(c, v)
	if err != nil {
		return err
	}
	cand := &admit.Candidate{Rules: v.rules, Via: admit.Hosted, Own: s.origin}
	if err := s.gate(sh.ctx, cand, s.steps); err != nil {
		return err
	}
	if err := s.throttle(sh.ctx, v); err != nil {
		return err
	}
	if sh.values, err = s.formBody(sh.ctx); err != nil {
		return err
	}
	return s.recordForm(sh)
}

func (s *Server) recordForm(sh *sheet) error {
	if again, err := s.readHidden(sh); err != nil || again {
		return s.askAgain(sh, err, false)
	}
	now := s.opt.Ledger.Now()
	if sh.values["website"] != "" || now-sh.shown.Made < millis(time.Second) {
		s.codes[codeKey{admit.LooksAutomated, 422}].count.Inc()
		return s.askAgain(sh, nil, true)
	}
	subjects, page := s.readFields(sh)
	if page != nil {
		return sh.send(fasthttp.StatusUnprocessableEntity, page, sh.target())
	}
	for _, who := range subjects {
		if err := s.recordOne(sh, who, now); err != nil {
			return err
		}
	}
	if to := sh.form.Redirect[sh.locale]; to != "" {
		return seeOther(sh.ctx, to)
	}
	return seeOther(sh.ctx, s.prefix+"/f/"+sh.v.site.ID+"/"+sh.form.ID+"/thanks?lang="+url.QueryEscape(sh.locale))
}

// readHidden finds out what was on the screen. A form that was drawn elsewhere, or before its text changed, has to
// be looked at here first: what it said is not known.
func (s *Server) readHidden(sh *sheet) (again bool, err error) {
	t, err := s.opt.Links.Open(link.Form, sh.values["t"], s.opt.Ledger.Now())
	if err != nil || t.Site != sh.v.site.ID {
		return true, nil
	}
	sh.shown = t
	shown, err := s.findShown(sh.v, sh.values["wording"])
	if err != nil || shown == nil || shown.Surface != sh.wording.Surface {
		sh.shown = nil
		return true, err
	}
	if shown.Hash == sh.wording.Hash {
		return false, nil
	}
	doc, err := s.wordingDoc(sh.v, shown.Hash)
	if err != nil {
		return false, err
	}
	w, err := consent.ParseWording(doc)
	if err != nil {
		return false, err
	}
	sh.wording = &consent.Published{Wording: *w, Doc: doc, Hash: shown.Hash}
	return false, nil
}

// askAgain shows the form once more with what was typed. Boxes are ticked again only if they stood here: on a page
// that is not known they may have been ticked beforehand.
func (s *Server) askAgain(sh *sheet, err error, ticks bool) error {
	if err != nil {
		return err
	}
	page := s.refilled(sh, ticks)
	page.Again = page.T("form.refused")
	return sh.send(fasthttp.StatusUnprocessableEntity, page, sh.target())
}

func (s *Server) refilled(sh *sheet, ticks bool) *pages.Form {
	page := s.drawForm(sh)
	page.Values, page.Wrong, page.Ticked = map[consent.Kind]string{}, map[consent.Kind]string{}, map[string]bool{}
	for _, f := range sh.wording.Fields {
		page.Values[f.Kind] = clipped(sh.values[string(f.Kind)])
	}
	for _, p := range sh.wording.Purposes {
		page.Ticked[p.ID] = ticks && !p.Required && sh.values["p_"+p.ID] != ""
	}
	return page
}

// clipped keeps what is shown again short; no identifier is longer.
func clipped(s string) string {
	if len(s) > maxIdentifier {
		return ""
	}
	return s
}

// readFields reads who is meant. page is the form with what is wrong, or nil.
func (s *Server) readFields(sh *sheet) (subjects []consent.Subject, page *pages.Form) {
	page = s.refilled(sh, true)
	for _, f := range sh.wording.Fields {
		value := sh.values[string(f.Kind)]
		if value == "" && f.Required {
			page.Wrong[f.Kind] = page.T("form.error_missing")
		}
		if value == "" {
			continue
		}
		who, err := consent.ParseSubject(f.Kind, value, sh.v.site.Region)
		if err != nil {
			page.Wrong[f.Kind] = page.T("form.error_" + string(f.Kind))
		}
		subjects = append(subjects, who)
	}
	if len(subjects) == 0 && len(page.Wrong) == 0 && len(sh.wording.Fields) > 0 {
		page.Wrong[sh.wording.Fields[0].Kind] = page.T("form.error_one_field")
	}
	if len(sh.granted()) == 0 {
		page.Untold = page.T("form.error_none")
	}
	if len(page.Wrong) > 0 || page.Untold != "" {
		return nil, page
	}
	return subjects, nil
}

// granted lists the purposes whose box was ticked.
func (sh *sheet) granted() (all []string) {
	for _, id := range sh.wording.Asked() {
		if sh.values["p_"+id] != "" {
			all = append(all, id)
		}
	}
	return all
}

// recordOne records the choices for one identifier: an address and a number are two subjects.
func (s *Server) recordOne(sh *sheet, who consent.Subject, now consent.Millis) error {
	cand := s.candidate(sh.v)
	defer s.recycle(cand)
	asked := sh.wording.Asked()
	said := ""
	for _, id := range asked {
		granted := sh.values["p_"+id] != ""
		cand.Decisions = append(cand.Decisions, consent.Choice{Purpose: id, Granted: granted})
		said += " " + id + "=" + strconv.FormatBool(granted)
	}
	cand.Via, cand.Method = admit.Hosted, string(consent.MethodCustom)
	if len(sh.granted()) == len(asked) {
		cand.Method = string(consent.MethodAcceptAll)
	}
	cand.ID = derivedID(uuid.UUID(sh.shown.ID), string(who.Kind), who.Value, said).String()
	cand.Subject = admit.RawSubject{Kind: who.Kind, Value: who.Value}
	cand.Surface, cand.Wording, cand.Locale = sh.wording.Surface, sh.wording.Hash.String(), sh.wording.Locale
	cand.Page = s.opt.PublicURL + "/f/" + sh.v.site.ID + "/" + sh.form.ID
	cand.Took, cand.Timed = int(now-sh.shown.Made), true
	if err := s.judge(sh.v, cand, s.steps); err != nil {
		return err
	}
	_, _, err := s.commit(sh.ctx, sh.v, cand)
	return err
}

// thanksPage says what happens next. It knows nobody: everyone who comes here reads the same.
func (s *Server) thanksPage(c *fiber.Ctx, v *view) error {
	sh, err := s.enterForm(c, v)
	if err != nil {
		return err
	}
	m := &pages.Message{Page: sh.switchable(sh.page("form.thanks_title")), Tone: pages.Good, Text: sh.form.Thanks[sh.locale]}
	if sh.form.DoubleOptIn {
		m.Tone, m.Title = pages.Wait, m.T("form.mailbox_title")
	}
	return sh.send(fasthttp.StatusOK, m)
}

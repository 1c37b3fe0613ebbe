package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// The preference centre. One row per purpose, decided alone; each change is a proof under the wording of its row.

// stand is where one purpose stands for the person of a visit.
type stand struct {
	consent.Answer
	Wording consent.Hash
}

// stands judges every purpose of the centre.
func (s *Server) stands(vis *visit, key consent.SubjectKey) (map[string]stand, error) {
	state, err := s.opt.Ledger.State(vis.v.site.ID, key)
	if err != nil {
		return nil, err
	}
	now := s.opt.Ledger.Now()
	all := make(map[string]stand, len(vis.h.purposes))
	for _, p := range vis.h.purposes {
		st, _ := state.Standing(p.ID, now)
		all[p.ID] = stand{st.Answer(now, &vis.v.purpose(p.ID).rule), st.Wording}
	}
	return all, nil
}

// centrePage shows where everything stands, and writes nothing.
func (s *Server) centrePage(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterLink(c, link.Centre)
	if err != nil {
		return err
	}
	p, err := s.drawCentre(vis)
	if err != nil {
		return err
	}
	p.Page = vis.switchable(p.Page)
	switch done := string(vis.ctx.QueryArgs().Peek("saved")); done {
	case "all":
		p.Stopped = true
	case "address":
		if p.Correct != nil {
			p.Correct.Sent = true
		}
	default:
		saySaved(p, done)
	}
	return vis.send(fasthttp.StatusOK, p)
}

// saySaved tells on its row, or on none, what has just been changed. It is told as it stands now, whatever the address
// says.
func saySaved(c *pages.Centre, purpose string) {
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.Shown.ID == purpose && (row.State == pages.On || row.State == pages.Off) {
			row.Saved = c.T("centre.saved")
		}
	}
}

func (s *Server) drawCentre(vis *visit) (*pages.Centre, error) {
	p := &pages.Centre{Page: vis.page("centre.title"), Action: vis.here(), Address: vis.token.Identifier, Export: s.exportOf(vis)}
	p.Intro = p.T("centre.intro")
	stands, err := s.stands(vis, vis.token.Subject)
	if err != nil {
		return nil, err
	}
	for _, purpose := range vis.h.purposes {
		row, err := s.drawRow(vis, &p.Page, purpose, stands[purpose.ID])
		if err != nil {
			return nil, err
		}
		p.Rows = append(p.Rows, row)
	}
	if all := vis.h.ends[shownIn{vis.locale, ""}]; all != nil {
		p.Stop = &pages.Everything{Shown: &all.Wording, Hidden: s.hidden(all)}
	}
	if s.corrects(vis) {
		p.Correct = &pages.Correct{}
	}
	return p, nil
}

// hidden is what a button of the centre sends besides itself: the text it stood under, and the id of its proof, so
// that a button pressed twice is one choice.
func (s *Server) hidden(w *consent.Published) []pages.Hidden {
	return []pages.Hidden{{Name: "wording", Value: w.Hash.String()}, {Name: "id", Value: newID(s.opt.Ledger.Now()).String()}}
}

func (s *Server) drawRow(vis *visit, p *pages.Page, purpose consent.Purpose, st stand) (pages.Row, error) {
	w := vis.h.rows[shownIn{vis.locale, purpose.ID}]
	row := pages.Row{Shown: w.Purposes[0], Channel: p.T("centre.channel_" + string(purpose.Channel)), On: w.Buttons["on"], Off: w.Buttons["off"],
		Proof: st.Proof != uuid.Nil, Hidden: append(s.hidden(w), pages.Hidden{Name: "purpose", Value: purpose.ID})}
	word := ""
	row.State, word = shownState(purpose, st)
	row.Status = p.T("centre.status_"+word, "date", p.Date(st.Since))
	if st.Wording.IsZero() {
		return row, nil
	}
	seen, err := s.readWording(vis.v, st.Wording)
	switch {
	case errors.Is(err, ledger.ErrNotFound): // recorded on another edge
	case err != nil:
		return row, err
	default:
		row.Seen = &seen.Wording
	}
	return row, nil
}

// shownState is how a standing looks: which side of the switch is pressed, and in which word it is told.
func shownState(p consent.Purpose, st stand) (pages.State, string) {
	switch st.Status {
	case consent.StatusGranted:
		return pages.On, "granted"
	case consent.StatusDenied:
		return pages.Off, "denied"
	case consent.StatusWithdrawn:
		return pages.Off, "withdrawn"
	case consent.StatusPending:
		return pages.Unsaid, "pending"
	case consent.StatusExpired:
		if st.Reason == consent.ReasonWordingSuperseded {
			return pages.Unsaid, "superseded"
		}
		return pages.Unsaid, "expired"
	}
	if p.Objection {
		return pages.On, "objection"
	}
	return pages.Unsaid, "unknown"
}

// decide takes the buttons of the centre.
func (s *Server) decide(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterLink(c, link.Centre)
	if err != nil {
		return err
	}
	values, err := s.formBody(vis.ctx)
	if err != nil {
		return err
	}
	if err := s.publish(vis.v); err != nil { // what the page shows is found below by its hash
		return err
	}
	switch values["do"] {
	case "on", "off":
		return s.switchOne(vis, values)
	case "stop":
		return s.stopAll(vis, values)
	case "correct":
		return s.correct(vis, values)
	}
	return refuse(422, codeInvalid, "one of the page's buttons")
}

// switchOne records one choice and shows the page again.
func (s *Server) switchOne(vis *visit, values map[string]string) error {
	purpose, ok := vis.h.purpose(values["purpose"])
	shown, err := s.findShown(vis.v, values["wording"])
	if err != nil {
		return err
	}
	if !ok || shown == nil || shown.Surface != consent.SurfaceCentre || !slices.Equal(shown.Asked, []string{purpose.ID}) {
		return s.centreAgain(vis, func(p *pages.Centre) { p.Problem = p.T("form.refused") })
	}
	stands, err := s.stands(vis, vis.token.Subject)
	if err != nil {
		return err
	}
	granted := values["do"] == "on"
	d := deed{surface: consent.SurfaceCentre, locale: shown.Locale, wording: shown.Hash, decisions: []consent.Choice{{Purpose: purpose.ID, Granted: granted}}}
	switch was := stands[purpose.ID].Status; {
	case granted:
		d.method = consent.MethodAcceptAll
	case was == consent.StatusGranted || was == consent.StatusExpired || was == consent.StatusWithdrawn:
		d.method = consent.MethodWithdraw
	default:
		d.method = consent.MethodRejectAll
	}
	if err := s.performOnce(vis, d, values["id"], stands[purpose.ID].Since); err != nil {
		return err
	}
	return seeOther(vis.ctx, vis.here("saved", purpose.ID))
}

// performOnce records a deed under the id its button carried: pressed twice, it is one choice. A button of a page
// that lay open while the choice was changed elsewhere gets an id of its own, or its press would be lost.
func (s *Server) performOnce(vis *visit, d deed, button string, since consent.Millis) error {
	d.id = derivedID(s.buttonID(button), string(d.method), fmt.Sprint(d.decisions))
	r, err := s.perform(vis, d)
	if errors.Is(err, ledger.ErrConflict) || err == nil && r.Replayed && r.At < since {
		d.id = newID(s.opt.Ledger.Now())
		_, err = s.perform(vis, d)
	}
	return err
}

// stopAll withdraws everything at once: one proof, under the wording of unsubscribing from everything.
func (s *Server) stopAll(vis *visit, values map[string]string) error {
	shown := vis.h.ends[shownIn{vis.locale, ""}]
	if shown == nil {
		return refuse(422, codeInvalid, "there is nothing to stop")
	}
	values["do"] = "all"
	if err := s.endShown(vis, &shown, values); err != nil {
		return err
	}
	return seeOther(vis.ctx, vis.here("saved", "all"))
}

// centreAgain shows the page with what is wrong.
func (s *Server) centreAgain(vis *visit, say func(*pages.Centre)) error {
	p, err := s.drawCentre(vis)
	if err != nil {
		return err
	}
	say(p)
	return vis.send(fasthttp.StatusUnprocessableEntity, p)
}

// corrects reports whether the address of the visit can be changed here: an e-mail address, where mail can be sent.
func (s *Server) corrects(vis *visit) bool {
	return s.opt.Mail != nil && vis.token.SubjectKind == consent.KindEmail && vis.v.site.Mail.Address != ""
}

// correct asks the new address to confirm. Until it does nothing is recorded; the answer does not tell whether the
// address is known, nor whether a mail may go to it at this moment.
func (s *Server) correct(vis *visit, values map[string]string) error {
	if !s.corrects(vis) {
		return refuse(422, codeInvalid, "an address is not changed here")
	}
	who, err := consent.ParseSubject(consent.KindEmail, values["email"], vis.v.site.Region)
	key := vis.v.site.Keyer.Key(who)
	if err != nil || key == vis.token.Subject {
		return s.centreAgain(vis, func(p *pages.Centre) {
			p.Correct.Value, p.Correct.Problem = clipped(values["email"]), p.T("form.error_email")
		})
	}
	o := &optIn{Site: vis.v.site.ID, Locale: vis.locale, Kind: who.Kind, Key: key.String(), Sealed: s.opt.Seal.Seal(vis.v.site.ID, who.Kind, who.Value),
		From: vis.token.Subject.String(), FromKind: vis.token.SubjectKind}
	err = s.mailed(vis.v, o, key, s.clientIP(vis.ctx), func(notes ...ledger.Note) (bool, error) {
		if len(notes) == 0 {
			return false, nil
		}
		return true, s.opt.Ledger.SetNotes(s.ctx, notes...)
	})
	if err != nil {
		return err
	}
	return seeOther(vis.ctx, vis.here("saved", "address"))
}

// moved are the choices of the old address that go to the new one: every yes in force, and every no.
func (s *Server) moved(vis *visit, o *optIn) (from consent.SubjectKey, choices []consent.Choice, err error) {
	if from, err = consent.ParseSubjectKey(o.From); err != nil {
		return from, nil, fmt.Errorf("reading a request to confirm: %w", err)
	}
	stands, err := s.stands(vis, from)
	for _, p := range vis.h.purposes {
		switch stands[p.ID].Status {
		case consent.StatusGranted:
			choices = append(choices, consent.Choice{Purpose: p.ID, Granted: true})
		case consent.StatusDenied, consent.StatusWithdrawn:
			choices = append(choices, consent.Choice{Purpose: p.ID})
		}
	}
	return from, choices, err
}

// moving lists what the new address will have agreed to.
func (s *Server) moving(vis *visit, o *optIn) (all []consent.ShownPurpose, err error) {
	_, choices, err := s.moved(vis, o)
	for _, c := range choices {
		if c.Granted {
			all = append(all, vis.h.rows[shownIn{vis.locale, c.Purpose}].Purposes[0])
		}
	}
	return all, err
}

// move records the choices for the new address, then ends them for the old one, in the last batch together with the
// note that it is done. The ids of all proofs follow from the request's: a crash in between is mended by pressing
// the button again.
func (s *Server) move(vis *visit, o *optIn, to consent.SubjectKey, done ledger.Note) error {
	from, choices, err := s.moved(vis, o)
	if err != nil {
		return err
	}
	for _, c := range choices {
		w := vis.h.rows[shownIn{vis.locale, c.Purpose}]
		d := deed{id: derivedID(o.Confirm, "to", c.Purpose), surface: consent.SurfaceCentre, method: consent.MethodConfirm, locale: w.Locale, wording: w.Hash,
			decisions: []consent.Choice{c}, grade: consent.GradeVerified, kind: o.Kind, key: to, sealed: o.Sealed}
		if _, err := s.perform(vis, d); err != nil && !errors.Is(err, ledger.ErrConflict) { // in another language, before a crash
			return err
		}
	}
	all := vis.h.ends[shownIn{vis.locale, ""}]
	if all == nil {
		return s.opt.Ledger.SetNotes(s.ctx, done)
	}
	_, err = s.perform(vis, deed{id: derivedID(o.Confirm, "from"), surface: consent.SurfaceUnsubscribe, method: consent.MethodWithdraw, locale: all.Locale, wording: all.Hash,
		decisions: refusals(all), kind: o.FromKind, key: from}, done)
	return err
}

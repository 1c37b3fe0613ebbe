package server

import (
	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
)

// identify tells a page of a visitor who is logged in what their account has decided on the banner's purposes, on
// whichever of their devices (CNIL, délib. 2025-131: a choice made while logged in holds for the account, a refusal
// as far as an acceptance). The account is named by a token the site's own server got from …/links; its id never
// goes through the page. Nothing is written: what this device chose while nobody was logged in stays as it is, for
// the next person who uses it.
func (s *Server) identify(c *fiber.Ctx, v *view) error {
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
	if err := decodeIdentify(doc, cand); err != nil {
		return err
	}
	who := s.personOf(v, cand)
	if who == nil {
		return invalid([]admit.Refusal{{Pointer: "/token", Code: admit.InvalidSubject, Detail: "this token is not valid here, or has expired"}})
	}
	purposes := make([]*asked, 0, len(v.asked))
	for i := range v.asked {
		if p, ok := v.site.Purpose(v.asked[i].id); ok && p.OnBanner() {
			purposes = append(purposes, &v.asked[i])
		}
	}
	return s.answerOne(ctx, v, who.Key, question{purposes: purposes})
}

// decodeIdentify reads {"token","device"?}. The device is there for the page to say once; it is looked at and
// forgotten.
func decodeIdentify(doc string, cand *admit.Candidate) error {
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "token":
				cand.Subject = admit.RawSubject{Kind: admit.KindPerson, Value: r.Text(maxIdentifier)}
			case "device":
				if device := r.Text(maxID); device != "" {
					if _, err := consent.ParseSubject(consent.KindDevice, device, ""); err != nil {
						r.Note(admit.InvalidSubject)
					}
				}
			default:
				r.Unknown()
			}
		}
		if cand.Subject.Kind == "" {
			r.Missing("token")
		}
	}
	return readErrors(&r)
}

// personOf opens the token a candidate names its subject by; nil: it opens nothing on this site.
func (s *Server) personOf(v *view, cand *admit.Candidate) *admit.Person {
	t, err := s.opt.Links.Open(link.Identify, cand.Subject.Value, cand.Now)
	if err != nil || t.Site != v.site.ID {
		return nil
	}
	return &admit.Person{Key: t.Subject, Kind: t.SubjectKind}
}

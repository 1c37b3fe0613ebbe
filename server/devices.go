package server

import (
	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// device answers the holder of a device id about itself: the id is a random UUID that only its browser knows.
// One never seen is answered like one that decided nothing.
func (s *Server) device(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	if origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin); len(origin) > 0 && !v.site.AllowsOrigin(text(origin)) {
		return refuse(403, admit.OriginForeign, "this origin is not among the site's origins")
	}
	if err := s.throttle(ctx, v); err != nil {
		return err
	}
	id := c.Params("device")
	if looksPersonal(id) {
		return refuse(400, codeIdentifierInURL, "URLs end up in logs")
	}
	subject, err := consent.ParseSubject(consent.KindDevice, id, "")
	if err != nil {
		return invalid([]admit.Refusal{{Pointer: "/device", Code: admit.InvalidSubject, Detail: admit.SubjectHelp(err)}})
	}
	return s.answerOne(ctx, v, v.site.Keyer.Key(subject), question{purposes: v.devices})
}

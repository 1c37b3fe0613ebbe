package server

import (
	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// prompt takes the report that a surface was displayed, and answers 204 once it is durable. The same prompt
// again counts once.
func (s *Server) prompt(c *fiber.Ctx, v *view) error {
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
	if err := decodePrompt(doc, cand); err != nil {
		return err
	}
	if err := s.judge(v, cand, s.promptSteps); err != nil {
		return err
	}
	p := &consent.Prompt{Edge: s.opt.Ledger.Edge(), Device: s.browsers.of(ctx.UserAgent()).class, Country: s.opt.Country(s.clientIP(ctx))}
	cand.PromptFacts(p)
	if err := s.opt.Ledger.AppendPrompt(s.ctx, p); err != nil {
		return err
	}
	ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

func decodePrompt(doc string, cand *admit.Candidate) error {
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "prompt":
				cand.Prompt = r.Text(maxID)
			case "surface":
				cand.Surface = r.Text(maxWord)
			case "wording":
				cand.Wording = r.Text(maxHash)
			case "locale":
				cand.Locale = r.Text(maxWord)
			case "page":
				cand.Page = r.Text(maxBody)
			default:
				r.Unknown()
			}
		}
	}
	return readErrors(&r)
}

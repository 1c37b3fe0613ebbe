package server

import (
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
)

// routes is the whole surface, in the order in which it is looked through: per method, the busiest first.
func (s *Server) routes() []route {
	return []route{
		// What is asked before every send, and what every visitor sends.
		{method: get, path: "/v1/sites/:site/lookup", scope: "lookup", do: s.lookup},
		{method: post, path: "/v1/sites/:site/consents", cors: true, do: s.record},
		{method: post, path: "/v1/sites/:site/prompts", cors: true, do: s.prompt},
		{method: get, path: "/v1/sites/:site/devices/:device", cors: true, do: s.device},
		{method: post, path: "/v1/sites/:site/wordings", cors: true, do: s.offerWording},
		{method: post, path: "/v1/sites/:site/identify", cors: true, do: s.identify},
		{method: get, path: "/s/:file", shared: true, do: s.bundle},

		// With a token.
		{method: post, path: "/v1/sites/:site/lookup", scope: "lookup", do: s.lookupMany},
		{method: post, path: "/v1/sites/:site/contacts", scope: "record", do: s.contacts},
		{method: post, path: "/v1/sites/:site/history", scope: "proofs", do: s.history},
		{method: get, path: "/v1/sites/:site/proofs/:id", scope: "proofs", do: s.proof},
		{method: get, path: "/v1/sites/:site/proofs/:id/evidence", scope: "proofs", do: s.evidenceOf},
		{method: post, path: "/v1/sites/:site/evidence", scope: "proofs", do: s.evidenceOfSubject},
		{method: get, path: "/v1/sites/:site/rates", scope: "rates", do: s.rates},
		{method: post, path: "/v1/sites/:site/links", scope: "links", do: s.makeLinks},

		// Pages for people, without a script. GET writes nothing.
		{method: get, path: "/f/:site/:form", page: true, do: s.formPage},
		{method: post, path: "/f/:site/:form", page: true, do: s.submitForm},
		{method: get, path: "/f/:site/:form/thanks", page: true, do: s.thanksPage},
		{method: get, path: "/c/:token", page: true, do: s.confirmPage},
		{method: post, path: "/c/:token", page: true, do: s.confirm},
		{method: get, path: "/p/:token", page: true, do: s.centrePage},
		{method: post, path: "/p/:token", page: true, do: s.decide},
		{method: get, path: "/p/:token/export", page: true, do: s.export},
		{method: get, path: "/u/:token", page: true, do: s.unsubscribePage},
		{method: post, path: "/u/:token", page: true, do: s.unsubscribe},

		// For everybody; a receipt for the device that made the choice, or with a token.
		{method: get, path: "/v1/sites/:site/proofs/:id/receipt", cors: true, do: s.receipt},
		{method: get, path: "/v1/sites/:site/wordings/:hash", do: s.wording},
		{method: get, path: "/v1/sites/:site/snapshots/:hash", do: s.snapshot},
		{method: get, path: "/log/checkpoint", do: s.checkpoint(consent.StreamProofs)},
		{method: get, path: "/log/tile/*", do: s.tile(consent.StreamProofs)},
		{method: get, path: "/log/published/checkpoint", do: s.checkpoint(consent.StreamWordings)},
		{method: get, path: "/log/published/tile/*", do: s.tile(consent.StreamWordings)},
		{method: get, path: "/log/keys", do: s.logKeys},
		{method: get, path: "/verify", shared: true, do: s.verify},
		{method: get, path: "/.well-known/jwks.json", do: s.jwks},
		{method: get, path: "/healthz", do: s.healthz},
		{method: get, path: "/readyz", do: s.readyz},
		{method: get, path: "/openapi.yaml", shared: true, do: s.openapi},
		{method: get, path: "/docs", shared: true, do: s.docs},
		{method: get, path: "/.well-known/gpc.json", do: s.gpc},
		{method: get, path: "/consentd.d.ts", shared: true, do: s.declarations},
	}
}

const (
	get  = fiber.MethodGet
	post = fiber.MethodPost
)

// route is one line of the table.
type route struct {
	method string
	path   string // Fiber's template; the label of metrics and logs, so that neither ever holds an id
	scope  string // the token scope it needs; "": no token is asked for here
	cors   bool   // pages of the site may call it
	shared bool   // the answer is the same memory for everybody: it is not counted
	page   bool   // a person reads the answer: what went wrong is told on a page
	do     func(c *fiber.Ctx, v *view) error

	site bool // the path names a site; set when it is mounted
}

package server

import (
	"net/netip"
	"strconv"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// record takes a choice: from a page of the site, or from a program with a token of scope record. It answers
// 201 once the choice is durable, and 200 with the same body when it already was.
func (s *Server) record(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	cand := s.candidate(v)
	defer s.recycle(cand)
	if err := s.vouch(ctx, v, cand, s.steps); err != nil {
		return err
	}
	doc, err := s.body(ctx, maxBody)
	if err != nil {
		return err
	}
	if err := decodeChoice(doc, cand); err != nil {
		return err
	}
	if cand.Subject.Kind == admit.KindPerson {
		cand.Person = s.personOf(v, cand)
	}
	if err := s.judge(v, cand, s.steps); err != nil {
		return err
	}
	p, receipt, err := s.commit(ctx, v, cand)
	if err != nil {
		return err
	}
	if cand.Via == admit.Browser {
		s.keepOverHTTP(ctx, v)
	}
	s.answerChoice(ctx, p, receipt, cand)
	return nil
}

// commit makes an admitted choice durable: as it is, or as a request that a mail asks to confirm.
func (s *Server) commit(ctx *fasthttp.RequestCtx, v *view, cand *admit.Candidate) (p *consent.Proof, r ledger.Receipt, err error) {
	p = s.proofOf(ctx, v, cand)
	if cand.OptIn() {
		var network netip.Addr // a program's says nothing about who signs up
		if cand.Via != admit.API {
			network = s.clientIP(ctx)
		}
		r, err = s.request(v, p, network)
	} else {
		r, err = s.opt.Ledger.Append(s.ctx, p)
	}
	if err == nil {
		s.metrics.count(cand.Via, r.Replayed)
		s.metrics.ticked.Add(float64(len(cand.Ticked())))
	}
	return p, r, err
}

// candidate takes a candidate out of the pool: it is the largest thing a request needs, and nothing keeps it.
func (s *Server) candidate(v *view) *admit.Candidate {
	cand, _ := s.candidates.Get().(*admit.Candidate)
	if cand == nil {
		cand = new(admit.Candidate)
	}
	cand.Rules, cand.Now = v.rules, s.opt.Ledger.Now()
	return cand
}

func (s *Server) recycle(cand *admit.Candidate) {
	cand.Reset()
	s.candidates.Put(cand)
}

// vouch finds out who answers for a candidate: a token, or the origin of a page, which is then held to the rate
// its network may send at.
func (s *Server) vouch(ctx *fasthttp.RequestCtx, v *view, cand *admit.Candidate, steps []admit.Step) error {
	if len(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)) > 0 {
		cand.Via = admit.API
		claims, err := s.claims(ctx)
		if err != nil {
			return err
		}
		return claims.Allows(v.site.ID, token.ScopeRecord)
	}
	cand.GPC = text(ctx.Request.Header.Peek("Sec-GPC")) == "1"
	if err := s.gate(ctx, cand, steps); err != nil {
		return err
	}
	return s.throttle(ctx, v)
}

// gate judges what can be judged before the body is read: where the request comes from.
func (s *Server) gate(ctx *fasthttp.RequestCtx, cand *admit.Candidate, steps []admit.Step) error {
	cand.Origin = text(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	refusals := cand.Gates(steps)
	cand.Origin = "" // a view; it has served
	if refusals != nil {
		return refuse(403, refusals[0].Code, refusals[0].Detail)
	}
	return nil
}

// throttle takes one request from the allowance of the client's network on this site.
func (s *Server) throttle(ctx *fasthttp.RequestCtx, v *view) error {
	limits := v.site.Limits
	client := s.clientIP(ctx)
	ok, wait := s.limits.allow(v.site.ID, client, ctx.Time(), float64(limits.ConsentsPerMinute)/60, limits.Burst)
	if !ok {
		s.noteRefused(ctx, client)
		return &problem{status: 429, code: codeRateLimited, retry: wait}
	}
	return nil
}

// judge looks up the wording and runs the admission steps.
func (s *Server) judge(v *view, cand *admit.Candidate, steps []admit.Step) (err error) {
	if err := s.publish(v); err != nil {
		return err
	}
	if cand.Wording != "" {
		if cand.Shown, err = s.findShown(v, cand.Wording); err != nil {
			return err
		}
	}
	if refusals := cand.Run(steps); refusals != nil {
		return invalid(refusals)
	}
	return nil
}

// proofOf completes an admitted choice. What traces a person (address, browser) is taken from browsers only:
// the caller of the API is not the person.
func (s *Server) proofOf(ctx *fasthttp.RequestCtx, v *view, cand *admit.Candidate) *consent.Proof {
	p := &consent.Proof{}
	cand.Facts(p)
	p.Edge, p.Device = s.opt.Ledger.Edge(), consent.DeviceServer
	if cand.Via != admit.API {
		s.trace(ctx, v, p)
	}
	who := cand.Who()
	p.Personal.Subject = v.site.Keyer.Key(who)
	if who.Kind == consent.KindEmail || who.Kind == consent.KindPhone {
		p.Personal.Identifier = s.opt.Seal.Seal(v.site.ID, who.Kind, who.Value)
	}
	if device, ok := cand.From(); ok {
		p.Personal.Device = v.site.Keyer.Key(device)
	}
	p.Personal.Salt = consent.NewSalt()
	p.Commitment = p.Personal.Commit()
	return p
}

// trace takes over what a browser's request says of it, as far as the site keeps it.
func (s *Server) trace(ctx *fasthttp.RequestCtx, v *view, p *consent.Proof) {
	ip, ua := s.clientIP(ctx), s.browsers.of(ctx.UserAgent())
	p.Personal.UserAgent = ua.agent
	p.Country, p.Device = s.opt.Country(ip), ua.class
	p.Personal.IP = keepIP(ip, v.site.IP)
}

// answerChoice says what was recorded. It is the same for an address that is known and one that is not, and
// whether or not one more mail may go to it.
func (s *Server) answerChoice(ctx *fasthttp.RequestCtx, p *consent.Proof, r ledger.Receipt, cand *admit.Candidate) {
	status := fasthttp.StatusCreated
	if r.Replayed {
		status = fasthttp.StatusOK
	}
	b := append(begin(ctx), `{"id":"`...)
	b = consent.AppendUUID(b, p.ID)
	b = append(b, `","site":"`...)
	b = append(b, p.Site...)
	b = append(b, `","recorded_at":`...)
	b = consent.AppendMillis(b, r.At)
	b = append(b, `,"edge":`...)
	b = consent.AppendJSONString(b, p.Edge)
	b = append(b, `,"generation":`...)
	b = strconv.AppendUint(b, uint64(r.Generation), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	if !p.Wording.IsZero() {
		b = append(b, `,"wording":"`...)
		b = consent.AppendHex(b, p.Wording[:])
		b = append(b, '"')
	}
	b = append(b, `,"decisions":`...)
	b = consent.AppendDecisions(b, p.Decisions)
	if cand.OptIn() {
		b = append(b, `,"status":"pending"`...)
	}
	for i, purpose := range cand.Ticked() {
		b = append(b, []string{`,"notices":[`, `,`}[min(i, 1)]...)
		b = append(b, `{"code":"ticked_by_default","purpose":"`...)
		b = append(append(b, purpose...), `"}`...)
	}
	if len(cand.Ticked()) > 0 {
		b = append(b, ']')
	}
	finish(ctx, status, mimeJSON, append(b, '}'))
}

// Caps on single members of a body, in bytes. Longer than any valid value, so that what is merely wrong is
// called by its own code.
const (
	maxID         = 64
	maxWord       = 64
	maxHash       = 128
	maxIdentifier = 1100
	maxTook       = 1 << 40 // milliseconds; a page left open for years is a page all the same
	bodyDepth     = 4       // a choice needs two
)

// decodeChoice reads the body of a choice into cand. doc is a copy of the request's body, so that its
// substrings may stay in the proof.
func decodeChoice(doc string, cand *admit.Candidate) error {
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "id":
				cand.ID = r.Text(maxID)
			case "subject":
				cand.Subject = readSubject(&r)
			case "surface":
				cand.Surface = r.Text(maxWord)
			case "method":
				cand.Method = r.Text(maxWord)
			case "decisions":
				cand.Decisions = readDecisions(&r)
			case "wording":
				cand.Wording = r.Text(maxHash)
			case "locale":
				cand.Locale = r.Text(maxWord)
			case "page":
				cand.Page = r.Text(maxBody)
			case "prompt":
				cand.Prompt = r.Text(maxID)
			case "device":
				cand.Device = r.Text(maxID)
			case "trap":
				cand.Trap = r.Text(maxBody)
			case "took":
				cand.Took, cand.Timed = r.Int(0, maxTook), true
			default:
				r.Unknown()
			}
		}
	}
	return readErrors(&r)
}

// readErrors ends the reading of a document: what broke it, or every mistake in it.
func readErrors(r *wire.Reader) error {
	if err := r.End(); err != nil {
		return err
	}
	mistakes := r.Mistakes()
	if len(mistakes) == 0 {
		return nil
	}
	refusals := make([]admit.Refusal, len(mistakes))
	for i, m := range mistakes {
		refusals[i] = admit.Refusal(m)
	}
	return invalid(refusals)
}

// readSubject reads {"device":"…"}: exactly one member, named for a kind.
func readSubject(r *wire.Reader) (s admit.RawSubject) {
	if !r.Object() {
		return s
	}
	for r.Next() {
		kind, known := kindOf(r.Name())
		if r.Name() == string(admit.KindPerson) {
			kind, known = admit.KindPerson, true
		}
		switch {
		case !known:
			r.Unknown()
		case s.Kind != "":
			r.Wrong(admit.InvalidSubject)
		default:
			s.Kind = kind
			s.Value = r.Text(maxIdentifier)
		}
	}
	return s
}

func kindOf(name string) (consent.Kind, bool) {
	switch k := consent.Kind(name); k {
	case consent.KindDevice:
		return consent.KindDevice, true
	case consent.KindEmail:
		return consent.KindEmail, true
	case consent.KindPhone:
		return consent.KindPhone, true
	case consent.KindExternal:
		return consent.KindExternal, true
	case consent.KindKey:
		return consent.KindKey, true
	}
	return "", false
}

func readDecisions(r *wire.Reader) []consent.Choice {
	if !r.Object() {
		return nil
	}
	var room [8]consent.Choice
	all := room[:0]
	for r.Next() {
		purpose := r.Name()
		all = append(all, consent.Choice{Purpose: purpose, Granted: r.Bool()})
	}
	return append([]consent.Choice(nil), all...)
}

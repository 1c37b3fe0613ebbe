package server

import (
	"errors"
	"slices"
	"strings"

	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Receipts signs receipts, and publishes the keys they are verified with; *token.Ring is one, with keys of its own.
type Receipts interface {
	SignReceipt(claims any) (string, error)
	JWKS() []byte
}

const mimeJWT = "application/jwt" // RFC 7519 §10.3.1

// receipt gives a person what was recorded of their choice, signed: to the device that made it, or with a token of
// scope proofs. A proof that is not this device's is answered like one that does not exist.
func (s *Server) receipt(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	profile := c.Query("profile")
	if profile != "" && profile != "27560" {
		return refuse(400, codeBadQuery, "profile is 27560, or left out for Kantara 1.1")
	}
	if s.opt.Receipts == nil {
		return later(codeNotSealed, "this server signs no receipts", 60, nil)
	}
	r, err := s.receiptFor(c, v)
	if err != nil {
		return err
	}
	w, err := s.wordingOf(v, r)
	if err != nil {
		return err
	}
	raw, err := s.opt.Receipts.SignReceipt(newReceipt(v, r, w).claims(profile))
	if err != nil {
		return err
	}
	finish(ctx, fasthttp.StatusOK, mimeJWT, append(begin(ctx), raw...))
	ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, `attachment; filename="receipt-`+r.ID.String()+`.jwt"`)
	return nil
}

// receiptFor finds the proof for whoever may have its receipt.
func (s *Server) receiptFor(c *fiber.Ctx, v *view) (*warehouse.Recorded, error) {
	ctx := c.Context()
	if len(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)) > 0 {
		claims, err := s.claims(ctx)
		if err != nil {
			return nil, err
		}
		if err := claims.Allows(v.site.ID, token.ScopeProofs); err != nil {
			return nil, err
		}
		return s.proofNamed(c, v)
	}
	if err := s.throttle(ctx, v); err != nil {
		return nil, err
	}
	device := c.Query("device")
	if looksPersonal(device) {
		return nil, refuse(400, codeIdentifierInURL, "URLs end up in logs")
	}
	subject, err := consent.ParseSubject(consent.KindDevice, device, "")
	if err != nil {
		return nil, token.ErrMissing // neither a device nor a token
	}
	r, err := s.proofNamed(c, v)
	if err != nil {
		return nil, err
	}
	if key := v.site.Keyer.Key(subject); r.Erased || r.Personal.Subject != key && r.Personal.Device != key {
		return nil, errUnknownProof()
	}
	return r, nil
}

// wordingOf is what the person was shown; nil: no text, or one that is no longer known.
func (s *Server) wordingOf(v *view, r *warehouse.Recorded) (*consent.Wording, error) {
	if r.Wording.IsZero() {
		return nil, nil
	}
	doc, err := s.wordingDoc(v, r.Wording)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return consent.ParseWording(doc)
}

// jwks publishes the keys of receipts, those that sign no more among them.
func (s *Server) jwks(c *fiber.Ctx, _ *view) error {
	if s.opt.Receipts == nil {
		return later(codeNotSealed, "this server signs no receipts", 60, nil)
	}
	h := &c.Context().Response.Header
	public(h)
	h.Set(fasthttp.HeaderCacheControl, missingCache)
	h.SetContentType("application/jwk-set+json")
	c.Context().Response.SetBody(s.opt.Receipts.JWKS())
	return nil
}

// receipt is what both profiles are written from.
type receipt struct {
	v        *view
	r        *warehouse.Recorded
	subject  string
	policy   string
	purposes []receiptPurpose
}

// receiptPurpose is a purpose that was consented to.
type receiptPurpose struct {
	id, title, basis, until string
	parties                 []string
}

func newReceipt(v *view, r *warehouse.Recorded, w *consent.Wording) *receipt {
	out := &receipt{v: v, r: r, subject: "erased", policy: v.site.Banner.PolicyHref[v.site.Locales[0]]}
	if !r.Erased {
		out.subject = r.Personal.Subject.String()
	}
	if w != nil && len(w.Links) > 0 {
		out.policy = w.Links[0].Href
	}
	for _, d := range r.Decisions {
		if d.Granted {
			out.purposes = append(out.purposes, out.purpose(w, d.Purpose))
		}
	}
	return out
}

// purpose describes one by the words that were shown, else by those of today.
func (x *receipt) purpose(w *consent.Wording, id string) receiptPurpose {
	p := receiptPurpose{id: id, title: id, basis: string(consent.BasisConsent)}
	if today, ok := x.v.site.Purpose(id); ok {
		p.title, p.basis = today.Title[x.v.site.Locales[0]], string(today.Basis)
		if left := x.v.site.Lifetime(today); left > 0 {
			p.until = (x.r.RecordedAt + consent.Millis(left.Milliseconds())).String()
		}
	}
	if w == nil {
		return p
	}
	if i := slices.IndexFunc(w.Purposes, func(s consent.ShownPurpose) bool { return s.ID == id }); i >= 0 {
		shown := w.Purposes[i]
		p.title, p.basis = shown.Title, string(shown.Basis)
		for _, service := range shown.Services {
			p.parties = append(p.parties, service.Name)
		}
	}
	return p
}

// termination says how long a consent holds.
func (p receiptPurpose) termination() string {
	if p.until == "" {
		return "until it is withdrawn"
	}
	return "until " + p.until + ", or until it is withdrawn"
}

// object is a JSON object.
type object = map[string]any

// claims of the JWT: RFC 7519's, those of a profile, and what this server calls them under "consentd". A receipt
// of one proof is always the same bytes under one key.
func (x *receipt) claims(profile string) object {
	claims := x.kantara()
	if profile == "27560" {
		claims = x.iso27560()
	}
	claims["iss"], claims["sub"], claims["jti"] = evidence.EdgeName(x.r.Edge), x.subject, x.r.ID.String()
	claims["iat"] = int64(x.r.RecordedAt) / 1000
	decisions := object{}
	for _, d := range x.r.Decisions {
		decisions[d.Purpose] = map[bool]string{true: "granted", false: "denied"}[d.Granted]
	}
	claims["consentd"] = object{"site": x.r.Site, "edge": x.r.Edge, "seq": x.r.Seq, "surface": x.r.Surface, "method": x.r.Method, "grade": x.r.Grade.String(),
		"wording": x.r.Wording.String(), "decisions": decisions, "recorded_at": x.r.RecordedAt}
	return claims
}

func (x *receipt) jurisdiction() string {
	if x.v.site.Region != "" {
		return x.v.site.Region
	}
	return "EU"
}

// piiCategory says what is known of the person by the kind of subject.
func (x *receipt) piiCategory() []string {
	switch x.r.Personal.Kind {
	case consent.KindEmail, consent.KindPhone:
		return []string{"Contact"}
	}
	return []string{"Network/Service"}
}

// kantara is a Consent Receipt 1.1 (Kantara Initiative, 2018), its names as they are there.
func (x *receipt) kantara() object {
	purposes := []object{}
	for _, p := range x.purposes {
		out := object{"purpose": p.title, "purposeCategory": []string{p.basis}, "consentType": "EXPLICIT", "piiCategory": x.piiCategory(),
			"primaryPurpose": false, "termination": p.termination(), "thirdPartyDisclosure": len(p.parties) > 0}
		if len(p.parties) > 0 {
			out["thirdPartyName"] = strings.Join(p.parties, ", ")
		}
		purposes = append(purposes, out)
	}
	c := x.v.site.Controller
	return object{
		"version": "KI-CR-v1.1.0", "jurisdiction": x.jurisdiction(), "consentTimestamp": int64(x.r.RecordedAt) / 1000,
		"collectionMethod": "web " + x.r.Surface, "consentReceiptID": x.r.ID.String(), "language": x.r.Locale, "piiPrincipalId": x.subject,
		"piiControllers": []object{{"piiController": c.Name, "contact": c.Contact, "onBehalf": false}},
		"policyUrl":      x.policy, "services": []object{{"service": x.v.site.Name, "purposes": purposes}}, "sensitive": false, "spiCat": []string{},
	}
}

// iso27560 is a receipt with the information structure of ISO/IEC TS 27560:2023.
func (x *receipt) iso27560() object {
	const controller = "controller"
	purposes := []object{}
	for _, p := range x.purposes {
		out := object{"purpose": p.title, "purpose_type": p.id, "lawful_basis": p.basis, "pii_controllers": []string{controller},
			"collection_method": "web " + x.r.Surface, "retention_period": p.termination(), "withdrawal_method": x.policy, "jurisdiction": []string{x.jurisdiction()}}
		if len(p.parties) > 0 {
			out["recipient_third_parties"] = p.parties
		}
		purposes = append(purposes, out)
	}
	state := "given"
	switch {
	case x.r.Method == consent.MethodWithdraw:
		state = "withdrawn"
	case len(x.purposes) == 0:
		state = "refused"
	}
	c := x.v.site.Controller
	return object{
		"receipt_metadata":     object{"schema_version": "ISO/IEC TS 27560:2023", "receipt_id": x.r.ID.String()},
		"record":               object{"schema_version": "ISO/IEC TS 27560:2023", "record_id": x.r.ID.String(), "pii_principal_id": x.subject},
		"pii_processing":       object{"privacy_notice": x.policy, "language": x.r.Locale, "purposes": purposes},
		"events":               []object{{"event_time": x.r.RecordedAt, "event_type": "explicit", "event_state": state, "entity_id": x.subject}},
		"party_identification": []object{{"party_id": controller, "party_name": c.Name, "party_contact": c.Contact, "party_role": "pii_controller"}},
	}
}

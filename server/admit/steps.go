package admit

import (
	"errors"
	"slices"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Reason codes. Those shared with the reading of a body (missing_field …) are in server/wire.
const (
	OriginMissing     = "origin_missing"
	OriginForeign     = "origin_foreign"
	MissingField      = "missing_field"
	InvalidUUID       = "invalid_uuid"
	IDNotV7           = "id_not_v7"
	IDInFuture        = "id_in_future"
	InvalidSubject    = "invalid_subject"
	SubjectNotAllowed = "subject_not_allowed"
	UnknownSurface    = "unknown_surface"
	SurfaceNotAllowed = "surface_not_allowed"
	UnknownMethod     = "unknown_method"
	MethodMismatch    = "method_mismatch"
	UnknownWording    = "unknown_wording"
	WordingMismatch   = "wording_mismatch"
	InvalidLocale     = "invalid_locale"
	MissingPurpose    = "missing_purpose"
	UnknownPurpose    = "unknown_purpose"
	InvalidPage       = "invalid_page"
	LooksAutomated    = "looks_automated"
)

// checkOrigin: a browser always says where a POST comes from (Fetch standard, "append a request Origin
// header"); one without it, or from elsewhere, is not the site's page.
func (c *Candidate) checkOrigin() {
	switch {
	case c.Via == API:
	case c.Origin == "":
		c.refuse("", OriginMissing, "a choice is posted by a page of the site, with an Origin header")
	case c.Via == Hosted && c.Origin == c.Own:
	case !c.Rules.AllowOrigin(c.Origin):
		c.refuse("", OriginForeign, "this origin is not among the site's origins")
	}
}

func (c *Candidate) checkID() {
	if c.ID == "" {
		c.refuse("/id", MissingField, "")
		return
	}
	id, ok := parseUUID(c.ID)
	if !ok {
		c.refuse("/id", InvalidUUID, "36 characters: 8-4-4-4-12 hex digits")
		return
	}
	switch err := consent.CheckProofID(id, c.Now); {
	case errors.Is(err, consent.ErrIDFuture):
		c.refuse("/id", IDInFuture, "the time in this UUIDv7 is more than a day ahead of the server")
	case err != nil:
		c.refuse("/id", IDNotV7, "a proof id is a UUID version 7 (RFC 9562)")
	}
	c.parsed.id = id
}

// parseUUID reads the one common form; uuid.Parse alone also takes braces and URNs.
func parseUUID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil && id != uuid.Nil
}

func (c *Candidate) checkSubject() {
	if c.Subject.Kind == "" {
		c.refuse("/subject", MissingField, "")
		return
	}
	if c.Subject.Kind == KindPerson {
		c.checkPerson()
		return
	}
	if c.Via != API && !c.speaksFor(c.Subject.Kind) {
		c.refuse("/subject/"+string(c.Subject.Kind), SubjectNotAllowed, "a browser speaks for its device, and on a form for who fills it in")
		return
	}
	s, err := consent.ParseSubject(c.Subject.Kind, c.Subject.Value, c.Rules.Site.Region)
	if err != nil {
		c.refuse("/subject/"+string(c.Subject.Kind), InvalidSubject, SubjectHelp(err))
		return
	}
	c.parsed.subject = s
}

// speaksFor reports whether a page may name a subject of this kind: its own device, except on a form, where the
// person gives what the form asks for.
func (c *Candidate) speaksFor(kind consent.Kind) bool {
	f, ok := c.form()
	if !ok {
		return kind == consent.KindDevice && !consent.IsForm(c.Surface)
	}
	return slices.ContainsFunc(f.Fields, func(d consent.Field) bool { return d.Kind == kind })
}

// checkPerson: a token stands for an account on what every visitor is asked, never on a form.
func (c *Candidate) checkPerson() {
	switch {
	case c.Via != Browser || consent.IsForm(c.Surface):
		c.refuse("/subject/person", SubjectNotAllowed, "a page names the account that is logged in on the banner and in the preferences")
	case c.Person == nil:
		c.refuse("/subject/person", InvalidSubject, "this token is not valid here, or has expired")
	default:
		c.parsed.subject = consent.Subject{Kind: consent.KindKey, Value: c.Person.Key.String()}
	}
}

// SubjectHelp says what an identifier must look like; it never repeats the identifier.
func SubjectHelp(err error) string {
	for _, known := range []error{consent.ErrDevice, consent.ErrEmail, consent.ErrPhone, consent.ErrExternal, consent.ErrKey} {
		if errors.Is(err, known) {
			return known.Error()[len("consent: "):]
		}
	}
	return "a subject is one of device, email, phone, external or key"
}

// checkSurface: a browser speaks from the banner, the preferences, a placeholder or a form, hands on what it says to
// every site (a signal) or what another tool had stored (an import); the preference centre and the unsubscribe
// page record by themselves. An API client that says nothing speaks for itself.
func (c *Candidate) checkSurface() {
	if c.Surface == "" && c.Via == API {
		c.parsed.surface = consent.SurfaceAPI
		return
	}
	switch s := c.Surface; {
	case s == "":
		c.refuse("/surface", MissingField, "")
	case !consent.ValidSurface(s):
		c.refuse("/surface", UnknownSurface, "banner, preferences, unsubscribe, api or form:<id>")
	case s == consent.SurfaceBanner, s == consent.SurfacePreferences:
		c.parsed.surface = s
	case consent.IsForm(s):
		if _, ok := c.form(); !ok {
			c.refuse("/surface", UnknownSurface, "this site has no form of this name")
			return
		}
		c.parsed.surface = s
	case c.Via == Browser && (consent.IsEmbed(s) || c.unshown()):
		c.parsed.surface = s
	case c.Via == API && (s == consent.SurfaceAPI || s == consent.SurfaceUnsubscribe || s == consent.SurfaceCentre):
		c.parsed.surface = s
	default:
		c.refuse("/surface", SurfaceNotAllowed, "this surface does not record choices this way")
	}
}

// unshown reports whether a browser's choice was made without a text of ours on the screen.
func (c *Candidate) unshown() bool {
	return c.ID != "" && (c.Surface == consent.SurfaceSignal || c.Surface == consent.SurfaceImport) // a prompt has no id
}

func (c *Candidate) checkMethod() {
	if c.Method == "" {
		c.refuse("/method", MissingField, "")
		return
	}
	m := consent.Method(c.Method)
	if !m.Valid() {
		c.refuse("/method", UnknownMethod, "accept_all, reject_all, custom or withdraw")
		return
	}
	if granted, fixed := implied(m); fixed {
		for _, d := range c.Decisions {
			if d.Granted != granted {
				c.refuse("/method", MethodMismatch, "the decisions are not what this method says")
				break
			}
		}
	}
	if c.Surface == consent.SurfaceSignal && m != consent.MethodRejectAll {
		c.refuse("/method", MethodMismatch, "a signal refuses; it never agrees")
	}
	c.parsed.method = m
}

// implied is the decision a method stands for, on every purpose.
func implied(m consent.Method) (granted, fixed bool) {
	switch m {
	case consent.MethodAcceptAll:
		return true, true
	case consent.MethodRejectAll, consent.MethodWithdraw:
		return false, true
	}
	return false, false
}

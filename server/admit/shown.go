package admit

import (
	"net/url"
	"strconv"

	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
)

// checkWording: a browser names the text it showed; an API client may.
func (c *Candidate) checkWording() {
	switch {
	case c.Wording == "" && c.Via != API && !c.unshown():
		c.refuse("/wording", MissingField, "")
	case c.Wording == "":
		c.Shown = nil
	case c.Shown == nil:
		c.refuse("/wording", UnknownWording, "this site has never published a wording with this hash")
	case c.parsed.surface != "" && c.parsed.surface != c.Shown.Surface && c.parsed.surface != consent.SurfaceAPI:
		c.refuse("/surface", WordingMismatch, "the wording belongs to surface "+c.Shown.Surface)
	}
}

// maxLocale is the length BCP 47 (RFC 5646 §4.4.1) advises to make room for.
const maxLocale = 35

func (c *Candidate) checkLocale() {
	switch {
	case c.Locale == "" && c.Via != API:
		c.refuse("/locale", MissingField, "")
	case c.Locale == "" && c.Shown != nil:
		c.parsed.locale = c.Shown.Locale
	case c.Locale == "":
	case c.Shown != nil && c.Locale != c.Shown.Locale:
		c.refuse("/locale", WordingMismatch, "the wording is in locale "+c.Shown.Locale)
	case c.Shown != nil:
		c.parsed.locale = c.Shown.Locale
	case c.Wording == "" && !languageTag(c.Locale):
		c.refuse("/locale", InvalidLocale, "a BCP 47 language tag, at most "+strconv.Itoa(maxLocale)+" characters")
	default:
		c.parsed.locale = c.Locale
	}
}

func languageTag(s string) bool {
	if len(s) > maxLocale {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i < 2 || (c != '-' && (c < '0' || c > '9'))) {
			return false
		}
	}
	return len(s) >= 2
}

// checkDecisions: under a wording, exactly the purposes it asked, none missing and none more; without one, a
// choice on any of the purposes the site asks.
func (c *Candidate) checkDecisions() {
	if len(c.Decisions) == 0 && (c.Shown == nil || len(c.Shown.Asked) > 0) {
		c.refuse("/decisions", MissingField, "")
		return
	}
	if c.Shown == nil && c.Wording != "" {
		return // which purposes it asked is unknown, and that has been said
	}
	asked := c.Rules.Asked
	if c.Shown != nil {
		asked = c.Shown.Asked
	}
	c.parsed.decisions = make([]consent.Choice, 0, len(asked))
	for _, purpose := range asked {
		c.decide(purpose)
	}
	if len(c.parsed.decisions) < len(c.Decisions) {
		c.refuseUnasked(asked)
	}
	c.untick()
	c.await()
}

// decide takes over the decision on one asked purpose, under the site's own spelling of it: asked is sorted,
// and so are the decisions of a proof.
func (c *Candidate) decide(purpose string) {
	for _, d := range c.Decisions {
		if d.Purpose == purpose {
			c.parsed.decisions = append(c.parsed.decisions, consent.Choice{Purpose: purpose, Granted: d.Granted})
			return
		}
	}
	if c.Shown != nil {
		c.refuse("/decisions/"+wire.Escape(purpose), MissingPurpose, "the wording asks for it")
	}
}

func (c *Candidate) refuseUnasked(asked []string) {
	for _, d := range c.Decisions {
		if !contains(asked, d.Purpose) {
			c.refuse("/decisions/"+wire.Escape(d.Purpose), UnknownPurpose, "nobody was asked for it")
		}
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

func (c *Candidate) checkPage() {
	if c.Via == Hosted {
		c.parsed.page = c.Page
		return
	}
	if c.Page == "" {
		if c.Via == Browser {
			c.refuse("/page", MissingField, "")
		}
		return
	}
	page, origin, ok := reducePage(c.Page, c.Rules.Site.KeepQuery)
	if ok && c.Via == API { // no list of origins to be on: hosts and ports are read in earnest
		_, err := url.Parse(page)
		ok = err == nil
	}
	switch {
	case !ok:
		c.refuse("/page", InvalidPage, "an absolute http or https URL without user information")
	case c.Via == Browser && !c.Rules.AllowOrigin(origin):
		c.refuse("/page", InvalidPage, "this page is not on one of the site's origins")
	default:
		c.parsed.page = page
	}
}

func (c *Candidate) checkPrompt() {
	if c.Prompt == "" {
		return
	}
	id, ok := parseUUID(c.Prompt)
	if !ok {
		c.refuse("/prompt", InvalidUUID, "36 characters: 8-4-4-4-12 hex digits")
	}
	c.parsed.prompt = id
}

// checkPromptID is checkPrompt where the prompt is the thing itself.
func (c *Candidate) checkPromptID() {
	if c.Prompt == "" {
		c.refuse("/prompt", MissingField, "")
		return
	}
	c.checkPrompt()
}

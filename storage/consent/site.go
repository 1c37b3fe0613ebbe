package consent

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Site is one property: its own purposes, wordings, origins and secret. It is built from a configuration
// file, validated there, and not changed afterwards: a reload makes a new Site.
type Site struct {
	ID         string     // [a-z0-9-], 1 to 40 bytes
	Name       string     // what people call the property
	Origins    []string   // scheme://host[:port] that may post; "https://*.example.org" allows subdomains
	Locales    []string   // BCP 47, the first is the fallback
	Revision   int        // raising it asks everyone again
	Controller Controller // who is responsible (GDPR art. 13(1)(a))
	Purposes   []Purpose  // in the order shown
	Banner     BannerText // the texts of surfaces banner and preferences
	Forms      []Form
	Mail       MailFrom // who confirmation mails come from
	Words      Words    // of forms, mails and pages
	Keep       time.Duration
	IP         IPPolicy
	KeepQuery  bool   // keep the query string of page URLs
	Region     string // ISO 3166-1 alpha-2 that national phone numbers are read in, "" accepts only +…
	Keyer      *Keyer // derives subject keys from the site's secret
}

// Controller is who decides on the processing, and how to reach them.
type Controller struct {
	Name    string `json:"name"`
	Contact string `json:"contact"`
}

// Purpose is one thing consent is asked for, with its own legal basis; never bundled with another.
type Purpose struct {
	ID        string // [a-z0-9_-], 1 to 40 bytes
	Basis     Basis
	Objection bool          // basis legitimate_interest, and the wording offers to object
	Channel   Channel       // how it reaches a person; "": the web
	Use       Use           // what is done over the channel; "": unsaid
	Lifetime  time.Duration // how long a grant holds; 0: the site's Keep on the banner, no end elsewhere
	Inactive  time.Duration // how long a grant holds after the last contact from the person; 0: no matter
	Title     Text
	Text      Text
	Services  []Service
}

// Asked reports whether a person decides on p: consent, or an objection that is offered.
func (p Purpose) Asked() bool { return p.Basis == BasisConsent || p.Objection }

// Service is a third party that acts under a purpose.
type Service struct {
	ID       string // [a-z0-9-], what pages name it by; "" when none needs to
	Name     string
	Provider string
	Policy   string // URL of its privacy policy
	Embed    bool   // it puts content into pages, which asks for consent where it stands; needs an ID
	Cookies  []Cookie
}

// Cookie is one thing a service keeps in the browser: a cookie, or a key of localStorage or sessionStorage.
type Cookie struct {
	Name     string // * stands for any characters
	Lifetime Text   // in words: "13 months"
}

// Text is one text in each locale of the site.
type Text map[string]string

// BannerText is every text of the banner and its preferences besides the purposes.
type BannerText struct {
	Title, Text                                Text
	Accept, Refuse, Choose, Save, Back, Reopen Text
	PreferencesTitle, PreferencesText          Text
	PolicyText, PolicyHref                     Text
	Necessary                                  Text // label beside a purpose nobody decides on
	Continue                                   Text // a second way to refuse, at the top of the banner; nil: none

	Objection Text           // how to object, added to the basis of a purpose that offers it
	Bases     map[Basis]Text // what the preferences say of each legal basis; nil: nothing

	EmbedText              Text // in place of content that waits; {service} stands for its name
	EmbedOnce, EmbedAlways Text

	Receipt *ReceiptText // nil: none is offered
}

// ReceiptText is what stands around the receipt of a choice already made: it is of no wording.
type ReceiptText struct{ Button, Waiting, Failed Text }

// IPPolicy is how much of an IP address a proof keeps.
type IPPolicy string

// The three policies of DESIGN §6.
const (
	IPFull      IPPolicy = "full"      // the default
	IPTruncated IPPolicy = "truncated" // /24 of IPv4, /48 of IPv6
	IPNone      IPPolicy = "none"
)

var (
	siteIDPattern    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)
	purposeIDPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$`)
)

// ValidSiteID reports whether s can name a site: it becomes part of URLs and of ledger keys.
func ValidSiteID(s string) bool { return siteIDPattern.MatchString(s) }

// ValidPurposeID reports whether s can name a purpose.
func ValidPurposeID(s string) bool { return purposeIDPattern.MatchString(s) }

// Purpose finds a purpose by id.
func (s *Site) Purpose(id string) (Purpose, bool) {
	i := slices.IndexFunc(s.Purposes, func(p Purpose) bool { return p.ID == id })
	if i < 0 {
		return Purpose{}, false
	}
	return s.Purposes[i], true
}

// Lifetime is how long a grant of p holds before a lookup answers expired; 0: no end. A choice on the banner ends
// with the site's Keep; a consent to be contacted ends when the person falls silent (Purpose.Inactive).
func (s *Site) Lifetime(p Purpose) time.Duration {
	if p.Lifetime > 0 || !p.OnBanner() {
		return p.Lifetime
	}
	return s.Keep
}

// Superseded reports that a grant of p under w no longer covers what s asks today: everybody is asked anew since, the
// legal basis is another, or a service was added. Services are told apart by name, and compared only where w named
// them all: the banner names none, a placeholder one.
func (s *Site) Superseded(w *Wording, p Purpose) bool {
	if w.Revision < s.Revision {
		return true
	}
	for i := range w.Purposes {
		if w.Purposes[i].ID == p.ID {
			return w.Purposes[i].Basis != p.Basis || s.namesServices(w, i) && added(w.Purposes[i].Services, p.Services)
		}
	}
	return false
}

// namesServices: the i-th purpose of w came with all of its services.
func (s *Site) namesServices(w *Wording, i int) bool {
	switch {
	case w.Surface == SurfaceBanner, IsEmbed(w.Surface):
		return false
	case strings.HasPrefix(w.Surface, surfaceFormPrefix):
		f, ok := s.Form(strings.TrimPrefix(w.Surface, surfaceFormPrefix))
		return ok && f.Markup != MarkupYours || len(w.Purposes[i].Services) > 0
	}
	return true
}

func added(shown []ShownService, now []Service) bool {
	return slices.ContainsFunc(now, func(v Service) bool {
		return !slices.ContainsFunc(shown, func(s ShownService) bool { return s.Name == v.Name })
	})
}

package widget

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// ErrOptions means that an option names a purpose the site does not have, or has a value that is none.
var ErrOptions = errors.New("widget: the options do not fit the site")

// Options is what a site's script does besides asking. The zero Options does nothing more. What an option needs
// is in the script only where the option is used.
type Options struct {
	Reopen       Reopen
	Logo         string // address of an image shown on the banner, or data:image/…; "": none
	CookieDomain string // the choice is shared by this domain and all below it; "": by one host
	IgnoreGPC    bool   // the site does not honour Global Privacy Control
	Reload       bool   // load the page again when an acceptance is taken back
	Signals      Signals
	Migrations   []Migration
	Receipt      bool // the preferences offer the signed receipt of the choice this browser has made
	Identify     bool // the script carries identify(), which takes over the choices of a person who is logged in
}

// Reopen says where a small button stands that opens the preferences again.
type Reopen string

// The corners of the button. The zero Reopen makes none.
const (
	ReopenNone  Reopen = ""
	ReopenStart Reopen = "bottom-start"
	ReopenEnd   Reopen = "bottom-end"
)

// place writes which corner the button stands in.
func (r Reopen) place() string {
	switch r {
	case ReopenStart:
		return "aside{inset-inline-start:1em}"
	case ReopenEnd:
		return "aside{inset-inline-end:1em}"
	}
	return ""
}

// Signals says which tools are told of choices, and which purpose stands behind each of their words.
type Signals struct {
	ConsentMode ConsentMode `json:"google_consent_mode,omitzero"` // Google Consent Mode v2: the purpose behind each signal
	UET         string      `json:"microsoft_uet,omitempty"`      // Microsoft UET: the purpose behind ad_storage
	Clarity     Clarity     `json:"microsoft_clarity,omitzero"`   // Microsoft Clarity, Consent API v2
	Matomo      Matomo      `json:"matomo,omitzero"`              // Matomo
	DataLayer   bool        `json:"data_layer,omitempty"`         // push the event consentd_change to dataLayer
}

// ConsentMode maps the seven signals of Google Consent Mode v2 to purposes. A signal without a purpose stays
// denied; security_storage without one is granted, since it protects the visitor.
type ConsentMode struct {
	AdStorage              string `json:"ad_storage,omitempty"`              // storage for advertising
	AdUserData             string `json:"ad_user_data,omitempty"`            // sending user data to Google for advertising
	AdPersonalization      string `json:"ad_personalization,omitempty"`      // personalised advertising
	AnalyticsStorage       string `json:"analytics_storage,omitempty"`       // storage for analytics
	FunctionalityStorage   string `json:"functionality_storage,omitempty"`   // storage for functions such as language
	PersonalizationStorage string `json:"personalization_storage,omitempty"` // storage for recommendations
	SecurityStorage        string `json:"security_storage,omitempty"`        // storage for security; granted when no purpose is named
}

// Clarity maps the two signals of Microsoft Clarity to purposes.
type Clarity struct {
	AdStorage        string `json:"ad_storage,omitempty"`        // advertising
	AnalyticsStorage string `json:"analytics_storage,omitempty"` // session recordings
}

// Matomo maps the two consents of Matomo to purposes.
type Matomo struct {
	Tracking string `json:"tracking,omitempty"` // for pages that call requireConsent
	Cookies  string `json:"cookies,omitempty"`  // for pages that call requireCookieConsent
}

// Signal is one word of a tool and the purpose behind it.
type Signal struct{ Name, Purpose string }

// All lists the seven signals in the order Google documents them.
func (m ConsentMode) All() []Signal {
	return []Signal{{"ad_storage", m.AdStorage}, {"ad_user_data", m.AdUserData}, {"ad_personalization", m.AdPersonalization},
		{"analytics_storage", m.AnalyticsStorage}, {"functionality_storage", m.FunctionalityStorage},
		{"personalization_storage", m.PersonalizationStorage}, {"security_storage", m.SecurityStorage}}
}

// Purposes lists every purpose s names, with the path of the key that names it.
func (s Signals) Purposes() []Signal {
	var all []Signal
	for _, sig := range s.ConsentMode.All() {
		all = append(all, Signal{"google_consent_mode." + sig.Name, sig.Purpose})
	}
	all = append(all, Signal{"microsoft_uet", s.UET}, Signal{"microsoft_clarity.ad_storage", s.Clarity.AdStorage},
		Signal{"microsoft_clarity.analytics_storage", s.Clarity.AnalyticsStorage}, Signal{"matomo.tracking", s.Matomo.Tracking}, Signal{"matomo.cookies", s.Matomo.Cookies})
	return slices.DeleteFunc(all, func(sig Signal) bool { return sig.Purpose == "" })
}

var (
	domainPattern = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	imagePattern  = regexp.MustCompile(`^data:image/(?:svg\+xml|png|webp|avif|jpeg|gif)[;,]`)
)

// check refuses what would break the script or be silently without effect.
func (o Options) check(site *consent.Site) error {
	for _, s := range o.Signals.Purposes() {
		if _, ok := site.Purpose(s.Purpose); !ok {
			return fmt.Errorf("%w: signal %s names purpose %q", ErrOptions, s.Name, s.Purpose)
		}
	}
	for _, m := range o.Migrations {
		if err := m.check(site); err != nil {
			return err
		}
	}
	if o.CookieDomain != "" && !domainPattern.MatchString(o.CookieDomain) {
		return fmt.Errorf("%w: cookie domain %q", ErrOptions, o.CookieDomain)
	}
	if o.Receipt && site.Banner.Receipt == nil {
		return fmt.Errorf("%w: a receipt without its texts", ErrOptions)
	}
	switch o.Reopen {
	case ReopenNone, ReopenStart, ReopenEnd:
	default:
		return fmt.Errorf("%w: reopen %q", ErrOptions, o.Reopen)
	}
	if o.Logo != "" && !imagePattern.MatchString(o.Logo) {
		return checkLink(o.Logo)
	}
	return nil
}

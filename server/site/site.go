// Package site turns one YAML file per site into what the rest of consentd works with: the nouns of
// storage/consent, the published wordings, the theme of the widget, the origins and limits of the server.
//
// It guarantees that a file with any mistake is never served: every mistake is reported at once, with its
// place, a stable code and what to do, and the last good version of that site stays in force. It refuses dark
// patterns (DESIGN §9), whatever the file asks for. What Get answers never changes under the caller: a reload
// makes new Sites.
//
// It does not build the widget's bundle, does not store wordings and knows no HTTP.
//
// # Files
//
//	site.go       Site: what a file becomes
//	config.go     the file's shape: the one source of decoding, checks and schema
//	decode.go     strict decoding over the syntax tree; keeps every position
//	node.go       what a node of the tree is, and where
//	problem.go    Problem and its codes
//	validate.go   the checks, in the order of the file
//	purposes.go   … of the purposes
//	forms.go      … of the forms, and what they become
//	banner.go     … of the banner: nothing missing, and a refusal that reads as one
//	texts.go      a text in each language, none missing
//	looks.go      … and something to see in it; corners that leave words whole
//	builtin.go    the texts that come with consentd, in texts/: a file for each language of the Union
//	ready.go      … and the purposes that come with words
//	words.go      … and the words of forms, mails and pages
//	behaviour.go  … of what the script does besides asking
//	lifetime.go   "13mo"
//	draft.go      Draft, for the command line
//	origin.go     which origins may post
//	duration.go   "182d"
//	check.go      Check, for the command line
//	registry.go   Registry: the directory, loaded
//	watch.go      … and watched
//	secrets.go    the secret of each site, and the ring of sealing keys
//	schema.go     schema.json for editors, generated from config.go
//
// # Why goccy/go-yaml, and an own walk over its tree
//
// Its tree keeps line and column of every key and value. Its decoder stops at the first mistake, as every
// decoder does; the walk in decode.go goes on and lists them all.
package site

import (
	"fmt"
	"slices"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// Site is one configured site, complete and valid. It is shared between requests: read only.
type Site struct {
	*consent.Site
	Theme     widget.Theme
	Options   widget.Options
	Limits    Limits
	Published []*consent.Published // the current wordings: banner, preferences and forms in each locale
	File      string               // where it was read from
	Source    []byte               // what was read there

	origins origins
}

// Limits bounds what one IP prefix (/24 of IPv4, /48 of IPv6) may post to a site.
type Limits struct {
	ConsentsPerMinute int // on average
	Burst             int // at once
}

// Defaults of what a file leaves out.
const (
	defaultKeep = widget.DefaultKeep
	// A class or an office behind one address opens the page within the same minute; a script that fills the
	// ledger needs thousands.
	defaultConsentsPerMinute = 60
	defaultBurst             = 60
)

// AllowsOrigin reports whether a browser on this origin, as its Origin header says, may post to the site. It
// allocates nothing.
func (s *Site) AllowsOrigin(origin string) bool { return s.origins.allow(origin) }

// Script is what the site's script is made of. locales are those it shall speak; none named: all.
func (s *Site) Script(locales ...string) widget.Input {
	return widget.Input{Site: s.Site, Wordings: s.Published, Theme: s.Theme, Options: s.Options, Locales: locales}
}

// build makes the Site of a configuration that has no errors.
func (c *config) build(file string, secret []byte) (*Site, error) {
	keyer, err := consent.NewKeyer(secret)
	if err != nil {
		return nil, fmt.Errorf("building site %s: %w", c.Site, err)
	}
	s := &Site{Theme: c.Theme, Options: c.options(), Limits: c.Limits.or(), File: file, origins: newOrigins(c.Origins), Site: &consent.Site{
		ID: c.Site, Name: c.Name, Origins: normalOrigins(c.Origins), Locales: c.Locales, Revision: max(c.Revision, 1),
		Controller: consent.Controller{Name: c.Controller.Name, Contact: c.Controller.Contact},
		Banner:     c.Banner.build(c), Keep: c.Choices.keep(), IP: consent.IPPolicy(c.IP), KeepQuery: c.PageQuery,
		Region: c.Region, Keyer: keyer,
	}}
	if s.IP == "" {
		s.IP = consent.IPFull
	}
	for _, p := range c.Purposes {
		s.Purposes = append(s.Purposes, p.build(c.Locales))
	}
	s.Words = c.pageWords()
	s.Forms, s.Mail = c.forms(s.Words), c.mailFrom()
	s.Published, err = s.Wordings()
	if err != nil {
		return nil, fmt.Errorf("building site %s: %w", c.Site, err)
	}
	return s, nil
}

func (l limits) or() Limits {
	out := Limits{defaultConsentsPerMinute, defaultBurst}
	if l.ConsentsPerMinute > 0 {
		out.ConsentsPerMinute = l.ConsentsPerMinute
	}
	if l.Burst > 0 {
		out.Burst = l.Burst
	}
	return out
}

func (c choices) keep() time.Duration {
	if c.Keep == 0 {
		return defaultKeep
	}
	return time.Duration(c.Keep)
}

func (p purpose) build(locales []string) consent.Purpose {
	out := consent.Purpose{ID: p.ID, Basis: p.basis(), Objection: p.Objection, Channel: consent.Channel(p.channel()), Use: p.use(),
		Lifetime: time.Duration(p.Keep), Inactive: p.inactive(), Title: consent.Text{}, Text: consent.Text{}}
	for _, l := range locales {
		out.Title[l], out.Text[l] = p.title(l), p.text(l)
	}
	for _, v := range p.Services {
		out.Services = append(out.Services, v.build(locales))
	}
	return out
}

// inactive is the file's own, else three years; a banner has none.
func (p *purpose) inactive() time.Duration {
	if p.Inactive == 0 && !p.onBanner() {
		return consent.DefaultInactive
	}
	return time.Duration(p.Inactive)
}

// hasBanner is consent.Site.HasBanner before there is one.
func (c *config) hasBanner() bool {
	return slices.ContainsFunc(c.Purposes, func(p purpose) bool { return p.onBanner() })
}

func (v service) build(locales []string) consent.Service {
	out := consent.Service{ID: v.ID, Name: v.Name, Provider: v.Provider, Policy: v.Policy, Embed: v.Embed}
	for _, k := range v.Cookies {
		words := consent.Text{}
		for _, l := range locales {
			words[l] = k.Lifetime.in(l)
		}
		out.Cookies = append(out.Cookies, consent.Cookie{Name: k.Name, Lifetime: words})
	}
	return out
}

// options is what the site's script does besides asking.
func (c *config) options() widget.Options {
	cookies, err := ASCIIHost(c.Cookie.Domain)
	if err != nil {
		cookies = c.Cookie.Domain // checkCookieDomain has said so
	}
	o := widget.Options{Logo: c.Banner.Logo, CookieDomain: cookies, IgnoreGPC: c.GPC == "ignore", Reload: c.ReloadOnWithdrawal, Signals: c.Signals,
		Identify: c.Identify, Receipt: c.Banner.Receipt}
	if c.Banner.ReopenButton != "none" {
		o.Reopen = widget.Reopen(c.Banner.ReopenButton)
	}
	for _, m := range c.Migrate {
		o.Migrations = append(o.Migrations, widget.Migration{From: widget.Source(m.From), Cookie: m.Cookie, Names: m.Names})
	}
	return o
}

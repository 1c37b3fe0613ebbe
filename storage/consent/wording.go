package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gowebpki/jcs"
)

// Surfaces where a choice is made (DESIGN §2). A form's surface is "form:" and its id, a placeholder's is
// "embed:" and the id of its service. A signal is a standing one of the browser: Global Privacy Control.
const (
	SurfaceBanner      = "banner"
	SurfacePreferences = "preferences"
	SurfaceUnsubscribe = "unsubscribe"
	SurfaceAPI         = "api"
	SurfaceImport      = "import"
	SurfaceSignal      = "signal"
	surfaceFormPrefix  = "form:"
	surfaceEmbedPrefix = "embed:"
)

// SurfaceEmbed is the surface of a placeholder: it stands where the content of a service will be.
func SurfaceEmbed(service string) string { return surfaceEmbedPrefix + service }

// IsEmbed reports whether s is the surface of a placeholder.
func IsEmbed(s string) bool { return strings.HasPrefix(s, surfaceEmbedPrefix) }

// ValidSurface reports whether s is one of the surfaces of DESIGN §2.
func ValidSurface(s string) bool {
	switch s {
	case SurfaceBanner, SurfacePreferences, SurfaceUnsubscribe, SurfaceAPI, SurfaceImport, SurfaceSignal, SurfaceCentre:
		return true
	}
	kind, id, _ := strings.Cut(s, ":")
	return (kind+":" == surfaceFormPrefix || kind+":" == surfaceEmbedPrefix) && ValidSiteID(id)
}

// Hash is a SHA-256, written as 64 lower hex digits. The zero Hash stands for "none".
type Hash [sha256.Size]byte

// ErrHash means that a text is not 64 lower hex digits.
var ErrHash = errors.New("consent: a hash is 64 lower-case hex digits")

// ParseHash reads 64 lower hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) || strings.ToLower(s) != s {
		return Hash{}, ErrHash
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, ErrHash
	}
	return h, nil
}

// IsZero reports whether h stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// String gives the 64 hex digits, or "" for none.
func (h Hash) String() string {
	if h.IsZero() {
		return ""
	}
	return hex.EncodeToString(h[:])
}

// Wording is everything a person was shown on a surface in a locale: the document a wording hash stands for
// (DESIGN §2). Field order here is for reading; the canonical form orders keys by RFC 8785.
type Wording struct {
	V          int               `json:"v"` // 1
	Site       string            `json:"site"`
	Surface    string            `json:"surface"`
	Locale     string            `json:"locale"`
	Revision   int               `json:"revision"`
	Controller Controller        `json:"controller"`
	Title      string            `json:"title"`
	Text       string            `json:"text"`
	Links      []Link            `json:"links"`
	Buttons    map[string]string `json:"buttons"` // accept, refuse, choose, save, … → label
	Purposes   []ShownPurpose    `json:"purposes"`
}

// Link is one link shown, with the words it was shown under.
type Link struct {
	Rel  string `json:"rel"` // "policy"
	Text string `json:"text"`
	Href string `json:"href"`
}

// ShownPurpose is a purpose as the person saw it.
type ShownPurpose struct {
	ID        string         `json:"id"`
	Title     string         `json:"title"`
	Text      string         `json:"text"`
	Basis     Basis          `json:"basis"`
	Required  bool           `json:"required"`             // no choice offered: the basis asks for none
	Default   bool           `json:"default"`              // position of the switch before any action
	Objection bool           `json:"objection,omitempty"`  // legitimate interest, objection offered
	BasisText string         `json:"basis_text,omitempty"` // the basis in words, where it is shown
	Services  []ShownService `json:"services"`
}

// ShownService is a service as the person saw it.
type ShownService struct {
	Name     string        `json:"name"`
	Provider string        `json:"provider,omitempty"`
	Policy   string        `json:"policy,omitempty"`
	Cookies  []ShownCookie `json:"cookies,omitempty"`
}

// ShownCookie is a cookie or storage key as the person saw it.
type ShownCookie struct {
	Name     string `json:"name"`
	Lifetime string `json:"lifetime,omitempty"`
}

// Asked lists the ids of the purposes a proof under w decides on, in the order shown.
func (w *Wording) Asked() []string {
	var ids []string
	for _, p := range w.Purposes {
		if p.Basis == BasisConsent || p.Objection {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// Canonical gives the RFC 8785 bytes of w.
func (w *Wording) Canonical() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("encoding wording: %w", err)
	}
	doc, err := jcs.Transform(buf.Bytes())
	if err != nil {
		return nil, fmt.Errorf("canonicalising wording: %w", err)
	}
	return doc, nil
}

// ParseWording reads a wording document, refusing unknown fields and other versions.
func ParseWording(doc []byte) (*Wording, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	var w Wording
	if err := dec.Decode(&w); err != nil {
		return nil, fmt.Errorf("parsing wording: %w", err)
	}
	if w.V != 1 {
		return nil, fmt.Errorf("parsing wording: version %d is not 1", w.V)
	}
	return &w, nil
}

// Published is a wording ready to be served: the document, its canonical bytes and its hash.
type Published struct {
	Wording
	Doc  []byte // RFC 8785 bytes; Hash is their SHA-256
	Hash Hash
}

// Publish computes the canonical bytes and the hash of w.
func (w Wording) Publish() (*Published, error) {
	doc, err := w.Canonical()
	if err != nil {
		return nil, err
	}
	return &Published{Wording: w, Doc: doc, Hash: sha256.Sum256(doc)}, nil
}

// Wordings builds what s shows on each surface of the widget in each of its locales: banner, preferences, and
// a placeholder for each service that puts content into pages. The banner names the purposes; the preferences
// also name the legal bases and the services, with what each keeps in the browser and how long.
func (s *Site) Wordings() ([]*Published, error) {
	var all []*Published
	for _, locale := range s.Locales {
		for _, w := range append([]Wording{s.bannerWording(locale), s.preferencesWording(locale)}, s.embedWordings(locale)...) {
			p, err := w.Publish()
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

func (s *Site) bannerWording(locale string) Wording {
	w := s.wording(SurfaceBanner, locale, s.Banner.Title, s.Banner.Text)
	w.Buttons = map[string]string{
		"accept": s.Banner.Accept[locale], "refuse": s.Banner.Refuse[locale], "choose": s.Banner.Choose[locale],
	}
	if s.Banner.Continue != nil {
		w.Buttons["continue"] = s.Banner.Continue[locale]
	}
	for _, p := range s.Purposes {
		w.Purposes = append(w.Purposes, p.shown(locale))
	}
	return w
}

func (s *Site) preferencesWording(locale string) Wording {
	w := s.wording(SurfacePreferences, locale, s.Banner.PreferencesTitle, s.Banner.PreferencesText)
	w.Buttons = map[string]string{
		"accept": s.Banner.Accept[locale], "refuse": s.Banner.Refuse[locale], "save": s.Banner.Save[locale],
		"back": s.Banner.Back[locale], "necessary": s.Banner.Necessary[locale],
	}
	for _, p := range s.Purposes {
		sp := p.shown(locale)
		sp.BasisText = s.Banner.Bases[p.Basis][locale]
		if objection := s.Banner.Objection[locale]; p.Objection && objection != "" {
			sp.BasisText += ". " + objection
		}
		for _, v := range p.Services {
			sp.Services = append(sp.Services, v.shown(locale, true))
		}
		w.Purposes = append(w.Purposes, sp)
	}
	return w
}

// embedWordings are the placeholders: each asks for the one purpose its service acts under.
func (s *Site) embedWordings(locale string) []Wording {
	var all []Wording
	for _, p := range s.Purposes {
		for _, v := range p.Services {
			if !v.Embed || !p.Asked() {
				continue
			}
			w := s.wording(SurfaceEmbed(v.ID), locale, nil, nil)
			w.Title = p.Title[locale]
			w.Text = strings.ReplaceAll(s.Banner.EmbedText[locale], "{service}", v.Name)
			w.Links = []Link{}
			w.Buttons = map[string]string{"once": s.Banner.EmbedOnce[locale], "always": s.Banner.EmbedAlways[locale]}
			sp := p.shown(locale)
			sp.Services = append(sp.Services, v.shown(locale, false))
			w.Purposes = append(w.Purposes, sp)
			all = append(all, w)
		}
	}
	return all
}

func (s *Site) wording(surface, locale string, title, text Text) Wording {
	return Wording{
		V: 1, Site: s.ID, Surface: surface, Locale: locale, Revision: s.Revision, Controller: s.Controller,
		Title: title[locale], Text: text[locale],
		Links:    []Link{{Rel: "policy", Text: s.Banner.PolicyText[locale], Href: s.Banner.PolicyHref[locale]}},
		Purposes: []ShownPurpose{},
	}
}

func (p Purpose) shown(locale string) ShownPurpose {
	return ShownPurpose{
		ID: p.ID, Title: p.Title[locale], Text: p.Text[locale], Basis: p.Basis,
		Required: !p.Asked(), Default: !p.Asked() || p.Objection, Objection: p.Objection, Services: []ShownService{},
	}
}

func (v Service) shown(locale string, cookies bool) ShownService {
	out := ShownService{Name: v.Name, Provider: v.Provider, Policy: v.Policy}
	for _, c := range v.Cookies {
		if cookies {
			out.Cookies = append(out.Cookies, ShownCookie{Name: c.Name, Lifetime: c.Lifetime[locale]})
		}
	}
	return out
}

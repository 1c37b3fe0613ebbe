package admit

import (
	"fmt"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// Rules is what admission needs to know of a site, prepared once per configuration. It does not change.
type Rules struct {
	Site        *consent.Site
	AllowOrigin func(origin string) bool // whether a browser on this origin speaks for the site; must not keep it
	Asked       []string                 // ids of the purposes a person decides on, sorted
}

// NewRules prepares s.
func NewRules(s *consent.Site, allowOrigin func(string) bool) *Rules {
	r := &Rules{Site: s, AllowOrigin: allowOrigin}
	for _, p := range s.Purposes {
		if p.Asked() {
			r.Asked = append(r.Asked, p.ID)
		}
	}
	slices.Sort(r.Asked)
	return r
}

// Shown is what admission needs to know of a wording.
type Shown struct {
	Hash    consent.Hash
	Surface string
	Locale  string
	Asked   []string // sorted
	Ticked  []string // purposes of consent whose box was ticked before anybody touched it
}

// NewShown prepares the wording w that has hash h.
func NewShown(w *consent.Wording, h consent.Hash) *Shown {
	asked := w.Asked()
	slices.Sort(asked)
	s := &Shown{Hash: h, Surface: w.Surface, Locale: w.Locale, Asked: asked}
	for _, p := range w.Purposes {
		if p.Default && p.Basis == consent.BasisConsent {
			s.Ticked = append(s.Ticked, p.ID)
		}
	}
	return s
}

// ParseShown prepares a wording found in the ledger.
func ParseShown(p *consent.Publication) (*Shown, error) {
	w, err := consent.ParseWording(p.Doc)
	if err != nil {
		return nil, fmt.Errorf("reading published wording: %w", err)
	}
	return NewShown(w, p.Hash), nil
}

package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// IsForm reports whether s is the surface of a form.
func IsForm(s string) bool { return strings.HasPrefix(s, surfaceFormPrefix) }

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
	Fields     []ShownField      `json:"fields,omitempty"` // what a form asks for, in the order shown
}

// ShownField is an identifier a form asks for, as the person saw it.
type ShownField struct {
	Kind     Kind   `json:"kind"` // email or phone
	Label    string `json:"label"`
	Hint     string `json:"hint,omitempty"`
	Required bool   `json:"required,omitempty"`
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
func (w *Wording) Canonical() ([]byte, error) { return Canonical(w) }

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

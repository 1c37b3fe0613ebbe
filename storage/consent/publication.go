package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gowebpki/jcs"
)

// PublicationKind is what was made public.
type PublicationKind string

// The kinds of a Publication.
const (
	PublishedWording  PublicationKind = "wording"  // Hash is the wording hash, Doc the wording document
	PublishedBundle   PublicationKind = "bundle"   // Hash is the SHA-256 of the script, Doc the list of the wording hashes it carries
	PublishedConfig   PublicationKind = "config"   // Hash is the SHA-256 of Doc, the site file as it was read
	PublishedSnapshot PublicationKind = "snapshot" // Hash is the SHA-256 of a PNG that shows a wording as a browser rendered it
)

// Publication is something a site made public at a moment, or a picture of it: the third stream an edge ships,
// and the leaves of its second log. A wording is published once; a bundle or a configuration each time it becomes
// the current one.
type Publication struct {
	PublishedAt Millis
	Hash        Hash
	Site        string
	Surface     string // of a wording or snapshot
	Locale      string // of a wording or snapshot; of a bundle that speaks one language of several
	Doc         []byte // see PublicationKind; never part of the log, which holds its hash

	Kind  PublicationKind
	About []byte // canonical JSON object, part of the log: what belongs to Hash; nil: {}
}

// AppendFacts appends the canonical JSON of p (RFC 8785, version 1). A leaf of the log of publications is
// SHA-256(0x00 ‖ these bytes) (RFC 6962 §2.1). Nothing in it is personal.
func (p *Publication) AppendFacts(b []byte) []byte {
	b = append(b, `{"about":`...)
	if len(p.About) > 0 {
		b = append(b, p.About...)
	} else {
		b = append(b, `{}`...)
	}
	b = append(b, `,"hash":"`...)
	b = AppendHex(b, p.Hash[:])
	b = append(b, `","kind":`...)
	b = AppendJSONString(b, string(p.Kind))
	b = append(b, `,"locale":`...)
	b = AppendJSONString(b, p.Locale)
	b = append(b, `,"published_at":`...)
	b = AppendMillis(b, p.PublishedAt)
	b = append(b, `,"site":`...)
	b = AppendJSONString(b, p.Site)
	b = append(b, `,"surface":`...)
	b = AppendJSONString(b, p.Surface)
	return append(b, `,"type":"publication","v":1}`...)
}

// Recurs reports whether p is logged again when it becomes the current one again: what a wording hash stands for
// is known from its first publication on, but which script or configuration was in force is a matter of time.
func (p *Publication) Recurs() bool { return p.Kind == PublishedBundle || p.Kind == PublishedConfig }

// Identity tells apart publications of one site and kind: by hash, and a snapshot also by what it shows, because
// two of them may be the same picture.
func (p *Publication) Identity() Hash {
	if p.Kind != PublishedSnapshot {
		return p.Hash
	}
	return sha256.Sum256(append(p.Hash[:], p.About...))
}

// Publication makes w ready for the ledger, which dates it.
func (w *Published) Publication() *Publication {
	return &Publication{Kind: PublishedWording, Hash: w.Hash, Site: w.Site, Surface: w.Surface, Locale: w.Locale, Doc: w.Doc}
}

// BundleAbout is what the log says of a bundle besides its hash.
type BundleAbout struct {
	Wordings string `json:"wordings"` // SHA-256 of the publication's Doc: the sorted hashes of the wordings inside
}

// NewBundle is the publication of a site's script: the bytes served, and the wordings it carries. locale is "" when
// the script speaks every language of the site.
func NewBundle(site, locale string, script []byte, wordings []Hash) (*Publication, error) {
	list := make([]string, len(wordings))
	for i, h := range wordings {
		list[i] = h.String()
	}
	slices.Sort(list)
	doc, err := Canonical(slices.Compact(list))
	if err != nil {
		return nil, err
	}
	about, err := Canonical(BundleAbout{Wordings: Hash(sha256.Sum256(doc)).String()})
	return &Publication{Kind: PublishedBundle, Hash: sha256.Sum256(script), Site: site, Locale: locale, Doc: doc, About: about}, err
}

// NewConfig is the publication of a site's configuration.
func NewConfig(site string, file []byte) *Publication {
	return &Publication{Kind: PublishedConfig, Hash: sha256.Sum256(file), Site: site, Doc: file}
}

// Pages of an edge that show a wording without a script, as SnapshotAbout names them.
const (
	PageForm        = "form"        // the hosted form
	PageConfirm     = "confirm"     // the button that confirms what was agreed to on a form
	PageCentre      = "centre"      // the preference centre
	PageUnsubscribe = "unsubscribe" // the button that ends it
)

// SnapshotAbout is what the log says of a snapshot besides its hash: how a wording was rendered, by which script or on
// which page of the edge.
type SnapshotAbout struct {
	Bundle  string `json:"bundle"`         // SHA-256 of the script; of a page, of its HTML as it is drawn for nobody
	Device  string `json:"device"`         // phone, desktop
	Height  int    `json:"height"`         // of the window, CSS pixels
	Page    string `json:"page,omitempty"` // of a page of the edge, which; "": a page of the site, with the script
	Scheme  string `json:"scheme"`         // light, dark
	Width   int    `json:"width"`
	Wording string `json:"wording"` // the wording hash shown
}

// NewSnapshot is the publication of a picture of a wording.
func NewSnapshot(w *Published, png []byte, how SnapshotAbout) (*Publication, error) {
	how.Wording = w.Hash.String()
	about, err := Canonical(how)
	return &Publication{Kind: PublishedSnapshot, Hash: sha256.Sum256(png), Site: w.Site, Surface: w.Surface, Locale: w.Locale, About: about}, err
}

// Canonical encodes v as JSON in its one RFC 8785 form.
func Canonical(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	doc, err := jcs.Transform(buf.Bytes())
	if err != nil {
		return nil, fmt.Errorf("canonicalising %T: %w", v, err)
	}
	return doc, nil
}

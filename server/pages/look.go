package pages

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // pages.css
	"encoding/base64"
	"html/template"
	"slices"
	"strings"

	"github.com/consentd/consentd/widget"
)

//go:embed pages.css
var pagesCSS string

// Look is how the pages of a site are dressed: in the colours of its banner. It does not change.
type Look struct {
	css    template.CSS
	policy string // Content-Security-Policy as far as the style sheet decides it
}

// NewLook dresses pages like a banner of theme t. The error is that of a theme with a value that is none.
func NewLook(t widget.Theme) (*Look, error) {
	light, dark, err := t.Palettes()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString(":root{--radius:" + cmp.Or(t.Radius, "14px") + "}")
	switch t.Scheme {
	case widget.SchemeLight:
		colours(&b, light, "light")
	case widget.SchemeDark:
		colours(&b, dark, "dark")
	default:
		colours(&b, light, "light")
		b.WriteString("@media (prefers-color-scheme:dark){")
		colours(&b, dark, "dark")
		b.WriteString("}")
	}
	b.WriteString(pagesCSS)
	sum := sha256.Sum256([]byte(b.String()))
	return &Look{css: template.CSS(b.String()), // #nosec: constants, and values Palettes has checked
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'; form-action "}, nil
}

func colours(b *strings.Builder, p widget.Palette, scheme string) {
	b.WriteString(":root{color-scheme:" + scheme + ";--surface:" + p.Surface + ";--text:" + p.Text + ";--muted:" + p.Muted + ";--line:" + p.Line +
		";--button:" + p.Button + ";--label:" + p.Label + ";--hover:" + p.Hover + ";--accent:" + p.Accent + ";--wrong:" + wrong(p, scheme) +
		";--page:color-mix(in srgb," + map[string]string{"light": "var(--text) 4%", "dark": "#000 30%"}[scheme] + ",var(--surface))}")
}

// wrong is the colour of what has to be mended: a red, where it can be read on the site's own surface.
func wrong(p widget.Palette, scheme string) string {
	red := map[string]string{"light": "#a3201d", "dark": "#ff9a94"}[scheme]
	if widget.Contrast(red, p.Surface) < widget.MinContrast {
		return p.Text
	}
	return red
}

// CSP is the Content-Security-Policy of a page in this look. Its forms may be sent to this server, and be answered
// by a redirect to one of the origins in targets: browsers hold redirects of a form to form-action as well.
func (l *Look) CSP(targets ...string) string {
	targets = slices.DeleteFunc(slices.Clone(targets), func(s string) bool { return s == "" || strings.ContainsAny(s, " ;,'") })
	return l.policy + strings.Join(append([]string{"'self'"}, targets...), " ")
}

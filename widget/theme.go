package widget

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// ErrTheme means that a value of a theme is not what its field takes; nothing else may reach a style sheet.
var ErrTheme = errors.New("widget: the theme has a value that is none")

// Theme is how a site dresses the widget. The zero Theme is complete. The font is the page's own.
type Theme struct {
	// Layout of the banner: a bar along an edge, a box, or a modal that has to be answered before the page is used.
	Layout Layout `json:"layout,omitempty" yaml:"layout,omitempty" jsonschema:"enum=bar,enum=box,enum=modal,default=bar"`
	// Position of the banner. A bar is at the top or bottom; a box at any edge or corner; a modal also in the center.
	Position Position `json:"position,omitempty" yaml:"position,omitempty" jsonschema:"enum=top,enum=bottom,enum=top-start,enum=top-end,enum=bottom-start,enum=bottom-end,enum=center"`
	// Scheme is auto (the visitor's own setting), light or dark.
	Scheme Scheme  `json:"scheme,omitempty" yaml:"scheme,omitempty"`
	Light  Palette `json:"light,omitzero" yaml:"light,omitempty"`
	Dark   Palette `json:"dark,omitzero" yaml:"dark,omitempty"`
	Radius string  `json:"radius,omitempty" yaml:"radius,omitempty"` // of corners: "12px", "0", "1em"; default 14px
	Space  string  `json:"space,omitempty" yaml:"space,omitempty"`   // between a frame and its words: 1.5em (the default), 20px
}

// Layout is the shape of the banner.
type Layout string

// The layouts. The zero Layout is a bar.
const (
	LayoutBar   Layout = "bar"
	LayoutBox   Layout = "box"
	LayoutModal Layout = "modal"
)

// Position is where the banner stands. start is the side where reading starts.
type Position string

// The positions.
const (
	PositionTop         Position = "top"
	PositionBottom      Position = "bottom"
	PositionTopStart    Position = "top-start"
	PositionTopEnd      Position = "top-end"
	PositionBottomStart Position = "bottom-start"
	PositionBottomEnd   Position = "bottom-end"
	PositionCenter      Position = "center"
)

// Positions lists where a banner of a layout may stand, the default first; nil when l is no layout.
func (l Layout) Positions() []Position {
	corners := []Position{PositionBottomStart, PositionBottomEnd, PositionTopStart, PositionTopEnd, PositionTop, PositionBottom}
	switch l {
	case "", LayoutBar:
		return []Position{PositionBottom, PositionTop}
	case LayoutBox:
		return corners
	case LayoutModal:
		return append([]Position{PositionCenter}, corners...)
	}
	return nil
}

// Scheme says which palette is used.
type Scheme string

// The schemes. The zero Scheme follows the visitor's setting.
const (
	SchemeAuto  Scheme = "auto"
	SchemeLight Scheme = "light"
	SchemeDark  Scheme = "dark"
)

// Palette is a set of colours, each #rrggbb; an empty one takes the default.
type Palette struct {
	Surface string `json:"surface,omitempty" yaml:"surface,omitempty"` // behind everything
	Text    string `json:"text,omitempty" yaml:"text,omitempty"`
	Muted   string `json:"muted,omitempty" yaml:"muted,omitempty"`   // lesser text
	Line    string `json:"line,omitempty" yaml:"line,omitempty"`     // borders
	Button  string `json:"button,omitempty" yaml:"button,omitempty"` // every button: there is no second colour
	Label   string `json:"label,omitempty" yaml:"label,omitempty"`   // words on a button
	Hover   string `json:"hover,omitempty" yaml:"hover,omitempty"`   // a button under the pointer; default: Button
	Accent  string `json:"accent,omitempty" yaml:"accent,omitempty"` // switches that are on, focus
}

// The default colours: ink on paper and the reverse, so that they go with any page.
var (
	defaultLight = Palette{Surface: "#ffffff", Text: "#15181e", Muted: "#545c68", Line: "#dfe3e8",
		Button: "#1b1f27", Label: "#ffffff", Hover: "#3a414e", Accent: "#1a56db"}
	defaultDark = Palette{Surface: "#1a1d23", Text: "#f2f4f7", Muted: "#a8b0bd", Line: "#363c47",
		Button: "#eef0f4", Label: "#15181e", Hover: "#ffffff", Accent: "#7fa8ff"}
)

const (
	defaultRadius = "14px"
	defaultSpace  = "1.5em"

	// themed are the outermost elements of everything shown: inside the shadow root, where no rule of the page
	// reaches the custom properties.
	themed = "section,dialog,aside,figure"
)

// MinContrast is the least contrast of text with what lies behind it (WCAG 2.2, 1.4.3).
const MinContrast = 4.5

// minContrastShape is the least contrast of a switch or a focus ring with what lies behind it (WCAG 2.2, 1.4.11).
const minContrastShape = 3.0

var (
	colourPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	spacePattern  = regexp.MustCompile(`^(?:(?:1[2-9]|[23][0-9]|40)px|(?:0\.(?:7[5-9]|[89][0-9]?)|[12](?:\.[0-4][0-9]?)?|1\.[5-9][0-9]?|2\.50?)em)$`)
	radiusPattern = regexp.MustCompile(`^(?:0|[0-9]{1,3}(?:\.[0-9]{1,3})?(?:px|em))$`)
)

// ThemeProblem is one thing wrong with a theme.
type ThemeProblem struct {
	Field  string // "dark.button"
	Code   string // invalid_value, low_contrast
	Detail string
}

// Check lists everything wrong with t: values that are none, and text that is hard to read on what lies behind
// it (contrast under 4.5:1), which also is how a refusal is hidden.
func (t Theme) Check() []ThemeProblem {
	var all []ThemeProblem
	switch t.Scheme {
	case "", SchemeAuto, SchemeLight, SchemeDark:
	default:
		all = append(all, ThemeProblem{"scheme", "invalid_value", fmt.Sprintf("%q is not auto, light or dark", t.Scheme)})
	}
	if t.Layout.Positions() == nil {
		all = append(all, ThemeProblem{"layout", "invalid_value", fmt.Sprintf("%q is not bar, box or modal", t.Layout)})
	} else if t.Position != "" && !slices.Contains(t.Layout.Positions(), t.Position) {
		all = append(all, ThemeProblem{"position", "invalid_value", fmt.Sprintf("%q is no place for this layout; choose one of %s", t.Position, t.Layout.Positions())})
	}
	if t.Space != "" && !spacePattern.MatchString(t.Space) {
		all = append(all, ThemeProblem{"space", "invalid_value", fmt.Sprintf("%q is not a length of 12px to 40px, or 0.75em to 2.5em", t.Space)})
	}
	if t.Radius != "" && !radiusPattern.MatchString(t.Radius) {
		all = append(all, ThemeProblem{"radius", "invalid_value", fmt.Sprintf("%q is not a length in px or em", t.Radius)})
	}
	all = append(all, t.Light.check("light", defaultLight)...)
	return append(all, t.Dark.check("dark", defaultDark)...)
}

func (p Palette) check(name string, base Palette) []ThemeProblem {
	var all []ThemeProblem
	for _, f := range p.fields() {
		if f.value != "" && !colourPattern.MatchString(f.value) {
			all = append(all, ThemeProblem{name + "." + f.name, "invalid_value", fmt.Sprintf("%q is not a colour #rrggbb", f.value)})
		}
	}
	if all != nil {
		return all
	}
	full := p.over(base)
	for _, c := range []struct{ field, front, back string }{
		{"text", full.Text, full.Surface}, {"muted", full.Muted, full.Surface},
		{"label", full.Label, full.Button}, {"hover", full.Label, full.Hover}, {"accent", full.Accent, full.Surface},
	} {
		least := MinContrast
		if c.field == "accent" {
			least = minContrastShape
		}
		if ratio := Contrast(c.front, c.back); ratio < least {
			detail := fmt.Sprintf("%s on %s has a contrast of %.2f:1, less than %.1f:1", c.front, c.back, ratio, least)
			all = append(all, ThemeProblem{name + "." + c.field, "low_contrast", detail})
		}
	}
	return all
}

type colour struct{ name, value string }

func (p Palette) fields() []colour {
	return []colour{{"surface", p.Surface}, {"text", p.Text}, {"muted", p.Muted}, {"line", p.Line},
		{"button", p.Button}, {"label", p.Label}, {"hover", p.Hover}, {"accent", p.Accent}}
}

// over fills what p leaves empty. A button of another colour has no hover colour of its own to fall back on.
func (p Palette) over(base Palette) Palette {
	if p.Button != "" {
		base.Hover = p.Button
	}
	return Palette{
		Surface: cmp.Or(p.Surface, base.Surface), Text: cmp.Or(p.Text, base.Text), Muted: cmp.Or(p.Muted, base.Muted),
		Line: cmp.Or(p.Line, base.Line), Button: cmp.Or(p.Button, base.Button), Label: cmp.Or(p.Label, base.Label),
		Hover: cmp.Or(p.Hover, base.Hover), Accent: cmp.Or(p.Accent, base.Accent),
	}
}

// Palettes gives the colours of t, complete: for whatever else of a site is dressed like its banner. Errors are
// those of a value that is none.
func (t Theme) Palettes() (light, dark Palette, err error) {
	for _, p := range t.Check() {
		if p.Code == "invalid_value" {
			return light, dark, fmt.Errorf("%w: %s: %s", ErrTheme, p.Field, p.Detail)
		}
	}
	return t.Light.over(defaultLight), t.Dark.over(defaultDark), nil
}

// position is where the banner stands, the default spelt out.
func (t Theme) position() Position { return cmp.Or(t.Position, t.Layout.Positions()[0]) }

// place writes where the banner stands: the sheet has it at every edge, and an edge it does not stand at is let go.
func (t Theme) place() string {
	at := string(t.position())
	let := func(edge, property string) string {
		if strings.Contains(at, edge) {
			return property + ":auto;"
		}
		return ""
	}
	if at == "center" {
		return ""
	}
	return "#banner{margin:1em auto;" + let("top", "bottom") + let("bottom", "top") + let("start", "inset-inline-end") + let("end", "inset-inline-start") +
		map[bool]string{true: "margin-inline:1em"}[strings.Contains(at, "-")] + "}"
}

// css writes t as custom properties. Contrast does not stop it: a site that was published stays readable to
// those who serve it, and Check has told its owner.
func (t Theme) css() (string, error) {
	inLight, inDark, err := t.Palettes()
	if err != nil {
		return "", err
	}
	light, dark := inLight.css("light"), inDark.css("dark")
	open := themed + "{--radius:" + cmp.Or(t.Radius, defaultRadius) + ";--space:" + cmp.Or(t.Space, defaultSpace) + ";"
	switch t.Scheme {
	case SchemeLight:
		return open + light + "}", nil
	case SchemeDark:
		return open + dark + "}", nil
	}
	return open + light + "}@media(prefers-color-scheme:dark){" + themed + "{" + dark + "}}", nil
}

func (p Palette) css(scheme string) string {
	var b strings.Builder
	b.WriteString("color-scheme:" + scheme)
	for _, f := range p.fields() {
		b.WriteString(";--" + f.name + ":" + f.value)
	}
	return b.String()
}

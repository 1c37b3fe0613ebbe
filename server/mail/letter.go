package mail

import (
	"bytes"
	"cmp"
	_ "embed" // letter.txt, letter.html
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	texttemplate "text/template"
	"unicode"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

//go:embed letter.txt
var letterText string

//go:embed letter.html
var letterHTML string

// The built-in templates, for both kinds of mail; parsed once, read only afterwards.
var (
	builtinText = texttemplate.Must(texttemplate.New("letter.txt").Parse(letterText))
	builtinHTML = template.Must(template.New("letter.html").Parse(letterHTML))
)

// Letter is what a mail says, and what a site's own templates (confirm.fr.txt, confirm.fr.html, address.fr.txt …) can
// use, as in {{.Link}}. Every text comes from the site's file or from consentd: nothing a person typed is in it.
type Letter struct {
	Kind       Kind
	Locale     string
	Site       string // its name
	Subject    string
	Title      string
	Text       string
	Purposes   []string // titles of what was agreed to; none for a new address
	Button     string   // its label
	Link       string   // where it leads
	Copy       string   // what to do where the button does not work
	Expires    string   // how long the link is good
	Ignore     string   // what to do for who asked for nothing
	Reason     string   // why this mail was sent
	Controller consent.Controller
	Look       Look
}

// Look is a site's theme as mails can wear it.
type Look struct {
	Radius      template.CSS
	Light, Dark Colours
	Schemes     template.CSS // for color-scheme: "light dark", or the one the site keeps to
	Auto        bool         // the reader's setting decides between Light and Dark; otherwise Light is all there is
}

// Colours are those of one scheme, each #rrggbb.
type Colours struct{ Page, Surface, Text, Muted, Line, Button, Label template.CSS }

// dress takes the colours of a theme. One with a value that is none, which no loaded site has, gives the default.
func (l *Letter) dress(t widget.Theme) {
	light, dark, err := t.Palettes()
	if err != nil {
		light, dark, _ = widget.Theme{}.Palettes()
	}
	l.Look = Look{Radius: "14px", Light: colours(light, "#000000", 4), Dark: colours(dark, "#000000", 30), Schemes: "light dark", Auto: true}
	if strings.HasSuffix(t.Radius, "px") || t.Radius == "0" { // mail programs know few other units
		l.Look.Radius = template.CSS(t.Radius)
	}
	switch t.Scheme {
	case widget.SchemeLight:
		l.Look.Schemes, l.Look.Auto = "light", false
	case widget.SchemeDark:
		l.Look.Schemes, l.Look.Auto, l.Look.Light = "dark", false, l.Look.Dark
	}
}

// colours of a palette; the page is its surface, with a little of shade in it.
func colours(p widget.Palette, shade string, percent int) Colours {
	return Colours{template.CSS(blend(p.Surface, shade, percent)), template.CSS(p.Surface), template.CSS(p.Text), template.CSS(p.Muted),
		template.CSS(p.Line), template.CSS(p.Button), template.CSS(p.Label)}
}

// blend mixes percent of b into a, both #rrggbb: mail programs do not know color-mix().
func blend(a, b string, percent int) string {
	x, errX := strconv.ParseUint(strings.TrimPrefix(a, "#"), 16, 24)
	y, errY := strconv.ParseUint(strings.TrimPrefix(b, "#"), 16, 24)
	if errX != nil || errY != nil {
		return a
	}
	var mixed uint64
	for shift := 0; shift <= 16; shift += 8 {
		c := (x>>shift&0xff*uint64(100-percent) + y>>shift&0xff*uint64(percent)) / 100
		mixed |= c << shift
	}
	return fmt.Sprintf("#%06x", mixed)
}

// oneLine keeps a text of a file on one line: it may stand in a header, or in a list. Spaces that do not break stay.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}

// render writes both parts, from the site's own templates in dir where it has them. What is wrong with one of them is
// returned, and the built-in one used in its place: somebody waits for this mail.
func (l *Letter) render(dir string) (text, html string, err error) {
	text, errText := l.own(dir, "txt")
	if text == "" {
		text = l.must(builtinText)
	}
	html, errHTML := l.own(dir, "html")
	if html == "" {
		html = l.must(builtinHTML)
	}
	return text, html, errors.Join(errText, errHTML)
}

type executor interface {
	Execute(w io.Writer, data any) error
}

// must executes a built-in template: one that fails does so in the tests.
func (l *Letter) must(t executor) string {
	var b strings.Builder
	if err := t.Execute(&b, l); err != nil {
		panic(err)
	}
	return b.String()
}

// maxTemplate bounds what is read of a file, and what it may become, in bytes: mail programs cut a mail at 100 KB.
const maxTemplate = 100 << 10

// own executes a site's own template; "" when there is none or it does not work.
func (l *Letter) own(dir, ext string) (string, error) {
	if dir == "" {
		return "", nil
	}
	name := fmt.Sprintf("%s.%s.%s", l.Kind, l.Locale, ext)
	source, err := readTemplate(filepath.Join(dir, name))
	if err != nil || source == nil {
		return "", err
	}
	t, err := parseTemplate(name, ext, source)
	if err != nil {
		return "", err
	}
	return l.execute(name, t)
}

// readTemplate gives nil when there is no such file.
func readTemplate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxTemplate {
		return nil, fmt.Errorf("%s: over %d KiB", filepath.Base(path), maxTemplate>>10)
	}
	return append([]byte{}, b...), nil
}

func parseTemplate(name, ext string, source []byte) (executor, error) {
	if ext == "html" {
		return template.New(name).Parse(string(source))
	}
	return texttemplate.New(name).Parse(string(source))
}

// errNoLink means that nobody could confirm with what a template makes.
var errNoLink = errors.New("the link is missing: write {{.Link}}")

func (l *Letter) execute(name string, t executor) (string, error) {
	var b bytes.Buffer
	if err := t.Execute(&capped{&b}, l); err != nil {
		return "", err
	}
	if s := b.String(); strings.Contains(s, cmp.Or(l.Link, "\x00")) || strings.Contains(s, template.HTMLEscapeString(l.Link)) {
		return s, nil
	}
	return "", fmt.Errorf("template: %s: %w", name, errNoLink)
}

// capped ends a template that writes without end.
type capped struct{ b *bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) > maxTemplate {
		return 0, fmt.Errorf("becomes larger than %d KiB", maxTemplate>>10)
	}
	return c.b.Write(p)
}

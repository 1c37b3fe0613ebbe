// Package pages draws what a person meets away from the site's own pages: the hosted form and its thank-you page,
// the confirmation of a double opt-in, the preference centre, unsubscribing, and what went wrong.
//
// It guarantees that a page needs no script and loads nothing: its one style sheet is inside it and allowed by its
// hash, everything else is forbidden (Look.CSP). Texts come from wording documents and from the site's words and
// are written as text (html/template). Every page works by keyboard, at 320 px, at 200 %, in light and dark, in
// forced colours, and says its language (WCAG 2.2 AA; a test looks with axe-core).
//
// It decides nothing, knows no HTTP and keeps no state: a caller fills one of the structs and renders it.
//
// # Files
//
//	pages.go      Page: what is around every page; rendering
//	forms.go      Form: the hosted form
//	message.go    Message, Confirm and Unsubscribe: short pages
//	centre.go     Centre: the preference centre
//	look.go       Look: a site's colours as a style sheet, and its policy
//	dates.go      dates in words, in the languages of the Union
//	pages.html    every template; pages.css
package pages

import (
	"bytes"
	_ "embed" // pages.html, pages.css
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

//go:embed pages.html
var pagesHTML string

// templates holds one named template per struct of this package; parsed once, read only afterwards.
var templates = template.Must(template.New("pages").Parse(pagesHTML))

// Page is what is around every page.
type Page struct {
	Look       *Look
	Site       string // its name, at the top
	Locale     string
	Words      consent.Words
	Title      string // of the document and the page
	Languages  []Language
	Controller consent.Controller // the zero Controller: nobody is named
	Policy     consent.Link       // its Href "": none
	Public     bool               // search engines may list it
}

// Language is one way to read the same page.
type Language struct {
	Tag, Name, Href string
	Current         bool
}

// T gives a word of the site in the language of the page; fill names braces and what stands for them, in turn.
func (p *Page) T(key string, fill ...string) string {
	s := p.Words.Of(p.Locale, key)
	for i := 0; i+1 < len(fill); i += 2 {
		s = strings.ReplaceAll(s, "{"+fill[i]+"}", fill[i+1])
	}
	return s
}

// Date writes the day of a moment.
func (p *Page) Date(t consent.Millis) string { return date(p.Locale, t) }

// CSS is the style sheet of the page.
func (p *Page) CSS() template.CSS { return p.Look.css }

// MailTo is the address of the controller's contact, when that is an e-mail address; else "".
func (p *Page) MailTo() string {
	if at := strings.IndexByte(p.Controller.Contact, '@'); at > 0 && !strings.ContainsAny(p.Controller.Contact, " /?&") {
		return "mailto:" + p.Controller.Contact
	}
	return ""
}

// Switch lists the locales of a site as ways to read a page; href makes the address of one.
func Switch(locales []string, current string, href func(locale string) string) []Language {
	if len(locales) < 2 {
		return nil
	}
	all := make([]Language, len(locales))
	for i, l := range locales {
		all[i] = Language{Tag: l, Name: ownName(l), Href: href(l), Current: l == current}
	}
	return all
}

// ownName is what a language calls itself: Français.
func ownName(locale string) string {
	name := display.Self.Name(language.Make(locale))
	first, n := utf8.DecodeRuneInString(name)
	if n == 0 {
		return locale
	}
	return string(unicode.ToUpper(first)) + name[n:]
}

// Pick chooses the locale to answer in: the one asked for, else the best for an Accept-Language header, else the
// first.
func Pick(locales []string, asked, accept string) string {
	for _, l := range locales {
		if strings.EqualFold(l, asked) {
			return l
		}
	}
	if len(accept) > maxAccept {
		accept = ""
	}
	want, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(want) == 0 {
		return locales[0]
	}
	tags := make([]language.Tag, len(locales))
	for i, l := range locales {
		tags[i] = language.Make(l)
	}
	if _, i, sure := language.NewMatcher(tags).Match(want...); sure != language.No {
		return locales[i]
	}
	return locales[0]
}

// maxAccept bounds a header whose reading takes time; browsers send 20 to 100 bytes.
const maxAccept = 300

func render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(16 << 10)
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("drawing page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

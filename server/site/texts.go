package site

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/consentd/consentd/storage/consent"
)

// texts is a text of a file: one for each locale, or one for all.
type texts struct {
	all string            // title: Newsletter
	by  map[string]string // title: {fr: Lettre, en: Newsletter}
}

// Most characters of a text. A wording is read on a telephone, and carried by every first visit.
const (
	maxLabel = 60   // of a button or link
	maxTitle = 200  // of a heading or name
	maxText  = 4000 // of a paragraph
	maxLink  = 2000 // of an address
)

// read takes a text, or a mapping of locales to texts. Nothing, and false, are an empty text: they are how a
// button is hidden, which the checks answer better than "wrong type".
func (t *texts) read(d *decoder, n ast.Node, path string) {
	if s, ok := stringOf(n); ok {
		t.all = seen(s)
		return
	}
	if _, ok := n.(ast.MapNode); ok {
		t.by = map[string]string{}
		d.entries(n, path, func(locale, p string, value ast.Node) {
			var one texts
			if _, nested := value.(ast.MapNode); nested {
				d.wrongType(value, p, "a text")
				return
			}
			d.places[p] = placeOf(value.GetToken())
			one.read(d, value, p)
			t.by[locale] = one.all
		})
		return
	}
	if b, ok := n.(*ast.BoolNode); ok && !b.Value {
		return
	}
	if _, null := n.(*ast.NullNode); null || !d.plain(n, path) {
		return
	}
	d.wrongType(n, path, "a text")
}

func (t texts) in(locales []string) consent.Text {
	out := make(consent.Text, len(locales))
	for _, l := range locales {
		out[l] = t.of(l)
	}
	return out
}

// given reports whether the file says anything.
func (t texts) given() bool { return t.all != "" || len(t.by) > 0 }

// or is t in each locale, and a word of the site where t says nothing.
func (t texts) or(locales []string, words consent.Words, key string) consent.Text {
	out := t.in(locales)
	for _, l := range locales {
		if out[l] == "" {
			out[l] = words.Of(l, key)
		}
	}
	return out
}

// each gives every text of t by its locale, that for all under "".
func (t texts) each() map[string]string {
	if t.by == nil {
		return map[string]string{"": t.all}
	}
	return t.by
}

func (t texts) of(locale string) string {
	if s, ok := t.by[locale]; ok {
		return s
	}
	return t.all
}

// checkText reports what is wrong with a text that has to be there in every locale.
func (v *validator) checkText(t texts, path string, limit int) {
	if v.bad[path] {
		return
	}
	if !v.has(path) {
		v.missing(path)
		return
	}
	v.checkGiven(t, path, limit)
	if t.all != "" && len(v.locales) > 1 {
		v.errorf(CodeTextMissing, path, "is one text for %d languages; write {%s}", len(v.locales), v.example())
		return
	}
	for _, l := range v.locales {
		if p := path + "." + l; t.of(l) == "" && !v.bad[p] {
			v.errorf(CodeTextMissing, p, "is missing; the site speaks %s", strings.Join(v.locales, ", "))
		}
	}
}

// checkOwn reports what is wrong with a text that may be left out: there is a built-in one, or none is needed.
// empty reports one that is there and says nothing; nil: as any other text.
func (v *validator) checkOwn(t texts, path string, limit int, empty func(path string)) {
	if !v.has(path) || v.bad[path] {
		return
	}
	if empty == nil {
		empty = func(path string) { v.emptyText("", path) }
	}
	v.checkGiven(t, path, limit)
	if t.all != "" && len(v.locales) > 1 {
		v.errorf(CodeTextMissing, path, "is one text for %d languages; write {%s}", len(v.locales), v.example())
	}
	if t.all == "" && t.by == nil {
		empty(path)
	}
	for l, s := range t.by {
		if p := path + "." + l; s == "" && !v.bad[p] {
			empty(p)
		}
	}
}

// checkGiven reports what is wrong with the texts that are there.
func (v *validator) checkGiven(t texts, path string, limit int) {
	v.checkLength(t.all, path, limit)
	for _, l := range slices.Sorted(maps.Keys(t.by)) {
		p := path + "." + l
		v.checkLength(t.by[l], p, limit)
		if !slices.Contains(v.locales, l) && !v.bad["locales"] {
			v.errorf(CodeTextLocale, p, "is in a language the site does not have; add %s to locales, or remove this text", l)
		}
	}
}

func (v *validator) checkLength(s, path string, limit int) {
	if n := utf8.RuneCountInString(s); n > limit {
		v.errorf(CodeTextTooLong, path, "has %d characters; the most here is %d", n, limit)
	}
}

// example is "fr: …, en: …" in the locales of the site.
func (v *validator) example() string {
	var parts []string
	for _, l := range v.locales {
		parts = append(parts, fmt.Sprintf("%s: …", l))
	}
	return strings.Join(parts, ", ")
}

package site

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// lifetime is how long a cookie or storage key stays. It is written in calendar units, because it is read back to
// people in words: 13mo, not 395d.
type lifetime struct {
	n    int
	unit string // singular English, as quantity takes it; "session": until the browser is closed
}

var lifetimePattern = regexp.MustCompile(`^([1-9][0-9]{0,4})(min|h|d|mo|y)$`)

// UnmarshalText reads session, or a whole number with its unit.
func (l *lifetime) UnmarshalText(text []byte) error {
	if string(text) == "session" {
		l.unit = "session"
		return nil
	}
	m := lifetimePattern.FindSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is no lifetime; write it like 13mo, 30d, 24h, 2y, or session", text)
	}
	l.n, _ = strconv.Atoi(string(m[1])) // five digits
	l.unit = map[string]string{"min": "minute", "h": "hour", "d": "day", "mo": "month", "y": "year"}[string(m[2])]
	return nil
}

// in writes l in the language of a locale, or in English when consentd does not speak it; "" for none.
func (l lifetime) in(locale string) string {
	lang := base(locale)
	if _, ok := builtin(lang); !ok {
		lang = "en"
	}
	switch l.unit {
	case "":
		return ""
	case "session":
		words, _ := builtin(lang)
		return words["session"]
	}
	return quantity(lang, l.unit, l.n)
}

// names maps another tool's words to ids of purposes.
type names map[string]string

func (m *names) read(d *decoder, n ast.Node, path string) {
	*m = names{}
	d.entries(n, path, func(key, p string, value ast.Node) {
		d.places[p] = placeOf(value.GetToken())
		if s, ok := stringOf(value); ok {
			(*m)[key] = s
		} else {
			d.wrongType(value, p, "a text")
		}
	})
}

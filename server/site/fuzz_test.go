package site

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget"
)

// FuzzValidate: no file, however broken, stops the program; every problem says where and what; and a file
// without errors becomes a site whose wordings have no blanks and whose bundle builds.
func FuzzValidate(f *testing.F) {
	for _, name := range []string{"testdata/demo.yaml", "testdata/club.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, s := range []string{"", "{}", "a: &b [*b]", "<<: {a: 1}", "? [a]\n: b", "purposes: [{}]", "theme: {light: {button: 1}}",
		"site: !!binary x", "policy: {fr: {en: {}}}", "locales: [und, x-klingon, i-default]", "origins: ['http://[::1]', 'https://*.xn--']",
		"%YAML 1.2\n---\na: b\n...\n", "a: |+\n\n\n", "\"\\x00\": 1", "- - - -"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := parse("f.yaml", []byte(text))
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Code == "" || p.Text == "" {
				t.Errorf("%q: %+v", text, p)
			}
		}
		if hasErrors(problems) {
			return
		}
		s, err := c.build("f.yaml", bytes.Repeat([]byte{1}, 32))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, w := range s.Published {
			shown := []string{w.Title, w.Text}
			for _, l := range w.Links {
				shown = append(shown, l.Text, l.Href)
			}
			for _, b := range w.Buttons {
				shown = append(shown, b)
			}
			for _, field := range w.Fields {
				shown = append(shown, field.Label)
			}
			for _, words := range shown {
				if strings.TrimSpace(words) == "" {
					t.Fatalf("%q: a blank in %s", text, w.Doc)
				}
			}
		}
		if _, err := widget.Build(widget.Input{Site: s.Site, Wordings: s.Published, Theme: s.Theme, Options: s.Options}); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

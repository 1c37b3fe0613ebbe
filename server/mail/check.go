package mail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing wrong with a site's own template.
type Mistake struct {
	File string
	Line int // from 1; 0: the file as a whole
	Text string
}

// TemplatesOf is where a site keeps its own templates: beside its file, in a directory named for the site.
func TemplatesOf(file, site string) string {
	return filepath.Join(filepath.Dir(file), site+".mail")
}

// Check tries every template of a site: whether its name is that of a mail in a language of the site, whether it can
// be read, and whether a mail made with it has the link. No mistake is nil.
func Check(st *Site) (all []Mistake) {
	entries, err := os.ReadDir(st.Templates)
	if errors.Is(err, fs.ErrNotExist) || st.Templates == "" {
		return nil
	}
	if err != nil {
		return []Mistake{{File: st.Templates, Text: err.Error()}}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") { // of editors
			continue
		}
		if line, err := checkTemplate(st, e.Name()); err != nil {
			all = append(all, Mistake{filepath.Join(st.Templates, e.Name()), line, err.Error()})
		}
	}
	return all
}

var templateName = regexp.MustCompile(`^(confirm|address)\.([A-Za-z0-9-]+)\.(txt|html)$`)

func checkTemplate(st *Site, name string) (line int, err error) {
	part := templateName.FindStringSubmatch(name)
	if part == nil {
		return 0, errors.New("is no template; they are named confirm.LANGUAGE.txt, confirm.LANGUAGE.html, address.LANGUAGE.txt and address.LANGUAGE.html")
	}
	if !slices.Contains(st.Locales, part[2]) {
		return 0, fmt.Errorf("is for %q, which is no language of the site; it has %s", part[2], strings.Join(st.Locales, ", "))
	}
	l := sample(st, Kind(part[1]), part[2])
	_, err = l.own(st.Templates, part[3])
	return lineOf(err), err
}

// sample is a letter like those a site sends.
func sample(st *Site, kind Kind, locale string) *Letter {
	var purposes []string
	for _, f := range st.Forms {
		if f.DoubleOptIn {
			purposes = append(purposes, f.Purposes...)
		}
	}
	slices.Sort(purposes)
	return newLetter(st, kind, locale, slices.Compact(purposes), "https://consent.example/c/sample-of-a-link-0123456789_abcdefghijklmnop")
}

// lineOf finds the line in an error of a template package, "template: NAME:LINE:…" or "html/template:NAME:LINE:…".
var lineInError = regexp.MustCompile(`template: ?[^: ]+:(\d+):`)

func lineOf(err error) int {
	if err == nil {
		return 0
	}
	m := lineInError.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits; one too large is 0
	return n
}

// Sample is a mail as it would be sent, for the operator's eyes.
type Sample struct{ Subject, Text, HTML string }

// Preview writes the mail of a kind in a language of a site, with purposes of its forms and a link that leads nowhere.
// An error says which of the site's own templates does not work; the sample is complete all the same.
func Preview(st *Site, kind Kind, locale string) (Sample, error) {
	l := sample(st, kind, cmp.Or(locale, st.Locales[0]))
	text, html, err := l.render(st.Templates)
	return Sample{l.Subject, text, html}, err
}

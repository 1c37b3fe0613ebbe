package site

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/consentd/consentd/storage/consent"
)

// ownWords are the words a file changes, by key: {"form.submit": {fr: S’abonner}}.
type ownWords map[string]texts

func (w *ownWords) read(d *decoder, n ast.Node, path string) {
	if !d.plain(n, path) {
		return
	}
	*w = ownWords{}
	d.entries(n, path, func(key, p string, value ast.Node) {
		var t texts
		t.read(d, value, p)
		(*w)[key] = t
	})
}

// placeholder is what somebody fills in: {date}.
var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// pages gives the words besides the banner's by "group.key".
func (b *phrasebook) pages() map[string]string {
	all := map[string]string{}
	for group, words := range map[string]map[string]string{
		"form": b.Form, "mail": b.Mail, "confirm": b.Confirm, "centre": b.Centre, "unsubscribe": b.Unsubscribe, "page": b.Page,
	} {
		for key, s := range words {
			all[group+"."+key] = s
		}
	}
	return all
}

// builtinPages gives the words of a language that come with consentd, by "group.key"; nil when there are none.
// Shared: read only.
func builtinPages(lang string) map[string]string { return phrasebooks()[lang].page }

// pageWords gives every word in every locale of the site: the file's own, else the built-in one of its language,
// else the English one, which only stands where nobody meets it: checkLanguage has seen to the others.
// {controller}, {contact} and {site} are filled in; what else stands in braces is for whoever shows the text.
func (c *config) pageWords() consent.Words {
	fill := strings.NewReplacer("{controller}", c.Controller.Name, "{contact}", c.Controller.Contact, "{site}", c.Name)
	out := consent.Words{}
	for _, l := range c.Locales {
		words := maps.Clone(builtinPages("en"))
		maps.Copy(words, builtinPages(base(l)))
		for key := range words {
			if own := c.Words[key].of(l); own != "" {
				words[key] = own
			}
			words[key] = fill.Replace(words[key])
		}
		out[l] = words
	}
	return out
}

// checkOwnPages is about the words a file changes: each is one there is, with the same braces.
func (v *validator) checkOwnPages() {
	if v.bad["words"] {
		return
	}
	english := builtinPages("en")
	for _, key := range slices.Sorted(maps.Keys(v.c.Words)) {
		path := "words." + key
		if _, known := english[key]; !known {
			v.errorf(CodeWordUnknown, path, "is no word here; %s", suggestion(key, slices.Collect(maps.Keys(english))))
			continue
		}
		v.checkOwn(v.c.Words[key], path, maxText, nil)
		for l, s := range v.c.Words[key].each() {
			for _, brace := range placeholder.FindAllString(s, -1) {
				if !strings.Contains(english[key]+"{controller}{contact}{site}", brace) {
					v.errorf(CodeWordBraces, strings.TrimSuffix(path+"."+l, "."), "has %s, which nothing stands for here", brace)
				}
			}
		}
	}
}

// lackingWords lists the words a site shows and neither the file nor consentd has in a locale.
func (v *validator) lackingWords(locale string) []string {
	if len(v.c.Forms) == 0 && !slices.ContainsFunc(v.c.Purposes, func(p purpose) bool { return !p.onBanner() }) {
		return nil
	}
	optIn := slices.ContainsFunc(v.c.Forms, func(f form) bool { return f.DoubleOptIn })
	var lacking []string
	for _, key := range slices.Sorted(maps.Keys(builtinPages("en"))) {
		group, _, _ := strings.Cut(key, ".")
		unused := group == "form" && len(v.c.Forms) == 0 || (group == "mail" || group == "confirm") && !optIn
		if !unused && v.c.Words[key].of(locale) == "" {
			lacking = append(lacking, key)
		}
	}
	return lacking
}

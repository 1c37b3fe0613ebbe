package server

import (
	"fmt"
	"strings"
	"sync"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/widget"
	"golang.org/x/text/language"
)

// Script is one of the scripts a site is served in, and the locales it speaks.
type Script struct {
	Locales []string
	*widget.Bundle
}

// Scripts builds the scripts a site is served in: one that speaks every locale, or, where that one is over
// widget.Budget, one for each.
func Scripts(st *site.Site) ([]Script, error) { return newScripts(widget.NewCache(), st).all() }

// scripts builds what a site is served in when it is asked for, each once, and keeps the outcome.
//
// # Why one language a script, and not as many as fit
//
// What does not fit has to vary by visitor anyway, and then the smallest is the fastest; and which locales fit
// together would change with every corrected text, and with it what a page that names its language gets.
type scripts struct {
	locales []string
	whole   func() (*widget.Bundle, error)
	single  map[string]func() (*widget.Bundle, error) // by locale
}

func newScripts(cache *widget.Cache, st *site.Site) *scripts {
	of := func(locales ...string) func() (*widget.Bundle, error) {
		return sync.OnceValues(func() (*widget.Bundle, error) { return cache.Build(st.Script(locales...)) })
	}
	s := &scripts{locales: st.Locales, whole: of(), single: map[string]func() (*widget.Bundle, error){}}
	for _, l := range st.Locales {
		s.single[l] = of(l)
	}
	return s
}

// split reports whether each locale has a script of its own.
func (s *scripts) split() (bool, error) {
	b, err := s.whole()
	return err == nil && len(s.locales) > 1 && len(b.Brotli) > widget.Budget, err
}

// pick gives the script for a page: lang is the language it names (?lang=), accept the header Accept-Language of
// its visitor, which counts where the page names none. A language the site does not have gets the site's first.
// varies reports whether accept was looked at.
func (s *scripts) pick(lang, accept string) (b *widget.Bundle, varies bool, err error) {
	split, err := s.split()
	if err != nil || !split {
		b, err = s.whole()
		return b, false, err
	}
	wanted := []string{lang}
	if lang == "" {
		wanted, varies = accepted(accept), true
	}
	b, err = s.single[choose(s.locales, wanted)]()
	return b, varies, err
}

// all builds every script.
func (s *scripts) all() ([]Script, error) {
	split, err := s.split()
	if err != nil {
		return nil, err
	}
	if !split {
		b, err := s.whole()
		return []Script{{s.locales, b}}, err
	}
	var all []Script
	for _, l := range s.locales {
		b, err := s.single[l]()
		if err != nil {
			return nil, fmt.Errorf("in %s: %w", l, err)
		}
		all = append(all, Script{[]string{l}, b})
	}
	return all, nil
}

// choose picks one of a site's locales as the script itself does among several: for each wanted language in turn
// the same one, then one of the same primary language; the first otherwise.
func choose(locales, wanted []string) string {
	for _, w := range wanted {
		near := ""
		for _, l := range locales {
			if strings.EqualFold(l, w) {
				return l
			}
			if near == "" && strings.EqualFold(primary(l), primary(w)) {
				near = l
			}
		}
		if near != "" {
			return near
		}
	}
	return locales[0]
}

// primary is the language of a tag, which some write with an underscore.
func primary(tag string) string {
	i := strings.IndexAny(tag, "-_")
	if i < 0 {
		return tag
	}
	return tag[:i]
}

// accepted lists the languages of Accept-Language (RFC 9110 §12.5.4), the dearest first; none when it makes no
// sense.
func accepted(header string) []string {
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return nil
	}
	var all []string
	for i, tag := range tags {
		if weights[i] > 0 {
			all = append(all, tag.String())
		}
	}
	return all
}

package widget

import (
	"errors"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// ErrSnippet means that an address or name cannot stand in a snippet.
var ErrSnippet = errors.New("widget: a snippet needs an https or http address and the id of a site")

// defaultWait is how long Google's tags wait for the choice of a returning visitor, in ms (Google, "wait_for_update").
const defaultWait = 500

// Snippet gives the markup a page carries first in its head. The script tag is all a page needs; where the site
// tells Google or Microsoft of choices, an inline script in front of it says "denied" before any tag can ask, and
// keeps their queues until the tags come; where pages still speak to tarteaucitron, it keeps what they say. nonce, if not empty, is the page's (CSP); lang is its language, for a site
// whose languages do not fit one script (Budget), and "" leaves it to the visitor's browser.
func Snippet(edge, site, lang, nonce string, o Options) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(edge, "/"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || !consent.ValidSiteID(site) {
		return "", ErrSnippet
	}
	query := ""
	if lang != "" {
		query = "?lang=" + html.EscapeString(lang)
	}
	attribute := ""
	if nonce != "" {
		attribute = ` nonce="` + html.EscapeString(nonce) + `"`
	}
	var b strings.Builder
	if lines := append(o.Signals.defaults(), o.queues()...); len(lines) > 0 {
		fmt.Fprintf(&b, "<script%s>\n%s\n</script>\n", attribute, strings.Join(lines, "\n"))
	}
	fmt.Fprintf(&b, "<script src=\"%s/s/%s.js%s\"%s defer></script>\n", html.EscapeString(u.String()), site, query, attribute)
	return b.String(), nil
}

// queues are the lines that keep what pages say to a tool that is gone.
func (o Options) queues() []string {
	if !slices.ContainsFunc(o.Migrations, func(m Migration) bool { return m.From == FromTarteaucitron }) {
		return nil
	}
	return []string{"window.tarteaucitron = { user: {}, services: {}, parameters: {}, state: {}, init: function () {} };"}
}

// defaults are the lines of the inline script that Google and Microsoft read.
func (s Signals) defaults() []string {
	var lines []string
	if s.ConsentMode != (ConsentMode{}) {
		lines = append(lines, "window.dataLayer = window.dataLayer || [];", "function gtag() { dataLayer.push(arguments); }", "gtag('consent', 'default', {")
		for _, sig := range s.ConsentMode.All() {
			state := "denied"
			if sig.Name == "security_storage" && sig.Purpose == "" {
				state = "granted"
			}
			lines = append(lines, fmt.Sprintf("  %s: '%s',", sig.Name, state))
		}
		lines = append(lines, fmt.Sprintf("  wait_for_update: %d", defaultWait), "});")
	}
	if s.UET != "" {
		lines = append(lines, "window.uetq = window.uetq || [];", "window.uetq.push('consent', 'default', { ad_storage: 'denied' });")
	}
	return lines
}

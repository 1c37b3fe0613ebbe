package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/consentd/consentd/server"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/widget"
)

// snippetCmd prints what a page carries.
type snippetCmd struct {
	Site  string `help:"Id of the site." required:""`
	Edge  string `help:"Address of this server as browsers reach it, such as https://consent.shop.example." required:"" placeholder:"URL"`
	Sites string `help:"Directory of the site files." default:"sites" type:"path"`
	Lang  string `help:"Language of the page, or the placeholder your templates replace by it. Needed on a site whose languages do not fit one script: without it each visitor is asked in the browser's language, whatever the page's."`
	Nonce string `help:"Nonce of the page's Content-Security-Policy, or the placeholder your templates replace by it."`
}

// Run prints the markup on standard output, and where it goes on standard error.
func (c *snippetCmd) Run(s streams) error {
	draft, err := site.FindDraft(c.Site, c.Sites)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Sites), err)
	}
	signals := draft.Options.Signals
	markup, err := widget.Snippet(c.Edge, c.Site, c.Lang, c.Nonce, draft.Options)
	if err != nil {
		return err
	}
	scripts, err := server.Scripts(draft.Site)
	if err != nil {
		return err
	}
	fmt.Fprint(s.out, markup)
	fmt.Fprintln(s.err, "Put this first in <head>, before any other script.")
	if len(scripts) > 1 && c.Lang == "" {
		fmt.Fprintf(s.err, "Each language has its own script: on a page in one language add it to the address, as --lang %s does (%s).\n",
			draft.Locales[0], strings.Join(draft.Locales, ", "))
	}
	if slices.ContainsFunc(signals.Purposes(), func(w widget.Signal) bool { return w.Name == "matomo.tracking" }) {
		fmt.Fprintln(s.err, "Matomo: call _paq.push(['requireConsent']) before trackPageView.")
	}
	return nil
}

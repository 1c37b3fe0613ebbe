package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/widget"
)

// snippetCmd prints what a page carries.
type snippetCmd struct {
	Site  string `help:"Id of the site." required:""`
	Edge  string `help:"Address of this server as browsers reach it, such as https://consent.shop.example." required:"" placeholder:"URL"`
	Sites string `help:"Directory of the site files." default:"sites" type:"path"`
	Nonce string `help:"Nonce of the page's Content-Security-Policy, or the placeholder your templates replace by it."`
}

// Run prints the markup on standard output, and where it goes on standard error.
func (c *snippetCmd) Run(s streams) error {
	signals, err := site.SignalsOf(c.Site, c.Sites)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(c.Sites), err)
	}
	markup, err := widget.Snippet(c.Edge, c.Site, c.Nonce, signals)
	if err != nil {
		return err
	}
	fmt.Fprint(s.out, markup)
	fmt.Fprintln(s.err, "Put this first in <head>, before any other script.")
	if slices.ContainsFunc(signals.Purposes(), func(w widget.Signal) bool { return w.Name == "matomo.tracking" }) {
		fmt.Fprintln(s.err, "Matomo: call _paq.push(['requireConsent']) before trackPageView.")
	}
	return nil
}

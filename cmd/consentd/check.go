package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/consentd/consentd/server"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/measure"
)

type checkCmd struct {
	Paths   []string `arg:"" optional:"" help:"Site files or directories of them." default:"sites" type:"path"`
	JSON    bool     `help:"Print one JSON object a line: file, line, column, severity, code, key, text."`
	Schema  bool     `help:"Print the JSON Schema of a site file, for editors, and stop."`
	Data    string   `help:"Look through this data directory instead, to the last byte: the ledger, its log, the keys. Exits 1 with what is wrong." type:"path" unset:"site files are checked" placeholder:"DIR"`
	Edge    string   `help:"Name of the edge, with --data." default:"e1" env:"CONSENTD_EDGE" placeholder:"NAME"`
	Browser string   `help:"Chromium that measures what each script draws: sizes, and whether refusing looks like accepting. auto takes one that is installed, or that CONSENTD_CHROMIUM names; none measures nothing." default:"auto" placeholder:"auto|none|PATH"`
}

func (c *checkCmd) Run(ctx context.Context, s streams) error {
	if c.Data != "" {
		return c.ofData(ctx, s)
	}
	if c.Schema {
		_, err := s.out.Write(site.Schema())
		return err
	}
	drafts := site.Drafts(c.Paths...)
	problems := append(site.Check(c.Paths...), templateProblems(drafts, c.Paths)...)
	scripts, err := buildDrafts(drafts)
	if err != nil {
		return err
	}
	for _, d := range scripts {
		problems = append(problems, d.overweight()...)
	}
	looks, err := c.measure(ctx, s, scripts)
	if err != nil {
		return err
	}
	problems = site.Sorted(append(problems, looks...))
	if err := c.print(s, problems); err != nil {
		return err
	}
	for _, d := range scripts {
		fmt.Fprintln(s.err, d.weight())
	}
	return count(s, problems)
}

// count says how many problems there are, and ends the program when one keeps a file from being served.
func count(s streams, problems []site.Problem) error {
	errors := 0
	for _, p := range problems {
		if p.Severity == site.Error {
			errors++
		}
	}
	fmt.Fprintf(s.err, "%d errors, %d warnings\n", errors, len(problems)-errors)
	if errors > 0 {
		return exitCode(1)
	}
	return nil
}

func (c *checkCmd) print(s streams, problems []site.Problem) error {
	for _, p := range problems {
		if !c.JSON {
			fmt.Fprintln(s.out, p)
		} else if err := json.NewEncoder(s.out).Encode(p); err != nil {
			return err
		}
	}
	return nil
}

// drafted is a site whose file has no errors, and its scripts.
type drafted struct {
	*site.Draft
	scripts []server.Script
}

func buildDrafts(drafts []*site.Draft) ([]drafted, error) {
	var all []drafted
	for _, d := range drafts {
		scripts, err := server.Scripts(d.Site)
		if err != nil {
			return nil, err
		}
		all = append(all, drafted{d, scripts})
	}
	return all, nil
}

// withForms is what forms may add to a script, in bytes of brotli: both kinds, all texts (held by widget's tests).
const withForms = 5760

// budget is how heavy a script of the site may be.
func (d drafted) budget() int {
	if len(d.Forms) > 0 {
		return widget.Budget + withForms
	}
	return widget.Budget
}

// weight says what the scripts of a site weigh, in a line.
func (d drafted) weight() string {
	least, most := d.scripts[0], d.scripts[0]
	for _, s := range d.scripts {
		if len(s.Brotli) < len(least.Brotli) {
			least = s
		}
		if len(s.Brotli) > len(most.Brotli) {
			most = s
		}
	}
	if len(d.scripts) == 1 {
		return fmt.Sprintf("%s: %d of %d bytes (brotli), one script in %s", d.ID, len(least.Brotli), d.budget(), strings.Join(least.Locales, ", "))
	}
	return fmt.Sprintf("%s: %d (%s) to %d (%s) of %d bytes (brotli), a script for each of %d languages: pages name theirs with ?lang=",
		d.ID, len(least.Brotli), least.Locales[0], len(most.Brotli), most.Locales[0], d.budget(), len(d.scripts))
}

// overweight warns of scripts that no choice of languages makes light enough.
func (d drafted) overweight() (all []site.Problem) {
	for _, s := range d.scripts {
		if n := len(s.Brotli); n > d.budget() {
			all = append(all, d.Problem(site.Warning, "script_large", "site", "has a script of %d bytes (brotli) in %s, over %d: every first visit waits for it; shorten texts, or ask for less",
				n, strings.Join(s.Locales, ", "), d.budget()))
		}
	}
	return all
}

// measure looks at every script in a browser. Without one it says so and finds nothing, unless one was asked for.
func (c *checkCmd) measure(ctx context.Context, s streams, sites []drafted) ([]site.Problem, error) {
	pages, owners := pagesOf(sites)
	if c.Browser == "none" || len(pages) == 0 {
		return nil, nil
	}
	path, wanted := c.Browser, c.Browser != "auto"
	var err error
	if !wanted {
		path, err = measure.Find()
	}
	var found []measure.Finding
	if err == nil {
		found, err = measure.Run(ctx, path, pages)
	}
	if err != nil && (wanted || errors.Is(err, context.Canceled)) {
		return nil, fmt.Errorf("measuring in a browser: %w", err)
	}
	if err != nil {
		fmt.Fprintf(s.err, "sizes were not measured in a browser: %v\n", err)
	}
	var all []site.Problem
	for _, f := range found {
		p := owners[f.Page].Problem(site.Error, f.Code, f.Key, "%s", f.Detail)
		if !slices.ContainsFunc(all, func(o site.Problem) bool { return o.File == p.File && o.Code == p.Code && o.Key == p.Key }) {
			all = append(all, p)
		}
	}
	return all, nil
}

// pagesOf lists every language of every site that has a banner, and whose it is.
func pagesOf(sites []drafted) (pages []measure.Page, owners []drafted) {
	for _, d := range sites {
		if !slices.ContainsFunc(d.Published, func(w *consent.Published) bool { return w.Surface == consent.SurfaceBanner }) {
			continue
		}
		var embeds []measure.Embed
		for i := range d.Purposes {
			for _, v := range d.Purposes[i].Services {
				if v.Embed && d.Purposes[i].Asked() {
					embeds = append(embeds, measure.Embed{Service: v.ID, Purpose: d.Purposes[i].ID})
				}
			}
		}
		for _, script := range d.scripts {
			for _, locale := range script.Locales {
				pages = append(pages, measure.Page{Site: d.ID, Locale: locale, JS: script.JS, Embeds: embeds})
				owners = append(owners, d)
			}
		}
	}
	return pages, owners
}

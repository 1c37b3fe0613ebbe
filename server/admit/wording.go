package admit

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// WordingRefused is the code of a document that says something the site's configuration does not.
const WordingRefused = "wording_refused"

// CheckWording judges a wording that a page has read from its own form, before it is published: it must speak for
// this site, this form and this controller, in a locale of the site, and ask for nothing the form is not
// configured to ask. What the texts say is the page's own; whoever reads a proof reads them.
func CheckWording(r *Rules, w *consent.Wording) []Refusal {
	j := wordingJudge{site: r.Site, w: w}
	j.checkHead()
	j.checkForm()
	j.checkLinks()
	return j.refusals
}

type wordingJudge struct {
	site     *consent.Site
	w        *consent.Wording
	refusals []Refusal
}

func (j *wordingJudge) refuse(pointer, detail string) {
	j.refusals = append(j.refusals, Refusal{Pointer: pointer, Code: WordingRefused, Detail: detail})
}

func (j *wordingJudge) checkHead() {
	if j.w.Site != j.site.ID {
		j.refuse("/site", "this is not the site of the address")
	}
	if !slices.Contains(j.site.Locales, j.w.Locale) {
		j.refuse("/locale", "the site has no texts in this locale")
	}
	if j.w.Revision < 1 || j.w.Revision > j.site.Revision {
		j.refuse("/revision", fmt.Sprintf("the site is at revision %d", j.site.Revision))
	}
	if j.w.Controller != j.site.Controller {
		j.refuse("/controller", "the controller of the site's configuration is named, as it stands there")
	}
}

func (j *wordingJudge) checkForm() {
	id, ok := strings.CutPrefix(j.w.Surface, consent.SurfaceForm(""))
	f, known := j.site.Form(id)
	if !ok || !known || f.Markup != consent.MarkupYours {
		j.refuse("/surface", "form:<id> of a form whose markup is yours")
		return
	}
	if len(j.w.Purposes) == 0 {
		j.refuse("/purposes", "a form asks for something")
	}
	var seen []string
	for i, p := range j.w.Purposes {
		j.checkPurpose(fmt.Sprintf("/purposes/%d", i), &p, f, seen)
		seen = append(seen, p.ID)
	}
	for i, d := range j.w.Fields {
		if !slices.ContainsFunc(f.Fields, func(c consent.Field) bool { return c.Kind == d.Kind }) {
			j.refuse(fmt.Sprintf("/fields/%d/kind", i), "the form is not configured to ask for this")
		}
	}
}

func (j *wordingJudge) checkPurpose(at string, p *consent.ShownPurpose, f consent.Form, seen []string) {
	config, ok := j.site.Purpose(p.ID)
	switch {
	case !ok || !slices.Contains(f.Purposes, p.ID):
		j.refuse(at+"/id", "the form is not configured to ask for this")
	case slices.Contains(seen, p.ID):
		j.refuse(at+"/id", "a purpose stands in a form once")
	case p.Basis != config.Basis || p.Objection != config.Objection:
		j.refuse(at+"/basis", "the basis is that of the site's configuration")
	case p.Required == config.Asked():
		j.refuse(at+"/required", "whether there is a choice is said by the basis")
	}
}

// checkLinks: whoever reads the document later may follow what it links to.
func (j *wordingJudge) checkLinks() {
	for i, l := range j.w.Links {
		j.checkLink(fmt.Sprintf("/links/%d/href", i), l.Href)
	}
	for i, p := range j.w.Purposes {
		for k, v := range p.Services {
			if v.Policy != "" {
				j.checkLink(fmt.Sprintf("/purposes/%d/services/%d/policy", i, k), v.Policy)
			}
		}
	}
}

func (j *wordingJudge) checkLink(at, href string) {
	u, err := url.Parse(href)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		j.refuse(at, "an absolute http or https URL")
	}
}

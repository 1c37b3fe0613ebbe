package site

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/consentd/consentd/storage/consent"
)

// How long a choice may hold.
const (
	// maxKeep is 13 months in the count that gives fewest days away: 13 × 365.2425 ÷ 12 = 395.7. The CNIL allows
	// 13 months to the cookies it exempts (délib. 2020-091 §50), and advises 6 for a choice (§37).
	maxKeep = 395 * day
	minKeep = day
	// shortKeep: whoever asks again within three months wears refusals down.
	shortKeep = 90 * day
	// maxPurposeKeep is three years, after which the CNIL wants prospects without contact deleted.
	maxPurposeKeep = 1096 * day
)

// validator checks what decode has read.
type validator struct {
	*decoder
	c       *config
	locales []string // the good ones of c.Locales: a bad one is reported once, not under every text
}

// parse reads and checks one file. Without errors the config can be built.
func parse(file string, data []byte) (*config, []Problem) {
	c, d := decode(file, data)
	if !d.bad[""] {
		v := &validator{decoder: d, c: c}
		v.checkSite()
		v.checkOrigins()
		v.checkController()
		v.checkLocales()
		v.checkPolicy()
		v.checkChoices()
		v.checkHandling()
		v.checkPurposes()
		v.checkForms()
		v.checkOwnPages()
		v.checkBanner()
		v.checkBehaviour()
		v.checkTheme()
	}
	return c, sorted(d.problems)
}

// Validate reports everything wrong with one file's content; file is the name to report it under.
func Validate(file string, data []byte) []Problem {
	_, problems := parse(file, data)
	return problems
}

func (v *validator) errorf(code, path, format string, args ...any) {
	v.report(Error, code, path, format, args...)
}

func (v *validator) warnf(code, path, format string, args ...any) {
	v.report(Warning, code, path, format, args...)
}

// missing reports a key that has to be there, unless what stands there was reported already.
func (v *validator) missing(path string) {
	if !v.bad[path] && !v.bad[parent(path)] {
		v.errorf(CodeMissingKey, path, "is missing; the key has to be there")
	}
}

func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// checkName reports a short text that has to be there.
func (v *validator) checkName(s, path string) {
	switch {
	case v.bad[path]:
	case !v.has(path):
		v.missing(path)
	case strings.TrimSpace(s) == "":
		v.errorf(CodeNoValue, path, "is empty; give a value")
	default:
		v.checkLength(s, path, maxTitle)
	}
}

func (v *validator) checkSite() {
	v.checkName(v.c.Name, "name")
	if !v.has("site") {
		v.missing("site")
	} else if !v.bad["site"] && !consent.ValidSiteID(v.c.Site) {
		v.errorf(CodeSiteID, "site", "%q cannot name a site; use 1 to 40 of a-z, 0-9 and -, with a letter or digit at both ends", v.c.Site)
	}
	if v.has("revision") && !v.bad["revision"] && (v.c.Revision < 1 || v.c.Revision > 1e6) {
		v.errorf(CodeInvalidValue, "revision", "counts from 1; raise it by one to ask everyone again")
	}
}

func (v *validator) checkOrigins() {
	if !v.has("origins") {
		v.errorf(CodeMissingKey, "origins", "is missing; list where the site runs, as in [https://shop.example], or write [] when only the API is used")
		return
	}
	for i, s := range v.c.Origins {
		path := fmt.Sprintf("origins[%d]", i)
		if v.bad[path] {
			continue
		}
		o, err := parseOrigin(s)
		switch {
		case errors.Is(err, errTooWide):
			v.errorf(CodeOriginTooWide, path, "%q %s", s, err)
		case err != nil:
			v.errorf(CodeOriginInvalid, path, "%q %s", s, err)
		case strings.HasPrefix(o, "http:") && !local(o):
			v.warnf(CodeOriginHTTP, path, "%q is not encrypted: anyone on the way can change what visitors are shown; use https", s)
		}
	}
}

func (v *validator) checkController() {
	if !v.has("controller") {
		v.errorf(CodeMissingKey, "controller", "is missing; people must learn who asks: {name: …, contact: …}")
		return
	}
	if v.bad["controller"] {
		return
	}
	v.checkName(v.c.Controller.Name, "controller.name")
	v.checkName(v.c.Controller.Contact, "controller.contact")
}

func (v *validator) checkLocales() {
	if !v.has("locales") || !v.bad["locales"] && len(v.c.Locales) == 0 {
		v.errorf(CodeMissingKey, "locales", "is missing; name the languages of the site, as in [fr, en]")
		v.bad["locales"] = true
	}
	for i, l := range v.c.Locales {
		path := fmt.Sprintf("locales[%d]", i)
		if !v.bad[path] {
			v.checkLocale(l, path, slices.Index(v.c.Locales, l) < i)
		}
		if v.bad[path] {
			v.bad["locales"] = true // texts in it are not strange
			continue
		}
		v.locales = append(v.locales, l)
	}
}

func (v *validator) checkLocale(l, path string, again bool) {
	tag, err := language.Parse(l)
	switch {
	case err != nil || tag == language.Und:
		v.errorf(CodeLocaleInvalid, path, "%q is no language tag (BCP 47); write fr, en or pt-BR", l)
	case tag.String() != l:
		v.errorf(CodeLocaleInvalid, path, "%q is written %q", l, tag)
	case again:
		v.errorf(CodeLocaleTwice, path, "%q is listed twice; remove one", l)
	default:
		return
	}
	v.bad[path] = true
}

// checkPolicy wants a link beside every question, in every language.
func (v *validator) checkPolicy() {
	t := v.c.Policy
	if v.bad["policy"] {
		return
	}
	if t.all == "" && len(t.by) == 0 {
		v.errorf(CodePolicyMissing, "policy", "is missing; people must be able to read the privacy policy before they choose")
		return
	}
	v.checkGiven(t, "policy", maxLink)
	if t.all != "" {
		v.checkLink(t.all, "policy", true)
		return
	}
	for _, l := range v.locales {
		path := "policy." + l
		switch {
		case v.bad[path]:
		case t.by[l] == "":
			v.errorf(CodePolicyMissing, path, "is missing; give one address for all languages, or one for each")
		default:
			v.checkLink(t.by[l], path, true)
		}
	}
}

// checkLink wants a web address; where paths is set, one on the site itself will do.
func (v *validator) checkLink(s, path string, paths bool) {
	u, err := url.Parse(s)
	onSite := paths && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//")
	if err != nil || u.User != nil || !onSite && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		v.errorf(CodeLinkInvalid, path, "%.100q is no web address; write https://…", s)
	}
}

func (v *validator) checkChoices() {
	const path = "choices.keep"
	if !v.has(path) || v.bad[path] {
		return
	}
	switch keep := v.c.Choices.keep(); {
	case keep > maxKeep:
		v.errorf(CodeKeepTooLong, path, "is over 13 months; a choice holds %d days at most, 182 (six months) is advised", maxKeep/day)
	case keep < minKeep:
		v.errorf(CodeKeepTooShort, path, "is under a day; nobody is asked at every visit")
	case keep < shortKeep:
		v.warnf(CodeKeepShort, path, "asks again after %d days, which wears refusals down; six months (182d) is advised", keep/day)
	}
}

// checkHandling is about what is kept of a visitor, and how much may come.
func (v *validator) checkHandling() {
	if v.has("ip") && !v.bad["ip"] {
		switch consent.IPPolicy(v.c.IP) {
		case consent.IPFull, consent.IPTruncated, consent.IPNone:
		default:
			v.errorf(CodeInvalidValue, "ip", "%q is not full, truncated or none", v.c.IP)
		}
	}
	if v.has("region") && !v.bad["region"] {
		r, err := language.ParseRegion(v.c.Region)
		if err != nil || !r.IsCountry() || r.String() != v.c.Region {
			v.errorf(CodeRegion, "region", "%q is no country; write the two capitals of ISO 3166-1, as in FR", v.c.Region)
		}
	}
	for path, n := range map[string]int{"limits.consents_per_minute": v.c.Limits.ConsentsPerMinute, "limits.burst": v.c.Limits.Burst} {
		if v.has(path) && !v.bad[path] && (n < 1 || n > 1e9) {
			v.errorf(CodeInvalidValue, path, "is between 1 and 1000000000")
		}
	}
}

func (v *validator) checkTheme() {
	for _, p := range v.c.Theme.Check() {
		code := CodeLowContrast
		if p.Code == "invalid_value" {
			code = CodeThemeValue
		}
		v.errorf(code, "theme."+p.Field, "%s", p.Detail)
	}
	v.checkCorners()
}

package site

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// checkBehaviour is about what the script does besides asking.
func (v *validator) checkBehaviour() {
	v.checkWord(v.c.GPC, "gpc", "honour", "ignore")
	v.checkWord(v.c.Banner.ReopenButton, "banner.reopen_button", "none", string(widget.ReopenStart), string(widget.ReopenEnd))
	v.checkCookieDomain()
	if v.c.Identify && !v.c.hasBanner() && len(v.c.Purposes) > 0 {
		v.warnf(CodeNoEffect, "identify", "changes nothing: no purpose of this site is of the web")
	}
	if path := "banner.logo"; v.has(path) && !v.bad[path] && !strings.HasPrefix(v.c.Banner.Logo, "data:image/") {
		v.checkLink(v.c.Banner.Logo, path, true)
	}
	for _, s := range v.c.Signals.Purposes() {
		v.checkPurposeNamed(s.Purpose, "signals."+s.Name)
	}
	for i, m := range v.c.Migrate {
		path := fmt.Sprintf("migrate[%d]", i)
		if v.bad[path] {
			continue
		}
		var sources []string
		for _, s := range widget.Sources() {
			sources = append(sources, string(s))
		}
		if !v.has(path + ".from") {
			v.missing(path + ".from")
		}
		v.checkWord(m.From, path+".from", sources...)
		if len(m.Names) == 0 && !v.bad[path+".names"] {
			v.missing(path + ".names")
		}
		for _, name := range slices.Sorted(maps.Keys(m.Names)) {
			v.checkPurposeNamed(m.Names[name], path+".names."+name)
		}
	}
}

func (v *validator) checkWord(word, path string, known ...string) {
	if v.has(path) && !v.bad[path] && !slices.Contains(known, word) {
		v.errorf(CodeInvalidValue, path, "%q is not one of %s", word, strings.Join(known, ", "))
	}
}

// checkPurposeNamed wants the id of a purpose of the banner that people decide on, or of one that is always on.
func (v *validator) checkPurposeNamed(id, path string) {
	switch i := slices.IndexFunc(v.c.Purposes, func(p purpose) bool { return p.ID == id }); {
	case i < 0:
		v.unknownPurpose(id, path)
	case !v.c.Purposes[i].onBanner():
		v.errorf(CodePurposeUnknown, path, "%q is over %s, not on the banner: a browser never decides on it", id, v.c.Purposes[i].channel())
	}
}

func (v *validator) unknownPurpose(id, path string) {
	ids := make([]string, 0, len(v.c.Purposes))
	for _, p := range v.c.Purposes {
		ids = append(ids, p.ID)
	}
	v.errorf(CodePurposeUnknown, path, "%.40q is no purpose of this site; %s", id, suggestion(id, ids))
}

// checkCookieDomain wants every page of the site on the domain, and nobody else.
func (v *validator) checkCookieDomain() {
	const path = "cookie.domain"
	d := v.c.Cookie.Domain
	if !v.has(path) || v.bad[path] {
		return
	}
	host, err := parseHost(d, false)
	suffix, _ := publicsuffix.PublicSuffix(host)
	if err != nil || d != host && d != unicodeHost(host) || suffix == host || !strings.Contains(host, ".") {
		v.errorf(CodeCookieDomain, path, "%q is no domain of your own; write shop.example, without a dot in front", d)
		return
	}
	for _, o := range normalOrigins(v.c.Origins) {
		u, err := url.Parse(o)
		if err == nil && !strings.HasSuffix("."+strings.TrimPrefix(u.Hostname(), "*."), "."+host) {
			v.errorf(CodeCookieDomain, path, "%s is not on %s: its pages could not keep a choice", o, d)
		}
	}
}

// unicodeHost is the form of a name in ASCII that people write; the name itself where it has none.
func unicodeHost(ascii string) string {
	host, err := idna.Lookup.ToUnicode(ascii)
	if err != nil {
		return ascii
	}
	return host
}

// checkService is about what pages and browsers hold of a service.
func (v *validator) checkService(s service, path string, seen map[string]bool) {
	switch {
	case v.bad[path+".id"]:
	case s.ID == "" && s.Embed:
		v.errorf(CodeMissingKey, path+".id", "is missing; a service with embed is named in pages: data-service=\"…\"")
	case s.ID != "" && !consent.ValidSiteID(s.ID):
		v.errorf(CodeServiceID, path+".id", "%q cannot name a service; use 1 to 40 of a-z, 0-9 and -, with a letter or digit at both ends", s.ID)
	case s.ID != "" && seen[s.ID]:
		v.errorf(CodeServiceID, path+".id", "%q is another service already; each has its own id", s.ID)
	}
	seen[s.ID] = true
	for i, k := range s.Cookies {
		at := fmt.Sprintf("%s.cookies[%d]", path, i)
		if v.bad[at] {
			continue
		}
		v.checkName(k.Name, at+".name")
		if strings.Trim(k.Name, "*") == "" && k.Name != "" || strings.ContainsAny(k.Name, ";=, ") {
			v.errorf(CodeInvalidValue, at+".name", "%q is no name of a cookie; * stands for a part of one", k.Name)
		}
	}
}

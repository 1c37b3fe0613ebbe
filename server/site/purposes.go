package site

import (
	"fmt"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

func (v *validator) checkPurposes() {
	if len(v.c.Purposes) == 0 {
		if !v.bad["purposes"] {
			v.errorf(CodeNoPurpose, "purposes", "has nothing in it; a site asks for at least one purpose")
		}
		return
	}
	seen, asked := map[string]int{}, false
	services := map[string]bool{}
	for i := range v.c.Purposes {
		p, path := &v.c.Purposes[i], fmt.Sprintf("purposes[%d]", i)
		basis := p.basis()
		asked = asked || p.Objection || basis == consent.BasisConsent || !basis.Valid() // which is reported below
		if v.bad[path] {
			continue
		}
		v.checkPurposeID(p.ID, path+".id", seen)
		v.checkBasis(p, path)
		v.checkChannel(p, path)
		v.checkWords(p, path)
		v.checkDefault(p, path)
		v.checkPurposeKeep(p, path+".keep")
		v.checkServices(p, path+".services", services)
	}
	if !asked {
		v.warnf(CodeNothingAsked, "purposes", "leaves nobody anything to decide; a banner is not needed")
	}
}

func (v *validator) checkPurposeID(id, path string, seen map[string]int) {
	switch {
	case v.bad[path]:
		return
	case !v.has(path):
		v.missing(path)
		return
	case !consent.ValidPurposeID(id):
		v.errorf(CodePurposeID, path, "%q cannot name a purpose; use 1 to 40 of a-z, 0-9, _ and -, with a letter or digit at both ends", id)
	case seen[id] > 0:
		v.errorf(CodePurposeTwice, path, "%q is the purpose of line %d already; each has its own id", id, seen[id])
	}
	if seen[id] == 0 {
		seen[id] = v.where(path).line
	}
}

func (v *validator) checkBasis(p *purpose, path string) {
	switch {
	case v.bad[path+".basis"]:
		return
	case !v.has(path + ".basis"):
		if !v.has(path + ".ready") { // which brings one
			v.missing(path + ".basis")
			return
		}
	case !consent.Basis(p.Basis).Valid():
		v.errorf(CodeBasis, path+".basis", "%q is no legal basis of GDPR art. 6(1): consent, contract, legal_obligation, vital_interests, public_task or legitimate_interest", p.Basis)
	}
	if p.Objection && p.basis() != consent.BasisLegitimateInterest {
		v.errorf(CodeObjectionBasis, path+".objection", "is offered against legitimate_interest alone; remove it, or change the basis")
	}
}

// checkChannel is about how a purpose reaches people, and how long after they were last heard of.
func (v *validator) checkChannel(p *purpose, path string) {
	at := path + ".channel"
	if v.has(at) && !v.bad[at] && !consent.Channel(p.Channel).Valid() {
		v.errorf(CodeChannel, at, "%.40q is no channel; there are web, email, sms, phone, post, push", p.Channel)
	}
	at = path + ".use"
	if v.has(at) && !v.bad[at] && !consent.Use(p.Use).Valid() {
		v.errorf(CodeUse, at, "%.40q is no use; there are send, track_open, profile, share, locate, measure", p.Use)
	}
	at = path + ".inactive"
	switch inactive := time.Duration(p.Inactive); {
	case !v.has(at) || v.bad[at]:
	case p.onBanner():
		v.errorf(CodeInvalidValue, at, "is for purposes that reach a person; the web has choices.keep. Remove it, or name a channel")
	case inactive > maxPurposeKeep:
		v.errorf(CodeInactiveLong, at, "is over three years; who was not heard of for so long is not written to")
	case inactive < minKeep:
		v.errorf(CodeKeepTooShort, at, "is under a day; nobody writes as often")
	}
}

// checkDefault refuses a switch that is on before anyone touched it (CJEU C-673/17, Planet49). "off" is what
// happens anyway.
func (v *validator) checkDefault(p *purpose, path string) {
	path += ".default"
	if !v.has(path) || v.bad[path] {
		return
	}
	switch strings.ToLower(string(p.Default)) {
	case "off", "false", "no":
		return
	}
	v.errorf(CodeDefaultOn, path, "cannot be set: consent is a switch that people turn on themselves, so every one starts off; remove this key")
}

func (v *validator) checkPurposeKeep(p *purpose, path string) {
	if !v.has(path) || v.bad[path] {
		return
	}
	switch keep := time.Duration(p.Keep); {
	case !p.onBanner() && keep >= minKeep: // inactive bounds it
	case keep > maxPurposeKeep:
		v.errorf(CodeKeepTooLong, path, "is over three years; an acceptance holds %d days at most", maxPurposeKeep/day)
	case keep < minKeep:
		v.errorf(CodeKeepTooShort, path, "is under a day; nobody is asked at every visit")
	case keep > maxKeep:
		v.warnf(CodeKeepLong, path, "is over 13 months; that suits a mailing list, not cookies")
	}
}

func (v *validator) checkServices(p *purpose, path string, seen map[string]bool) {
	for i, s := range p.Services {
		at := fmt.Sprintf("%s[%d]", path, i)
		if v.bad[at] {
			continue
		}
		v.checkService(s, at, seen)
		if s.Embed && !p.onBanner() {
			v.errorf(CodeInvalidValue, at+".embed", "puts content into pages, and this purpose is over %s; remove it, or make the channel web", p.channel())
		}
		v.checkName(s.Name, at+".name")
		v.checkLength(s.Provider, at+".provider", maxTitle)
		if v.has(at+".policy") && !v.bad[at+".policy"] {
			v.checkLength(s.Policy, at+".policy", maxLink)
			v.checkLink(s.Policy, at+".policy", false)
		}
	}
}

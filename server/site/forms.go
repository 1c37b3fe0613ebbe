package site

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/consentd/consentd/storage/consent"
)

// forms gives the forms of a file without errors.
func (c *config) forms(words consent.Words) []consent.Form {
	var all []consent.Form
	for _, f := range c.Forms {
		out := consent.Form{ID: f.ID, Markup: consent.MarkupOurs, Purposes: f.Purposes, DoubleOptIn: f.DoubleOptIn,
			Title: f.Title.in(c.Locales), Text: f.Text.in(c.Locales), Submit: f.Submit.or(c.Locales, words, "form.submit")}
		if f.Markup != "" {
			out.Markup = consent.Markup(f.Markup)
		}
		thanks := "form.thanks"
		if f.DoubleOptIn {
			thanks = "form.mailbox"
		}
		out.Thanks = f.Thanks.or(c.Locales, words, thanks)
		if f.Redirect.given() {
			out.Redirect = f.Redirect.in(c.Locales)
		}
		for _, d := range f.Fields {
			kind := consent.Kind(d.Kind)
			field := consent.Field{Kind: kind, Label: d.Label.or(c.Locales, words, "form."+d.Kind),
				Required: d.Required || len(f.Fields) == 1 || f.DoubleOptIn && kind == consent.KindEmail}
			if d.Hint.given() {
				field.Hint = d.Hint.in(c.Locales)
			}
			out.Fields = append(out.Fields, field)
		}
		all = append(all, out)
	}
	return all
}

func (c *config) mailFrom() consent.MailFrom {
	return consent.MailFrom{Name: c.Mail.Name, Address: normalAddress(c.Mail.Address), ReplyTo: normalAddress(c.Mail.ReplyTo)}
}

// normalAddress writes an address with its domain in ASCII, as mail servers take it; "" when it is none.
func normalAddress(s string) string {
	who, err := consent.ParseSubject(consent.KindEmail, s, "")
	if err != nil {
		return ""
	}
	return who.Value
}

func (v *validator) checkForms() {
	v.checkMail()
	seen := map[string]int{}
	for i := range v.c.Forms {
		f, path := &v.c.Forms[i], fmt.Sprintf("forms[%d]", i)
		if v.bad[path] {
			continue
		}
		v.checkFormID(f.ID, path+".id", seen)
		v.checkWord(f.Markup, path+".markup", string(consent.MarkupOurs), string(consent.MarkupYours))
		v.checkFields(f, path+".fields")
		v.checkFormPurposes(f, path)
		v.checkDoubleOptIn(f, path)
		v.checkFormTexts(f, path)
		v.checkRedirect(f.Redirect, path+".redirect")
	}
}

func (v *validator) checkMail() {
	if !v.has("mail") || v.bad["mail"] {
		return
	}
	v.checkName(v.c.Mail.Name, "mail.name")
	if strings.ContainsFunc(v.c.Mail.Name, unicode.IsControl) {
		v.errorf(CodeInvalidValue, "mail.name", "has a line break or another control character; a sender's name is one line")
	}
	if !v.has("mail.address") {
		v.missing("mail.address")
	}
	for path, s := range map[string]string{"mail.address": v.c.Mail.Address, "mail.reply_to": v.c.Mail.ReplyTo} {
		if v.has(path) && !v.bad[path] && normalAddress(s) == "" {
			v.errorf(CodeMailAddress, path, "%.100q is no e-mail address; write it like bonjour@shop.example", s)
		}
	}
}

func (v *validator) checkFormID(id, path string, seen map[string]int) {
	switch {
	case v.bad[path]:
		return
	case !v.has(path):
		v.missing(path)
		return
	case !consent.ValidSiteID(id):
		v.errorf(CodeFormID, path, "%q cannot name a form; use 1 to 40 of a-z, 0-9 and -, with a letter or digit at both ends", id)
	case seen[id] > 0:
		v.errorf(CodeFormTwice, path, "%q is the form of line %d already; each has its own id", id, seen[id])
	}
	if seen[id] == 0 {
		seen[id] = v.where(path).line
	}
}

func (v *validator) checkFields(f *form, path string) {
	if len(f.Fields) == 0 && !v.bad[path] {
		v.errorf(CodeFormNoField, path, "is missing; a form asks for an e-mail address or a phone number: [{kind: email}]")
	}
	seen := map[string]bool{}
	for i, d := range f.Fields {
		at := fmt.Sprintf("%s[%d]", path, i)
		kind := at + ".kind"
		switch {
		case v.bad[at]:
			continue
		case !v.has(kind):
			v.missing(kind)
		case seen[d.Kind]:
			v.errorf(CodeInvalidValue, kind, "is asked for twice; keep one")
		default:
			v.checkWord(d.Kind, kind, string(consent.KindEmail), string(consent.KindPhone))
		}
		seen[d.Kind] = true
		v.checkOwn(d.Label, at+".label", maxLabel, nil)
		if v.has(at + ".hint") {
			v.checkText(d.Hint, at+".hint", maxTitle)
		}
	}
}

// asks reports whether a form asks for a kind of identifier.
func (f *form) asks(kind consent.Kind) bool {
	return slices.ContainsFunc(f.Fields, func(d field) bool { return d.Kind == string(kind) })
}

// checkFormPurposes wants purposes people consent to, each once, and none that a device decides on.
func (v *validator) checkFormPurposes(f *form, path string) {
	path += ".purposes"
	if len(f.Purposes) == 0 && !v.bad[path] {
		v.errorf(CodeFormNoPurpose, path, "is missing; name the purposes the form asks consent for, as in [newsletter]")
	}
	for i, id := range f.Purposes {
		at := fmt.Sprintf("%s[%d]", path, i)
		n := slices.IndexFunc(v.c.Purposes, func(p purpose) bool { return p.ID == id })
		switch {
		case v.bad[at]:
		case n < 0:
			v.unknownPurpose(id, at)
		case slices.Index(f.Purposes, id) < i:
			v.errorf(CodePurposeTwice, at, "%q is asked for twice; keep one", id)
		default:
			v.checkFormPurpose(f, &v.c.Purposes[n], at)
		}
	}
}

func (v *validator) checkFormPurpose(f *form, p *purpose, at string) {
	needs := map[string]consent.Kind{string(consent.ChannelEmail): consent.KindEmail, string(consent.ChannelSMS): consent.KindPhone,
		string(consent.ChannelPhone): consent.KindPhone}[p.channel()]
	switch {
	case p.onBanner():
		v.errorf(CodeFormBanner, at, "%q is decided on the banner; give the purpose a channel (email, sms, phone, post, push), or remove it here", p.ID)
	case p.basis().Valid() && p.basis() != consent.BasisConsent:
		v.errorf(CodeFormBasis, at, "%q rests on %s, so there is nothing to agree to; a form asks for purposes whose basis is consent", p.ID, p.basis())
	case needs != "" && !f.asks(needs) && (f.asks(consent.KindEmail) || f.asks(consent.KindPhone)):
		v.warnf(CodeFormChannel, at, "%q is over %s, and the form asks for no %s: a lookup by it would find nothing", p.ID, p.channel(), needs)
	}
}

// checkDoubleOptIn wants an address to write to, and somebody who writes.
func (v *validator) checkDoubleOptIn(f *form, path string) {
	if !f.DoubleOptIn {
		return
	}
	if !f.asks(consent.KindEmail) && !v.bad[path+".fields"] {
		v.errorf(CodeOptInField, path+".double_opt_in", "confirms by e-mail, and the form asks for no address; add {kind: email} to fields")
	}
	if !v.has("mail") {
		v.errorf(CodeOptInMail, path+".double_opt_in", "sends mails, and nobody is named as their sender; add mail: {name: …, address: …}")
	}
}

// checkFormTexts: what we draw needs words; what the page draws has its own.
func (v *validator) checkFormTexts(f *form, path string) {
	if f.Markup == string(consent.MarkupYours) {
		for _, key := range []string{"title", "text", "submit", "thanks", "redirect"} {
			if v.has(path + "." + key) {
				v.warnf(CodeNoEffect, path+"."+key, "changes nothing: with markup yours, the page has its own; remove it")
			}
		}
		return
	}
	v.checkText(f.Title, path+".title", maxTitle)
	v.checkText(f.Text, path+".text", maxText)
	v.checkOwn(f.Submit, path+".submit", maxLabel, nil)
	v.checkOwn(f.Thanks, path+".thanks", maxText, nil)
}

// checkRedirect wants an address in every language, on a page of the site: never one a form could be misused to
// send people to.
func (v *validator) checkRedirect(t texts, path string) {
	if !v.has(path) || v.bad[path] {
		return
	}
	v.checkGiven(t, path, maxLink)
	if t.all != "" {
		v.checkOnSite(t.all, path)
		return
	}
	for _, l := range v.locales {
		p := path + "." + l
		switch {
		case v.bad[p]:
		case t.by[l] == "":
			v.errorf(CodeTextMissing, p, "is missing; give one address for all languages, or one for each")
		default:
			v.checkOnSite(t.by[l], p)
		}
	}
}

func (v *validator) checkOnSite(s, path string) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		v.errorf(CodeLinkInvalid, path, "%.100q is no web address; write https://…", s)
		return
	}
	origin, err := parseOrigin(u.Scheme + "://" + u.Host)
	if allowed := newOrigins(v.c.Origins); err != nil || !allowed.allow(origin) {
		v.errorf(CodeRedirect, path, "%.100q is not on one of the origins of this site; people are sent nowhere else", s)
	}
}

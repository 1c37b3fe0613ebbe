package site

import (
	"slices"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// readyText is what a ready purpose says in one language.
type readyText struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// readyPurpose is a purpose whose words come with consentd in every built-in language.
type readyPurpose struct {
	name    string
	basis   consent.Basis // of a file that names none; so are the others
	channel consent.Channel
	use     consent.Use
}

// readyPurposes lists the ready purposes in the order they are named in. All but one ask: cookies and messages of
// the kinds below need consent (directive 2002/58/EC art. 5(3) and 13), and where an exception holds, as it
// may for messages to one's own customers, the file says so by another basis and words of its own. Measuring
// the opening of e-mails is a purpose of its own beside sending them (CNIL délib. 2026-042).
func readyPurposes() []readyPurpose {
	return []readyPurpose{
		{"necessary", consent.BasisLegitimateInterest, consent.ChannelWeb, ""},
		{"audience", consent.BasisConsent, consent.ChannelWeb, consent.UseMeasure},
		{"personalisation", consent.BasisConsent, consent.ChannelWeb, consent.UseProfile},
		{"media", consent.BasisConsent, consent.ChannelWeb, ""},
		{"profiling", consent.BasisConsent, consent.ChannelWeb, consent.UseProfile},
		{"advertising", consent.BasisConsent, consent.ChannelWeb, ""},
		{"email", consent.BasisConsent, consent.ChannelEmail, consent.UseSend},
		{"newsletter", consent.BasisConsent, consent.ChannelEmail, consent.UseSend},
		{"email_opens", consent.BasisConsent, consent.ChannelEmail, consent.UseTrackOpen},
		{"sms", consent.BasisConsent, consent.ChannelSMS, consent.UseSend},
		{"push", consent.BasisConsent, consent.ChannelPush, consent.UseSend},
		{"location", consent.BasisConsent, consent.ChannelWeb, consent.UseLocate},
		{"partners", consent.BasisConsent, consent.ChannelEmail, consent.UseShare},
	}
}

// readyFor finds a ready purpose by name.
func readyFor(name string) (readyPurpose, bool) {
	all := readyPurposes()
	i := slices.IndexFunc(all, func(r readyPurpose) bool { return r.name == name })
	if i < 0 {
		return readyPurpose{}, false
	}
	return all[i], true
}

// basis is the legal basis of p: the file's own, else that of the ready purpose it is.
func (p *purpose) basis() consent.Basis {
	if r, ok := readyFor(p.Ready); ok && p.Basis == "" {
		return r.basis
	}
	return consent.Basis(p.Basis)
}

// channel and use are the file's own, else those of the ready purpose p is, else the web and nothing, or sending
// over another channel.
func (p *purpose) channel() string {
	switch r, ok := readyFor(p.Ready); {
	case p.Channel != "":
		return p.Channel
	case ok:
		return string(r.channel)
	}
	return string(consent.ChannelWeb)
}

func (p *purpose) use() consent.Use {
	r, _ := readyFor(p.Ready)
	switch {
	case p.Use != "":
		return consent.Use(p.Use)
	case r.use != "":
		return r.use
	case p.onBanner():
		return ""
	}
	return consent.UseSend
}

// onBanner is consent.Purpose.OnBanner before there is one. A channel that was reported is not taken for the web.
func (p *purpose) onBanner() bool { return p.channel() == string(consent.ChannelWeb) }

// title and text give p's words in a locale: the file's own, else the ready ones, else "".
func (p *purpose) title(locale string) string {
	if s := p.Title.of(locale); s != "" {
		return s
	}
	return phrasebooks()[base(locale)].Purposes[p.Ready].Title
}

func (p *purpose) text(locale string) string {
	if s := p.Text.of(locale); s != "" {
		return s
	}
	return phrasebooks()[base(locale)].Purposes[p.Ready].Text
}

// checkWords wants a title and a text in every language: the file's own, or those of a ready purpose.
func (v *validator) checkWords(p *purpose, path string) {
	if !v.has(path + ".ready") {
		v.checkText(p.Title, path+".title", maxTitle)
		v.checkText(p.Text, path+".text", maxText)
		return
	}
	known := v.checkReady(p, path+".ready")
	v.checkOwnWords(p.Title, path+".title", maxTitle, known)
	v.checkOwnWords(p.Text, path+".text", maxText, known)
}

// checkReady reports whether the file names a ready purpose that there is.
func (v *validator) checkReady(p *purpose, path string) (known bool) {
	if v.bad[path] {
		return false
	}
	if _, known = readyFor(p.Ready); known {
		return true
	}
	var names []string
	for _, r := range readyPurposes() {
		names = append(names, r.name)
	}
	v.errorf(CodeReadyUnknown, path, "%.40q is no ready purpose; there are %s", p.Ready, strings.Join(names, ", "))
	return false
}

// checkOwnWords is about words of a ready purpose: those the file gives, and those it has to give because
// consentd does not speak the language.
func (v *validator) checkOwnWords(t texts, path string, limit int, known bool) {
	if v.bad[path] {
		return
	}
	v.checkGiven(t, path, limit)
	switch {
	case !v.has(path):
	case t.all == "" && t.by == nil:
		v.emptyText("", path)
		return
	case t.all != "" && len(v.locales) > 1:
		v.errorf(CodeTextMissing, path, "is one text for %d languages; write {%s}", len(v.locales), v.example())
		return
	}
	for _, l := range v.locales {
		p := path + "." + l
		_, spoken := builtin(base(l))
		switch {
		case t.of(l) != "" || v.bad[p]:
		case v.has(p):
			v.emptyText("", p)
		case known && !spoken:
			v.errorf(CodeTextMissing, p, "is missing; consentd has no ready words in %q", l)
		}
	}
}

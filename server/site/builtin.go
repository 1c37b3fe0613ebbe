package site

import (
	"bytes"
	"embed"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/consentd/consentd/storage/consent"
)

// textFiles are the texts that come with consentd, a file for each official language of the European Union. The
// keys of the banner's texts are those of a site's file, so that a text can be copied from one to the other.
//
//go:embed texts/*.json
var textFiles embed.FS

// phrasebook is everything consentd can say in one language.
//
// The banner's text says who asks, what for (the purposes stand beneath), that refusing is as good a choice, and
// that it can be changed at any time (GDPR art. 7(3) and 13, CNIL délib. 2020-091 §§ 24–33). No text promises
// anything about the site beyond what the law asks of it, praises accepting, or speaks for the visitor.
type phrasebook struct {
	// Words are short texts by key. {controller} is the controller's name, {service} the name of a service.
	Words map[string]string `json:"words"`
	// Units are lengths of time by unit and CLDR plural form; {n} is how many.
	Units map[string]map[string]string `json:"units"`
	// Purposes are the ready ones, by name.
	Purposes map[string]readyText `json:"purposes"`

	// What stands on forms, in confirmation mails, in the preference centre and on the pages behind the links of
	// mails: see words.go.
	Form        map[string]string `json:"form"`
	Mail        map[string]string `json:"mail"`
	Confirm     map[string]string `json:"confirm"`
	Centre      map[string]string `json:"centre"`
	Unsubscribe map[string]string `json:"unsubscribe"`
	Page        map[string]string `json:"page"`

	page map[string]string // those six by "group.key"
}

// phrasebooks gives all of them by language, read when the first text is asked for. Nothing changes them
// afterwards: callers must not either.
var phrasebooks = sync.OnceValue(readPhrasebooks)

// readPhrasebooks panics over a file it cannot read: the files are part of the program, and a test reads them.
func readPhrasebooks() map[string]phrasebook {
	files, err := textFiles.ReadDir("texts")
	if err != nil {
		panic("site: reading built-in texts: " + err.Error())
	}
	books := make(map[string]phrasebook, len(files))
	for _, f := range files {
		data, err := textFiles.ReadFile("texts/" + f.Name())
		if err != nil {
			panic("site: reading built-in texts: " + err.Error())
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		var b phrasebook
		if err := dec.Decode(&b); err != nil {
			panic("site: reading " + f.Name() + ": " + err.Error())
		}
		b.page = b.pages()
		books[strings.TrimSuffix(f.Name(), ".json")] = b
	}
	return books
}

// base is the language of a locale: built-in texts do not differ by region or script.
func base(locale string) string {
	language, _, _ := strings.Cut(locale, "-")
	return language
}

// builtin gives the texts of a language that come with consentd; ok is false when there are none. Shared: read
// only.
func builtin(language string) (texts map[string]string, ok bool) {
	b, ok := phrasebooks()[language]
	return b.Words, ok
}

// quantity writes n minutes, hours, days, months or years in a language, as in "13 months". unit is singular
// English. "" means that consentd does not speak the language.
func quantity(lang, unit string, n int) string {
	forms := phrasebooks()[lang].Units[unit]
	words, ok := forms[pluralForm(lang, n)]
	if !ok {
		words = forms["other"]
	}
	return strings.ReplaceAll(words, "{n}", strconv.Itoa(n))
}

// pluralForm is the form a language has for n things (Unicode CLDR): one, few, many …
func pluralForm(lang string, n int) string {
	switch plural.Cardinal.MatchPlural(language.Make(lang), n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}

// bannerText is one text of the banner: its key, what the file says, and its bound.
type bannerText struct {
	key   string
	given texts
	limit int
}

func (b *banner) texts() []bannerText {
	return []bannerText{
		{"title", b.Title, maxTitle}, {"text", b.Text, maxText},
		{"accept", b.Accept, maxLabel}, {"refuse", b.Refuse, maxLabel}, {"choose", b.Choose, maxLabel},
		{"save", b.Save, maxLabel}, {"back", b.Back, maxLabel}, {"reopen", b.Reopen, maxLabel},
		{"preferences_title", b.PreferencesTitle, maxTitle}, {"preferences_text", b.PreferencesText, maxText},
		{"policy_text", b.PolicyText, maxLabel}, {"necessary", b.Necessary, maxLabel},
		{"legal_basis", b.LegalBasis, maxLabel}, {"basis_consent", b.BasisConsent, maxLabel}, {"basis_contract", b.BasisContract, maxLabel},
		{"basis_legal_obligation", b.BasisLegalObligation, maxLabel}, {"basis_vital_interests", b.BasisVitalInterests, maxLabel},
		{"basis_public_task", b.BasisPublicTask, maxLabel}, {"basis_legitimate_interest", b.BasisLegitimateInterest, maxLabel},
		{"objection", b.Objection, maxTitle}, {"continue_without", b.ContinueWithout, maxLabel},
		{"content_from", b.ContentFrom, maxTitle}, {"content_text", b.ContentText, maxTitle},
		{"load_once", b.LoadOnce, maxLabel}, {"always_allow", b.AlwaysAllow, maxLabel},
		{"receipt_button", b.ReceiptButton, maxLabel}, {"receipt_waiting", b.ReceiptWaiting, maxTitle}, {"receipt_failed", b.ReceiptFailed, maxTitle},
	}
}

// needs reports whether a site shows the text of a key: in a language consentd does not speak, a file has to
// give those and no other.
func (c *config) needs(key string) bool {
	if !c.hasBanner() {
		return key == "policy_text"
	}
	uses := func(test func(p *purpose) bool) bool {
		for i := range c.Purposes {
			if p := &c.Purposes[i]; p.onBanner() && test(p) {
				return true
			}
		}
		return false
	}
	basis, named := strings.CutPrefix(key, "basis_")
	switch {
	case named:
		return uses(func(p *purpose) bool { return string(p.basis()) == basis })
	case key == "objection":
		return uses(func(p *purpose) bool { return p.Objection })
	case key == "continue_without":
		return c.Banner.ContinueLink
	case strings.HasPrefix(key, "receipt_"):
		return c.Banner.Receipt
	case strings.HasPrefix(key, "content_"), key == "load_once", key == "always_allow":
		return uses(func(p *purpose) bool {
			return slices.ContainsFunc(p.Services, func(s service) bool { return s.Embed })
		})
	}
	return true
}

// words gives a banner's text in a locale: the file's own, else the built-in one of its language, else "".
func (c *config) words(t bannerText, locale string) string {
	if s := t.given.of(locale); s != "" {
		return s
	}
	b, _ := builtin(base(locale))
	return strings.ReplaceAll(b[t.key], "{controller}", c.Controller.Name)
}

func (b *banner) build(c *config) consent.BannerText {
	all := b.texts()
	text := func(key string) consent.Text {
		t := all[slices.IndexFunc(all, func(t bannerText) bool { return t.key == key })]
		out := consent.Text{}
		for _, l := range c.Locales {
			out[l] = c.words(t, l)
		}
		return out
	}
	out := consent.BannerText{
		Title: text("title"), Text: text("text"), Accept: text("accept"), Refuse: text("refuse"), Choose: text("choose"),
		Save: text("save"), Back: text("back"), Reopen: text("reopen"), PreferencesTitle: text("preferences_title"),
		PreferencesText: text("preferences_text"), PolicyText: text("policy_text"), PolicyHref: c.Policy.in(c.Locales),
		Necessary: text("necessary"), Objection: text("objection"), EmbedOnce: text("load_once"), EmbedAlways: text("always_allow"),
		EmbedText: join(text("content_from"), " ", text("content_text")), Bases: map[consent.Basis]consent.Text{},
	}
	for i := range c.Purposes {
		if !c.Purposes[i].onBanner() {
			continue
		}
		basis := c.Purposes[i].basis()
		out.Bases[basis] = join(text("legal_basis"), ": ", text("basis_"+string(basis)))
	}
	if b.ContinueLink {
		out.Continue = text("continue_without")
	}
	if b.Receipt {
		out.Receipt = &consent.ReceiptText{Button: text("receipt_button"), Waiting: text("receipt_waiting"), Failed: text("receipt_failed")}
	}
	return out
}

// join puts two texts together in each locale. A colon has a space before it in French.
func join(a consent.Text, between string, b consent.Text) consent.Text {
	out := consent.Text{}
	for l := range a {
		sep := between
		if base(l) == "fr" && sep == ": " {
			sep = "\u00a0: "
		}
		out[l] = strings.TrimSpace(a[l] + sep + b[l])
	}
	return out
}

package site

import (
	"fmt"
	"slices"
	"strings"
)

// checkBanner wants every text in every language, the file's own or a built-in one, and a refusal that is
// there and reads as one.
func (v *validator) checkBanner() {
	if v.bad["banner"] {
		return
	}
	all := v.c.Banner.texts()
	for _, t := range all {
		v.checkBannerText(t)
	}
	for _, l := range v.locales {
		v.checkLanguage(all, l)
		v.checkButtons(l)
	}
}

// checkBannerText is about one text as far as the file gives it.
func (v *validator) checkBannerText(t bannerText) {
	v.checkOwn(t.given, "banner."+t.key, t.limit, func(path string) { v.emptyText(t.key, path) })
}

func (v *validator) emptyText(key, path string) {
	if key == "refuse" {
		v.errorf(CodeRefuseMissing, path, "is empty: refusing has to be as easy as accepting; give the button its words, or remove the key for the built-in ones")
		return
	}
	v.errorf(CodeTextMissing, path, "is empty; give it words, or remove the key for the built-in ones")
}

// checkLanguage reports the texts that neither the file nor consentd has in a locale, in one sentence.
func (v *validator) checkLanguage(all []bannerText, locale string) {
	if _, ok := builtin(base(locale)); ok {
		return
	}
	var lacking []string
	for _, t := range all {
		if v.c.needs(t.key) && v.c.words(t, locale) == "" && !v.bad["banner."+t.key] && !v.has("banner."+t.key+"."+locale) {
			lacking = append(lacking, t.key)
		}
	}
	var add []string
	if lacking != nil {
		add = append(add, "under banner, add "+strings.Join(lacking, ", "))
	}
	if lacking := v.lackingWords(locale); lacking != nil {
		add = append(add, "under words, add "+strings.Join(lacking, ", "))
	}
	if add != nil {
		v.errorf(CodeLocaleNoTexts, fmt.Sprintf("locales[%d]", slices.Index(v.c.Locales, locale)),
			"consentd has no texts in %q; %s in this language", locale, strings.Join(add, "; "))
	}
}

// checkButtons wants the three ways out of the banner to read differently.
func (v *validator) checkButtons(locale string) {
	b := &v.c.Banner
	label := func(key string, t texts) string {
		return strings.ToLower(strings.TrimSpace(v.c.words(bannerText{key: key, given: t}, locale)))
	}
	refuse := label("refuse", b.Refuse)
	if refuse != "" && (refuse == label("accept", b.Accept) || refuse == label("choose", b.Choose)) {
		path := "banner.refuse." + locale
		if !v.has("banner.refuse") {
			path = "banner"
		}
		v.errorf(CodeRefuseUnclear, path, "reads like another button in %q; say plainly that it refuses", locale)
	}
}

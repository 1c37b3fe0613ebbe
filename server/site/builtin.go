package site

import (
	"slices"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// builtin gives the texts of a language that come with consentd; ok is false when there are none.
//
// They say who asks, what for (the purposes stand beneath), that refusing is as good a choice, and that it can
// be changed at any time (GDPR art. 7(3) and 13, CNIL délib. 2020-091 §§ 24–33). They do not promise anything
// about the site, do not praise accepting, and do not speak for the visitor.
func builtin(language string) (texts map[string]string, ok bool) {
	switch language {
	case "fr":
		return french(), true
	case "en":
		return english(), true
	}
	return nil, false
}

func french() map[string]string {
	return map[string]string{
		"title": "Vos données, votre choix",
		"text": "{controller} vous demande votre accord pour les usages ci-dessous, qui reposent sur des cookies ou sur vos données. " +
			"Vous pouvez tout accepter, tout refuser ou choisir usage par usage, et changer d’avis à tout moment.",
		"accept":            "Tout accepter",
		"refuse":            "Tout refuser",
		"choose":            "Choisir",
		"save":              "Enregistrer mes choix",
		"back":              "Retour",
		"reopen":            "Gérer mes choix",
		"preferences_title": "Choisir usage par usage",
		"preferences_text": "Ce qui demande votre accord reste désactivé tant que vous ne l’activez pas. " +
			"Vous pouvez revenir ici à tout moment pour changer d’avis.",
		"policy_text": "Politique de confidentialité",
		"necessary":   "Toujours actif",
	}
}

func english() map[string]string {
	return map[string]string{
		"title": "Your data, your choice",
		"text": "{controller} asks for your consent to the uses below, which rely on cookies or on your data. " +
			"You can accept all, refuse all or choose one by one, and change your mind at any time.",
		"accept":            "Accept all",
		"refuse":            "Refuse all",
		"choose":            "Choose",
		"save":              "Save my choices",
		"back":              "Back",
		"reopen":            "Manage my choices",
		"preferences_title": "Choose one by one",
		"preferences_text": "What needs your consent stays off until you switch it on. " +
			"You can come back here at any time to change your mind.",
		"policy_text": "Privacy policy",
		"necessary":   "Always on",
	}
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
	}
}

// words gives a banner's text in a locale: the file's own, else the built-in one of its language, else "".
func (c *config) words(t bannerText, locale string) string {
	if s := t.given.of(locale); s != "" {
		return s
	}
	language, _, _ := strings.Cut(locale, "-")
	b, _ := builtin(language)
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
	return consent.BannerText{
		Title: text("title"), Text: text("text"), Accept: text("accept"), Refuse: text("refuse"), Choose: text("choose"),
		Save: text("save"), Back: text("back"), Reopen: text("reopen"), PreferencesTitle: text("preferences_title"),
		PreferencesText: text("preferences_text"), PolicyText: text("policy_text"), PolicyHref: c.Policy.in(c.Locales),
		Necessary: text("necessary"),
	}
}

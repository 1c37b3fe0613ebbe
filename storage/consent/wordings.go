package consent

import (
	"slices"
	"strings"
)

// Wordings builds what s shows on each surface in each of its locales, as far as it is known beforehand: banner,
// preferences, a placeholder for each service that puts content into pages, and the forms s draws itself. The
// banner names the purposes; the preferences also name the legal bases and the services, with what each keeps
// in the browser and how long. A site without purposes for the banner has neither of the two.
//
// The preference centre and the pages for unsubscribing differ by person: see CentreWording and
// UnsubscribeWording.
func (s *Site) Wordings() ([]*Published, error) {
	var all []*Published
	for _, locale := range s.Locales {
		var ws []Wording
		if s.HasBanner() {
			ws = append(ws, s.bannerWording(locale), s.preferencesWording(locale))
			ws = append(ws, s.embedWordings(locale)...)
		}
		for _, f := range s.Forms {
			if f.Markup != MarkupYours {
				ws = append(ws, s.formWording(f, locale))
			}
		}
		for _, w := range ws {
			p, err := w.Publish()
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// BannerPurposes lists the purposes that belong on the banner, in the order shown.
func (s *Site) BannerPurposes() []Purpose {
	var all []Purpose
	for _, p := range s.Purposes {
		if p.OnBanner() {
			all = append(all, p)
		}
	}
	return all
}

// HasBanner reports whether s has anything to show on a banner: a site may have forms alone.
func (s *Site) HasBanner() bool { return slices.ContainsFunc(s.Purposes, Purpose.OnBanner) }

// formWording is a form of ours: its fields, one box per purpose, none ticked. Services are named beside their
// purpose: whoever receives the data is part of what is agreed to (CNIL, sharing with partners).
func (s *Site) formWording(f Form, locale string) Wording {
	w := s.wording(SurfaceForm(f.ID), locale, f.Title, f.Text)
	w.Buttons = map[string]string{"submit": f.Submit[locale]}
	for _, d := range f.Fields {
		w.Fields = append(w.Fields, ShownField{Kind: d.Kind, Label: d.Label[locale], Hint: d.Hint[locale], Required: d.Required})
	}
	for _, id := range f.Purposes {
		if p, ok := s.Purpose(id); ok {
			w.Purposes = append(w.Purposes, p.shownWithServices(locale))
		}
	}
	return w
}

// CentreWording is what the preference centre shows of one purpose: each is decided alone, by a button that
// turns it on and one that turns it off.
func (s *Site) CentreWording(p Purpose, locale string) Wording {
	w := s.pageWording(SurfaceCentre, locale, "centre.title", "centre.intro", p)
	w.Buttons = map[string]string{"on": s.Words.Of(locale, "centre.on"), "off": s.Words.Of(locale, "centre.off")}
	return w
}

// UnsubscribeWording is what the page for unsubscribing shows: of the purposes named, one or all of a person's.
func (s *Site) UnsubscribeWording(locale string, purposes ...Purpose) Wording {
	w := s.pageWording(SurfaceUnsubscribe, locale, "unsubscribe.title", "unsubscribe.text", purposes...)
	key := "unsubscribe.button"
	if len(purposes) > 1 {
		key = "unsubscribe.all_button"
	}
	w.Buttons = map[string]string{"stop": s.Words.Of(locale, key)}
	return w
}

// pageWording is a page whose texts are words of the site.
func (s *Site) pageWording(surface, locale, title, text string, purposes ...Purpose) Wording {
	w := s.wording(surface, locale, nil, nil)
	w.Title, w.Text = s.Words.Of(locale, title), s.Words.Of(locale, text)
	for _, p := range purposes {
		w.Purposes = append(w.Purposes, p.shownWithServices(locale))
	}
	return w
}

func (s *Site) bannerWording(locale string) Wording {
	w := s.wording(SurfaceBanner, locale, s.Banner.Title, s.Banner.Text)
	w.Buttons = map[string]string{
		"accept": s.Banner.Accept[locale], "refuse": s.Banner.Refuse[locale], "choose": s.Banner.Choose[locale],
	}
	if s.Banner.Continue != nil {
		w.Buttons["continue"] = s.Banner.Continue[locale]
	}
	for _, p := range s.BannerPurposes() {
		w.Purposes = append(w.Purposes, p.shown(locale))
	}
	return w
}

func (s *Site) preferencesWording(locale string) Wording {
	w := s.wording(SurfacePreferences, locale, s.Banner.PreferencesTitle, s.Banner.PreferencesText)
	w.Buttons = map[string]string{
		"accept": s.Banner.Accept[locale], "refuse": s.Banner.Refuse[locale], "save": s.Banner.Save[locale],
		"back": s.Banner.Back[locale], "necessary": s.Banner.Necessary[locale],
	}
	for _, p := range s.BannerPurposes() {
		sp := p.shown(locale)
		sp.BasisText = s.Banner.Bases[p.Basis][locale]
		if objection := s.Banner.Objection[locale]; p.Objection && objection != "" {
			sp.BasisText += ". " + objection
		}
		for _, v := range p.Services {
			sp.Services = append(sp.Services, v.shown(locale, true))
		}
		w.Purposes = append(w.Purposes, sp)
	}
	return w
}

// embedWordings are the placeholders: each asks for the one purpose its service acts under.
func (s *Site) embedWordings(locale string) []Wording {
	var all []Wording
	for _, p := range s.BannerPurposes() {
		for _, v := range p.Services {
			if !v.Embed || !p.Asked() {
				continue
			}
			w := s.wording(SurfaceEmbed(v.ID), locale, nil, nil)
			w.Title = p.Title[locale]
			w.Text = strings.ReplaceAll(s.Banner.EmbedText[locale], "{service}", v.Name)
			w.Links = []Link{}
			if v.Policy == "" { // its name links to the site's own
				w.Links = []Link{{Rel: "policy", Text: v.Name, Href: s.Banner.PolicyHref[locale]}}
			}
			w.Buttons = map[string]string{"once": s.Banner.EmbedOnce[locale], "always": s.Banner.EmbedAlways[locale]}
			sp := p.shown(locale)
			sp.Services = append(sp.Services, v.shown(locale, false))
			w.Purposes = append(w.Purposes, sp)
			all = append(all, w)
		}
	}
	return all
}

func (s *Site) wording(surface, locale string, title, text Text) Wording {
	return Wording{
		V: 1, Site: s.ID, Surface: surface, Locale: locale, Revision: s.Revision, Controller: s.Controller,
		Title: title[locale], Text: text[locale],
		Links:    []Link{{Rel: "policy", Text: s.Banner.PolicyText[locale], Href: s.Banner.PolicyHref[locale]}},
		Purposes: []ShownPurpose{},
	}
}

func (p Purpose) shown(locale string) ShownPurpose {
	return ShownPurpose{
		ID: p.ID, Title: p.Title[locale], Text: p.Text[locale], Basis: p.Basis,
		Required: !p.Asked(), Default: !p.Asked() || p.Objection, Objection: p.Objection, Services: []ShownService{},
	}
}

func (p Purpose) shownWithServices(locale string) ShownPurpose {
	out := p.shown(locale)
	for _, v := range p.Services {
		out.Services = append(out.Services, v.shown(locale, false))
	}
	return out
}

func (v Service) shown(locale string, cookies bool) ShownService {
	out := ShownService{Name: v.Name, Provider: v.Provider, Policy: v.Policy}
	for _, c := range v.Cookies {
		if cookies {
			out.Cookies = append(out.Cookies, ShownCookie{Name: c.Name, Lifetime: c.Lifetime[locale]})
		}
	}
	return out
}

package widget_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// A small page without faults of its own: what axe finds is the widget's.
const plain = `<header><a href="/">Maison Alba</a></header><main><h1>Linen</h1><p>Woven in the north.</p></main>`

// shown reads back from the screen what a wording document says: text by text, in the order shown.
const shown = `(() => {
	const root = document.querySelector("consentd-widget").shadowRoot;
	const top = root.querySelector(SELECTOR);
	const words = el => {
		if (!el) return "";
		if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true})) return "(hidden) " + el.textContent;
		return el.textContent;
	};
	const link = top.querySelector(".legal a"), [name, contact] = top.querySelectorAll(".legal span");
	const purposes = [...top.querySelector("ul").children].map(li => {
		const title = words(li.querySelector("b")), p = li.querySelector("p"), box = li.querySelector("input");
		return {
			title, text: p ? words(p) : words(li).slice(title.length), basis: words(li.querySelector(".basis")),
			control: box ? "switch " + box.name : words(li.querySelector("i")), on: !!box?.checked,
			services: [...li.querySelectorAll("li")].map(s => ({
				name: words(s.querySelector("a, b")), provider: words(s.querySelector(":scope > span")), policy: s.querySelector("a")?.getAttribute("href") ?? "",
				cookies: [...s.querySelectorAll("small")].map(c => ({name: words(c.querySelector("code")), lifetime: words(c.querySelector("span"))})),
			})),
		};
	});
	const buttons = Object.fromEntries([...top.querySelectorAll("button:not([data-consentd-ignore] *)")].map(b => [b.id, b.getAttribute("aria-label") ?? words(b)]));
	return {
		locale: root.host.lang, title: words(top.querySelector("h2")), text: words(top.querySelector(".words > p")),
		link: {rel: "policy", text: words(link), href: link.getAttribute("href")}, controller: {name: words(name), contact: words(contact)},
		buttons, purposes,
	};
})()`

type screen struct {
	Locale, Title, Text string
	Link                consent.Link
	Controller          consent.Controller
	Buttons             map[string]string
	Purposes            []screenPurpose
}

type screenPurpose struct {
	Title, Text, Basis, Control string
	On                          bool
	Services                    []consent.ShownService
}

// rebuild makes the wording document of what was on a screen. What no screen shows (the ids behind titles, the
// basis behind its words, the revision) is taken from the document it is compared with.
func (s screen) rebuild(like *consent.Published) consent.Wording {
	w := consent.Wording{V: 1, Site: like.Site, Surface: like.Surface, Locale: s.Locale, Revision: like.Revision, Controller: s.Controller,
		Title: s.Title, Text: s.Text, Links: []consent.Link{s.Link}, Buttons: s.Buttons}
	for i, p := range s.Purposes {
		was := like.Purposes[i]
		if like.Surface == consent.SurfacePreferences {
			id, asked := strings.CutPrefix(p.Control, "switch ")
			was.Required, was.Default = !asked, !asked || p.On
			if asked {
				was.ID = id
			} else {
				w.Buttons["necessary"] = p.Control
			}
		}
		for j := range p.Services {
			if len(p.Services[j].Cookies) == 0 {
				p.Services[j].Cookies = nil
			}
		}
		was.Title, was.Text, was.BasisText, was.Services = p.Title, p.Text, p.Basis, p.Services
		w.Purposes = append(w.Purposes, was)
	}
	return w
}

func TestTheScreenSaysWhatTheHashStandsFor(t *testing.T) {
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		for _, locale := range []string{"fr", "en"} {
			t.Run(string(layout)+" in "+locale, func(t *testing.T) {
				site := shop()
				site.Banner.Continue = consent.Text{"fr": "Continuer sans accepter", "en": "Continue without accepting"}
				in := input(t, site)
				in.Theme.Layout = layout
				s := newStand(t, in, page{lang: locale, body: plain})
				tab := newTab(t)
				tab.Open(s.site.URL)
				for _, c := range []struct{ surface, selector string }{{"banner", "#banner"}, {"preferences", "dialog:not(#banner)"}} {
					if tab.BannerShown(); c.surface == "preferences" {
						tab.Press("#choose")
						tab.PreferencesShown()
					}
					got := widgettest.Eval[screen](tab, strings.ReplaceAll(shown, "SELECTOR", fmt.Sprintf("%q", c.selector)))
					i := slices.IndexFunc(s.wordings, func(w *consent.Published) bool { return w.Surface == c.surface && w.Locale == locale })
					again, err := got.rebuild(s.wordings[i]).Publish()
					if err != nil || again.Hash != s.wordings[i].Hash {
						t.Errorf("%s shows\n%s\nhashed\n%s", c.surface, again.Doc, s.wordings[i].Doc)
					}
				}
				prompts := got(t, s, &s.prompts, 2)
				if prompts[0].Wording != s.hash("banner", locale) || prompts[1].Wording != s.hash("preferences", locale) {
					t.Errorf("prompts %+v", prompts)
				}
			})
		}
	}
}

func TestLocaleFollowsThePageThenTheBrowser(t *testing.T) {
	s := newStand(t, input(t, shop()), page{})
	tab := newTab(t)
	tab.BeforeScripts(`Object.defineProperty(navigator, "languages", {value: JSON.parse(decodeURIComponent(location.search.slice(1) || "[]"))})`)
	for name, c := range map[string]struct{ page, browser, want string }{
		"the page's language":                                {"fr", `["en"]`, "fr"},
		"the page's language without its region":             {"FR-ch", `["en"]`, "fr"},
		"the browser's when the page's is not offered":       {"de", `["nl","en-GB"]`, "en"},
		"the browser's when the page says nothing":           {" ", `["en"]`, "en"},
		"the site's first when nothing matches":              {"de", `["nl"]`, "fr"},
		"a language that only begins alike is another":       {"frr", `["nl","enm"]`, "fr"},
		"the site's first when the browser says nothing too": {" ", `[]`, "fr"},
	} {
		t.Run(name, func(t *testing.T) {
			s.set(func(s *stand) { s.page.lang = c.page })
			tab.Open(s.site.URL + "/?" + url.QueryEscape(c.browser))
			tab.BannerShown()
			if lang := widgettest.Eval[string](tab, `document.querySelector("consentd-widget").lang`); lang != c.want {
				t.Errorf("speaks %s, want %s", lang, c.want)
			}
		})
	}
}

// look is what a visitor's eye compares.
type look struct{ Width, Height, Top, Size, Weight, Colour, Background, Border, Opacity, Decoration string }

func TestNoChoiceIsLesserThanAnother(t *testing.T) {
	const looks = `[...document.querySelector("consentd-widget").shadowRoot.querySelectorAll("SELECTOR")].map(el => {
		const box = el.getBoundingClientRect(), s = getComputedStyle(el);
		return {Width: box.width.toFixed(1), Height: box.height.toFixed(1), Top: box.top.toFixed(1), Size: s.fontSize, Weight: s.fontWeight, Colour: s.color,
			Background: s.backgroundColor, Border: s.border, Opacity: s.opacity, Decoration: s.textDecorationLine};
	})`
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		in := input(t, shop())
		in.Theme.Layout = layout
		s := newStand(t, in, page{lang: "fr", body: plain})
		tab := newTab(t)
		tab.Open(s.site.URL)
		tab.Press("#choose")
		tab.PreferencesShown()
		for _, width := range []int64{320, 375, 700, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				tab.Width(width, 720, width < 600)
				tab.Prefer("prefers-color-scheme", scheme)
				tab.Point(1, 1) // a button under the pointer is lighter, whichever it is
				for _, selector := range []string{"#banner .actions button", "dialog:not(#banner) .actions button"} {
					all := widgettest.Eval[[]look](tab, strings.ReplaceAll(looks, "SELECTOR", selector))
					if len(all) != 3 || all[0] != all[1] {
						t.Errorf("%s, %d px, %s, %s: %+v", layout, width, scheme, selector, all)
					}
				}
				if w := widgettest.Eval[int](tab, `document.documentElement.scrollWidth`); w > int(width) {
					t.Errorf("%s, %d px, %s: the page became %d wide", layout, width, scheme, w)
				}
			}
		}
	}
}

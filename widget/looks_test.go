package widget_test

import (
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// still is true when nothing of the widget moves any more.
const still = widgettest.Root + `.getAnimations({subtree: true}).every(a => a.playState === "finished")`

// A small page without faults of its own: what axe finds is the widget's.
const plain = `<header><a href="/">Maison Alba</a></header><main><h1>Linen</h1><p>Woven in the north.</p></main>`

// shown reads back from the screen what a wording document says: text by text, in the order shown.
const shown = `(() => {
	const root = document.querySelector("consentd-widget").shadowRoot;
	const top = root.querySelector(SURFACE);
	const words = el => {
		if (!el) return "";
		if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true})) return "(hidden) " + el.textContent;
		return el.textContent;
	};
	const link = top.querySelector(".legal a"), [name, contact] = top.querySelectorAll(".legal span");
	const purposes = [...top.querySelector("ul").children].map(li => {
		const title = words(li.querySelector("b")), p = li.querySelector("p"), box = li.querySelector("input");
		return {
			title, text: p ? words(p) : words(li).slice(title.length),
			control: box ? box.name + (box.checked ? " on" : " off") : "",
			services: [...li.querySelectorAll("li")].map(s => ({
				name: words(s.querySelector("a, b")), provider: words(s.querySelector("span")), policy: s.querySelector("a")?.getAttribute("href") ?? "",
			})),
		};
	});
	return {
		locale: top.getRootNode().host.lang, title: words(top.querySelector("h2")), text: words(top.querySelector(".words > p")),
		link: {rel: "policy", text: words(link), href: link.getAttribute("href")}, controller: {name: words(name), contact: words(contact)},
		buttons: Object.fromEntries([...top.querySelectorAll(".actions button")].map(b => [b.id, words(b)])), purposes,
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
	Title, Text, Control string
	Services             []consent.ShownService
}

// expected is the screen a wording document describes.
func expected(w *consent.Published) screen {
	s := screen{Locale: w.Locale, Title: w.Title, Text: w.Text, Link: w.Links[0], Controller: w.Controller, Buttons: w.Buttons}
	for _, p := range w.Purposes {
		sp := screenPurpose{Title: p.Title, Text: p.Text, Services: p.Services}
		if w.Surface == consent.SurfacePreferences && !p.Required {
			sp.Control = p.ID + map[bool]string{true: " on", false: " off"}[p.Default]
		}
		s.Purposes = append(s.Purposes, sp)
	}
	return s
}

func TestTheScreenSaysWhatTheHashStandsFor(t *testing.T) {
	for _, locale := range []string{"fr", "en"} {
		s, tab := visit(t, page{lang: locale, body: plain})
		for _, c := range []struct{ surface, element string }{{"banner", "section"}, {"preferences", "dialog"}} {
			if tab.BannerShown(); c.surface == "preferences" {
				tab.Press("#choose")
				tab.PreferencesShown()
			}
			tab.Until(still)
			got := widgettest.Eval[screen](tab, strings.ReplaceAll(shown, "SURFACE", fmt.Sprintf("%q", c.element)))
			for _, w := range s.wordings {
				if w.Surface == c.surface && w.Locale == locale && !reflect.DeepEqual(got, expected(w)) {
					t.Errorf("%s in %s\nshows %+v\nhashed %+v", c.surface, locale, got, expected(w))
				}
			}
		}
		prompts := got(t, s, &s.prompts, 2)
		if prompts[0].Wording != s.hash("banner", locale) || prompts[1].Wording != s.hash("preferences", locale) {
			t.Errorf("prompts %+v", prompts)
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
type look struct{ Width, Height, Size, Weight, Colour, Background, Border, Opacity, Decoration string }

func TestNoChoiceIsLesserThanAnother(t *testing.T) {
	const looks = `[...document.querySelector("consentd-widget").shadowRoot.querySelectorAll("SELECTOR")].map(el => {
		const box = el.getBoundingClientRect(), s = getComputedStyle(el);
		return {Width: box.width.toFixed(1), Height: box.height.toFixed(1), Size: s.fontSize, Weight: s.fontWeight, Colour: s.color,
			Background: s.backgroundColor, Border: s.border, Opacity: s.opacity, Decoration: s.textDecorationLine};
	})`
	_, tab := visit(t, page{lang: "fr", body: plain})
	tab.Press("#choose")
	tab.PreferencesShown()
	for _, width := range []int64{320, 375, 700, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			tab.Width(width, 720, width < 600)
			tab.Prefer("prefers-color-scheme", scheme)
			tab.Point(1, 1) // a button under the pointer is lighter, whichever it is
			for _, selector := range []string{"section .actions button", "dialog .actions button"} {
				all := widgettest.Eval[[]look](tab, strings.ReplaceAll(looks, "SELECTOR", selector))
				if len(all) != 3 || all[0] != all[1] || all[0] != all[2] {
					t.Errorf("%d px, %s, %s: %+v", width, scheme, selector, all)
				}
			}
			if w := widgettest.Eval[int](tab, `document.documentElement.scrollWidth`); w > int(width) {
				t.Errorf("%d px, %s: the page became %d wide", width, scheme, w)
			}
		}
	}
}

type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

func TestAccessibility(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
	}
	_, tab := visit(t, page{body: plain})
	tab.BannerShown()
	widgettest.Eval[bool](tab, string(axe)+";true")
	violations := func() []violation {
		tab.Until(still)
		return widgettest.Eval[[]violation](tab, `axe.run(document).then(r => r.violations)`)
	}
	everywhere := func(surface string) {
		for _, c := range []struct {
			feature, value string
			width, height  int64
		}{
			{"prefers-color-scheme", "light", 1280, 800},
			{"prefers-color-scheme", "dark", 1280, 800},
			{"prefers-color-scheme", "light", 320, 568},
			{"prefers-color-scheme", "dark", 375, 740},
			{"forced-colors", "active", 640, 400}, // 1280 × 800 at 200 %
		} {
			tab.Width(c.width, c.height, false)
			tab.Prefer(c.feature, c.value)
			for _, v := range violations() {
				t.Errorf("%s, %s %s at %d × %d: %s (%s): %s %+v", surface, c.feature, c.value, c.width, c.height, v.ID, v.Impact, v.Help, v.Nodes)
			}
		}
	}
	everywhere("banner")
	tab.Press("#choose")
	tab.PreferencesShown()
	everywhere("preferences")

	// The control: a label made pale is found.
	tab.Prefer("prefers-color-scheme", "light")
	widgettest.Eval[bool](tab, `((`+widgettest.Find("dialog #refuse")+`).style.color = "#444", true)`)
	if all := violations(); len(all) != 1 || all[0].ID != "color-contrast" {
		t.Errorf("the pale label: %+v", all)
	}
}

func TestMotionIsReduced(t *testing.T) {
	_, tab := visit(t, page{body: plain})
	tab.BannerShown()
	for value, want := range map[string]string{"reduce": "none", "no-preference": "rise"} {
		tab.Prefer("prefers-reduced-motion", value)
		if got := widgettest.Eval[string](tab, `getComputedStyle(`+widgettest.Find("section")+`).animationName`); got != want {
			t.Errorf("%s: animation %s, want %s", value, got, want)
		}
	}
}

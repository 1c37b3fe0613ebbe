package widget_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

var layouts = []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal}

// dressed is the shop in a layout, with every surface: a second way to refuse, a way back.
func dressed(t *testing.T, layout widget.Layout) widget.Input {
	t.Helper()
	site := shop()
	site.Banner.Continue = consent.Text{"fr": "Continuer sans accepter", "en": "Continue without accepting"}
	in := input(t, site)
	in.Theme.Layout = layout
	in.Options.Reopen = widget.ReopenStart
	return in
}

// still is true when nothing of the widget moves any more.
const still = `!(` + widgettest.Root + `) || ` + widgettest.Root + `.getAnimations({subtree: true}).every(a => a.playState === "finished")`

type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// axe runs axe-core on the page as it is, the size of targets (WCAG 2.2) included.
func axe(t *testing.T, tab *widgettest.Tab) []violation {
	t.Helper()
	if !widgettest.Eval[bool](tab, `"axe" in window`) {
		source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
		if err != nil {
			t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
		}
		widgettest.Eval[bool](tab, string(source)+";true")
	}
	tab.Until(still)
	return widgettest.Eval[[]violation](tab, `axe.run(document, {resultTypes: ["violations"], iframes: false, preload: false, rules: {"target-size": {enabled: true}}}).then(r => r.violations)`)
}

// zoomed sets the window of a browser at a zoom: fewer and larger CSS pixels.
func zoomed(t *testing.T, tab *widgettest.Tab, width, height int64, zoom float64) {
	t.Helper()
	_, err := chromedp.Call(tab.Context(), emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(float64(width) / zoom), Height: int64(float64(height) / zoom), DeviceScaleFactor: zoom})
	if err != nil {
		t.Fatal(err)
	}
}

// In every layout, light, dark and in forced colours, in large and small windows and zoomed, axe finds nothing.
func TestAxeFindsNothing(t *testing.T) {
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			s := newStand(t, dressed(t, layout), page{body: embedded})
			asked := func() *widgettest.Tab {
				tab := newTab(t)
				tab.Open(s.site.URL)
				tab.BannerShown()
				tab.Until(standIn("film"))
				return tab
			}
			axeEverywhere(t, asked(), "banner and placeholders")
			tab := asked()
			tab.Press("#choose")
			tab.PreferencesShown()
			axeEverywhere(t, tab, "preferences")
			tab = asked()
			tab.Press("#refuse")
			tab.Until(widgettest.Find("#reopen"))
			axeEverywhere(t, tab, "placeholders and the way back")
		})
	}
}

// The control: pale letters, and small buttons without room between them, are found.
func TestAxeFindsWhatIsSpoilt(t *testing.T) {
	_, tab := visit(t, page{body: plain})
	tab.BannerShown()
	widgettest.Eval[bool](tab, `(`+widgettest.Find("#refuse")+`.style.setProperty("color", "#444"), `+widgettest.Find(".actions")+`.style.setProperty("display", "block"),
		`+widgettest.Root+`.querySelectorAll("#accept, #choose").forEach(b => b.setAttribute("style", "all: revert; display: block; height: 10px; margin: 0; padding: 0; border: 0")), true)`)
	var ids []string
	for _, v := range axe(t, tab) {
		ids = append(ids, v.ID)
	}
	if !slices.Contains(ids, "color-contrast") || !slices.Contains(ids, "target-size") {
		t.Errorf("found %s", ids)
	}
}

func axeEverywhere(t *testing.T, tab *widgettest.Tab, what string) {
	t.Helper()
	for _, w := range []struct {
		width, height int64
		zoom          float64
	}{{1280, 1024, 4}, {1280, 800, 1}, {320, 568, 1}, {1280, 800, 2}} {
		zoomed(t, tab, w.width, w.height, w.zoom)
		for i, look := range [][2]string{{"prefers-color-scheme", "light"}, {"prefers-color-scheme", "dark"}, {"forced-colors", "active"}} {
			if i > 0 && w.zoom == 4 {
				continue // as at 320 px, with less height: no other colours
			}
			tab.Prefer(look[0], look[1])
			for _, v := range axe(t, tab) {
				t.Errorf("%s, %s %s, %d × %d at %v00 %%: %s (%s): %s %+v", what, look[0], look[1], w.width, w.height, w.zoom, v.ID, v.Impact, v.Help, v.Nodes)
			}
		}
	}
	zoomed(t, tab, 1280, 800, 1)
	tab.Prefer("prefers-color-scheme", "light")
}

// focusAt names what has the focus, in whichever shadow root it is.
const focusAt = `(() => { let el = document.activeElement; while (el?.shadowRoot?.activeElement) el = el.shadowRoot.activeElement;
	return el.id || el.name || el.getAttribute("href") || el.localName })()`

func focus(tab *widgettest.Tab) string { return widgettest.Eval[string](tab, focusAt) }

// walk presses Tab and gives what has the focus after each.
func walk(tab *widgettest.Tab, n int, opts ...chromedp.KeyOption) (path []string) {
	for range n {
		tab.Key(kb.Tab, opts...)
		path = append(path, focus(tab))
	}
	return path
}

// A page with a field that has the focus, and content that waits.
const withField = `<header><a id="home" href="/">Maison Alba</a></header><main><h1>Linen</h1><input id="search" aria-label="Search"><script>document.getElementById("search").focus()</script>
<iframe id="film" title="Film" width="400" height="300" data-consent="ads" data-service="adriver" data-src="/film.js"></iframe><p><button id="cookies" data-consentd="open">Cookies</button></p></main>`

// A bar and a box are a part of the page, at its start: they neither take the focus nor keep it.
func TestTheKeyboardPassesThroughABanner(t *testing.T) {
	for _, layout := range layouts[:2] {
		t.Run(string(layout), func(t *testing.T) {
			s := newStand(t, dressed(t, layout), page{body: withField})
			tab := newTab(t)
			tab.Open(s.site.URL)
			tab.BannerShown()
			tab.Until(standIn("film"))
			if at := focus(tab); at != "search" {
				t.Errorf("the banner has moved the focus to %q", at)
			}
			// Round the page: on through it, past the browser's own controls (body), and through the banner at its start.
			want := "https://adriver.example/datenschutz once always cookies body continue /en/privacy accept refuse choose home search"
			if got := strings.Join(walk(tab, 12), " "); got != want {
				t.Errorf("the keyboard's path is %s", got)
			}
			tab.Key(kb.Escape)
			if !widgettest.Eval[bool](tab, "!!"+widgettest.Find("#banner")) {
				t.Error("Esc has closed the banner")
			}
			got(t, s, &s.consents, 0)
			// Refused by keyboard, the page goes on where the banner was: at its start.
			widgettest.Eval[bool](tab, "("+widgettest.Find("#refuse")+".focus(), true)")
			tab.Key(kb.Enter)
			tab.Until("!(" + widgettest.Find("#banner") + ")")
			got(t, s, &s.consents, 1)
			tab.Key(kb.Tab)
			if at := focus(tab); at != "home" && at != "reopen" {
				t.Errorf("after the banner the keyboard goes on at %q", at)
			}
		})
	}
}

// A modal takes the focus, keeps it, is left by a choice alone, and gives the focus back.
func TestTheKeyboardStaysInAModal(t *testing.T) {
	s := newStand(t, dressed(t, widget.LayoutModal), page{body: withField})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.BannerShown()
	if at := focus(tab); at != "title" {
		t.Errorf("the focus is on %q", at)
	}
	inside := []string{"title", "continue", "/en/privacy", "accept", "refuse", "choose", "banner", "body"} // body: the browser's own controls
	path := walk(tab, 12)
	if got := strings.Join(path[:4], " "); got != "/en/privacy accept refuse choose" {
		t.Errorf("the keyboard's path is %s", path)
	}
	path = append(path, walk(tab, 12, chromedp.KeyModifiers(8))...) // 8: Shift
	for _, at := range path {
		if !slices.Contains(inside, at) {
			t.Errorf("the focus left for %q: %s", at, path)
		}
	}
	if !slices.Contains(path, "continue") {
		t.Errorf("the keyboard never reaches the second way to refuse: %s", path)
	}
	for range 3 {
		tab.Key(kb.Escape)
	}
	tab.Until(widgettest.Find("#banner") + `?.matches(":modal")`)
	got(t, s, &s.consents, 0)
	widgettest.Eval[bool](tab, "("+widgettest.Find("#refuse")+".focus(), true)")
	tab.Key(kb.Enter)
	got(t, s, &s.consents, 1)
	tab.Until("!(" + widgettest.Find("#banner") + ")")
	if at := focus(tab); at != "search" {
		t.Errorf("the modal gives the focus to %q", at)
	}
}

// Opened from the banner, from the page or from the small button, preferences take the focus, keep it, and give it
// back to where they were opened from; from where that is gone, the page goes on.
func TestPreferencesGiveTheFocusBack(t *testing.T) {
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			s := newStand(t, dressed(t, layout), page{body: withField})
			tab := newTab(t)
			tab.Open(s.site.URL)
			tab.BannerShown()
			open := func(opener string) {
				t.Helper()
				tab.Until(opener)
				widgettest.Eval[bool](tab, "("+opener+".focus(), true)")
				tab.Key(kb.Enter)
				tab.PreferencesShown()
				if at := focus(tab); at != "heading" {
					t.Errorf("from %s the focus goes to %q", opener, at)
				}
				inside := []string{"heading", "back", "analytics", "ads", "audience", "accept", "refuse", "save", "/en/privacy", "dialog", "body",
					"https://loupe.example/privacy", "https://adriver.example/datenschutz", "https://panneau.example/vie-privee"}
				for _, at := range append(walk(tab, 14), walk(tab, 14, chromedp.KeyModifiers(8))...) {
					if !slices.Contains(inside, at) {
						t.Errorf("from %s the focus left for %q", opener, at)
					}
				}
			}
			closed := "!(" + widgettest.Find("dialog:not(#banner)") + ")"
			open(widgettest.Find("#choose"))
			tab.Key(kb.Escape)
			tab.Until(closed)
			if at := focus(tab); at != "choose" {
				t.Errorf("Esc gives the focus to %q", at)
			}
			// A switch by keyboard, then saving by keyboard.
			open(widgettest.Find("#choose"))
			widgettest.Eval[bool](tab, "("+widgettest.Find(`dialog [name="ads"]`)+".focus(), true)")
			tab.Key(" ")
			widgettest.Eval[bool](tab, "("+widgettest.Find("#save")+".focus(), true)")
			tab.Key(kb.Enter)
			if c := got(t, s, &s.consents, 1)[0]; !c.Decisions["ads"] || c.Decisions["analytics"] {
				t.Errorf("saved %v", c.Decisions)
			}
			tab.Until(closed)
			for _, opener := range []string{`document.getElementById("cookies")`, widgettest.Find("#reopen")} {
				open(opener)
				tab.Key(kb.Escape)
				tab.Until(closed)
				want := map[bool]string{true: "cookies", false: "reopen"}[strings.Contains(opener, "cookies")]
				tab.Until(focusAt + fmt.Sprintf(" === %q", want))
				open(opener)
				widgettest.Eval[bool](tab, "("+widgettest.Find("#back")+".focus(), true)")
				tab.Key(kb.Enter)
				tab.Until(closed)
				tab.Until(focusAt + fmt.Sprintf(" === %q", want))
			}
		})
	}
}

// Preferences that a page asks for while the banner is still to come stand alone; it comes when they close without a
// choice.
func TestPreferencesAskedForFirstStandAlone(t *testing.T) {
	for _, layout := range layouts {
		s := newStand(t, dressed(t, layout), page{head: `<script>(window.consentd = window.consentd || []).push(["open"])</script>`, body: plain})
		tab := newTab(t)
		tab.Open(s.site.URL)
		tab.PreferencesShown()
		got(t, s, &s.prompts, 1)
		widgettest.Eval[any](tab, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`)
		if faults := widgettest.Eval[[]string](tab, fits+"("+widgettest.Find("dialog:not(#banner)")+")"); len(faults) > 0 {
			t.Errorf("%s: %s", layout, faults)
		}
		if at := focus(tab); at != "heading" {
			t.Errorf("%s: the focus is on %q", layout, at)
		}
		if widgettest.Eval[bool](tab, "!!"+widgettest.Find("#banner")) {
			t.Errorf("%s: the banner is there too", layout)
		}
		tab.Key(kb.Escape)
		tab.BannerShown()
		got(t, s, &s.prompts, 2)
		tab.Press("#refuse")
		if c := got(t, s, &s.consents, 1)[0]; c.Surface != "banner" {
			t.Errorf("%s: %+v", layout, c)
		}
	}
}

// Content that was loaded where a placeholder stood has the focus next.
func TestAPlaceholderHandsTheFocusOn(t *testing.T) {
	s := newStand(t, dressed(t, widget.LayoutBar), page{body: withField})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#refuse")
	for _, button := range []string{"once", "always"} {
		tab.Until(standIn("film"))
		widgettest.Eval[bool](tab, "("+standIn("film")+`.querySelector("#`+button+`").focus(), true)`)
		tab.Key(kb.Enter)
		tab.Until(`!document.querySelector("consentd-embed")`)
		if at := focus(tab); at != "film" {
			t.Errorf("after %q the focus is on %q", button, at)
		}
		if button == "once" {
			tab.Until(answered)
			tab.Reload()
		}
	}
}

// heard is what a screen reader is told of the page: role, name, state and description of what it may stop at,
// nested as the page is. What is ignored, and plain text, is left out.
func heard(t *testing.T, tab *widgettest.Tab) string {
	t.Helper()
	got, err := chromedp.Call(tab.Context(), accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[accessibility.NodeID]*accessibility.Node{}
	for _, n := range got.Nodes {
		nodes[n.NodeID] = n
	}
	var b strings.Builder
	var write func(n *accessibility.Node, depth int)
	write = func(n *accessibility.Node, depth int) {
		if line := stop(n); line != "" {
			fmt.Fprintf(&b, "%s%s\n", strings.Repeat("  ", depth), line)
			depth++
		}
		for _, id := range n.ChildIDs {
			if child := nodes[id]; child != nil {
				write(child, depth)
			}
		}
	}
	write(got.Nodes[0], 0)
	return b.String()
}

// stop is one line of heard.
func stop(n *accessibility.Node) string {
	role := said(n.Role)
	if n.Ignored || slices.Contains([]string{"", "RootWebArea", "generic", "none", "StaticText", "InlineTextBox", "paragraph", "LabelText", "strong", "emphasis", "listitem", "ListMarker", "code", "figure", "small", "Iframe", "IframePresentational"}, role) {
		return ""
	}
	line := role
	if name := said(n.Name); name != "" {
		line += fmt.Sprintf(" %q", name)
	}
	for _, p := range n.Properties {
		switch p.Name {
		case "checked", "modal", "level", "disabled", "expanded", "hasPopup":
			if v := said(p.Value); v != "false" {
				line += fmt.Sprintf(" %s=%s", p.Name, v)
			} else if p.Name == "checked" {
				line += " off"
			}
		}
	}
	if d := said(n.Description); d != "" {
		line += fmt.Sprintf(" (%s)", d)
	}
	return line
}

func said(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if err := json.Unmarshal(v.Value, &s); err != nil {
		return string(v.Value)
	}
	return s
}

const (
	pageHeard = `banner
  link "Maison Alba"
main
  heading "Linen" level=1
  textbox "Search"
`
	placeholderHeard = `  group "AdRiver"
    link "AdRiver"
    button "Load once"
    button "Always allow"
`
	cookiesHeard = `  button "Cookies"
`
	bannerHeard = ` "Your data, your choice"MODAL
  button "Continue without accepting"
  heading "Your data, your choice" level=2
  list
  link "Privacy policy"
  button "Accept all"
  button "Refuse all"
  button "Choose"
`
	preferencesHeard = `dialog "Choose purpose by purpose" modal=true
  heading "Choose purpose by purpose" level=2
  button "Close without choosing"
  list
    switch "Detailed analytics" off (Understanding which pages and products are of interest, visit after visit.)
    list
      link "Loupe Analytics"
    switch "Personalised advertising" off (Showing you ads elsewhere, chosen by what you saw here.)
    list
      link "AdRiver"
      link "Panneau"
    switch "Audience measurement" checked=true (Counting visits without recognising you. You may object.)
  link "Privacy policy"
  button "Accept all"
  button "Refuse all"
  button "Save my choices"
`
	reopenHeard = `complementary
  button "My choices"
`
	withdrawHeard = `  button "Refuse all"
`
)

// While a dialog is modal, the page behind it is not there for a screen reader.
func TestWhatAScreenReaderHears(t *testing.T) {
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			s := newStand(t, dressed(t, layout), page{body: withField})
			tab := newTab(t)
			tab.Open(s.site.URL)
			tab.BannerShown()
			tab.Until(standIn("film"))
			hears := func(when, want string) {
				t.Helper()
				if got := heard(t, tab); got != want {
					t.Errorf("%s:\n%s", when, got)
				}
			}
			first := "region" + strings.Replace(bannerHeard, "MODAL", "", 1) + pageHeard + placeholderHeard + cookiesHeard
			if layout == widget.LayoutModal {
				first = "dialog" + strings.Replace(bannerHeard, "MODAL", " modal=true", 1)
			}
			hears("before a choice", first)
			tab.Press("#choose")
			tab.PreferencesShown()
			hears("the preferences", preferencesHeard)
			tab.Press(`dialog [name="ads"]`)
			hears("a switch turned on", strings.Replace(preferencesHeard, `"Personalised advertising" off`, `"Personalised advertising" checked=true`, 1))
			tab.Press("#save")
			tab.Until(widgettest.Find("#reopen"))
			tab.Until(`!document.querySelector("consentd-embed")`)
			hears("after a choice", reopenHeard+withdrawHeard+pageHeard+cookiesHeard)
			widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
			tab.Until(standIn("film"))
			hears("taken back", reopenHeard+pageHeard+placeholderHeard+cookiesHeard)
		})
	}
}

// Nothing moves, on any surface, whether or not less motion was asked for.
func TestNothingMoves(t *testing.T) {
	const moving = `[document.querySelector("consentd-widget"), ...document.querySelectorAll("consentd-embed")].flatMap(h => [...h.shadowRoot.querySelectorAll("*")]).flatMap(el =>
		["", "::before", "::after", "::backdrop"].map(part => [el.localName + part, getComputedStyle(el, part)]))
		.filter(([, s]) => !/^(0s(, )?)+$/.test(s.transitionDuration) || s.animationName !== "none" || s.scrollBehavior === "smooth").map(([name]) => name).join()`
	for _, layout := range layouts {
		s := newStand(t, dressed(t, layout), page{body: embedded})
		tab := newTab(t)
		tab.Open(s.site.URL)
		tab.BannerShown()
		tab.Until(standIn("film"))
		tab.Press("#choose")
		tab.PreferencesShown()
		for _, motion := range []string{"no-preference", "reduce"} {
			tab.Prefer("prefers-reduced-motion", motion)
			if got := widgettest.Eval[string](tab, moving); got != "" {
				t.Errorf("%s, %s: %s move", layout, motion, got)
			}
		}
		widgettest.Eval[bool](tab, "("+widgettest.Find("#save")+`.style.setProperty("transition", "1s"), true)`)
		if got := widgettest.Eval[string](tab, moving); got != "button" {
			t.Errorf("%s: the control is not seen: %q", layout, got)
		}
	}
}

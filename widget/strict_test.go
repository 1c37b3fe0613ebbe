package widget_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// strict is the least a page can let the widget have.
const strict = "default-src 'none'; script-src 'nonce-x'; connect-src EDGE; require-trusted-types-for 'script'; trusted-types consentd"

// mark is a logo: a green square.
const mark = "data:image/svg+xml," + `%3Csvg xmlns='http://www.w3.org/2000/svg' width='40' height='40'%3E%3Crect width='40' height='40' fill='green'/%3E%3C/svg%3E`

// strictBody has no style of its own: the policy allows none.
const strictBody = `<header><a href="/">Maison Alba</a></header><main><h1>Linen</h1>
<iframe id="film" title="Film" width="420" height="300" frameborder="0" data-consent="ads" data-service="adriver" data-src="/film.js"></iframe><p id="below">Below the film.</p>
<div id="box" data-consent="ads"><template><b id="inside">Inside</b><script nonce="x">(window.ran ||= []).push("template")</script>
<script nonce="x" type="module">(window.ran ||= []).push("module" + typeof import.meta)</script></template></div></main>`

// complaints are what the page and the browser said, the icon of the test's page aside.
func complaints(tab *widgettest.Tab) (all []string) {
	for _, m := range tab.Messages() {
		if !strings.Contains(m, "'data:,'") {
			all = append(all, m)
		}
	}
	return all
}

// In every layout placeholders, logo and dialogs look and work under such a policy; what the policy itself forbids
// (a picture, a frame) is left out, and nothing else.
func TestEverySurfaceUnderAStrictPolicy(t *testing.T) {
	for _, layout := range layouts {
		for _, pictures := range []bool{false, true} {
			name, policy := string(layout), strict
			if pictures {
				name, policy = name+", with pictures and frames", policy+"; img-src data:; frame-src 'self'"
			}
			t.Run(name, func(t *testing.T) {
				in := dressed(t, layout)
				in.Options.Logo = mark
				s := newStand(t, in, page{policy: policy, body: strictBody})
				tab := newTab(t)
				tab.Open(s.site.URL)
				tab.BannerShown()
				tab.Until(standIn("film"))
				drawn(t, tab, layout, pictures)
				tab.Press("#refuse")
				got(t, s, &s.consents, 1)
				tab.Until(widgettest.Find("#reopen"))
				widgettest.Eval[bool](tab, "("+standIn("film")+`.querySelector("#always").click(), true)`)
				got(t, s, &s.consents, 2)
				tab.Until(`!document.querySelector("consentd-embed") && document.getElementById("film").getAttribute("src") === "/film.js" && document.getElementById("inside")`)
				tab.Until(`(window.ran ?? []).join() === "template,moduleobject"`)
				if pictures && !slices.Contains(s.scripts(), "/film.js") {
					s.awaitScript("/film.js")
				}
				for _, m := range complaints(tab) {
					if pictures || !strings.Contains(m, "image/svg+xml") && !strings.Contains(m, "Framing") && !strings.Contains(m, "frame") {
						t.Error(m)
					}
				}
			})
		}
	}
}

// drawn looks at what needs a style: nothing of it may depend on what the policy forbids.
func drawn(t *testing.T, tab *widgettest.Tab, layout widget.Layout, pictures bool) {
	t.Helper()
	type sizes struct {
		Accept, Logo, Natural float64
		Film, Holder          [4]float64
		Modal                 bool
		Backdrop, Surface     string
	}
	tab.Until(widgettest.Find("img") + "?.complete")
	got := widgettest.Eval[sizes](tab, `(() => {
		const root = `+widgettest.Root+`, box = el => { const r = el.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }, logo = root.querySelector("img"), film = document.getElementById("film");
		return {Accept: root.querySelector("#accept").offsetHeight, Logo: logo.offsetHeight, Natural: logo.naturalWidth, Film: box(film), Holder: box(film.previousElementSibling),
			Modal: root.querySelector("#banner").matches(":modal"), Backdrop: getComputedStyle(root.querySelector("#banner"), "::backdrop").backgroundColor,
			Surface: getComputedStyle(film.previousElementSibling.shadowRoot.querySelector("figure")).backgroundColor};
	})()`)
	if got.Accept < 40 || got.Surface != "rgb(255, 255, 255)" {
		t.Errorf("without its style: %+v", got)
	}
	if near := got.Film[1] - got.Holder[1]; near > 0.5 || near < -0.5 || got.Film[0] != got.Holder[0] || got.Film[2] != 420 || got.Holder[2] != 420 || got.Holder[3] != 300 {
		t.Errorf("the placeholder is not where the film will be: %v, %v", got.Holder, got.Film)
	}
	if (got.Natural > 0) != pictures || got.Logo != 30 {
		t.Errorf("the logo is %v of %v high", got.Logo, got.Natural)
	}
	if got.Modal != (layout == widget.LayoutModal) || got.Modal && !strings.HasPrefix(got.Backdrop, "rgba(10, 12, 16") {
		t.Errorf("modal: %+v", got)
	}
}

// A page that resets and hides everything it can hides no choice, in any layout.
func TestEveryLayoutOnAHostilePage(t *testing.T) {
	for name, css := range map[string]string{
		"everything reset and hidden": `* { all: unset !important; display: none !important; visibility: hidden !important; pointer-events: none !important }`,
		"dialogs hidden":              `dialog, dialog[open], ::backdrop, consentd-widget { display: none !important; opacity: 0 !important; position: static !important; transform: scale(0) !important; clip-path: inset(100%) !important; filter: opacity(0) !important; content-visibility: hidden !important }`,
	} {
		for _, layout := range layouts {
			t.Run(name+", "+string(layout), func(t *testing.T) {
				s := newStand(t, dressed(t, layout), page{head: "<style>" + css + "</style>", body: plain})
				tab := newTab(t)
				tab.Open(s.site.URL)
				tab.BannerShown()
				if faults := widgettest.Eval[[]string](tab, fits+"("+widgettest.Find("#banner")+")"); len(faults) > 0 {
					t.Errorf("the banner: %s", faults)
				}
				tab.Press("#choose")
				tab.PreferencesShown()
				if faults := widgettest.Eval[[]string](tab, fits+"("+widgettest.Find("dialog:not(#banner)")+")"); len(faults) > 0 {
					t.Errorf("the preferences: %s", faults)
				}
				tab.Press("dialog:not(#banner) #refuse")
				got(t, s, &s.consents, 1)
				tab.Press("#reopen")
				tab.PreferencesShown()
			})
		}
	}
}

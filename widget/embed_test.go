package widget_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget/widgettest"
)

// embedded is a page whose content waits: a film in a box of its own, an image, a container with a template, and
// a film that nobody stands in for.
const embedded = `<style>iframe{display:block;width:400px;height:240px;border:0;margin:10px}#box{width:300px;height:120px}</style><main><h1>Alba</h1>
<iframe id="film" title="Film" data-consent="ads" data-service="adriver" data-src="/film.js"></iframe>
<p id="below">Below the film.</p>
<img id="picture" alt="" width="300" height="200" data-consent="ads" data-src="/picture.js">
<div id="box" data-consent="ads"><template><b id="inside">Inside</b><script>(window.ran ||= []).push("template")</script></template></div>
<iframe id="quiet" title="Quiet" data-consent="analytics" data-src="/quiet.js"></iframe></main>`

// standIn is an expression for what stands in place of the element with an id.
func standIn(id string) string {
	return `(e => e?.localName === "consentd-embed" ? e.shadowRoot : undefined)(document.getElementById("` + id + `").previousElementSibling)`
}

const boxes = `JSON.stringify(["film", "below", "picture", "quiet"].map(id => { const r = document.getElementById(id).getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }))`

func TestContentWaitsInItsBox(t *testing.T) {
	s := newStand(t, input(t, shop()), page{body: embedded})
	tab := newTab(t)
	tab.BeforeScripts(`window.shifts = ""; new PerformanceObserver(l => l.getEntries().forEach(e => window.shifts += e.value + " " + e.sources.map(s => s.node?.outerHTML + JSON.stringify([s.previousRect, s.currentRect])))).observe({type: "layout-shift", buffered: true})`)
	tab.Open(s.site.URL)
	tab.Until(standIn("film"))
	before := widgettest.Eval[string](tab, boxes)
	if got := widgettest.Eval[string](tab, `JSON.stringify([...document.querySelectorAll("consentd-embed")].slice(0, 2).map(e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; }))`); got != "[[400,240],[300,200]]" {
		t.Errorf("placeholders measure %s", got)
	}
	if got := widgettest.Eval[string](tab, standIn("film")+`.querySelector("p").textContent`); got != "This content comes from AdRiver, which may use trackers." {
		t.Errorf("the placeholder says %q", got)
	}
	if widgettest.Eval[bool](tab, "!!"+standIn("quiet")) {
		t.Error("something stands in where no service does")
	}
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("asked for before any choice: %s", got)
	}
	// Refused: it goes on waiting. Once: this one alone.
	tab.Press("#refuse")
	tab.NothingShown()
	widgettest.Eval[bool](tab, "("+standIn("film")+`.querySelector("#once").click(), true)`)
	tab.Until(`document.getElementById("film").getAttribute("src") === "/film.js" && !document.getElementById("film").inert`)
	if widgettest.Eval[bool](tab, "!"+standIn("picture")) {
		t.Error("once has loaded another element")
	}
	got(t, s, &s.consents, 1)
	// Always: a proof of what was shown here, and the rest of the purpose.
	widgettest.Eval[bool](tab, "("+standIn("picture")+`.querySelector("#always").click(), true)`)
	c := got(t, s, &s.consents, 2)[1]
	if c.Surface != "embed:adriver" || c.Method != "custom" || !maps.Equal(c.Decisions, map[string]bool{"ads": true}) || c.Wording != s.hash("embed:adriver", "en") {
		t.Errorf("consent %+v", c)
	}
	tab.Until(`document.getElementById("inside") && (window.ran ?? []).includes("template") && document.getElementById("picture").getAttribute("src")`)
	if widgettest.Eval[bool](tab, `document.querySelector("consentd-embed") || document.getElementById("quiet").src || consentd.has("analytics")`) {
		t.Error("a placeholder is left, or another purpose was allowed")
	}
	if after := widgettest.Eval[string](tab, boxes); after != before {
		t.Errorf("boxes were %s, are %s", before, after)
	}
	// Taken back: the boxes wait again.
	widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
	tab.Until(standIn("picture") + ` && !document.getElementById("inside") && !document.getElementById("picture").hasAttribute("src")`)
	if shift := widgettest.Eval[string](tab, "window.shifts"); shift != "" {
		t.Errorf("the layout shifted: %s", shift)
	}
	quiet(t, tab)
}

// A choice made at a placeholder does not answer the banner's question, and does not start its six months anew.
func TestAPlaceholderDecidesItsPurposeAlone(t *testing.T) {
	s, tab := visit(t, page{body: embedded})
	tab.Until(standIn("film"))
	widgettest.Eval[bool](tab, "("+standIn("film")+`.querySelector("#always").click(), true)`)
	got(t, s, &s.consents, 1)
	tab.Until(answered)
	tab.BannerShown()
	tab.Reload()
	tab.BannerShown()
	tab.Until(`document.getElementById("film").src`)
	tab.Press("#refuse")
	tab.NothingShown()
	all := got(t, s, &s.consents, 2)
	if all[1].Method != "reject_all" || !maps.Equal(all[1].Decisions, nothing) || all[0].Subject != all[1].Subject {
		t.Errorf("consents %+v", all)
	}
	tab.Until(standIn("film"))
}

func TestWrongAttributesAreNamed(t *testing.T) {
	_, tab := visit(t, page{body: `<script type="text/plain" data-consent="nobody-knows">window.bad = 1</script>
<script data-consent="ads">window.early = 1</script><iframe title="x" data-consent="ads" data-service="nobody" data-src="/x.js"></iframe>
<button id="b" data-consentd="explode">x</button>`})
	tab.BannerShown()
	widgettest.Eval[bool](tab, `(document.getElementById("b").click(), true)`)
	tab.Heard("check data-consentd: button#b")
	text := strings.Join(tab.Messages(), "\n")
	for _, want := range []string{"check data-consent: script", "check type: script", "check data-service: iframe"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not said once:\n%s", want, text)
		}
	}
	tab.Press("#accept")
	tab.NothingShown()
	if widgettest.Eval[bool](tab, "!!window.bad") {
		t.Error("a script of an unknown purpose has run")
	}
}

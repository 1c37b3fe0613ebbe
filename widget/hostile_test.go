package widget_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// broken replaces what a page can replace: every method and the iterator of Array, JSON and fetch.
const broken = `for (const name of Object.getOwnPropertyNames(Array.prototype)) if (typeof Array.prototype[name] === "function" && name !== "constructor")
	Array.prototype[name] = () => { throw new Error("broken " + name); };
Array.prototype[Symbol.iterator] = () => { throw new Error("broken iterator"); };
JSON.stringify = JSON.parse = () => { throw new Error("broken JSON"); };
window.fetch = () => { throw new Error("broken fetch"); };`

func TestAPageThatBreaksTheLanguage(t *testing.T) {
	body, _, _ := strings.Cut(embedded, "<script>") // a script of the page's own would meet what is broken
	s := newStand(t, input(t, shop()), page{body: body + "</template></div>"})
	tab := newTab(t)
	tab.BeforeScripts(broken)
	tab.Open(s.site.URL)
	tab.BannerShown()
	got(t, s, &s.prompts, 2)         // the banner's, and one placeholder's: by beacon
	press := func(selector string) { // Tab.Press relies on what is broken here
		t.Helper()
		tab.Until(widgettest.Find(selector))
		widgettest.Eval[bool](tab, "("+widgettest.Find(selector)+".click(), true)")
	}
	press("#choose")
	tab.PreferencesShown()
	press("dialog #accept")
	tab.NothingShown()
	c := got(t, s, &s.consents, 1)[0]
	if c.Method != "accept_all" || c.Wording != s.hash("preferences", "en") {
		t.Errorf("consent %+v", c)
	}
	tab.Until(`document.getElementById("film").src`)
	names := widgettest.Eval[string](tab, `(() => { let out = ""; const frame = document.createElement("iframe"); document.body.append(frame);
		const all = Object.getOwnPropertyNames(window), fresh = frame.contentWindow;
		for (let i = 0; i < all.length; i++) if (!(all[i] in fresh) && !/^\d+$/.test(all[i])) out += all[i] + " ";
		frame.remove(); return out; })()`)
	if got := strings.Fields(names); !slices.Equal(got, []string{"consentd"}) {
		t.Errorf("the globals are %s", names)
	}
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") || strings.Contains(m, "consentd:") {
			t.Error(m)
		}
	}
}

func TestAPageThatHidesEverything(t *testing.T) {
	s, tab := visit(t, page{head: `<style>* { all: unset !important; display: none !important }</style>`, body: embedded})
	tab.BannerShown()
	if h := widgettest.Eval[float64](tab, widgettest.Find("#accept")+".getBoundingClientRect().height"); h < 40 {
		t.Errorf("a button is %v high", h)
	}
	if widgettest.Eval[bool](tab, `document.querySelector("main").getClientRects().length > 0`) {
		t.Error("the page is no longer hidden")
	}
	tab.Press("#refuse")
	got(t, s, &s.consents, 1)
}

// What a site does not use is not in its script.
func TestUnusedFeaturesAreLeftOut(t *testing.T) {
	bare := shop()
	bare.Banner.Bases = nil
	for i := range bare.Purposes {
		bare.Purposes[i].Services = nil
	}
	in := input(t, bare)
	in.Options.IgnoreGPC = true
	lean, full := build(t, in), input(t, shop())
	full.Site.Banner.Receipt = receiptText()
	full.Options = widget.Options{Signals: signals, Reopen: widget.ReopenEnd, Receipt: true, Migrations: []widget.Migration{{From: widget.FromKlaro, Names: map[string]string{"x": "ads"}}}}
	rich := build(t, full)
	for _, name := range []string{"embed", "placeholder", "signals", "forget", "migrated", "receipt"} {
		if inBundle(t, lean, name) {
			t.Errorf("%s.ts is in a script that has no use for it", name)
		}
		if !inBundle(t, rich, name) {
			t.Errorf("%s.ts is not in the script that needs it", name) // the control
		}
	}
	for _, word := range []string{"globalPrivacyControl", "dataLayer", "uetq", "reopen", "tarteaucitron", "figure>", "receipt"} {
		if strings.Contains(string(lean.JS), word) {
			t.Errorf("%s is in a script that has no use for it", word)
		}
	}
	t.Logf("without any of it: brotli %d bytes; with most: %d", len(lean.Brotli), len(rich.Brotli))
}

// inBundle asks esbuild's account of a script.
func inBundle(t *testing.T, b *widget.Bundle, name string) bool {
	t.Helper()
	var meta struct {
		Outputs map[string]struct {
			Inputs map[string]struct{ BytesInOutput int }
		}
	}
	if err := json.Unmarshal([]byte(b.Metafile), &meta); err != nil {
		t.Fatal(err)
	}
	for _, out := range meta.Outputs {
		return out.Inputs["consentd:src/lib/"+name+".ts"].BytesInOutput > 0
	}
	return false
}

// Nobody agrees through a program to what is not on the screen; taking back needs no screen.
func TestSettingByProgram(t *testing.T) {
	s, tab := visit(t, page{})
	tab.Press("#refuse")
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.set({ads: true}), true)`)
	tab.PreferencesShown()
	got(t, s, &s.consents, 1)
	widgettest.Eval[bool](tab, `(consentd.set({ads: true}), true)`) // now it is on the screen
	if c := got(t, s, &s.consents, 2)[1]; !c.Decisions["ads"] || c.Decisions["analytics"] || c.Surface != "preferences" {
		t.Errorf("consent %+v", c)
	}
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.set({ads: false}), true)`)
	if c := got(t, s, &s.consents, 3)[2]; c.Decisions["ads"] {
		t.Errorf("consent %+v", c)
	}
}

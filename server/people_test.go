package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/consentd/consentd/widget/widgettest"
)

// person is somebody with a keyboard, in a real browser.
type person struct {
	*widgettest.Tab
	t      *testing.T
	k      *kit
	axe    string
	locale string
	scheme string
}

// meet opens a browser tab of somebody who reads a language, in a colour scheme.
func meet(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) *person {
	t.Helper()
	axe, err := os.ReadFile("../widget/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
	}
	p := &person{Tab: b.Tab(t), t: t, k: k, axe: string(axe), locale: locale, scheme: scheme}
	p.Width(375, 740, true)
	p.Prefer("prefers-color-scheme", scheme)
	return p
}

// goes opens a page of the server.
func (p *person) goes(path string) {
	p.t.Helper()
	p.Open(p.k.url + path + map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "lang=" + p.locale)
}

// tabTo presses Tab until what has the focus matches a selector. Whatever a keyboard cannot reach, it never finds.
func (p *person) tabTo(selector string) {
	p.t.Helper()
	for range 60 {
		p.Key(kb.Tab)
		if widgettest.Eval[bool](p.Tab, fmt.Sprintf(`document.activeElement?.matches(%q)`, selector)) {
			if !widgettest.Eval[bool](p.Tab, `(e => e?.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none")(document.activeElement)`) {
				p.t.Errorf("the focus on %s is not seen", selector)
			}
			return
		}
	}
	p.t.Fatalf("no key leads to %s", selector)
}

// enters presses Enter and waits for the page it leads to.
func (p *person) enters(expect string) {
	p.t.Helper()
	widgettest.Eval[bool](p.Tab, `window.here = true`)
	p.Key(kb.Enter)
	p.Until(`!window.here && document.readyState === "complete"`)
	p.reads(expect)
}

// reads waits for words on the page.
func (p *person) reads(text string) {
	p.t.Helper()
	p.Until(fmt.Sprintf(`document.body?.innerText.includes(%q)`, text))
}

type axeViolation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// aspect is a way to look at a page, and what is looked for.
type aspect struct {
	feature, value string
	width          int64
	rules          string
}

// everything is WCAG 2.2 AA in light and dark, in forced colours and at 320 px.
func everything() []aspect {
	return []aspect{
		{"prefers-color-scheme", "light", 375, `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`},
		{"prefers-color-scheme", "dark", 1280, `{type: "rule", values: ["color-contrast"]}`},
		{"forced-colors", "active", 640, `{type: "rule", values: ["color-contrast"]}`},
		{"prefers-color-scheme", "light", 320, `{type: "rule", values: ["target-size"]}`},
	}
}

// looks holds a page to all of it; glances, a page that is like another, to the first.
func (p *person) looks(name string)   { p.t.Helper(); p.sees(name, everything()) }
func (p *person) glances(name string) { p.t.Helper(); p.sees(name, everything()[:1]) }

// sees holds a page to aspects; with -shots it is photographed.
func (p *person) sees(name string, aspects []aspect) {
	p.t.Helper()
	widgettest.Eval[bool](p.Tab, p.axe+";true")
	for _, l := range aspects {
		p.Width(l.width, 740, l.width < 600)
		p.Prefer(l.feature, l.value)
		if wide := widgettest.Eval[int64](p.Tab, `document.documentElement.scrollWidth`); wide > l.width {
			p.t.Errorf("%s is %d px wide in a window of %d", name, wide, l.width)
		}
		if broken := widgettest.Eval[[]string](p.Tab, `[...document.querySelectorAll(".switch button")].filter(b => b.getBoundingClientRect().height > 50 || b.scrollWidth > b.clientWidth).map(b => b.innerText)`); len(broken) > 0 {
			p.t.Errorf("%s at %d: labels on two lines, or cut: %v", name, l.width, broken)
		}
		for _, v := range widgettest.Eval[[]axeViolation](p.Tab, `axe.run(document, {runOnly: `+l.rules+`}).then(r => r.violations)`) {
			p.t.Errorf("%s, %s at %d: %s (%s): %s %+v", name, l.value, l.width, v.ID, v.Impact, v.Help, v.Nodes)
		}
	}
	if small := widgettest.Eval[[]string](p.Tab, `[...document.querySelectorAll("button, .button, input:not([type=hidden],[name=website]), nav a, summary")].filter(e => {
		const r = e.getBoundingClientRect(); return r.width < 24 || r.height < 24; }).map(e => e.outerHTML)`); len(small) > 0 {
		p.t.Errorf("%s: too small to hit (WCAG 2.5.8): %v", name, small)
	}
	p.Prefer("prefers-color-scheme", p.scheme)
	for _, width := range []int64{1280, 375} {
		if *shots == "" {
			break
		}
		p.Width(width, 740, width < 600)
		p.Width(width, widgettest.Eval[int64](p.Tab, `document.documentElement.scrollHeight`), width < 600)
		file := filepath.Join(*shots, fmt.Sprintf("%s-%s-%s-%d.png", name, p.locale, p.scheme, width))
		if err := errors.Join(os.MkdirAll(*shots, 0o755), os.WriteFile(file, p.Screenshot(), 0o644)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.Width(375, 740, true)
	for _, m := range p.Messages() { // a form that was filled in wrongly is answered with 422
		if !strings.HasPrefix(m, "network error: Failed to load resource: the server responded with a status of 422") {
			p.t.Errorf("%s: %s", name, m)
		}
	}
}

// From a campaign's link to having stopped everything: by keyboard alone, on a telephone, without a script.
func TestGallery(t *testing.T) {
	b := browser(t)
	for locale, scheme := range map[string]string{"fr": "light", "en": "dark"} {
		t.Run(locale, func(t *testing.T) {
			k := start(t)
			t.Run("form", func(t *testing.T) { signsUp(t, b, k, locale, scheme) })
			t.Run("confirmation", func(t *testing.T) { confirms(t, b, k, locale, scheme) })
			t.Run("centre", func(t *testing.T) { changes(t, b, k, locale, scheme) })
			t.Run("unsubscribing", func(t *testing.T) { leaves(t, b, k, locale, scheme) })
			t.Run("what went wrong", func(t *testing.T) { strays(t, b, k, locale, scheme) })
		})
	}
}

const lea = "lea@atelier.example"

func signsUp(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) {
	p := meet(t, b, k, locale, scheme)
	w := k.words(locale)
	p.goes("/f/atelier/lettre")
	k.clock.advance(5 * time.Second)
	p.looks("form")
	p.tabTo("button")
	p.enters(w("form.error_title"))
	p.Until(`document.activeElement?.matches("[role=alert]")`)
	p.tabTo(`a[href="#email"]`)
	// A key of the DevTools protocol is pressed anew where the focus went, which would send the form; a real one is not.
	widgettest.Eval[bool](p.Tab, `(document.activeElement.click(), true)`)
	p.Until(`document.activeElement?.matches("#email")`)
	p.looks("form-wrong")
	p = meet(t, b, k, locale, scheme)
	p.goes("/f/atelier/lettre")
	k.clock.advance(5 * time.Second)
	p.tabTo("#email")
	p.Key(lea)
	p.tabTo("#p_newsletter")
	p.Key(" ")
	if !widgettest.Eval[bool](p.Tab, `document.querySelector("#p_newsletter").checked && !document.querySelector("#p_partners").checked`) {
		t.Error("the boxes")
	}
	p.tabTo("button")
	p.enters(w("form.mailbox_title"))
	p.glances("thanks")
}

// The control: what axe and the measure look for, they find.
func TestAPaleLabelIsFound(t *testing.T) {
	b := browser(t)
	k := start(t)
	p := meet(t, b, k, "fr", "light")
	p.goes("/f/atelier/lettre")
	widgettest.Eval[bool](p.Tab, p.axe+`;document.querySelector("h1").setAttribute("style", "color: #bbb"), document.querySelector("h1").style.color = "#bbb", true`)
	if all := widgettest.Eval[[]axeViolation](p.Tab, `axe.run(document, {runOnly: {type: "rule", values: ["color-contrast"]}}).then(r => r.violations)`); len(all) != 1 {
		t.Errorf("the pale heading: %+v", all)
	}
	widgettest.Eval[bool](p.Tab, `(document.querySelector("h1").style.width = "900px", true)`)
	if wide := widgettest.Eval[int](p.Tab, `document.documentElement.scrollWidth`); wide <= 375 {
		t.Errorf("a page that is too wide is %d px wide", wide)
	}
}

// words reads the words of the atelier.
func (k *kit) words(locale string) func(key string) string {
	st, _ := k.sites.Get("atelier")
	return func(key string) string {
		s := st.Words.Of(locale, key)
		if s == "" {
			k.t.Fatalf("no words %s", key)
		}
		return s
	}
}

func confirms(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) {
	p := meet(t, b, k, locale, scheme)
	w := k.words(locale)
	link := k.path(k.mail.got(t, 1).link)
	p.goes(link)
	p.looks("confirm")
	p.tabTo("main button")
	p.enters(w("confirm.done_title"))
	p.glances("confirmed")
	p.tabTo(`a[href^="/p/"]`)
	p.enters(lea)
	p.goes(link)
	p.glances("again")
	if got := k.standing(lea, "newsletter"); got != "granted granted verified" {
		t.Error(got)
	}
}

func changes(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) {
	p := meet(t, b, k, locale, scheme)
	w := k.words(locale)
	path, _ := k.linksOf(lea)
	p.goes(path)
	p.tabTo("summary")
	p.Key(kb.Enter)
	p.Until(`document.querySelector("details").open`)
	p.looks("centre")
	p.tabTo(`section:nth-of-type(2) button[value=on]`)
	p.enters(w("centre.saved"))
	p.Until(`document.activeElement?.matches("[value=on][aria-pressed=true]")`) // the focus stays on the button
	p.glances("centre-saved")
	if got := k.standing(lea, "partners"); got != "granted granted proven" {
		t.Error(got)
	}
	p = meet(t, b, k, locale, scheme)
	p.goes(path)
	p.tabTo("#email")
	p.Key("lea")
	p.enters(strings.Split(w("form.error_email"), ".")[0])
	p.looks("centre-wrong")
	p.Key(" nouvelle@atelier.example")
	widgettest.Eval[bool](p.Tab, `(document.activeElement.value = "nouvelle@atelier.example", true)`)
	p.enters(strings.Split(w("centre.correct_sent"), ".")[0])
	p.glances("centre-sent")
	p.tabTo(`[href$="/export"]`)
	p = meet(t, b, k, locale, scheme)
	p.goes(k.path(k.mail.got(t, 2).link))
	p.glances("confirm-address")
	p.goes(path)
	p.tabTo(`[value=stop]`)
	p.enters(w("centre.stopped"))
	p.glances("centre-stopped")
	if got := k.standing(lea, "newsletter"); got != "withdrawn withdrawn proven" {
		t.Error(got)
	}
}

func leaves(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) {
	p := meet(t, b, k, locale, scheme)
	w := k.words(locale)
	_, path := k.linksOf("paul@atelier.example", "newsletter")
	p.goes(path)
	p.looks("unsubscribe")
	p.tabTo("main button")
	p.enters(w("unsubscribe.done_title"))
	p.glances("unsubscribed")
	if got := k.standing("paul@atelier.example", "newsletter"); got != "withdrawn withdrawn proven" {
		t.Error(got)
	}
	p.tabTo(`a[href^="/p/"]`)
	p.enters(w("centre.title"))
}

func strays(t *testing.T, b *widgettest.Browser, k *kit, locale, scheme string) {
	p := meet(t, b, k, locale, scheme)
	w := k.words(locale)
	centre, _ := k.linksOf(lea)
	p.goes("/f/atelier/lettre")
	p.tabTo("nav a:not([aria-current])")
	p.enters(map[string]string{"fr": "Get the workshop letter", "en": "Recevez la lettre"}[locale])
	signed := k.requested("zoe@atelier.example")
	k.clock.advance(49 * time.Hour)
	p.goes(signed)
	p.reads(w("confirm.expired_title"))
	k.clock.advance(100 * 24 * time.Hour)
	p = meet(t, b, k, locale, scheme)
	for path, text := range map[string]string{"/p/nothing": w("page.link"), centre: w("page.link"), "/f/atelier/nope": w("page.not_found")} {
		p.goes(path)
		p.reads(text)
	}
}

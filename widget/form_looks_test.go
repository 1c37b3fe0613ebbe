package widget_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/consentd/consentd/widget/widgettest"
)

// formPage is a page that has a form of ours between its own words.
func formPage(id string) string {
	return `<style>body{margin:0;font:17px/1.6 Georgia,serif;color:#222;background:#f7f4ee}main{padding:2rem 6%;max-width:44rem;margin:auto}</style>
<main><h1>Linen, woven in the north</h1><p>Flax grown by the sea, spun wet, woven slowly.</p>
<div data-consentd-form="` + id + `"><a href="/f/shop/` + id + `">Sign up</a></div><p>Washed twice before it leaves us.</p></main>`
}

// formRoot is the shadow root of the first form of ours.
const formRoot = `document.querySelector("consentd-form").shadowRoot`

func inForm(selector string) string { return fmt.Sprintf("%s.querySelector(%q)", formRoot, selector) }

// whole photographs all of the page.
func whole(t *testing.T, tab *widgettest.Tab, name string) {
	t.Helper()
	if *shots == "" {
		return
	}
	_ = chromedp.ErrInvalidTarget
	photograph(t, tab, name)
}

func TestFormGallery(t *testing.T) {
	for _, look := range []struct {
		width, height int64
		scheme, lang  string
	}{{1000, 1100, "light", "fr"}, {375, 1200, "dark", "en"}, {375, 1200, "light", "fr"}, {1000, 1100, "dark", "en"}} {
		s := newStand(t, input(t, formShop()), page{lang: look.lang, body: formPage("newsletter")})
		tab := newTab(t)
		tab.BeforeScripts(s.chosen("0"))
		tab.Width(look.width, look.height, look.width < 600)
		tab.Prefer("prefers-color-scheme", look.scheme)
		tab.Open(s.site.URL)
		tab.Until(inForm("#title"))
		name := fmt.Sprintf("form-%d-%s-%s", look.width, look.scheme, look.lang)
		whole(t, tab, name+"-1-asking")
		widgettest.Eval[bool](tab, "("+inForm("[type=submit]")+".click(), true)")
		whole(t, tab, name+"-2-faults")
	}
}

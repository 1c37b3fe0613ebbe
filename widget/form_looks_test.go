package widget_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/consentd/consentd/widget/widgettest"
)

// formPage is a page that has a form of ours between its own words.
func formPage(id string) string {
	return `<style>body{margin:0;font:17px/1.6 Georgia,serif;color:#222;background:#f7f4ee}main{padding:2rem 6%;max-width:44rem;margin:auto}</style>
<main><h1>Linen, woven in the north</h1><p>Flax grown by the sea, spun wet, woven slowly.</p>
<div data-consentd-form="` + id + `"><a href="/f/shop/` + id + `">Sign up</a></div><p>Washed twice before it leaves us.</p></main>`
}

// formRoot is the shadow root of the first form of ours.
const formRoot = `document.querySelector("consentd-form")?.shadowRoot`

func inForm(selector string) string { return fmt.Sprintf("%s?.querySelector(%q)", formRoot, selector) }

func click(tab *widgettest.Tab, expression string) {
	widgettest.Eval[bool](tab, "("+expression+".click(), true)")
}

// enter writes into a field of a form of ours as an autofill does.
func enter(tab *widgettest.Tab, id, value string) {
	widgettest.Eval[bool](tab, fmt.Sprintf(`(el => { el.value = %q; el.dispatchEvent(new Event("input")); el.dispatchEvent(new Event("change")); return true })(%s)`, value, inForm("#"+id)))
}

// Every state of a form of ours, on large and small screens, light and dark, in both directions of writing, with
// nothing cut off. With -shots each is photographed.
func TestFormGallery(t *testing.T) {
	for _, look := range []struct {
		width, height int64
		scheme, lang  string
	}{{1000, 1000, "light", "fr"}, {375, 1180, "dark", "en"}, {375, 1180, "light", "fr"}, {1000, 1000, "dark", "ar"}} {
		t.Run(fmt.Sprintf("%d %s %s", look.width, look.scheme, look.lang), func(t *testing.T) {
			site := formShop()
			site.Locales = append(site.Locales, "ar")
			speakArabic(site)
			speakArabicForms(site)
			s := newStand(t, input(t, site), page{lang: look.lang, body: formPage("newsletter")})
			tab := newTab(t)
			tab.BeforeScripts(s.chosen("0"))
			tab.Width(look.width, look.height, look.width < 600)
			tab.Prefer("prefers-color-scheme", look.scheme)
			tab.Open(s.site.URL)
			tab.Until(inForm("#title"))
			n := 0
			see := func(state string) {
				t.Helper()
				n++
				if w := widgettest.Eval[int](tab, `document.documentElement.scrollWidth`); w > int(look.width) {
					t.Errorf("%s: the page became %d wide", state, w)
				}
				photograph(t, tab, fmt.Sprintf("form-%d-%s-%s-%d-%s", look.width, look.scheme, look.lang, n, state))
			}
			see("asking")
			click(tab, inForm("[type=submit]"))
			see("faults")
			enter(tab, "email", "camille@example")
			see("address")
			enter(tab, "email", "camille@maison.example")
			click(tab, inForm("[name=newsletter]"))
			release := make(chan bool)
			s.set(func(s *stand) {
				s.refuse = func(w http.ResponseWriter, p post) bool {
					if p.ID != "" {
						<-release
						http.Error(w, "{}", 503)
					}
					return p.ID != ""
				}
			})
			click(tab, inForm("[type=submit]"))
			tab.Until(inForm("[aria-disabled=true]"))
			see("sending")
			close(release)
			tab.Until(inForm("#retry"))
			see("waiting")
			s.set(func(s *stand) { s.refuse, s.reply = nil, `{"status":"pending"}` })
			click(tab, inForm("#retry"))
			tab.Until(inForm("#change"))
			see("mailbox")
			click(tab, inForm("#change"))
			s.set(func(s *stand) {
				s.refuse = func(w http.ResponseWriter, p post) bool {
					http.Error(w, `{"code":"looks_automated"}`, 422)
					return true
				}
			})
			click(tab, inForm("[type=submit]"))
			tab.Until(inForm("[role=status] .error"))
			see("refused")
			s.set(func(s *stand) { s.refuse, s.reply = nil, `{}` })
			click(tab, inForm("[type=submit]"))
			tab.Until(inForm("[role=status] svg") + " && !" + inForm("#change"))
			see("thanks")
		})
	}
}

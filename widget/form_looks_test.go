package widget_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
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
						http.Error(w, "{}", http.StatusServiceUnavailable)
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
					http.Error(w, `{"code":"looks_automated"}`, http.StatusUnprocessableEntity)
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

// axe-core finds nothing on any state of a form of ours, in light, dark and forced colours, at 320 px and at 200 %.
func TestFormAccessibility(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
	}
	body := `<header><a href="/">Maison Alba</a></header><main><h1>Linen</h1><p>Woven in the north.</p><div data-consentd-form="callback"></div></main>`
	s, tab := visitForms(t, page{body: body})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	widgettest.Eval[bool](tab, string(axe)+";true")
	violations := func() []violation {
		return widgettest.Eval[[]violation](tab, `axe.run(document).then(r => r.violations)`)
	}
	everywhere := func(state string) {
		t.Helper()
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
				t.Errorf("%s, %s %s at %d × %d: %s (%s): %s %+v", state, c.feature, c.value, c.width, c.height, v.ID, v.Impact, v.Help, v.Nodes)
			}
		}
		tab.Width(1280, 800, false)
		tab.Prefer("prefers-color-scheme", "light")
	}
	everywhere("asking")
	click(tab, inForm("[type=submit]"))
	everywhere("faults")
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	s.set(func(s *stand) { s.refuse = hangUp })
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#retry"))
	everywhere("waiting")
	s.set(func(s *stand) { s.refuse, s.reply = nil, `{"status":"pending"}` })
	click(tab, inForm("#retry"))
	tab.Until(inForm("#change"))
	everywhere("mailbox")
	click(tab, inForm("#change"))
	s.set(func(s *stand) {
		s.refuse = func(w http.ResponseWriter, p post) bool {
			http.Error(w, `{}`, http.StatusUnprocessableEntity)
			return true
		}
	})
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("[role=status] .error"))
	everywhere("refused")
	s.set(func(s *stand) { s.refuse, s.reply = nil, `{}` })
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("[role=status] svg"))
	everywhere("thanks")

	// The control: words made pale are found.
	widgettest.Eval[bool](tab, `(el => (el.style.color = "#ccc", true))(`+inForm("[role=status] p")+`)`)
	if all := violations(); len(all) != 1 || all[0].ID != "color-contrast" {
		t.Errorf("the pale words: %+v", all)
	}
}

// What a screen reader hears: names, roles, states, descriptions, of the fields, of the boxes, of what is wrong.
func TestWhatAFormTellsAScreenReader(t *testing.T) {
	s, tab := visitForms(t, page{body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	want := func(when, node string) {
		t.Helper()
		if all := tree(t, tab); !slices.Contains(all, node) {
			t.Errorf("%s: no %s in\n%s", when, node, strings.Join(all, "\n"))
		}
	}
	want("asking", `form "News from the workshop"`)
	want("asking", `textbox "E-mail address" (To send you the letter, nothing else.) required`)
	want("asking", `group "News from the workshop"`)
	want("asking", `checkbox "The Alba letter" (One letter a month: new cloth, the workshop, dates of sales. Unsubscribe by a link in each letter.) false`)
	want("asking", `button "Sign up"`)
	click(tab, inForm("[type=submit]"))
	want("faults", `textbox "E-mail address" (To send you the letter, nothing else. Fill in this field.) invalid required`)
	want("faults", `checkbox "Measuring opens" (Knowing whether you open our letters. You receive them without this too. Tick at least one box.) invalid false`)
	for _, node := range tree(t, tab) {
		if strings.Contains(node, "website") {
			t.Errorf("the trap is heard: %s", node)
		}
	}
}

// tree lists the accessibility tree: role, name, description and states of each node.
func tree(t *testing.T, tab *widgettest.Tab) []string {
	t.Helper()
	reply, err := chromedp.Call(tab.Context(), accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	text := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		s := strings.Trim(string(v.Value), `"`)
		return s
	}
	for _, n := range reply.Nodes {
		line := fmt.Sprintf("%s %q", text(n.Role), text(n.Name))
		if d := text(n.Description); d != "" {
			line += " (" + d + ")"
		}
		for _, p := range n.Properties {
			v := text(p.Value)
			switch p.Name {
			case "checked":
				line += " " + v
			case "invalid", "required":
				if v == "true" {
					line += " " + string(p.Name)
				}
			}
		}
		all = append(all, line)
	}
	return all
}

package widget_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// union is a site in the 24 official languages of the Union, in the words that come with consentd.
const union = `site: shop
name: Maison Alba
origins: [https://shop.example]
controller: {name: Maison Alba SAS, contact: donnees@maison-alba.example}
locales: [bg, cs, da, de, el, en, es, et, fi, fr, ga, hr, hu, it, lt, lv, mt, nl, pl, pt, ro, sk, sl, sv]
policy: /privacy
purposes:
  - {id: necessary, ready: necessary}
  - {id: audience, ready: audience, services: [{name: Loupe, provider: Loupe Ltd, policy: "https://loupe.example/p", cookies: [{name: _lp*, lifetime: 13mo}, {name: lp, lifetime: session}]}]}
  - {id: media, ready: media, services: [{id: bobine, embed: true, name: Bobine, provider: Bobine SARL, policy: "https://bobine.example/p"}, {id: piste, embed: true, name: Piste}]}
banner: {continue_link: true, receipt: true}
`

// draftOf reads a site's file.
func draftOf(t testing.TB, text string) *site.Draft {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := site.FindDraft("shop", dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// shownEmbed reads back what the placeholder before an element says.
const shownEmbed = `(id => {
	const host = document.getElementById(id).previousElementSibling, top = host.shadowRoot.querySelector("figure");
	const words = el => !el ? "" : el.checkVisibility({opacityProperty: true, visibilityProperty: true}) ? el.textContent : "(hidden) " + el.textContent;
	const link = top.querySelector("a");
	return {
		locale: host.lang, title: words(top.querySelector("b")), text: words(top.querySelector("p")), link: {},
		buttons: Object.fromEntries([...top.querySelectorAll("button")].map(b => [b.id, words(b)])),
		purposes: [{title: words(top.querySelector("b")), text: words(top.querySelector(".basis")), services: [{name: words(link), policy: link.getAttribute("href"), provider: words(top.querySelector(".legal span"))}]}],
	};
})`

// rebuildEmbed makes the wording document of a placeholder. It names no controller: the page around it is theirs.
func (s screen) rebuildEmbed(like *consent.Published) consent.Wording {
	s.Controller = like.Controller
	w := s.rebuild(like)
	w.Links = []consent.Link{}
	if v := &w.Purposes[0].Services[0]; like.Purposes[0].Services[0].Policy == "" { // the name links to the site's policy
		w.Links = []consent.Link{{Rel: "policy", Text: v.Name, Href: v.Policy}}
		v.Policy = ""
	}
	return w
}

// In every layout and every language, what is on the screen is what the hash stands for, placeholders included.
func TestEveryLanguageShowsWhatItsHashStandsFor(t *testing.T) {
	d := draftOf(t, union)
	body := plain + `<iframe id="bobine" title="x" width="400" height="300" data-consent="media" data-service="bobine" data-src="/x.js"></iframe>
<iframe id="piste" title="y" width="400" height="300" data-consent="media" data-service="piste" data-src="/y.js"></iframe>`
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		t.Run(string(layout), func(t *testing.T) {
			s := newStand(t, d.Script("en"), page{body: body})
			var tab *widgettest.Tab
			for i, locale := range d.Locales {
				if i%6 == 0 {
					tab = newTab(t) // its patience is not for all of them
				}
				in := d.Script(locale)
				in.Theme.Layout = layout
				b := build(t, in)
				s.set(func(s *stand) { s.bundle, s.page.lang = b, locale })
				tab.Open(s.site.URL)
				tab.BannerShown()
				same := func(surface string, w consent.Wording) {
					t.Helper()
					like := published(t, s, surface, locale)
					again, err := w.Publish()
					if err != nil || again.Hash != like.Hash {
						t.Errorf("%s in %s shows\n%s\nhashed\n%s", surface, locale, again.Doc, like.Doc)
					}
				}
				read := func(js string) screen { t.Helper(); return widgettest.Eval[screen](tab, js) }
				same("banner", read(strings.ReplaceAll(shown, "SELECTOR", `"#banner"`)).rebuild(published(t, s, "banner", locale)))
				for _, service := range []string{"bobine", "piste"} {
					tab.Until(standIn(service))
					surface := consent.SurfaceEmbed(service)
					same(surface, read(fmt.Sprintf("%s(%q)", shownEmbed, service)).rebuildEmbed(published(t, s, surface, locale)))
				}
				widgettest.Eval[bool](tab, "("+widgettest.Find("#choose")+".click(), true)")
				tab.PreferencesShown()
				preferences := func() {
					t.Helper()
					same("preferences", read(strings.ReplaceAll(shown, "SELECTOR", `"dialog:not(#banner)"`)).rebuild(published(t, s, "preferences", locale)))
				}
				preferences()
				tab.Press("dialog:not(#banner) #refuse")
				tab.NothingShown()
				widgettest.Eval[bool](tab, `(consentd.open(), true)`)
				tab.Until(widgettest.Find("#receipt")) // which is no part of it
				preferences()
				widgettest.Eval[bool](tab, `(localStorage.clear(), document.cookie = "consentd_shop=;max-age=0;path=/", true)`)
			}
			prompts := got(t, s, &s.prompts, 4*len(d.Locales))
			for _, p := range prompts {
				if p.Wording != s.hash(p.Surface, p.Locale) {
					t.Errorf("%s in %s reports %s", p.Surface, p.Locale, p.Wording)
				}
			}
		})
	}
}

// published is the wording of a surface.
func published(t testing.TB, s *stand, surface, locale string) *consent.Published {
	t.Helper()
	i := slices.IndexFunc(s.wordings, func(w *consent.Published) bool { return w.Surface == surface && w.Locale == locale })
	if i < 0 {
		t.Fatalf("no wording of %s in %s", surface, locale)
	}
	return s.wordings[i]
}

// The control: a screen that says one letter more, or hides a word, hashes to something else.
func TestAScreenThatSaysOtherwiseIsNoticed(t *testing.T) {
	s, tab := visit(t, page{lang: "fr", body: plain})
	tab.BannerShown()
	like := published(t, s, "banner", "fr")
	for name, spoil := range map[string]string{
		"nothing":             `0`,
		"another title":       widgettest.Find("h2") + `.append("!")`,
		"a hidden purpose":    widgettest.Find("#banner li b") + `.style.setProperty("visibility", "hidden")`,
		"a policy elsewhere":  widgettest.Find(".legal a") + `.setAttribute("href", "/elsewhere")`,
		"another refuse":      widgettest.Find("#refuse") + `.replaceChildren("Plus tard")`,
		"a button in between": widgettest.Find(".actions") + `.append(Object.assign(document.createElement("button"), {id: "later", textContent: "Plus tard"}))`,
	} {
		tab.Reload()
		tab.BannerShown()
		widgettest.Eval[bool](tab, "("+spoil+", true)")
		again, err := widgettest.Eval[screen](tab, strings.ReplaceAll(shown, "SELECTOR", `"#banner"`)).rebuild(like).Publish()
		if err != nil || (again.Hash == like.Hash) != (name == "nothing") {
			t.Errorf("%s: %v\n%s", name, err, again.Doc)
		}
	}
}

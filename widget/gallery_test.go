package widget_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

var shots = flag.String("shots", "", "directory to write a picture of every surface into (make screenshots)")

// shopfront is a page such as people have.
const shopfront = `<style>body{margin:0;font:16px/1.5 Georgia,serif;color:#222;background:#f7f4ee}header{padding:1.5rem 8%;border-bottom:1px solid #ddd}
main{padding:2rem 8%;max-width:60rem}figure{margin:2rem 0}iframe{display:block;width:100%;max-width:560px;height:315px;border:0}</style>
<header>Maison Alba</header><main><h1>Linen, woven in the north</h1><p>Flax grown by the sea, spun wet, woven slowly.</p>
<iframe title="Film" data-consent="ads" data-service="adriver" data-src="about:blank"></iframe><p>Washed twice before it leaves us.</p></main>`

// fits says which elements of a surface lie outside the window, or are cut off.
const fits = `(top => {
	const box = top.getBoundingClientRect(), out = [];
	if (box.left < 0 || box.top < 0 || box.right > innerWidth + .5 || box.bottom > innerHeight + .5) out.push("the surface: " + JSON.stringify(box));
	for (const b of top.querySelectorAll("button")) {
		const r = b.getBoundingClientRect(), at = top.getRootNode().elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		if (at !== b) out.push(b.id + " is covered");
		if (b.scrollWidth > b.clientWidth + 1) out.push(b.id + " is cut off");
	}
	return out;
})`

// Every layout, at every place it may stand, on large and small screens, light and dark, in both directions of
// writing: whole, and each button in reach without scrolling. With -shots each is photographed.
func TestGallery(t *testing.T) {
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		for _, position := range layout.Positions() {
			t.Run(fmt.Sprintf("%s %s", layout, position), func(t *testing.T) { visitGallery(t, layout, position) })
		}
	}
}

func visitGallery(t *testing.T, layout widget.Layout, position widget.Position) {
	site := shop()
	site.Locales = append(site.Locales, "ar")
	speakArabic(site)
	site.Banner.Continue = consent.Text{"fr": "Continuer sans accepter", "en": "Continue without accepting", "ar": "المتابعة دون قبول"}
	in := input(t, site)
	in.Theme.Layout, in.Theme.Position = layout, position
	in.Options.Reopen = widget.ReopenStart
	s := newStand(t, in, page{body: shopfront})
	tab := newTab(t)
	for _, look := range []struct {
		width, height int64
		scheme, lang  string
	}{{1280, 800, "light", "fr"}, {375, 740, "dark", "fr"}, {1280, 800, "dark", "ar"}, {375, 740, "light", "en"}} {
		s.set(func(s *stand) { s.page.lang = look.lang })
		tab.Width(look.width, look.height, look.width < 600)
		tab.Prefer("prefers-color-scheme", look.scheme)
		tab.Open(s.site.URL)
		tab.BannerShown()
		name := fmt.Sprintf("%s-%s-%d-%s-%s", layout, position, look.width, look.scheme, look.lang)
		for _, fault := range widgettest.Eval[[]string](tab, fits+"("+widgettest.Find("#banner")+")") {
			t.Errorf("%s: %s", name, fault)
		}
		photograph(t, tab, name)
		if *shots != "" && position == layout.Positions()[0] {
			tab.Press("#choose")
			tab.PreferencesShown()
			photograph(t, tab, name+"-preferences")
			tab.Press("dialog:not(#banner) #refuse")
			tab.Until(widgettest.Find("#reopen"))
			photograph(t, tab, name+"-page")
			widgettest.Eval[bool](tab, `(localStorage.clear(), document.cookie = "consentd_shop=;max-age=0;path=/", true)`)
		}
	}
}

func photograph(t *testing.T, tab *widgettest.Tab, name string) {
	t.Helper()
	if *shots == "" {
		return
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), tab.Screenshot(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// speakArabic gives every text of the shop a third language, written from right to left.
func speakArabic(site *consent.Site) {
	b := &site.Banner
	for text, words := range map[*consent.Text]string{
		&b.Title: "بياناتك، اختيارك", &b.Text: "نطلب موافقتك على الاستخدامات أدناه. يمكنك القبول أو الرفض أو الاختيار، وتغيير رأيك في أي وقت.",
		&b.Accept: "قبول الكل", &b.Refuse: "رفض الكل", &b.Choose: "اختيار", &b.Save: "حفظ اختياراتي", &b.Back: "رجوع", &b.Reopen: "اختياراتي",
		&b.Necessary: "مفعل دائما", &b.PreferencesTitle: "اختر غرضا بغرض", &b.PreferencesText: "كل غرض مستقل عن غيره.",
		&b.PolicyText: "سياسة الخصوصية", &b.PolicyHref: "/ar", &b.EmbedText: "هذا المحتوى من {service}.", &b.EmbedOnce: "تحميل مرة", &b.EmbedAlways: "السماح دائما",
	} {
		(*text)["ar"] = words
	}
	for _, text := range b.Bases {
		text["ar"] = "الأساس القانوني"
	}
	for i := range site.Purposes {
		site.Purposes[i].Title["ar"], site.Purposes[i].Text["ar"] = "غرض", "وصف قصير لهذا الغرض."
	}
}

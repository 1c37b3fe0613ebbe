package widget_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget/widgettest"
)

func TestStrictPolicies(t *testing.T) {
	const policy = "default-src 'none'; img-src data:; script-src 'nonce-x'; connect-src EDGE; require-trusted-types-for 'script'"
	body := strings.ReplaceAll(gated, "<script ", `<script nonce="x" `) +
		`<script type="text/plain" data-consent="analytics" data-src="/smuggled.js"></script>`
	s, tab := visit(t, page{policy: policy, body: body})
	tab.BannerShown()
	if w := widgettest.Eval[float64](tab, widgettest.Find("#accept")+".offsetWidth"); w < 100 {
		t.Errorf("the banner is without its style: a button is %v wide", w)
	}
	got(t, s, &s.prompts, 1)
	tab.Press("#choose")
	tab.PreferencesShown()
	tab.Press("dialog #accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	tab.Until(ran + ` === "necessary /slow.js /fast.js inline /ads.js both /module.js last"`)
	if slices.Contains(s.scripts(), "/smuggled.js") {
		t.Error("a script without the page's nonce was run")
	}
	for _, m := range tab.Messages() {
		if !strings.HasPrefix(m, "warning: consentd: check nonce:") {
			t.Error(m)
		}
	}
}

// A page may list the Trusted Types policies it takes. Without "consentd" among them its scripts stay held, and
// that is all that happens.
func TestAPageThatTakesNoPolicy(t *testing.T) {
	const policy = "script-src 'nonce-x'; connect-src EDGE; require-trusted-types-for 'script'; trusted-types 'none'"
	s, tab := visit(t, page{policy: policy, body: strings.ReplaceAll(gated, "<script ", `<script nonce="x" `)})
	tab.Press("#accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("asked for %s", got)
	}
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") {
			t.Error(m)
		}
	}
}

func TestHostilePages(t *testing.T) {
	for name, p := range map[string]page{
		"everything hidden and reset": {head: `<style>body * { all: unset !important; display: none !important } consentd-widget { opacity: 0 !important; transform: scale(0) !important }</style>`},
		"a tiny root font":            {head: `<style>html { font-size: 1px } body { font-size: 2px; text-transform: uppercase; color: red }</style>`},
	} {
		t.Run(name, func(t *testing.T) {
			s, tab := visit(t, p)
			tab.BannerShown()
			if h := widgettest.Eval[float64](tab, widgettest.Find("#accept")+".getBoundingClientRect().height"); h < 40 {
				t.Errorf("a button is %v high", h)
			}
			if got := widgettest.Eval[string](tab, "getComputedStyle("+widgettest.Find("#accept")+").textTransform"); got != "none" {
				t.Errorf("the page's text-transform reaches in: %s", got)
			}
			tab.Press("#refuse")
			got(t, s, &s.consents, 1)
		})
	}
}

// A frame without an origin has neither cookies nor storage.
func TestAFrameWithoutStorage(t *testing.T) {
	s := newStand(t, input(t, shop()), page{policy: "sandbox allow-scripts", body: gated})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#refuse")
	tab.NothingShown()
	if widgettest.Eval[bool](tab, `consentd.get().decisions.ads !== false`) {
		t.Error("the choice does not hold for the page")
	}
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") || strings.HasPrefix(m, "error:") {
			t.Error(m)
		}
	}
}

func TestAnyTextIsText(t *testing.T) {
	site := saying(hostile)
	s := newStand(t, input(t, site), page{})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#choose")
	tab.PreferencesShown()
	want := strings.ReplaceAll(hostile, "\x00", "\x00")
	for _, selector := range []string{"h2", "#continue", "#banner p", "#banner li b", "#accept", ".legal a", ".legal span", "dialog #heading", "dialog #about1", "dialog .basis", "dialog label b", "dialog li li a", "dialog li li span", "dialog code", "dialog small span", "dialog i", "#save"} {
		if got := widgettest.Eval[string](tab, widgettest.Find(selector)+".textContent"); got != want {
			t.Errorf("%s says %q", selector, got)
		}
	}
	if n := widgettest.Eval[int](tab, widgettest.Root+`.querySelectorAll("script,style,img").length`); n != 0 {
		t.Errorf("%d elements came out of text", n)
	}
	quiet(t, tab)
}

func TestASecondTagChangesNothing(t *testing.T) {
	s := newStand(t, input(t, shop()), page{})
	s.page.head = `<script src="` + s.edge.URL + `/s/shop.js" defer></script>`
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.BannerShown()
	if n := widgettest.Eval[int](tab, `document.querySelectorAll("consentd-widget").length`); n != 1 {
		t.Errorf("%d banners", n)
	}
	tab.Press("#refuse")
	got(t, s, &s.consents, 1)
	got(t, s, &s.prompts, 1)
	quiet(t, tab)
}

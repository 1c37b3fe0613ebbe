package widget_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

const snippet = `<script nonce="n&#34;1">
window.dataLayer = window.dataLayer || [];
function gtag() { dataLayer.push(arguments); }
gtag('consent', 'default', {
  ad_storage: 'denied',
  ad_user_data: 'denied',
  ad_personalization: 'denied',
  analytics_storage: 'denied',
  functionality_storage: 'denied',
  personalization_storage: 'denied',
  security_storage: 'granted',
  wait_for_update: 500
});
window.uetq = window.uetq || [];
window.uetq.push('consent', 'default', { ad_storage: 'denied' });
</script>
<script src="https://edge.example/consent/s/shop.js" nonce="n&#34;1" defer></script>
`

func TestSnippet(t *testing.T) {
	got, err := widget.Snippet("https://edge.example/consent/", "shop", "", `n"1`, widget.Options{Signals: widget.Signals{ConsentMode: widget.ConsentMode{AdStorage: "ads"}, UET: "ads"}})
	if err != nil || got != snippet {
		t.Errorf("%v\n%s", err, got)
	}
	if got, err := widget.Snippet("https://edge.example", "shop", "pt-BR", "", widget.Options{}); err != nil || got != "<script src=\"https://edge.example/s/shop.js?lang=pt-BR\" defer></script>\n" {
		t.Errorf("%v\n%s", err, got)
	}
	for _, bad := range [][2]string{{"edge.example", "shop"}, {"javascript:alert(1)", "shop"}, {"https://edge.example", "Shop\">"}} {
		if _, err := widget.Snippet(bad[0], bad[1], "", "", widget.Options{}); !errors.Is(err, widget.ErrSnippet) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The snippet's defaults come first, and the choice of a returning visitor after them.
func TestTheSnippetGoesBeforeTheScript(t *testing.T) {
	in := input(t, shop())
	in.Options.Signals = signals
	markup, err := widget.Snippet("https://edge.example", "shop", "", "", in.Options)
	if err != nil {
		t.Fatal(err)
	}
	inline, _, _ := strings.Cut(markup, "<script src")
	s := newStand(t, in, page{head: inline})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#accept")
	tab.NothingShown()
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	var calls [][]json.RawMessage
	if err := json.Unmarshal([]byte(widgettest.Eval[string](tab, `JSON.stringify(dataLayer.map(e => [...e]))`)), &calls); err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 || string(calls[0][1]) != `"default"` || string(calls[1][1]) != `"update"` || !strings.Contains(string(calls[1][2]), `"ad_storage":"granted"`) {
		t.Errorf("dataLayer %s", calls)
	}
}

// The declarations name each member of the real API, and no other.
func TestTheDeclarationsAreThoseOfTheAPI(t *testing.T) {
	_, tab := visit(t, page{})
	tab.BannerShown()
	_, api, _ := strings.Cut(widget.Declarations(), "export interface Consentd {")
	api, _, _ = strings.Cut(api, "\n}\n")
	var declared []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+)\(`).FindAllStringSubmatch(api, -1) {
		declared = append(declared, m[1])
	}
	real := widgettest.Eval[[]string](tab, `Object.keys(consentd)`)
	slices.Sort(declared)
	declared = slices.Compact(declared) // on() is declared for each event
	slices.Sort(real)
	if !slices.Equal(declared, real) {
		t.Errorf("declared %s, real %s", declared, real)
	}
}

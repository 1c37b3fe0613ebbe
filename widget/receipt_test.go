package widget_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

func receiptText() *consent.ReceiptText {
	return &consent.ReceiptText{Button: consent.Text{"fr": "Télécharger mon reçu", "en": "Download my receipt"},
		Waiting: consent.Text{"fr": "Pas encore envoyé.", "en": "Not sent yet."}, Failed: consent.Text{"fr": "Pas de reçu.", "en": "No receipt."}}
}

// receiptStand is a shop that offers receipts.
func receiptStand(t *testing.T, layout widget.Layout, p page) *stand {
	t.Helper()
	in := dressed(t, layout)
	in.Site.Banner.Receipt = receiptText()
	in.Options.Receipt = true
	return newStand(t, in, p)
}

// beside is what stands beside the button.
const beside = widgettest.Root + `.querySelector(".receipt output").textContent`

// There is something to have a receipt of only after a choice; the button is reached by keyboard, heard, and no choice.
func TestTheReceiptIsOfferedAfterAChoice(t *testing.T) {
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			s := receiptStand(t, layout, page{body: plain})
			tab := newTab(t)
			tab.Open(s.site.URL)
			tab.Press("#choose")
			tab.PreferencesShown()
			if widgettest.Eval[bool](tab, "!!"+widgettest.Find("#receipt")) {
				t.Error("a receipt is offered before there is a choice")
			}
			tab.Press("dialog:not(#banner) #refuse")
			tab.Press("#reopen")
			tab.Until(widgettest.Find("#receipt"))
			if got := heard(t, tab); !strings.Contains(got, `button "Download my receipt"`) {
				t.Errorf("heard\n%s", got)
			}
			axeEverywhere(t, tab, "preferences with a receipt")
			for range 12 {
				if tab.Key(kb.Tab); widgettest.Eval[string](tab, focusAt) == "receipt" {
					break
				}
			}
			tab.Key(kb.Enter)                        // this edge has none
			tab.Until(beside + ` === "No receipt."`) // said where a screen reader hears it
			if got := heard(t, tab); !strings.Contains(got, "status") {
				t.Errorf("heard\n%s", got)
			}
			axeEverywhere(t, tab, "preferences without the receipt")
			got(t, s, &s.consents, 1)
			for _, look := range []struct {
				width  int64
				scheme string
			}{{1280, "light"}, {1280, "dark"}, {375, "light"}, {375, "dark"}} {
				tab.Width(look.width, 740, look.width < 600)
				tab.Prefer("prefers-color-scheme", look.scheme)
				widgettest.Eval[bool](tab, "("+widgettest.Find("#receipt")+".scrollIntoView(), true)")
				photograph(t, tab, fmt.Sprintf("receipt-%s-%d-%s", layout, look.width, look.scheme))
			}
		})
	}
}

// A choice that has not reached the edge has no receipt yet, and the visitor is told; nothing is thrown at the page.
func TestAReceiptOfAChoiceThatWaits(t *testing.T) {
	s := receiptStand(t, widget.LayoutBox, page{policy: strict, body: strictBody})
	s.set(func(s *stand) { s.refuse = hangUp })
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#refuse")
	tab.Press("#reopen")
	tab.Press("#receipt")
	tab.Until(beside + ` === "Not sent yet."`)
	s.set(func(s *stand) { s.refuse = nil })
	tab.Press("#receipt") // sends it first
	tab.Until(beside + ` === "No receipt."`)
	got(t, s, &s.consents, 1)
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") || strings.Contains(m, "consentd:") {
			t.Error(m)
		}
	}
}

// Answers that are none, from a network that answers for the edge.
func TestAReceiptThatIsNone(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page to sign in":       func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) },
		"a list of nothing":       func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"decisions":{}}`)) },
		"no decisions":            func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{}`)) },
		"null":                    func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`null`)) },
		"a connection that drops": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := receiptStand(t, widget.LayoutBar, page{body: plain})
			edge := s.edge.Config.Handler
			s.edge.Close()
			s.edge = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/devices/") {
					edge.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Access-Control-Allow-Origin", s.site.URL)
				answer(w, r)
			}))
			t.Cleanup(s.edge.Close)
			tab := newTab(t)
			tab.Open(s.site.URL)
			tab.Press("#refuse")
			tab.Press("#reopen")
			tab.Press("#receipt")
			tab.Until(beside + ` === "No receipt."`)
			for _, m := range tab.Messages() {
				if strings.HasPrefix(m, "uncaught") {
					t.Error(m)
				}
			}
		})
	}
}

package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// What pages look like, and how they behave in a browser, is held by the tests of package server, with the words
// and wordings of a real site.

func look(t testing.TB) *Look {
	t.Helper()
	l, err := NewLook(widget.Theme{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryDateOfEveryLanguage(t *testing.T) {
	at := consent.ToMillis(time.Date(2026, time.September, 5, 23, 59, 0, 0, time.UTC))
	for locale, want := range map[string]string{
		"bg": "5 септември 2026 г.", "cs": "5. září 2026", "da": "5. september 2026", "de": "5. September 2026", "de-AT": "5. September 2026",
		"el": "5 Σεπτεμβρίου 2026", "en": "5 September 2026", "es": "5 de septiembre de 2026", "et": "5. september 2026", "fi": "5. syyskuuta 2026",
		"fr": "5 septembre 2026", "fr-CA": "5 septembre 2026", "ga": "5 Meán Fómhair 2026", "hr": "5. rujna 2026.", "hu": "2026. szeptember 5.",
		"it": "5 settembre 2026", "lt": "2026 m. rugsėjo 5 d.", "lv": "2026. gada 5. septembris", "mt": "5 ta’ Settembru 2026", "nl": "5 september 2026",
		"pl": "5 września 2026", "pt": "5 de setembro de 2026", "ro": "5 septembrie 2026", "sk": "5. septembra 2026", "sl": "5. september 2026",
		"sv": "5 september 2026", "is": "2026-09-05",
	} {
		if got := strings.ReplaceAll(date(locale, at), "\u00a0", " "); got != want {
			t.Errorf("%s: %s, want %s", locale, got, want)
		}
	}
	for lang, c := range calendars {
		months := strings.Fields(c.months)
		if len(months) != 12 || len(slices.Compact(slices.Sorted(slices.Values(months)))) != 12 {
			t.Errorf("%s has %d months: %v", lang, len(months), months)
		}
	}
	if len(calendars) != 24 {
		t.Errorf("%d languages: %v", len(calendars), slices.Sorted(maps.Keys(calendars)))
	}
}

func TestTheLanguageOfAPage(t *testing.T) {
	for name, tc := range map[string]struct{ asked, accept, want string }{
		"the one asked for":                           {"en", "fr", "en"},
		"asked for in capitals":                       {"EN", "fr", "en"},
		"one the site does not have":                  {"zz", "en", "en"},
		"the browser's":                               {"", "en-GB,en;q=0.9,fr;q=0.5", "en"},
		"the browser's second":                        {"", "ja,pt-BR;q=0.8", "pt-PT"},
		"none of the browser's":                       {"", "ja", "fr"},
		"nothing said":                                {"", "", "fr"},
		"a header that is none":                       {"", "en;q=;;;=", "fr"},
		"a header that is endless":                    {"", strings.Repeat("en,", 5000), "fr"},
		"a language that is weighed down to nothing":  {"", "en;q=0", "fr"},
		"something else altogether is asked for":      {"'><script>", "", "fr"},
		"a region of a language the site has as such": {"", "fr-CH", "fr"},
	} {
		if got := Pick([]string{"fr", "en", "pt-PT"}, tc.asked, tc.accept); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	all := Switch([]string{"fr", "en", "el"}, "en", func(l string) string { return "?lang=" + l })
	want := []Language{{"fr", "Français", "?lang=fr", false}, {"en", "English", "?lang=en", true}, {"el", "Ελληνικά", "?lang=el", false}}
	if !slices.Equal(all, want) {
		t.Errorf("%+v", all)
	}
	if Switch([]string{"fr"}, "fr", nil) != nil {
		t.Error("one language is no choice")
	}
}

// The one style sheet of a page is the one its policy allows; nothing else is.
func TestThePolicyAllowsTheSheetAndNothingElse(t *testing.T) {
	for name, theme := range map[string]widget.Theme{
		"as it comes":      {},
		"always dark":      {Scheme: widget.SchemeDark, Radius: "0"},
		"in other colours": {Light: widget.Palette{Button: "#0b6b3a", Surface: "#fffdf5"}},
	} {
		l, err := NewLook(theme)
		if err != nil {
			t.Fatal(err)
		}
		page, err := (&Message{Page: Page{Look: l, Locale: "fr", Site: "Shop"}, Tone: Good}).Render()
		if err != nil {
			t.Fatal(err)
		}
		sheet := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(page)
		sum := sha256.Sum256(sheet[1])
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
		if got := l.CSP(); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
		if got := l.CSP("https://shop.example", "", "https://evil.example; script-src *"); got != want+" https://shop.example" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := NewLook(widget.Theme{Light: widget.Palette{Text: "red;}</style>"}}); err == nil {
		t.Error("a colour that is none was taken")
	}
	pale, err := NewLook(widget.Theme{Light: widget.Palette{Surface: "#b01010", Text: "#ffffff", Muted: "#ffffff"}})
	if err != nil || !strings.Contains(string(pale.css), "--wrong:#ffffff") {
		t.Errorf("red on red (%v)", err)
	}
}

// Whatever a text says, it stays a text.
func TestTextsAreWrittenAsText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	words := consent.Words{"fr": {}}
	for _, key := range keys(t) {
		words["fr"][key] = evil
	}
	page := Page{Look: look(t), Locale: "fr", Site: evil, Title: evil, Words: words, Controller: consent.Controller{Name: evil, Contact: evil},
		Policy: consent.Link{Text: evil, Href: "javascript:alert(1)"}, Languages: []Language{{Tag: "fr", Name: evil, Href: `?lang="><script>`}, {Tag: "en"}}}
	p := consent.ShownPurpose{ID: "ads", Title: evil, Text: evil, Services: []consent.ShownService{{Name: evil, Provider: evil, Policy: "javascript:alert(1)"}}}
	w := &consent.Wording{Locale: `fr"><script>`, Title: evil, Text: evil, Buttons: map[string]string{"submit": evil, "stop": evil}, Purposes: []consent.ShownPurpose{p},
		Fields: []consent.ShownField{{Kind: "email", Label: evil, Hint: evil}}, Links: []consent.Link{{Text: evil, Href: "javascript:alert(1)"}}, Controller: page.Controller}
	hidden := []Hidden{{evil, evil}}
	for name, r := range map[string]interface{ Render() ([]byte, error) }{
		"form": &Form{Page: page, Action: "/f/shop/a", Shown: w, Values: map[consent.Kind]string{"email": evil}, Wrong: map[consent.Kind]string{"email": evil}, Untold: evil, Again: evil, Hidden: hidden},
		"message": &Message{Page: page, Tone: Bad, Text: evil, Purposes: w.Purposes, Note: evil, Button: Button{Label: evil, Action: "/c/x", Hidden: hidden},
			Link: consent.Link{Text: evil, Href: "javascript:alert(1)"}},
		"unsubscribe": &Unsubscribe{Page: page, Action: "/u/x", Address: evil, Shown: w, Hidden: hidden, All: &Everything{w, hidden}, Centre: "javascript:alert(1)"},
		"centre": &Centre{Page: page, Action: "/p/x", Intro: evil, Address: evil, Problem: evil, Stop: &Everything{w, hidden}, Stopped: true, Correct: &Correct{Value: evil, Problem: evil, Sent: true, Hidden: hidden},
			Rows: []Row{{Shown: p, Channel: evil, State: On, Status: evil, On: evil, Off: evil, Saved: evil, Proof: true, Seen: w, Hidden: hidden}}},
	} {
		b, err := r.Render()
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<script", "<img", `href="javascript`, "onerror=alert(1)>"} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s holds %s", name, bad)
			}
		}
	}
}

// keys lists every word the templates ask for.
func keys(t testing.TB) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\.T "([a-z_]+\.[a-z_]+)"`).FindAllStringSubmatch(pagesHTML, -1) {
		all = append(all, m[1])
	}
	if len(all) < 15 {
		t.Fatal(all)
	}
	return all
}

func TestMailTo(t *testing.T) {
	for contact, want := range map[string]string{"dpo@shop.example": "mailto:dpo@shop.example", "https://shop.example/contact": "", "1 Main Street": "", "": "", "a@b?subject=x": ""} {
		p := Page{Controller: consent.Controller{Contact: contact}}
		if got := p.MailTo(); got != want {
			t.Errorf("%q: %q", contact, got)
		}
	}
}

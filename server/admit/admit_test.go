package admit

import (
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/consentd/consentd/storage/consent"
)

// The steps together, with the codes they refuse with, are held by the tests of package server, over HTTP.

func TestTheStepsAreNamedAndInOrder(t *testing.T) {
	for what, tc := range map[string]struct {
		steps []Step
		want  string
	}{
		"a choice": {Steps(), "origin id subject surface form method wording locale decisions page prompt"},
		"a prompt": {PromptSteps(), "origin prompt surface wording locale page"},
	} {
		var names []string
		for _, s := range tc.steps {
			names = append(names, s.Name)
			fn := strings.ToLower(runtime.FuncForPC(reflect.ValueOf(s.check).Pointer()).Name())
			if !strings.Contains(fn, "check"+s.Name) {
				t.Errorf("%s: step %s runs %s", what, s.Name, fn)
			}
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestAGateEndsAdmission(t *testing.T) {
	c := Candidate{Rules: &Rules{Site: &consent.Site{}, AllowOrigin: func(string) bool { return false }}, Origin: "https://evil.example"}
	if got := c.Gates(Steps()); len(got) != 1 || got[0].Code != OriginForeign {
		t.Fatal(got)
	}
}

func TestAPageIsCutToWhatMayBeKept(t *testing.T) {
	long := "https://a.example/" + strings.Repeat("x", maxPage)
	for name, tc := range map[string]struct {
		raw       string
		keepQuery bool
		page      string
		origin    string // "": refused
	}{
		"a page":                           {"https://shop.example/fr/", false, "https://shop.example/fr/", "https://shop.example"},
		"the query goes":                   {"https://shop.example/p?email=a@b.fr", false, "https://shop.example/p", "https://shop.example"},
		"the query stays where it is kept": {"https://shop.example/p?ref=7#x", true, "https://shop.example/p?ref=7", "https://shop.example"},
		"the fragment always goes":         {"https://shop.example/p#token=7", true, "https://shop.example/p", "https://shop.example"},
		"a fragment with a question mark":  {"https://shop.example/p#a?b", true, "https://shop.example/p", "https://shop.example"},
		"no path":                          {"https://shop.example", false, "https://shop.example", "https://shop.example"},
		"a query without a path":           {"https://shop.example?x=1", false, "https://shop.example", "https://shop.example"},
		"a port":                           {"http://localhost:8080/", false, "http://localhost:8080/", "http://localhost:8080"},
		"the default port is no port":      {"https://shop.example:443/", false, "https://shop.example:443/", "https://shop.example"},
		"capitals in the host":             {"HTTPS://Shop.Example/A", false, "HTTPS://Shop.Example/A", "https://shop.example"},
		"IPv6":                             {"http://[::1]:8080/", false, "http://[::1]:8080/", "http://[::1]:8080"},
		"characters that are not ASCII":    {"https://shop.example/é", false, "https://shop.example/é", "https://shop.example"},
		"a long address is cut":            {long, false, long[:maxPage], "https://a.example"},
		"not in the middle of an escape":   {"https://a.example/" + strings.Repeat("x", maxPage-20) + "%C3%A9", false, "https://a.example/" + strings.Repeat("x", maxPage-20), "https://a.example"},
		"not in the middle of a character": {"https://a.example/" + strings.Repeat("x", maxPage-19) + "é", false, "https://a.example/" + strings.Repeat("x", maxPage-19), "https://a.example"},
		"a user name":                      {"https://me@shop.example/", false, "", ""},
		"a host that is none":              {"https:///p", false, "", ""},
		"another scheme":                   {"ftp://shop.example/", false, "", ""},
		"a script":                         {"javascript:alert(1)//https://shop.example", false, "", ""},
		"no scheme":                        {"//shop.example/", false, "", ""},
		"a relative address":               {"/fr/", false, "", ""},
		"a space":                          {"https://shop.example/a b", false, "", ""},
		"a line feed":                      {"https://shop.example/a\nb", false, "", ""},
		"a backslash in the host":          {`https://shop.example\@evil.example/`, false, "", ""},
		"an escape in the host":            {"https://shop%2eexample/", false, "", ""},
		"nothing but a scheme":             {"https://", false, "", ""},
		"a control character in the query": {"https://shop.example/?a=\x00", false, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			page, origin, ok := reducePage(tc.raw, tc.keepQuery)
			if ok != (tc.origin != "") || page != tc.page || origin != tc.origin {
				t.Fatalf("%q %q %v", page, origin, ok)
			}
		})
	}
}

// What is kept of a page is always an address net/url reads, on the origin that was judged.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"https://shop.example/p?a=1#b", "http://[::1]:80/%C3", "HTTPS://A.b:443", "https://a:b@c/", "https://x/" + strings.Repeat("é", 600)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, raw string, keepQuery bool) {
		page, origin, ok := reducePage(raw, keepQuery)
		if !ok {
			return
		}
		if len(page) > maxPage || !utf8.ValidString(page) || strings.Contains(page, "#") || !keepQuery && strings.Contains(page, "?") || !strings.HasPrefix(raw, page) {
			t.Fatalf("%q became %q", raw, page)
		}
		u, err := url.Parse(page)
		if err != nil {
			return // a port out of range, a broken IPv6 address: judged by its origin, which no site has
		}
		host := strings.ToLower(u.Host)
		if u.User != nil || !strings.HasPrefix(origin, u.Scheme+"://") || !strings.HasPrefix(u.Scheme+"://"+host, origin) {
			t.Fatalf("%q: origin %q, net/url says %q %q", raw, origin, u.Scheme, u.Host)
		}
	})
}

func TestDeviceClasses(t *testing.T) {
	for ua, want := range map[string]consent.DeviceClass{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                              consent.DeviceDesktop,
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15":                                        consent.DeviceDesktop,
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                                       consent.DeviceDesktop,
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                               consent.DeviceDesktop,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1":                      consent.DeviceMobile,
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36":                                              consent.DeviceMobile,
		"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0":                                                                                         consent.DeviceMobile,
		"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 Safari/604.1":                               consent.DeviceTablet,
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                                                     consent.DeviceTablet,
		"Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0":                                                                                         consent.DeviceTablet,
		"Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/140.1 like Chrome/140.0 Safari/537.36":                                    consent.DeviceTablet,
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                                                     consent.DeviceOther,
		"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://x)": consent.DeviceOther,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36":                                                consent.DeviceOther,
		"curl/8.5.0": consent.DeviceOther,
		"":           consent.DeviceOther,
		"Mozilla/5.0 (PlayStation; PlayStation 5/6.00) AppleWebKit/605.1.15 (KHTML, like Gecko)": consent.DeviceOther,
	} {
		if got := DeviceClass(ua); got != want {
			t.Errorf("%s: %s, want %s", ua, got, want)
		}
	}
}

func TestLanguageTags(t *testing.T) {
	for tag, want := range map[string]bool{"fr": true, "pt-BR": true, "zh-Hant-TW": true, "sl-1994": true,
		"": false, "x-klingon": false, "f": false, "1f": false, "fr_FR": false, "fr FR": false, "é": false, strings.Repeat("a", 36): false} {
		if got := languageTag(tag); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}

func TestRulesKnowWhatIsAsked(t *testing.T) {
	r := NewRules(&consent.Site{Purposes: []consent.Purpose{{ID: "z", Basis: consent.BasisConsent}, {ID: "b", Basis: consent.BasisContract},
		{ID: "a", Basis: consent.BasisLegitimateInterest, Objection: true}, {ID: "c", Basis: consent.BasisLegitimateInterest}}}, nil)
	if !slices.Equal(r.Asked, []string{"a", "z"}) {
		t.Fatal(r.Asked)
	}
}

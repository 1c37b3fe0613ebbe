package server

import (
	"net/url"
	"strings"
	"testing"
)

func TestTheOwnAddressHasOneSpelling(t *testing.T) {
	for given, want := range map[string]string{
		"https://consent.shop.example":               "https://consent.shop.example",
		"https://Consent.Shop.Example":               "https://consent.shop.example",
		"https://zustimmung.bücher.example":          "https://zustimmung.xn--bcher-kva.example",
		"https://zustimmung.B\u00dcCHER.example:443": "https://zustimmung.xn--bcher-kva.example",
		"https://zustimmung.bu\u0308cher.example":    "https://zustimmung.xn--bcher-kva.example",
		"https://bücher.example:8443/choix/é":        "https://xn--bcher-kva.example:8443/choix/%C3%A9",
		"http://bücher.example:80":                   "http://xn--bcher-kva.example",
		"http://[::1]:8080":                          "http://[::1]:8080",
		"http://[0:0:0:0:0:0:0:1]":                   "http://[::1]",
		"http://127.0.0.1:8080":                      "http://127.0.0.1:8080",
		"https://a_b.shop--x.example":                "https://a_b.shop--x.example",
		"https://shop.example/":                      "",
		"https://":                                   "",
		"https://:8080":                              "",
		"https://user@shop.example":                  "",
		"ftp://shop.example":                         "",
		"https://shop.example?":                      "",
		"https://\u2488com.example":                  "",
	} {
		u, err := PublicURL(given)
		if (err != nil) != (want == "") || err == nil && u.String() != want {
			t.Errorf("%s: %v %v, want %s", given, u, err, want)
		}
	}
}

// TestAUnicodeOwnAddressMeansItsASCIIForm in the origin of a hosted form, as browsers send it, and in links.
func TestAUnicodeOwnAddressMeansItsASCIIForm(t *testing.T) {
	k := start(t, func(o *Options) { o.PublicURL = "https://zustimmung.bücher.example" })
	r := k.do("POST", "/v1/sites/demo/links", `{"subjects":[{"email":"a@exemple.fr"}]}`, asJSON, k.bearer("links"))
	if r.status != 200 || !strings.Contains(r.body, "https://zustimmung.xn--bcher-kva.example/u/") || strings.Contains(r.body, "%C3%BC") || strings.Contains(r.body, "ü") {
		t.Errorf("links: %d %.300s", r.status, r.body)
	}
	if k.origin != "https://zustimmung.xn--bcher-kva.example" || k.host() != "zustimmung.xn--bcher-kva.example" {
		t.Errorf("origin %s, host %s", k.origin, k.host())
	}
	u, err := url.Parse("https://www.bücher.example/merci")
	if err != nil {
		t.Fatal(err)
	}
	if host, err := asciiHostPort(u); host != "www.xn--bcher-kva.example" || err != nil {
		t.Errorf("where a form leads: %s %v", host, err)
	}
}

package server

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// everywhere is a site in the 24 official languages of the Union, with services, embeds and Consent Mode.
const everywhere = `site: everywhere
name: Partout
origins: [https://everywhere.example]
controller: {name: Partout SAS, contact: dpo@everywhere.example}
locales: [fr, bg, cs, da, de, el, en, es, et, fi, ga, hr, hu, it, lt, lv, mt, nl, pl, pt, ro, sk, sl, sv]
policy: /privacy
purposes:
  - {id: necessary, ready: necessary}
  - {id: audience, ready: audience, services: [{name: Matomo, provider: InnoCraft Ltd, cookies: [{name: _pk*, lifetime: 13mo}]}]}
  - {id: ads, ready: advertising, services: [{id: video, embed: true, name: Vidéo, provider: Vidéo SARL, policy: "https://video.example/privacy"}]}
  - {id: personalisation, ready: personalisation}
signals: {google_consent_mode: {ad_storage: ads, analytics_storage: audience}}
`

// openSites reads files into a registry.
func openSites(t *testing.T, files map[string]string) *site.Registry {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sites, err := site.Open(site.Options{Dir: dir, Secret: func(string) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sites.Close() })
	if p := sites.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	return sites
}

// multilingual serves the site in eight languages, too many for one script, and gives its scripts by locale: built
// apart, so that the server has built none.
func multilingual(t *testing.T) (*kit, map[string]*widget.Bundle) {
	t.Helper()
	locales := regexp.MustCompile(`locales: \[.*\]`)
	sites := openSites(t, map[string]string{"everywhere.yaml": locales.ReplaceAllString(everywhere, "locales: [fr, de, en, it, mt, pl, pt, sv]")})
	st, _ := sites.Get("everywhere")
	all, err := Scripts(st)
	if err != nil || len(all) != 8 {
		t.Fatalf("%d scripts, %v", len(all), err)
	}
	by := map[string]*widget.Bundle{}
	for _, s := range all {
		by[s.Locales[0]] = s.Bundle
	}
	return start(t, func(o *Options) { o.Sites = sites }), by
}

func TestWhatDoesNotFitOneScriptIsServedInOneLanguage(t *testing.T) {
	k, by := multilingual(t)
	for name, c := range map[string]struct{ query, accept, want string }{
		"the language the page names":                       {"?lang=de", "fr", "de"},
		"in capitals, with a region":                        {"?lang=DE-at", "", "de"},
		"written with an underscore":                        {"?lang=pt_BR", "", "pt"},
		"a language the site does not have: its first":      {"?lang=ar", "de", "fr"},
		"what is no language: the site's first":             {"?lang=%22%3Cscript%3E", "de", "fr"},
		"a language that only begins alike: the first":      {"?lang=den", "", "fr"},
		"named twice: the first of them":                    {"?lang=sv&lang=de", "", "sv"},
		"the visitor's, where the page names none":          {"", "pl,en;q=0.8", "pl"},
		"the visitor's, where the page leaves it empty":     {"?lang=", "pl", "pl"},
		"the dearest the site has":                          {"", "ar, tr;q=0.9, de-CH;q=0.4, en;q=0.7", "en"},
		"never one the visitor refuses":                     {"", "de;q=0, it;q=0.1", "it"},
		"the site's first where the visitor says nothing":   {"", "", "fr"},
		"the site's first where the visitor takes anything": {"", "*", "fr"},
		"the site's first where the header makes no sense":  {"", "de;;;q=x", "fr"},
		"the site's first where the header goes on and on":  {"", strings.Repeat("x-", 4000), "fr"},
	} {
		header := []string{"Accept-Encoding: identity"}
		if c.accept != "" {
			header = append(header, "Accept-Language: "+c.accept)
		}
		r := k.do("GET", "/s/everywhere.js"+c.query, "", header...)
		vary := "Accept-Encoding"
		if c.query == "" || c.query == "?lang=" {
			vary += ", Accept-Language"
		}
		if r.status != 200 || r.body != string(by[c.want].JS) {
			t.Errorf("%s: %d, not the script in %s", name, r.status, c.want)
		}
		if r.header.Get("Vary") != vary || r.header.Get("Etag") != by[c.want].ETag || r.header.Get("Cache-Control") != bundleCache {
			t.Errorf("%s: %v", name, r.header)
		}
		again := k.do("GET", "/s/everywhere.js"+c.query, "", append(header, "If-None-Match: "+by[c.want].ETag)...)
		if other := k.do("GET", "/s/everywhere.js"+c.query, "", append(header, "If-None-Match: "+by["mt"].ETag)...); again.status != 304 || again.header.Get("Vary") != vary || other.status != 200 {
			t.Errorf("%s: asked again %d, with the ETag of another language %d", name, again.status, other.status)
		}
	}
}

// Each language's script has an address for ever, which a page pins with its integrity, also on a server that has
// just been started and was not asked for that language yet.
func TestEachLanguageCanBePinned(t *testing.T) {
	k, by := multilingual(t)
	for locale, b := range by {
		r := k.do("GET", "/s/everywhere."+b.Hash+".js?lang=sv", "", "Accept-Language: el", "Accept-Encoding: identity")
		sum := sha512.Sum384([]byte(r.body))
		if r.status != 200 || "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) != b.Integrity {
			t.Errorf("%s: %d, integrity %x", locale, r.status, sum)
		}
		if r.header.Get("Vary") != "Accept-Encoding" || !strings.Contains(r.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", locale, r.header)
		}
	}
	if r := k.do("GET", "/s/everywhere.0123456789abcdef.js", ""); r.status != 404 {
		t.Errorf("a hash of nothing: %d", r.status)
	}
}

// A language's script weighs no more for the 23 others, and asks for what the others ask.
func TestALanguageWeighsAsMuchAlone(t *testing.T) {
	sites := openSites(t, map[string]string{"everywhere.yaml": everywhere})
	st, _ := sites.Get("everywhere")
	whole, err := newScripts(widget.NewCache(), st).whole()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Scripts(st)
	if err != nil || len(all) != 24 {
		t.Fatalf("%d scripts, %v", len(all), err)
	}
	least, most := all[0], all[0]
	for _, s := range all {
		if len(s.Brotli) > widget.Budget {
			t.Errorf("%s: %d bytes, the budget is %d", s.Locales, len(s.Brotli), widget.Budget)
		}
		if len(s.Brotli) < len(least.Brotli) {
			least = s
		}
		if len(s.Brotli) > len(most.Brotli) {
			most = s
		}
	}
	t.Logf("brotli: %d bytes in 24 languages; alone %s %d to %s %d", len(whole.Brotli), least.Locales, len(least.Brotli), most.Locales, len(most.Brotli))
}

func TestWhatFitsIsOneScriptForEverybody(t *testing.T) {
	k := start(t)
	want := k.do("GET", "/s/demo.js", "", "Accept-Encoding: identity")
	for _, ask := range [][2]string{{"?lang=en", "fr"}, {"?lang=xx", "en"}, {"", "en"}} {
		r := k.do("GET", "/s/demo.js"+ask[0], "", "Accept-Encoding: identity", "Accept-Language: "+ask[1])
		if r.status != 200 || r.body != want.body || r.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %v", ask, r.status, r.header)
		}
	}
}

// A page in German on a browser that prefers French: the language the page names is shown, and a script whose
// integrity the page pins runs, cross-origin, as it came compressed.
func TestABrowserShowsThePagesLanguage(t *testing.T) {
	k, by := multilingual(t)
	page := func(script string) *httptest.Server {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><html lang="de"><title>Partout</title><link rel="icon" href="data:,"><script defer src="%s/s/everywhere%s></script><h1>Partout</h1>`, k.url, script)
		}))
		t.Cleanup(site.Close)
		return site
	}
	b, err := widgettest.Start("accept-lang=fr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	const title = `document.querySelector("consentd-widget").shadowRoot.querySelector("#refuse").textContent`
	for name, c := range map[string]struct{ script, want string }{
		"named":                        {`.js?lang=de"`, "Alle ablehnen"},
		"named in another spelling":    {`.js?lang=de-AT"`, "Alle ablehnen"},
		"pinned":                       {`.` + by["de"].Hash + `.js" crossorigin integrity="` + by["de"].Integrity + `"`, "Alle ablehnen"},
		"left to the visitor":          {`.js"`, "Tout refuser"},
		"one the site does not have":   {`.js?lang=ar"`, "Tout refuser"},
		"pinned, with another's proof": {`.` + by["de"].Hash + `.js" crossorigin integrity="` + by["fr"].Integrity + `"`, ""},
	} {
		tab := b.Tab(t)
		tab.Open(page(c.script).URL)
		if c.want == "" {
			tab.Heard("integrity")
			if widgettest.Eval[bool](tab, `!!window.consentd`) {
				t.Errorf("%s: the script has run", name)
			}
			continue
		}
		tab.BannerShown()
		if got := widgettest.Eval[string](tab, title); got != c.want {
			t.Errorf("%s: the banner says %q, want %q", name, got, c.want)
		}
	}
}

package widget_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

func TestMovingFromAnotherTool(t *testing.T) {
	for name, c := range map[string]struct {
		m       widget.Migration
		stored  string // JavaScript that leaves what the tool stored
		body    string
		want    map[string]bool // imported; nil: nothing
		asked   bool            // the banner still asks
		scripts []string
	}{
		"Klaro": {widget.Migration{From: widget.FromKlaro, Names: map[string]string{"loupe": "analytics", "river": "ads", "panneau": "ads", "compteur": "audience"}},
			`document.cookie = "klaro=" + encodeURIComponent('{"loupe":true,"river":true,"panneau":false,"compteur":false}') + ";path=/"`,
			`<script type="text/plain" data-type="application/javascript" data-name="loupe" data-src="/loupe.js"></script><script type="text/plain" data-name="river" data-src="/river.js"></script><div data-name="someone">x</div>`,
			map[string]bool{"analytics": true, "ads": false, "audience": false}, false, []string{"/loupe.js"}},
		"cookieconsent": {widget.Migration{From: widget.FromCookieConsent, Names: map[string]string{"stats": "analytics", "marketing": "ads", "count": "audience"}},
			`document.cookie = "cc_cookie=" + encodeURIComponent(JSON.stringify({categories: ["stats", "count"], consentTimestamp: new Date(Date.now() - 864e6)})) + ";path=/"`,
			`<script type="text/plain" data-category="stats" data-src="/stats.js"></script><script type="text/plain" data-category="!stats" data-src="/gone.js"></script><script type="text/plain" data-category="marketing" data-src="/marketing.js"></script>`,
			map[string]bool{"analytics": true, "ads": false, "audience": true}, false, []string{"/stats.js"}},
		"tarteaucitron, half decided": {widget.Migration{From: widget.FromTarteaucitron, Names: map[string]string{"loupe": "analytics", "river": "ads"}},
			`document.cookie = "tarteaucitron=!loupe=true!river=wait;path=/"`, `<script type="text/plain" data-consent="analytics" data-src="/loupe.js"></script>`,
			map[string]bool{"analytics": true}, true, []string{"/loupe.js"}},
		"Orejime 3": {widget.Migration{From: widget.FromOrejime, Names: map[string]string{"stats": "analytics", "river": "ads"}},
			`document.cookie = "eu-consent=" + encodeURIComponent('{"stats":true,"river":false}') + ";path=/"`,
			`<template data-purpose="stats"><script src="/stats.js"></script></template><template data-purpose="river"><script src="/river.js"></script></template>`,
			map[string]bool{"analytics": true, "ads": false}, true, []string{"/stats.js"}},
		"Orejime 2": {widget.Migration{From: widget.FromOrejime2, Names: map[string]string{"stats": "analytics", "river": "ads"}},
			`document.cookie = "orejime=" + encodeURIComponent('{"stats":true,"river":false}') + ";path=/"`,
			`<script type="opt-in" data-type="application/javascript" data-name="stats" data-src="/stats.js"></script><script type="opt-in" data-name="river" data-src="/river.js"></script>`,
			map[string]bool{"analytics": true, "ads": false}, true, []string{"/stats.js"}},
		"c15t": {widget.Migration{From: widget.FromC15t, Names: map[string]string{"measurement": "analytics", "marketing": "ads", "experience": "audience"}},
			`document.cookie = "c15t=c.necessary:1,c.measurement:1,c.marketing:0,c.experience:0,i.t:" + (Date.now() - 864e6) + ",i.y:banner;path=/"`,
			`<script type="text/plain" data-c15t-category="measurement" data-src="/m.js"></script><script type="text/plain" data-c15t-category="marketing" data-src="/no.js"></script><iframe title="x" data-category="marketing" data-src="/ads.js"></iframe>`,
			map[string]bool{"analytics": true, "ads": false, "audience": false}, false, []string{"/m.js"}},
		"c15t, in localStorage": {widget.Migration{From: widget.FromC15t, Names: map[string]string{"measurement": "analytics", "marketing": "ads", "experience": "audience"}},
			`localStorage.c15t = JSON.stringify({consents: {necessary: true, measurement: true, marketing: false, experience: true}, consentInfo: {time: Date.now() - 864e6}})`,
			`<iframe title="x" data-category="measurement" data-src="/m.js"></iframe>`,
			map[string]bool{"analytics": true, "ads": false, "audience": true}, false, []string{"/m.js"}},
		"Osano, allowed": {widget.Migration{From: widget.FromOsano, Names: map[string]string{"statistics": "analytics", "advertising": "ads"}},
			`document.cookie = "cookieconsent_status=allow;path=/"`, `<script type="text/plain" data-consent="ads" data-src="/ads.js"></script>`,
			map[string]bool{"analytics": true, "ads": true}, true, []string{"/ads.js"}},
		"Osano, dismissed": {widget.Migration{From: widget.FromOsano, Names: map[string]string{"statistics": "analytics"}},
			`document.cookie = "cookieconsent_status=dismiss;path=/"`, ``, nil, true, nil},
		"fides": {widget.Migration{From: widget.FromFides, Names: map[string]string{"analytics_opt_out": "analytics", "data_sales": "ads", "essential": "audience"}},
			`document.cookie = "fides_consent=" + encodeURIComponent(JSON.stringify({consent: {analytics_opt_out: true, data_sales: "opt_out", essential: "acknowledge"}, identity: {}, fides_meta: {updatedAt: new Date(Date.now() - 864e6)}})) + ";path=/"`,
			`<script type="text/plain" data-consent="analytics" data-src="/a.js"></script>`,
			map[string]bool{"analytics": true, "ads": false}, true, []string{"/a.js"}},
		"fides, in base64": {widget.Migration{From: widget.FromFides, Names: map[string]string{"measure": "analytics", "sell": "ads"}},
			`document.cookie = "fides_consent=" + encodeURIComponent(btoa(JSON.stringify({consent: {measure: "opt_in", sell: false}, fides_meta: {updatedAt: new Date()}}))) + ";path=/"`,
			`<script type="text/plain" data-consent="analytics" data-src="/a.js"></script>`,
			map[string]bool{"analytics": true, "ads": false}, true, []string{"/a.js"}},
		"ConsentLoop": {widget.Migration{From: widget.FromConsentLoop, Names: map[string]string{"stats": "analytics", "marketing": "ads", "count": "audience"}},
			`document.cookie = "cl_consent=" + encodeURIComponent(JSON.stringify({id: "x", t: new Date(0), u: new Date(Date.now() - 864e6), a: ["necessary", "stats"], j: ["marketing", "count"], m: "explicit"})) + ";path=/"`,
			`<script type="text/plain" data-consent="stats" data-consent-src="/stats.js"></script><script type="text/plain" data-consent="marketing" data-consent-src="/m.js"></script><iframe title="x" data-consent="stats" data-consent-src="/stats.js"></iframe>`,
			map[string]bool{"analytics": true, "ads": false, "audience": false}, false, []string{"/stats.js", "/stats.js"}},
		"ConsentLoop, never asked": {widget.Migration{From: widget.FromConsentLoop, Names: map[string]string{"stats": "analytics"}},
			`document.cookie = "cl_consent=" + encodeURIComponent(JSON.stringify({id: "x", t: new Date(), a: ["stats"], j: [], m: "implied"})) + ";path=/"`, ``, nil, true, nil},
		"a choice of seven months ago": {widget.Migration{From: widget.FromCookieConsent, Names: map[string]string{"stats": "analytics"}},
			`document.cookie = "cc_cookie=" + encodeURIComponent(JSON.stringify({categories: ["stats"], consentTimestamp: new Date(Date.now() - 210 * 864e5)})) + ";path=/"`, ``, nil, true, nil},
		"nothing stored":          {widget.Migration{From: widget.FromKlaro, Names: map[string]string{"loupe": "analytics"}}, `0`, ``, nil, true, nil},
		"something else's cookie": {widget.Migration{From: widget.FromKlaro, Names: map[string]string{"loupe": "analytics"}}, `document.cookie = "klaro=%7Bbroken;path=/"`, ``, nil, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, shop())
			in.Options.Migrations = []widget.Migration{c.m}
			s := newStand(t, in, page{body: c.body})
			tab := newTab(t)
			tab.BeforeScripts(c.stored)
			tab.Open(s.site.URL)
			if c.asked {
				tab.BannerShown()
			} else {
				tab.NothingShown()
			}
			if c.want == nil {
				got(t, s, &s.prompts, 1)
				got(t, s, &s.consents, 0)
				return
			}
			if p := got(t, s, &s.consents, 1)[0]; p.Surface != "import" || p.Wording != "" || !maps.Equal(p.Decisions, c.want) {
				t.Errorf("imported %+v", p)
			}
			s.awaitScripts(len(c.scripts))
			if got := s.scripts(); !slices.Equal(got, c.scripts) {
				t.Errorf("asked for %s, want %s", got, c.scripts)
			}
			if strings.Contains(c.body, "!stats") {
				widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
				s.awaitScript("/gone.js")
				if got := s.scripts(); !slices.Contains(got, "/gone.js") {
					t.Errorf("what runs on withdrawal has not: %s", got)
				}
				tab.Until(answered)
				s.set(func(s *stand) { s.fetched = nil })
				tab.Reload()
				s.awaitScript("/gone.js")
				if got := s.scripts(); !slices.Equal(got, []string{"/gone.js"}) {
					t.Errorf("on the next page ran %s", got)
				}
			}
		})
	}
}

// awaitScripts waits until the website was asked for n scripts.
func (s *stand) awaitScripts(n int) {
	for deadline := time.Now().Add(time.Minute); len(s.scripts()) < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// tarteaucitron is a page as its documentation has people write them: the known services, one of the page's own, one
// nobody has mapped, and one that comes later.
const tarteaucitron = `<script>
window.log = [];
tarteaucitron.init({privacyUrl: ""});
tarteaucitron.user.gtagUa = "G-1"; tarteaucitron.user.gtagMore = () => log.push("more");
tarteaucitron.user.matomoId = "7"; tarteaucitron.user.matomoHost = "/matomo/";
tarteaucitron.services.loupe = {key: "loupe", js() { log.push("js"); tarteaucitron.addScript("/loupe.js", "", () => log.push("loaded")); }, fallback() { log.push("fallback"); }};
(tarteaucitron.job = tarteaucitron.job || []).push("gtag");
(tarteaucitron.job = tarteaucitron.job || []).push("loupe");
(tarteaucitron.job = tarteaucitron.job || []).push("nobody");
addEventListener("load", () => (tarteaucitron.job = tarteaucitron.job || []).push("matomo"));
</script>
<div id="film" class="youtube_player" videoID="dQ w" width="400" height="300" rel="0" loop="1" title="A film"></div>
<div id="map" class="googlemapsembed" data-url="/map.js" width="400" height="300"></div>`

func TestPagesOfTarteaucitron(t *testing.T) {
	in := input(t, shop())
	in.Options.Migrations = []widget.Migration{{From: widget.FromTarteaucitron, Names: map[string]string{
		"gtag": "analytics", "loupe": "analytics", "matomo": "analytics", "youtube": "ads", "googlemapsembed": "ads"}}}
	markup, err := widget.Snippet("https://edge.example", "shop", "", "", in.Options)
	if err != nil {
		t.Fatal(err)
	}
	inline, _, _ := strings.Cut(markup, "<script src")
	s := newStand(t, in, page{head: inline, body: tarteaucitron})
	tab := newTab(t)
	if _, err := chromedp.Call(tab.Context(), network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	elsewhere := []*network.BlockPattern{{URLPattern: "https://*:*/*", Block: true}} // no test talks to anyone outside
	if _, err := chromedp.Call(tab.Context(), network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: elsewhere}); err != nil {
		t.Fatal(err)
	}
	tab.Open(s.site.URL)
	tab.BannerShown()
	tab.Until(`document.querySelectorAll(".youtube_player > consentd-embed, .googlemapsembed > consentd-embed").length === 2`)
	frame := `(el => [el.dataset.src, el.title, el.width, el.height].join(" "))(document.querySelector("#film iframe"))`
	if got := widgettest.Eval[string](tab, frame); got != "https://www.youtube-nocookie.com/embed/dQ%20w?rel=0&loop=1&playlist=dQ%20w A film 400 300" {
		t.Errorf("the frame is %q", got)
	}
	if log := widgettest.Eval[string](tab, "log.join()"); log != "" || len(s.scripts()) > 0 {
		t.Errorf("before a choice ran %q, %s", log, s.scripts())
	}
	tab.Press("#choose")
	tab.PreferencesShown()
	tab.Press(`dialog [name="analytics"]`)
	tab.Press("#save")
	tab.NothingShown()
	tab.Until(`log.join() === "more,js,loaded"`)
	s.awaitScripts(2)
	ran := s.scripts()
	slices.Sort(ran)
	if want := []string{"/loupe.js", "/matomo/matomo.js"}; !slices.Equal(ran, want) {
		t.Errorf("asked for %s, want %s", ran, want)
	}
	const told = `JSON.stringify([_paq, [...dataLayer].map(e => [...e].slice(0, e[0] === "js" ? 1 : 2))])`
	if got := widgettest.Eval[string](tab, told); got != `[[["setSiteId","7"],["setTrackerUrl","/matomo/matomo.php"],["trackPageView"],["enableLinkTracking"]],[["js"],["config","G-1"]]]` {
		t.Errorf("told %s", got)
	}
	widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
	tab.Until(`log.join() === "more,js,loaded,fallback"`)
	widgettest.Eval[bool](tab, `(consentd.open(), true)`)
	tab.Press("dialog #accept")
	s.awaitScript("/map.js")
	if log := widgettest.Eval[string](tab, "log.join()"); log != "more,js,loaded,fallback" {
		t.Errorf("a job ran twice: %q", log)
	}
	tab.Until(`document.querySelector("script[src='https://www.googletagmanager.com/gtag/js?id=G-1']")`)
	if msgs := strings.Join(tab.Messages(), "\n"); strings.Count(msgs, "no purpose is named for the job nobody") != 1 {
		t.Errorf("messages %s", msgs)
	}
}

// What a site does not move from is not in its script.
func TestMigrationsAreInTheScriptsThatNeedThem(t *testing.T) {
	has := func(in widget.Input) (all []string) {
		var meta struct {
			Outputs map[string]struct {
				Inputs map[string]struct{ BytesInOutput int }
			}
		}
		b := build(t, in)
		if err := json.Unmarshal([]byte(b.Metafile), &meta); err != nil {
			t.Fatal(err)
		}
		for _, out := range meta.Outputs {
			for name, part := range out.Inputs {
				for _, module := range []string{"migrated", "jobs", "players"} {
					if part.BytesInOutput > 0 && strings.HasSuffix(name, "/"+module+".ts") {
						all = append(all, module)
					}
				}
			}
		}
		for _, word := range []string{"fbevents", "gtm.js", "opt_in", "youtube_player", "consentSrc"} {
			if strings.Contains(string(b.JS), word) {
				all = append(all, word)
			}
		}
		slices.Sort(all)
		return all
	}
	for name, c := range map[string]struct {
		migrations []widget.Migration
		want       []string
	}{
		"none":                     {nil, nil},
		"Klaro":                    {[]widget.Migration{{From: widget.FromKlaro, Names: map[string]string{"gtag": "analytics"}}}, []string{"migrated", "opt_in"}},
		"tarteaucitron, no player": {[]widget.Migration{{From: widget.FromTarteaucitron, Names: map[string]string{"googletagmanager": "analytics"}}}, []string{"gtm.js", "jobs", "migrated", "opt_in"}},
		"tarteaucitron, a player":  {[]widget.Migration{{From: widget.FromTarteaucitron, Names: map[string]string{"vimeo": "ads"}}}, []string{"jobs", "migrated", "opt_in", "players", "youtube_player"}},
		"ConsentLoop":              {[]widget.Migration{{From: widget.FromConsentLoop, Names: map[string]string{"a": "ads"}}}, []string{"consentSrc", "migrated", "opt_in"}},
	} {
		in := input(t, shop())
		in.Options.Migrations = c.migrations
		if got := has(in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

package widget_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/consentd/consentd/widget/widgettest"
)

// peer is a banner as its own documentation has it installed.
type peer struct {
	name   string
	markup string            // in the head, after the style of the page
	body   string            // at the end of the body
	files  map[string]string // path → file under node_modules
	shown  string            // JavaScript: the banner, once it is there
	press  string            // JavaScript: the button that refuses
}

// peers are the lightest, the most complete and the one most cared for among those without a build step, with
// four purposes in French or English as they come.
func peers() []peer {
	return []peer{
		{name: "empty page", shown: `document.querySelector("h1")`},
		{name: "cookies-eu-banner 3.0.0", files: map[string]string{"/b.js": "cookies-eu-banner/dist/cookies-eu-banner.global.js"},
			body: `<template id="cookies-eu-banner-template"><div id="cookies-eu-banner" style="position:fixed;inset:auto 0 0;padding:2em;background:#fff">Nous utilisons des cookies.
<button id="cookies-eu-reject">Refuser</button><button id="cookies-eu-accept">Accepter</button></div></template>
<script src="/b.js" defer></script><script>addEventListener("DOMContentLoaded", () => CookiesEuBanner.createCookiesBanner({onAccept() {}}))</script>`,
			shown: `document.querySelector("#cookies-eu-banner")`, press: `document.querySelector("#cookies-eu-reject")`},
		{name: "vanilla-cookieconsent 3.1.0", files: map[string]string{"/c.js": "vanilla-cookieconsent/dist/cookieconsent.umd.js", "/c.css": "vanilla-cookieconsent/dist/cookieconsent.css"},
			markup: `<link rel="stylesheet" href="/c.css"><script src="/c.js" defer></script><script>addEventListener("DOMContentLoaded", () => CookieConsent.run({hideFromBots: false,
categories: {necessary: {enabled: true, readOnly: true}, analytics: {}, ads: {}, audience: {}},
language: {default: "fr", translations: {fr: {consentModal: {title: "Vos données", description: "Nous utilisons des cookies.", acceptAllBtn: "Tout accepter", acceptNecessaryBtn: "Tout refuser", showPreferencesBtn: "Choisir"},
preferencesModal: {title: "Choisir", acceptAllBtn: "Tout accepter", acceptNecessaryBtn: "Tout refuser", savePreferencesBtn: "Enregistrer", sections: []}}}}}))</script>`,
			shown: `document.querySelector("#cc-main .cm")`, press: `document.querySelectorAll("#cc-main .cm__btn")[1]`},
		{name: "orejime 3.2.1", files: map[string]string{"/o.js": "orejime/dist/orejime-standard-fr.js", "/o.css": "orejime/dist/orejime-standard.css"},
			markup: `<link rel="stylesheet" href="/o.css"><script>window.orejimeConfig = {privacyPolicyUrl: "/p", purposes: ["a", "b", "c", "d"].map(id => ({id, title: id, description: id, cookies: []}))}</script><script src="/o.js" defer></script>`,
			shown:  `document.querySelector(".orejime-Banner, [class*=orejime-Banner]")`, press: `document.querySelector("[class*=orejime-Banner] button[class*=decline], .orejime-Banner-declineButton")`},
		{name: "consentd", markup: `<script src="/s/shop.js" defer></script>`, shown: widgettest.Find("#banner"), press: widgettest.Find("#refuse")},
	}
}

// watch notes what a banner costs, from before the first script of the page.
const watch = `window.cost = {shift: 0, longest: 0, blocking: 0, press: 0};
new PerformanceObserver(l => { for (const e of l.getEntries()) if (!e.hadRecentInput) cost.shift += e.value; }).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(l => { for (const e of l.getEntries()) { cost.longest = Math.max(cost.longest, e.duration); cost.blocking += e.duration - 50; } }).observe({type: "longtask", buffered: true});
(function look() { const b = SHOWN; if (b?.getClientRects().length && b.checkVisibility({opacityProperty: true, visibilityProperty: true})) { if (!cost.shown) { cost.shown = -1; requestAnimationFrame(() => setTimeout(() => { cost.shown = performance.now(); })); } } else requestAnimationFrame(look); })();`

type cost struct{ Shown, Paint, Shift, Longest, Blocking, Press, Nodes float64 }

// BenchmarkBanners prints what each banner costs a first visit: Chromium slowed four times, 150 ms and 1.6 Mbit/s,
// a cold cache. Run it with make bench-widget; each figure is the median of the runs.
func BenchmarkBanners(b *testing.B) {
	own := build(b, input(b, shop()))
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			srv := httptest.NewServer(servePeer(b, p, own.JS))
			defer srv.Close()
			var all []cost
			for b.Loop() {
				all = append(all, visitPeer(b, p, srv.URL))
			}
			b.ReportMetric(0, "ns/op")
			for name, of := range map[string]func(cost) float64{
				"ms-banner": func(c cost) float64 { return c.Shown }, "ms-paint": func(c cost) float64 { return c.Paint }, "shift": func(c cost) float64 { return c.Shift },
				"ms-longest": func(c cost) float64 { return c.Longest }, "ms-blocking": func(c cost) float64 { return c.Blocking }, "ms-press": func(c cost) float64 { return c.Press },
			} {
				b.ReportMetric(median(all, of), name)
			}
		})
	}
}

func median(all []cost, of func(cost) float64) float64 {
	values := make([]float64, len(all))
	for i, c := range all {
		values[i] = of(c)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// servePeer serves a page with one banner, compressed as well as can be.
func servePeer(b *testing.B, p peer, own []byte) http.Handler {
	files := map[string][]byte{"/s/shop.js": own}
	for path, name := range p.files {
		data, err := os.ReadFile("node_modules/" + name)
		if err != nil {
			b.Fatalf("the peers are not installed: run npm ci --prefix widget (%v)", err)
		}
		files[path] = data
	}
	page := `<!doctype html><html lang="fr"><head><meta name="viewport" content="width=device-width"><title>Alba</title><link rel="icon" href="data:,">` + p.markup +
		`</head><body><main><h1>Alba</h1>` + strings.Repeat("<p>Flax grown by the sea, spun wet, woven slowly.</p>", 40) + `</main>` + p.body + `</body></html>`
	files["/"] = []byte(page)
	packed := map[string][]byte{}
	for path, data := range files {
		var buf bytes.Buffer
		w := brotli.NewWriterLevel(&buf, brotli.BestCompression)
		w.Write(data)
		w.Close()
		packed[path] = buf.Bytes()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := packed[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNoContent) // what a banner reports
			return
		}
		kind := map[string]string{"js": "text/javascript; charset=utf-8", "ss": "text/css"}[r.URL.Path[max(len(r.URL.Path)-2, 0):]]
		if kind == "" {
			kind = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Encoding", "br")
		w.Write(data)
	})
}

func visitPeer(b *testing.B, p peer, url string) cost {
	tab := newTab(b)
	ctx := tab.Context()
	if _, err := chromedp.Call(ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}); err != nil {
		b.Fatal(err)
	}
	slow := &network.Conditions{Latency: 150, DownloadThroughput: 1.6e6 / 8, UploadThroughput: 750e3 / 8}
	if _, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{slow}}); err != nil {
		b.Fatal(err)
	}
	tab.BeforeScripts(strings.Replace(watch, "SHOWN", p.shown, 1))
	tab.Open(url)
	tab.Until("cost.shown > 0")
	if p.press != "" {
		widgettest.Eval[bool](tab, fmt.Sprintf(`new Promise(done => { const at = performance.now(); %s.click(); requestAnimationFrame(() => setTimeout(() => { cost.press = performance.now() - at; done(true); })); })`, p.press))
	}
	return widgettest.Eval[cost](tab, `({...cost, paint: performance.getEntriesByName("first-paint")[0]?.startTime ?? 0})`)
}

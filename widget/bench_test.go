package widget_test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

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
	script float64           // ms of script on the machine the goals in ms were set on (PEERS, November 2026)
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
			shown: `document.querySelector("#cookies-eu-banner")`, press: `document.querySelector("#cookies-eu-reject")`, script: 12},
		{name: "vanilla-cookieconsent 3.1.0", files: map[string]string{"/c.js": "vanilla-cookieconsent/dist/cookieconsent.umd.js", "/c.css": "vanilla-cookieconsent/dist/cookieconsent.css"},
			markup: `<link rel="stylesheet" href="/c.css"><script src="/c.js" defer></script><script>addEventListener("DOMContentLoaded", () => CookieConsent.run({hideFromBots: false,
categories: {necessary: {enabled: true, readOnly: true}, analytics: {}, ads: {}, audience: {}},
language: {default: "fr", translations: {fr: {consentModal: {title: "Vos données", description: "Nous utilisons des cookies.", acceptAllBtn: "Tout accepter", acceptNecessaryBtn: "Tout refuser", showPreferencesBtn: "Choisir"},
preferencesModal: {title: "Choisir", acceptAllBtn: "Tout accepter", acceptNecessaryBtn: "Tout refuser", savePreferencesBtn: "Enregistrer", sections: []}}}}}))</script>`,
			shown: `document.querySelector("#cc-main .cm")`, press: `document.querySelectorAll("#cc-main .cm__btn")[1]`, script: 26},
		{name: "orejime 3.2.1", files: map[string]string{"/o.js": "orejime/dist/orejime-standard-fr.js", "/o.css": "orejime/dist/orejime-standard.css"},
			markup: `<link rel="stylesheet" href="/o.css"><script>window.orejimeConfig = {privacyPolicyUrl: "/p", purposes: ["a", "b", "c", "d"].map(id => ({id, title: id, description: id, cookies: []}))}</script><script src="/o.js" defer></script>`,
			shown:  `document.querySelector(".orejime-Banner, [class*=orejime-Banner]")`, press: `document.querySelector("[class*=orejime-Banner] button[class*=decline], .orejime-Banner-declineButton")`, script: 65},
		{name: "consentd", markup: `<script src="/s/shop.js" defer></script>`, shown: widgettest.Find("#banner"), press: widgettest.Find("#refuse")},
	}
}

// watch notes what a banner costs, from before the first script of the page. A banner is shown when a frame that
// began with it has been handed over.
const watch = `window.cost = {shift: 0, press: 0};
new PerformanceObserver(l => { for (const e of l.getEntries()) if (!e.hadRecentInput) cost.shift += e.value; }).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(l => { for (const e of l.getEntries()) if (e.name === "click") cost.press = e.duration; }).observe({type: "event", durationThreshold: 16, buffered: true});
(function look(b) { if (b?.getClientRects().length && b.checkVisibility({opacityProperty: true, visibilityProperty: true})) { cost.shown = performance.now(); cost.nodes = b.querySelectorAll("*").length + 1; } else requestAnimationFrame(() => { const b = SHOWN; setTimeout(() => look(b)); }); })();`

// cost is what one visit cost. Times are in ms.
type cost struct {
	Shown   float64 // navigation to the frame with the banner
	Paint   float64 // … to the first paint of the page
	Shift   float64 // cumulative layout shift
	Press   float64 // a click on "refuse" to the next paint, in steps of 8; 0: less than 16
	Nodes   float64 // elements of the banner
	Script  float64 // CPU time in scripts, with the layout they force
	Longest float64 // CPU time of the longest task of the page's main thread
	Return  float64 // Script, on the page after a refusal
}

// columns are what is printed of a cost.
var columns = []struct {
	name string
	of   func(cost) float64
	goal float64 // ms on the machine the goals were set on; 0: none
}{
	{"banner ms", func(c cost) float64 { return c.Shown }, 0}, {"first paint ms", func(c cost) float64 { return c.Paint }, 0},
	{"script ms", func(c cost) float64 { return c.Script }, 25}, {"longest task ms", func(c cost) float64 { return c.Longest }, 50},
	{"press ms", func(c cost) float64 { return c.Press }, 24}, {"shift", func(c cost) float64 { return c.Shift }, 0},
	{"elements", func(c cost) float64 { return c.Nodes }, 0}, {"script ms, returning", func(c cost) float64 { return c.Return }, 12},
}

// BenchmarkBanners prints what each banner costs a first visit: Chromium slowed four times, 150 ms and 1.6 Mbit/s,
// a cold cache. Run it with make bench-widget. In each round every banner is visited in turn, so that what else the
// machine does touches all of them; each figure is the median of the rounds, and the ratio to the lightest banner is
// the median of the ratios of each round. Goals in ms hold for another machine: the last line has them for this one, by
// the time it takes for the scripts of the others.
func BenchmarkBanners(b *testing.B) {
	in := input(b, shop())
	in.Options.Signals = signals
	own := build(b, in)
	all := peers()
	costs := make([][]cost, len(all))
	servers := make([]*httptest.Server, len(all))
	for i, p := range all {
		servers[i] = httptest.NewServer(servePeer(b, p, own.JS))
		defer servers[i].Close()
	}
	visitPeer(b, all[0], servers[0].URL) // the browser itself starts cold only once
	for b.Loop() {
		for i, p := range all {
			costs[i] = append(costs[i], tracePeer(b, p, servers[i].URL, visitPeer(b, p, servers[i].URL)))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratio(costs[len(all)-1], costs[1]), "banner/floor")
	b.Log("\n" + table(all, costs))
}

// ratio is the median of how much later one banner is shown than another of the same round.
func ratio(of, floor []cost) float64 {
	values := make([]float64, len(of))
	for i := range of {
		values[i] = of[i].Shown / floor[i].Shown
	}
	return median(values)
}

func table(all []peer, costs [][]cost) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		fmt.Fprintf(w, "\t%s", c.name)
	}
	fmt.Fprintf(w, "\tbanner ÷ floor\n")
	for i, p := range all {
		fmt.Fprint(w, p.name)
		for _, c := range columns {
			fmt.Fprintf(w, "\t%.4g", typical(costs[i], c.of))
		}
		fmt.Fprintf(w, "\t%.2f\n", ratio(costs[i], costs[1]))
	}
	slow := slowness(all, costs)
	fmt.Fprintf(w, "goal, %.2f times as slow here", slow)
	for _, c := range columns {
		goal := ""
		if c.goal > 0 {
			goal = fmt.Sprintf("%.3g", c.goal*slow)
		}
		fmt.Fprintf(w, "\t%s", goal)
	}
	fmt.Fprintln(w, "\t1.15")
	w.Flush()
	return text.String()
}

// slowness is how many times as long this machine takes for the scripts of the peers as the one the goals were set on:
// the geometric mean of all whose time there is known.
func slowness(all []peer, costs [][]cost) float64 {
	product, n := 1.0, 0.0
	for i, p := range all {
		if p.script == 0 {
			continue
		}
		product, n = product*typical(costs[i], func(c cost) float64 { return c.Script })/p.script, n+1
	}
	return math.Pow(product, 1/n)
}

// typical is the median of one figure over the rounds.
func typical(rounds []cost, of func(cost) float64) float64 {
	values := make([]float64, len(rounds))
	for i, c := range rounds {
		values[i] = of(c)
	}
	return median(values)
}

func median(values []float64) float64 {
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

// visitPeer times a first visit.
func visitPeer(b *testing.B, p peer, url string) cost {
	tab := slowTab(b)
	defer tab.Close()
	tab.BeforeScripts(strings.Replace(watch, "SHOWN", p.shown, 1))
	tab.Open(url)
	tab.Until("cost.shown > 0")
	if p.press != "" {
		at := widgettest.Eval[[2]float64](tab, "(r => [r.x + r.width / 2, r.y + r.height / 2])("+p.press+".getBoundingClientRect())")
		if err := chromedp.Do(tab.Context(), chromedp.MouseClickXY(at[0], at[1])); err != nil {
			b.Fatal(err)
		}
	}
	widgettest.Eval[bool](tab, rest)
	return widgettest.Eval[cost](tab, `({...cost, paint: performance.getEntriesByName("first-paint")[0]?.startTime ?? 0})`)
}

// tracePeer adds what a first visit, and the one after a refusal, ask of the processor. Nothing of ours runs in the
// page meanwhile.
func tracePeer(b *testing.B, p peer, url string, c cost) cost {
	tab := slowTab(b)
	defer tab.Close()
	trace := func(name string, visit func()) trace {
		rec := startTrace(b, tab)
		visit()
		widgettest.Eval[bool](tab, rest)
		return rec.stop(b, name).mainThread()
	}
	first := trace(p.name, func() { tab.Open(url) })
	c.Script, c.Longest = first.script(), first.longest()
	if p.press != "" {
		widgettest.Eval[bool](tab, "("+p.press+".click(), true)")
		widgettest.Eval[bool](tab, rest)
		c.Return = trace(p.name+" returning", tab.Reload).script()
	}
	return c
}

// rest waits until everything a page puts off has been done.
const rest = `new Promise(done => setTimeout(() => requestIdleCallback(() => done(true)), 1500))`

// slowTab is a tab of a slow telephone on 4G. Close it: a slowed tab burns what it is kept from using, and the next
// one would pay.
func slowTab(b *testing.B) *widgettest.Tab {
	tab := newTab(b)
	if _, err := chromedp.Call(tab.Context(), emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4}); err != nil {
		b.Fatal(err)
	}
	slow := &network.Conditions{Latency: 150, DownloadThroughput: 1.6e6 / 8, UploadThroughput: 750e3 / 8}
	if _, err := chromedp.Call(tab.Context(), network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{slow}}); err != nil {
		b.Fatal(err)
	}
	return tab
}

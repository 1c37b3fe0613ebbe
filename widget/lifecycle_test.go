package widget_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/widget/measure"
	"github.com/consentd/consentd/widget/widgettest"
)

// bare is a page without the widget.
const bare = `<!doctype html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,"><p>Elsewhere</p>`

// serving puts pages of its own in front of a stand's website.
func (s *stand) serving(pages map[string]string) {
	site := s.site.Config.Handler
	s.site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, ok := pages[r.URL.Path]; ok {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, text)
			return
		}
		site.ServeHTTP(w, r)
	})
}

// promptsAnswered is an expression that is true once the page has the answers to n displays: until then it is not kept
// for "back".
func promptsAnswered(n int) string {
	return fmt.Sprintf(`performance.getEntriesByType("resource").filter(e => e.name.endsWith("/prompts")).length >= %d`, n)
}

// leave goes to a path as a visitor does; back comes back, to a page that was kept as it was left.
func leave(tab *widgettest.Tab, path string) {
	widgettest.Eval[bool](tab, `(window.kept = true, window.restored = undefined, addEventListener("pageshow", e => window.restored = e.persisted), setTimeout(() => location = "`+path+`"), true)`)
	tab.Until(`location.pathname === "` + path + `" && document.readyState === "complete"`)
}

func back(t *testing.T, tab *widgettest.Tab, path string) {
	t.Helper()
	widgettest.Eval[bool](tab, `(setTimeout(() => history.back()), true)`)
	tab.Until(`location.pathname === "` + path + `" && document.readyState === "complete" && (!window.kept || window.restored !== undefined)`)
	if !widgettest.Eval[bool](tab, `window.kept && window.restored`) {
		t.Fatalf("%s was loaded again: %s", path, widgettest.Eval[string](tab, `JSON.stringify(performance.getEntriesByType("navigation")[0].notRestoredReasons)`))
	}
}

// A page that comes back from the browser's back-forward cache is the same display, not another.
func TestComingBackIsNoSecondPrompt(t *testing.T) {
	s := newStand(t, input(t, shop()), page{body: plain})
	s.serving(map[string]string{"/elsewhere": bare})
	tab := newTab(t)
	tab.Open(s.site.URL + "/shop")
	tab.BannerShown()
	tab.Press("#choose")
	tab.PreferencesShown()
	got(t, s, &s.prompts, 2)
	tab.Until(promptsAnswered(2))
	for range 3 {
		leave(tab, "/elsewhere")
		back(t, tab, "/shop")
		tab.PreferencesShown()
	}
	tab.Press("dialog #refuse")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	got(t, s, &s.prompts, 2)
	quiet(t, tab)
}

// A choice made on a later page holds on the one that comes back: nobody is asked there, and what waited runs.
func TestComingBackAfterAChoice(t *testing.T) {
	s := newStand(t, input(t, shop()), page{body: gated})
	tab := newTab(t)
	tab.Open(s.site.URL + "/first")
	tab.BannerShown()
	got(t, s, &s.prompts, 1)
	tab.Until(promptsAnswered(1))
	leave(tab, "/second")
	tab.Press("#accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	tab.Until(answered)
	back(t, tab, "/first")
	tab.NothingShown()
	tab.Until(ran + `.endsWith("last")`)
	got(t, s, &s.prompts, 2)
	got(t, s, &s.consents, 1)
}

// diary notes in order what website and edge were asked.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) keep(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.lines = append(d.lines, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Sec-Purpose")))
		d.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.lines...)
}

// until waits for a line that begins so, and gives all lines up to it.
func (d *diary) until(t *testing.T, begin string) []string {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for i, line := range d.read() {
			if strings.HasPrefix(line, begin) {
				return d.read()[:i+1]
			}
		}
	}
	t.Fatalf("never: %s\n%s", begin, strings.Join(d.read(), "\n"))
	return nil
}

// The browser renders a page before anybody goes to it, with its scripts: nobody is asked there, nothing that waits
// runs, and the display counts once, when somebody comes. A browser with a driver attached does not render ahead:
// the page drives itself.
func TestAPageRenderedAheadAsksOnceItIsSeen(t *testing.T) {
	const tell = `<script>
		const early = document.prerendering, start = () => performance.getEntriesByType("navigation")[0].activationStart > 0;
		const look = () => document.querySelector("consentd-widget")?.shadowRoot.querySelector("#banner") ? fetch("/told?early=" + early + "&activated=" + start()) : setTimeout(look, 5);
		if (early) addEventListener("load", () => setTimeout(() => fetch("/ready?shown=" + !!document.querySelector("consentd-widget")), 100));
		look();
	</script>`
	s := newStand(t, input(t, shop()), page{head: tell, body: plain})
	s.serving(map[string]string{"/told": "", "/ready": "", "/go": "", "/start": `<!doctype html><title>Start</title><link rel="icon" href="data:,"><a id="next" href="/next">Next</a>
		<script type="speculationrules">{"prerender": [{"urls": ["/next"], "eagerness": "immediate"}]}</script>
		<script>const poll = () => fetch("/go").then(r => r.status === 200 ? document.getElementById("next").click() : setTimeout(poll, 20)); poll()</script>`})
	d, seen := &diary{}, make(chan struct{})
	site := s.site.Config.Handler
	s.site.Config.Handler = d.keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-seen:
		default:
			if r.URL.Path == "/go" {
				w.WriteHeader(http.StatusAccepted)
				return
			}
		}
		site.ServeHTTP(w, r)
	}))
	s.edge.Config.Handler = d.keep(s.edge.Config.Handler)
	path, err := measure.Find()
	if err != nil {
		t.Fatal(err)
	}
	_, end, err := measure.Launch(t.Context(), path, s.site.URL+"/start")
	if err != nil {
		t.Fatal(err)
	}
	defer end()

	ahead := d.until(t, "GET /ready")
	text := strings.Join(ahead, "\n")
	if !strings.Contains(text, "GET /next prefetch;prerender") || !strings.Contains(text, "GET /s/shop.js prefetch;prerender") {
		t.Fatalf("the page was not rendered ahead with its script:\n%s", text)
	}
	if !strings.Contains(text, "GET /ready?shown=false") || strings.Contains(text, "POST") {
		t.Errorf("nobody sees the page, and it asks:\n%s", text)
	}
	close(seen)
	d.until(t, "GET /told?early=true&activated=true")
	got(t, s, &s.prompts, 1)
	if n := strings.Count(strings.Join(d.read(), "\n"), "GET /next"); n != 1 {
		t.Errorf("the page was loaded %d times", n)
	}
}

// A choice made on one host of a domain holds on the others, and on no host of another.
func TestHostsOfADomainShareAChoice(t *testing.T) {
	b, err := widgettest.Start("host-resolver-rules=MAP * 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for domain, shared := range map[string]bool{"alba.example": true, "": false} {
		t.Run("domain "+domain, func(t *testing.T) {
			in := input(t, shop())
			in.Options.CookieDomain = domain
			s := newStand(t, in, page{body: gated})
			u, err := url.Parse(s.site.URL)
			if err != nil {
				t.Fatal(err)
			}
			on := func(host string) string { return "http://" + host + ":" + u.Port() }
			s.site.URL = on("www.alba.example") // whose posts are answered
			tab := b.Tab(t)
			tab.Open(on("www.alba.example"))
			tab.Press("#accept")
			tab.NothingShown()
			first := got(t, s, &s.consents, 1)[0]
			tab.Until(answered)

			tab.Open(on("pay.alba.example"))
			if !shared {
				tab.BannerShown()
				return
			}
			tab.NothingShown()
			tab.Until(ran + `.endsWith("last")`)
			if device := widgettest.Eval[string](tab, `consentd.get().device`); device != first.Subject.Device {
				t.Errorf("device %s, on the other host %s", first.Subject.Device, device)
			}
			tab.Open(on("alba.example"))
			tab.NothingShown()
			tab.Open(on("www.another.example"))
			tab.BannerShown()
			if kept := widgettest.Eval[string](tab, `document.cookie`); kept != "" {
				t.Errorf("another domain has %s", kept)
			}

			// Taken back on one host, it is taken back on all: a copy that one of them kept does not win.
			s.site.URL = on("pay.alba.example")
			tab.Open(on("pay.alba.example"))
			tab.NothingShown()
			widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
			got(t, s, &s.consents, 2)
			tab.Until(answered)
			tab.Open(on("www.alba.example"))
			tab.NothingShown()
			if widgettest.Eval[bool](tab, `consentd.has("ads")`) {
				t.Error("what was taken back on one host is still given on another")
			}
		})
	}
}

// Where a page loads nothing else, its load event does not come in the task that puts the banner up: there the browser
// would lay it out at once. The page of a choice made, where nothing is put up, shows that it otherwise does come there.
func TestTheLoadEventWaitsForTheTaskOfTheBanner(t *testing.T) {
	s := newStand(t, input(t, shop()), page{body: plain})
	tab := newTab(t)
	// Whatever is posted so comes before any other task.
	tab.BeforeScripts(`addEventListener("DOMContentLoaded", () => scheduler.postTask(() => window.later = true, {priority: "user-blocking"}));
addEventListener("load", () => window.apart = window.later === true)`)
	tab.Open(s.site.URL + "/shop")
	tab.BannerShown()
	if !widgettest.Eval[bool](tab, "apart") {
		t.Error("the load event came in the task that put the banner up")
	}
	tab.Press("#refuse")
	tab.NothingShown()
	tab.Reload()
	tab.NothingShown()
	if widgettest.Eval[bool](tab, "apart") {
		t.Error("the load event came later where there was no banner: this test shows nothing")
	}
	quiet(t, tab)
}

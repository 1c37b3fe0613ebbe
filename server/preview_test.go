package server

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/widget/widgettest"
)

func TestPreviewShowsEveryLook(t *testing.T) {
	k := start(t)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		k.Admin().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	page := get("/preview/demo")
	frames := regexp.MustCompile(`<iframe [^>]*src="([^"]+)"[^>]*sandbox="allow-scripts"`).FindAllStringSubmatch(page.Body.String(), -1)
	const want = 3 * 2 * 2 * 2 * 2 // layouts, surfaces, locales, schemes, widths
	if page.Code != 200 || len(frames) != want || strings.Contains(page.Body.String(), "placeholders") {
		t.Fatalf("%d, %d frames, want %d", page.Code, len(frames), want)
	}
	seen := map[string]bool{}
	for _, f := range frames {
		frame := get(html.UnescapeString(f[1]))
		if frame.Header().Get("Content-Security-Policy") != "sandbox allow-scripts" {
			t.Fatalf("%s opened by itself is of the admin address", f[1])
		}
		script := regexp.MustCompile(`<script src="([^"]+)" defer`).FindStringSubmatch(frame.Body.String())
		if frame.Code != 200 || script == nil {
			t.Fatalf("%s: %d %s", f[1], frame.Code, frame.Body)
		}
		src := html.UnescapeString(script[1])
		if seen[src] {
			continue
		}
		seen[src] = true
		if js := get(src); js.Code != 200 || !strings.Contains(js.Body.String(), "consentd") {
			t.Fatalf("%s: %d %s", src, js.Code, js.Body)
		}
	}
	for _, path := range []string{"/preview/nowhere", "/preview/demo/s/other.js", "/preview/demo/x"} {
		if w := get(path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := get(`/preview/demo/s/demo.js?layout=wall`); w.Code != 400 {
		t.Errorf("a layout that is none: %d", w.Code)
	}
	if w := get(`/preview/demo/frame?locale="><script>alert(1)</script>`); strings.Contains(w.Body.String(), "<script>alert") {
		t.Error("the frame takes markup from its address")
	}
}

const withFilm = `site: film
name: Ciné
origins: [https://film.example]
controller: {name: Ciné SAS, contact: dpo@film.example}
locales: [fr]
policy: /confidentialite
purposes: [{id: media, ready: media, services: [{id: bobine, embed: true, name: Bobine}, {id: piste, embed: true, name: Piste}, {name: Autre}]}]
`

// TestPreviewShowsEveryForm: those of ours in the page and by themselves. A form the page draws is not ours to show.
func TestPreviewShowsEveryForm(t *testing.T) {
	k := start(t)
	desk := httptest.NewServer(k.Admin())
	t.Cleanup(desk.Close)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		k.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/preview/atelier"+path, nil))
		return w.Code, w.Body.String()
	}
	_, body := get("")
	for id, want := range map[string]int{"form-lettre": 1, "page-lettre": 1, "form-simple": 1, "page-simple": 1, "form-contact": 0, "page-contact": 0} {
		if n := strings.Count(body, `<h2 id="`+id+`"`); n != want {
			t.Errorf("%s stands there %d times", id, n)
		}
	}
	frames := regexp.MustCompile(`<figcaption><a href="([^"]+form[^"]+)"`).FindAllStringSubmatch(body, -1)
	const want = 2 * 2 * 2 * 2 * 2 // forms, in the page and by itself, locales, schemes, widths
	if len(frames) != want {
		t.Fatalf("%d frames, want %d", len(frames), want)
	}
	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab := b.Tab(t)
	for _, f := range frames {
		at := html.UnescapeString(f[1])
		tab.Open(desk.URL + at)
		title := map[string]string{"lettre fr": "Recevez la lettre de l’atelier", "lettre en": "Get the workshop letter", "simple fr": "Alertes", "simple en": "Alerts"}[nameIn(at, "lettre", "simple")+" "+nameIn(at, "fr", "en")]
		tab.Until(`(document.querySelector("consentd-form")?.shadowRoot ?? document).querySelector("form")?.parentNode.textContent.includes("` + title + `")`)
		dark := widgettest.Eval[bool](tab, `getComputedStyle((document.querySelector("consentd-form")?.shadowRoot ?? document).querySelector("form")).color.match(/\d+/)[0] > 128`)
		if dark != strings.Contains(at, "scheme=dark") {
			t.Errorf("%s: dark is %t", at, dark)
		}
	}
	for _, path := range []string{"/form?form=contact&locale=fr", "/form?form=nope&locale=fr", "/form?form=lettre&locale=de", "/form"} {
		if code, _ := get(path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// nameIn finds which of two values an address has.
func nameIn(address, a, b string) string {
	if strings.Contains(address, "="+a+"&") || strings.Contains(address, "%3A"+a) {
		return a
	}
	return b
}

// Each dialog takes the focus of its own frame: the page around them stands still all the same, and shows every
// surface, placeholders among them.
func TestThePreviewStandsStill(t *testing.T) {
	k := start(t, func(o *Options) { o.Sites = openSites(t, map[string]string{"film.yaml": withFilm}) })
	var prompts atomic.Int32
	admin := k.Admin()
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/prompts") {
			prompts.Add(1)
		}
		admin.ServeHTTP(w, r)
	}))
	t.Cleanup(desk.Close)
	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab := b.Tab(t)
	tab.Width(3000, 4000, false) // every frame is in sight: a browser draws no other
	tab.Open(desk.URL + "/preview/film")
	widgettest.Eval[bool](tab, `(document.querySelectorAll("iframe").forEach(f => f.loading = "eager"), true)`)
	// A banner reports one display, preferences theirs, two placeholders one each.
	const want = 3*4*1 + 3*4*1 + 4*2
	storagetest.Eventually(t, 2*time.Minute, "every frame to show its surface", func() bool { return prompts.Load() >= want })
	if got := widgettest.Eval[[]any](tab, `[scrollY, document.activeElement.localName]`); got[0] != 0.0 || got[1] != "body" {
		t.Errorf("the page has moved by %v, the focus is on %v", got[0], got[1])
	}

	// A frame by itself does what the script does for visitors.
	const look = "/preview/film/frame?layout=box&locale=fr&scheme=dark&surface="
	tab.Open(desk.URL + look + "placeholders")
	tab.Until(`document.querySelectorAll("consentd-embed").length === 2`)
	tab.NothingShown()
	tab.Open(desk.URL + look + "preferences")
	tab.PreferencesShown()
	if widgettest.Eval[string](tab, widgettest.Root+".activeElement.id") != "heading" {
		t.Error("a dialog by itself does not take the focus")
	}
}

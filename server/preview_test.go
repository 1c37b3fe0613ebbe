package server

import (
	"html"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
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
	if page.Code != 200 || len(frames) != want {
		t.Fatalf("%d, %d frames, want %d", page.Code, len(frames), want)
	}
	seen := map[string]bool{}
	for _, f := range frames {
		frame := get(html.UnescapeString(f[1]))
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

package camera

import (
	"bytes"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget/measure"
)

const page = `<!doctype html><meta name="viewport" content="width=device-width">
<style>body{margin:0;background:#fff}@media (prefers-color-scheme:dark){body{background:#000}}
#box{max-height:80vh;overflow:auto;background:#0f0}#box div{height:1500px}</style>
<script>setTimeout(() => document.body.insertAdjacentHTML("beforeend", location.hash === "#long" ? "<div id=box><div></div></div>" : "<p id=box>"), 50)</script>`

func open(t *testing.T) *Camera {
	t.Helper()
	path, err := measure.Find()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAPictureIsOfThePageWhenItIsReady(t *testing.T) {
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(page))
	}))
	t.Cleanup(desk.Close)
	c := open(t)
	for _, row := range []struct {
		name   string
		shot   Shot
		corner color.RGBA
		higher bool
	}{
		{"on a desk by day", Shot{URL: desk.URL, Width: 800, Height: 600, Scheme: "light"}, color.RGBA{255, 255, 255, 255}, false},
		{"on a phone by night", Shot{URL: desk.URL, Width: 375, Height: 740, Phone: true, Scheme: "dark"}, color.RGBA{0, 0, 0, 255}, false},
		{"longer than the window", Shot{URL: desk.URL + "#long", Width: 800, Height: 600, Scheme: "light"}, color.RGBA{0, 255, 0, 255}, true},
	} {
		row.shot.Ready = `document.querySelector("#box")`
		b, height, err := c.Take(row.shot)
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if size := img.Bounds().Size(); int64(size.X) != row.shot.Width || int64(size.Y) != height || (height > row.shot.Height) != row.higher {
			t.Errorf("%s: %v, window %d", row.name, size, height)
		}
		if got := color.RGBAModel.Convert(img.At(1, 1)); got != row.corner {
			t.Errorf("%s: corner %v, want %v", row.name, got, row.corner)
		}
		if row.higher && height < 1500 {
			t.Errorf("%s: cut off at %d", row.name, height)
		}
	}
}

func TestNoBrowserIsAnError(t *testing.T) {
	if _, err := Open(t.Context(), "/nonexistent/chromium"); err == nil || !strings.Contains(err.Error(), "/nonexistent/chromium") {
		t.Errorf("%v", err)
	}
}

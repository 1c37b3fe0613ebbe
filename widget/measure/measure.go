// Package measure shows a site's scripts in a Chromium and measures what a visitor is given: how large what can be
// pressed is, how large letters are, whether accepting and refusing look the same, whether anything is cut off.
//
// It guarantees that what it measures is what the script draws, in windows of 1280, 375 and 320 pixels, in each
// locale it is given: nothing is reckoned from the style sheet. It leaves the judgement of colours to widget.Theme,
// knows no site files and speaks of configuration only by the keys that change what it found.
//
// # Files
//
//	measure.go   Run: scripts in, findings out
//	rules.go     what is too small, unequal or cut off, and why
//	chromium.go  Find and Launch: Chromium
//	measure.js   the page: shows each surface in frames, measures, and posts the figures back
//
// # Why not the DevTools protocol
//
// The page is ours and can measure itself: Chromium is started on its address and ended when the figures have
// come. So the program carries no driver.
package measure

import (
	"context"
	_ "embed" // measure.js
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrSilent means that Chromium ran and no figures came, within the context's time or Patience.
var ErrSilent = errors.New("measure: the browser gave no figures")

// Patience is how long Run waits for the figures of one page, and for Chromium to start. A page takes about 0.1 s in
// each width.
const Patience = 20 * time.Second

// Page is one script in one of its locales.
type Page struct {
	Site, Locale string
	JS           []byte
	Embeds       []Embed
}

// Embed is a service that puts content into pages, and the purpose it waits for.
type Embed struct{ Service, Purpose string }

// Finding is one thing wrong with how a site looks.
type Finding struct {
	Page   int    // index of the page it is on
	Code   string // one of those in rules.go
	Key    string // the key of the site's file that changes it: banner.refuse.fr, theme.radius
	Detail string // a sentence, beginning where: "at 320 px in fr, …"
}

//go:embed measure.js
var script []byte

// Run measures pages in the Chromium at path. The same finding on a page in several widths is reported once, in the
// largest.
func Run(ctx context.Context, path string, pages []Page) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience*time.Duration(len(pages)+1))
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for figures: %w", err)
	}
	d := &desk{pages: pages, came: make(chan report, 1)}
	server := &http.Server{Handler: d.routes(), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(ln)
	defer server.Close()
	late := func() error { return fmt.Errorf("%w: %w", ErrSilent, ctx.Err()) }
	ended, end, err := Launch(ctx, path, "http://"+ln.Addr().String()+"/")
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, late()
	case err != nil:
		return nil, err
	}
	defer end()
	select {
	case r := <-d.came:
		if r.Failed != "" {
			return nil, fmt.Errorf("%w: %s", ErrSilent, r.Failed)
		}
		return judge(pages, r.Looks), nil
	case err := <-ended:
		if ctx.Err() != nil { // which ended it
			return nil, late()
		}
		return nil, fmt.Errorf("%w: it ended (%w)", ErrSilent, err)
	case <-ctx.Done():
		return nil, late()
	}
}

// report is what the page posts.
type report struct {
	Failed string // what went wrong there
	Looks  []look
}

// desk serves the page that measures, the pages it measures and their scripts, and takes the figures.
type desk struct {
	pages []Page
	came  chan report
}

func (d *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>measure</title><script data-pages=%d>%s</script>", len(d.pages), script)
	})
	mux.HandleFunc("GET /{page}/{$}", d.page)
	mux.HandleFunc("GET /{page}/s/{file}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		if p := d.find(r); p != nil {
			w.Write(p.JS)
		}
	})
	mux.HandleFunc("POST /figures", func(w http.ResponseWriter, r *http.Request) {
		var got report
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			got.Failed = "figures that make no sense: " + err.Error()
		}
		select {
		case d.came <- got:
		default: // it has posted before
		}
	})
	return mux // what the scripts post is answered 404: nothing is recorded
}

func (d *desk) find(r *http.Request) *Page {
	i, err := strconv.Atoi(r.PathValue("page"))
	if err != nil || i < 0 || i >= len(d.pages) {
		return nil
	}
	return &d.pages[i]
}

// page is a page in the site's language with room for each embed.
func (d *desk) page(w http.ResponseWriter, r *http.Request) {
	p := d.find(r)
	if p == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var embeds strings.Builder
	for _, e := range p.Embeds {
		fmt.Fprintf(&embeds, `<iframe data-consent="%s" data-service="%s" data-src="about:blank" style="display:block;width:100%%;max-width:480px;height:320px;border:0"></iframe>`,
			html.EscapeString(e.Purpose), html.EscapeString(e.Service))
	}
	fmt.Fprintf(w, `<!doctype html><html lang="%s"><meta name="viewport" content="width=device-width"><title>page</title><script src="s/%s.js" defer></script><body style="margin:0;font:16px sans-serif">%s`,
		html.EscapeString(p.Locale), html.EscapeString(p.Site), embeds.String())
}

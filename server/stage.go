package server

import (
	"crypto/sha256"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// Look is one published wording, on a page that shows it as people see it: with the script they are served, or on a
// page of this server.
type Look struct {
	Wording *consent.Published
	Bundle  consent.Hash // SHA-256 of the script, or of the page
	Page    string       // which page of this server, as consent.SnapshotAbout has it; "": a page with the script
	Path    string       // of the page
	Ready   string       // JavaScript expression that is true once the wording is shown
}

// Stage gives a page for each way a published wording of a site is shown, and the handler that serves them. It is for a
// listener of its own on this machine: what the scripts report there goes nowhere.
func (s *Server) Stage(siteID string) (http.Handler, []Look, error) {
	v, err := s.site(siteID)
	if err != nil {
		return nil, nil, err
	}
	if err := s.publish(v); err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	var looks []Look
	for i, w := range v.site.Published {
		b, _, err := v.scripts.pick(w.Locale, "")
		if err == nil {
			err = s.announce(v, b)
		}
		if err != nil {
			return nil, nil, err
		}
		base := "/" + strconv.Itoa(i)
		mux.HandleFunc("GET "+base+"/{$}", staged(v, w))
		mux.HandleFunc("GET "+base+"/s/"+v.site.ID+".js", stagedScript(b))
		looks = append(looks, Look{Wording: w, Bundle: sha256.Sum256(b.JS), Path: base + "/", Ready: readyFor(w.Surface)})
	}
	drawn, err := s.stagePages(v, mux)
	return mux, append(looks, drawn...), err
}

func stagedScript(b *widget.Bundle) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mimeScript)
		w.Write(b.JS)
	}
}

// stagePage is a bare page with room for one surface. What is not the banner is seen once the banner is answered.
var stagePage = template.Must(template.New("stage").Parse(`<!doctype html>
<html lang="{{.Locale}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Name}}</title>
<link rel="icon" href="data:,">
<style>body { margin: 0; padding: 2rem; font: 16px/1.6 system-ui, sans-serif } iframe { display: block; width: 100%; max-width: 560px; height: 300px; border: 0 }</style>
<script>{{if .Call}}(window.consentd = window.consentd || []).push([{{.Call}}]);{{end}}</script>
<script src="s/{{.Site}}.js" defer></script>
</head>
<body>
<h1>{{.Name}}</h1>
{{if .Service}}<iframe title="{{.Service}}" data-consent="{{.Purpose}}" data-service="{{.Service}}" data-src="about:blank"></iframe>{{end}}
{{if .Form}}<div data-consentd-form="{{.Form}}"></div>{{end}}
</body>
</html>
`))

func staged(v *view, w *consent.Published) http.HandlerFunc {
	data := map[string]string{"Locale": w.Locale, "Name": v.site.Name, "Site": v.site.ID}
	kind, id, _ := strings.Cut(w.Surface, ":")
	switch kind {
	case consent.SurfacePreferences:
		data["Call"] = "open"
	case "embed":
		data["Service"], data["Purpose"] = id, w.Purposes[0].ID
	case "form":
		data["Form"] = id
	}
	if kind != consent.SurfaceBanner && data["Call"] == "" && v.site.HasBanner() {
		data["Call"] = "refuseAll"
	}
	return func(out http.ResponseWriter, _ *http.Request) { render(out, stagePage, data) }
}

func readyFor(surface string) string {
	const widgetRoot = `document.querySelector("consentd-widget")?.shadowRoot`
	switch kind, _, _ := strings.Cut(surface, ":"); kind {
	case consent.SurfacePreferences:
		return widgetRoot + `?.querySelector("dialog:not(#banner)")?.open`
	case "embed":
		return `document.querySelector("consentd-embed")?.shadowRoot`
	case "form":
		return `document.querySelector("consentd-form")?.shadowRoot`
	}
	return widgetRoot + `?.querySelector("#banner")`
}

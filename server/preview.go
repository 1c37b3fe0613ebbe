package server

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/consentd/consentd/widget"
)

// previewPage shows every layout, surface, locale, scheme and width of a site's script side by side. Each stands in
// a frame without an origin: nothing is stored, and what is pressed there is recorded nowhere.
var previewPage = template.Must(template.New("preview").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Name}}: preview</title>
<style>body{margin:0;padding:2rem;font:16px/1.5 system-ui,sans-serif;color:#15181e;background:#f4f5f7}h1,h2{line-height:1.2}
ul{display:flex;flex-wrap:wrap;gap:1.5rem;padding:0;list-style:none}figure{margin:0}iframe{display:block;border:1px solid #c9ced6;background:#fff}</style>
<h1>{{.Name}}</h1><p>Nothing pressed here is recorded.</p>
{{range .Groups}}<h2>{{.Title}}</h2><ul>{{range .Frames}}<li><figure><figcaption>{{.Title}}</figcaption><iframe title="{{.Title}}" src="{{.Src}}" width="{{.Width}}" height="{{.Height}}" loading="lazy" sandbox="allow-scripts"></iframe></figure></li>{{end}}</ul>
{{end}}`))

var previewFrame = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="{{.Locale}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Name}}</title>
<style>body{margin:0;padding:2rem;font:16px/1.6 system-ui,sans-serif}</style>
{{if .Preferences}}<script>(window.consentd = window.consentd || []).push(["open"])</script>{{end}}
<script src="{{.Script}}" defer></script><h1>{{.Name}}</h1><p>What the page says stands here.</p>`))

type previewGroup struct {
	Title  string
	Frames []previewed
}

type previewed struct {
	Title, Src    string
	Width, Height int
}

// preview serves /preview/{site}, /preview/{site}/frame and /preview/{site}/s/{file} of the admin address.
func (s *Server) preview(w http.ResponseWriter, r *http.Request) {
	v, err := s.site(r.PathValue("site"))
	if err != nil {
		http.Error(w, "there is no site of this name", http.StatusNotFound)
		return
	}
	id, q := v.site.ID, r.URL.Query()
	switch r.PathValue("part") {
	case "":
		render(w, previewPage, map[string]any{"Name": v.site.Name, "Groups": previewGroups(v)})
	case "frame":
		render(w, previewFrame, map[string]any{"Name": v.site.Name, "Locale": q.Get("locale"), "Preferences": q.Get("surface") == "preferences",
			"Script": "/preview/" + id + "/s/" + id + ".js?" + q.Encode()})
	case "s/" + id + ".js":
		s.previewScript(w, v, q)
	default:
		http.NotFound(w, r)
	}
}

func render(w http.ResponseWriter, t *template.Template, data any) {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		http.Error(w, "the preview cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page.Bytes())
}

// previewScript builds the script as it would be with another layout and scheme.
func (s *Server) previewScript(w http.ResponseWriter, v *view, q url.Values) {
	in := widget.Input{Site: v.site.Site, Wordings: v.site.Published, Theme: v.site.Theme, Options: v.site.Options}
	if layout := widget.Layout(q.Get("layout")); layout != in.Theme.Layout {
		in.Theme.Layout, in.Theme.Position = layout, ""
	}
	in.Theme.Scheme = widget.Scheme(q.Get("scheme"))
	b, err := widget.Build(in)
	if err != nil {
		http.Error(w, "the script cannot be built so", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", mimeScript)
	w.Write(b.JS)
}

// previewGroups is everything there is to look at: a group for each layout and surface.
func previewGroups(v *view) []previewGroup {
	var all []previewGroup
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		for _, surface := range []string{"banner", "preferences"} {
			g := previewGroup{Title: string(layout) + ", " + surface}
			for _, locale := range v.site.Locales {
				for _, scheme := range []widget.Scheme{widget.SchemeLight, widget.SchemeDark} {
					for _, width := range []int{1280, 375} {
						q := url.Values{"layout": {string(layout)}, "surface": {surface}, "locale": {locale}, "scheme": {string(scheme)}}
						g.Frames = append(g.Frames, previewed{Title: fmt.Sprintf("%s, %s, %d px", locale, scheme, width),
							Src: "/preview/" + v.site.ID + "/frame?" + q.Encode(), Width: width, Height: 700})
					}
				}
			}
			all = append(all, g)
		}
	}
	return all
}

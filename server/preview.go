package server

import (
	"bytes"
	_ "embed" // preview.html, preview_frame.html
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/consentd/consentd/widget"
)

// previewHTML shows every layout, surface, locale, scheme and width of a site's script side by side. Each stands in
// a frame without an origin: nothing is stored, and what is pressed there is recorded nowhere.
//
//go:embed preview.html
var previewHTML string

//go:embed preview_frame.html
var previewFrameHTML string

// previewer is what /preview needs besides a site.
type previewer struct {
	page, frame *template.Template
	scripts     *widget.Cache // apart from what is served: looking at one's site pushes out no version of it
}

func newPreviewer() (previewer, error) {
	page, err := template.New("preview").Parse(previewHTML)
	if err != nil {
		return previewer{}, fmt.Errorf("parsing preview template: %w", err)
	}
	frame, err := template.New("frame").Parse(previewFrameHTML)
	if err != nil {
		return previewer{}, fmt.Errorf("parsing preview template: %w", err)
	}
	return previewer{page, frame, widget.NewCache()}, nil
}

type previewGroup struct {
	ID, Title string
	Frames    []previewed
}

type previewed struct {
	Title, Src, Class string
	Width, Height     int
}

// embedded is a service that puts content into pages.
type embedded struct{ ID, Name, Purpose string }

// Surfaces of the preview, and what a frame has the script do to show them.
const (
	previewBanner       = "banner"
	previewPreferences  = "preferences"
	previewPlaceholders = "placeholders"
)

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
		render(w, s.previewer.page, map[string]any{"Name": v.site.Name, "Groups": previewGroups(v)})
	case "frame":
		// Opened by itself it is no more of the admin address than in the page.
		w.Header().Set("Content-Security-Policy", "sandbox allow-scripts")
		render(w, s.previewer.frame, previewFrame(v, q))
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

// previewFrame is a page with one look. Placeholders are seen once the banner is answered.
func previewFrame(v *view, q url.Values) map[string]any {
	id := v.site.ID
	look := url.Values{"layout": q["layout"], "scheme": q["scheme"]}
	data := map[string]any{"Name": v.site.Name, "Locale": q.Get("locale"), "Scheme": q.Get("scheme"), "Script": "/preview/" + id + "/s/" + id + ".js?" + look.Encode()}
	switch q.Get("surface") {
	case previewPreferences:
		data["Call"] = "open"
	case previewPlaceholders:
		data["Call"], data["Embeds"] = "refuseAll", embeds(v)
	}
	return data
}

func embeds(v *view) (all []embedded) {
	for i := range v.site.Purposes {
		p := &v.site.Purposes[i]
		for _, service := range p.Services {
			if service.Embed && p.Asked() {
				all = append(all, embedded{service.ID, service.Name, p.ID})
			}
		}
	}
	return all
}

// previewScript builds the script as it would be with another layout and scheme, in every language at once.
func (s *Server) previewScript(w http.ResponseWriter, v *view, q url.Values) {
	in := v.site.Script()
	if layout := widget.Layout(q.Get("layout")); layout != in.Theme.Layout {
		in.Theme.Layout, in.Theme.Position = layout, ""
	}
	in.Theme.Scheme = widget.Scheme(q.Get("scheme"))
	b, err := s.previewer.scripts.Build(in)
	if err != nil {
		http.Error(w, "the script cannot be built so", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", mimeScript)
	w.Write(b.JS)
}

// previewGroups is everything there is to look at: a group for each layout and surface, and one for placeholders,
// which are the same in each layout.
func previewGroups(v *view) []previewGroup {
	var all []previewGroup
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		for _, surface := range []string{previewBanner, previewPreferences} {
			all = append(all, previewLooks(v, layout, surface, previewed{Class: "wide", Width: 1280, Height: 700}))
		}
	}
	if embeds(v) != nil {
		all = append(all, previewLooks(v, widget.LayoutBar, previewPlaceholders, previewed{Class: "box", Width: 640, Height: 700}))
	}
	return all
}

// previewLooks is a surface in each locale and scheme, in a large window and on a phone.
func previewLooks(v *view, layout widget.Layout, surface string, large previewed) previewGroup {
	g := previewGroup{ID: string(layout) + "-" + surface, Title: string(layout) + ", " + surface}
	if surface == previewPlaceholders {
		g.ID, g.Title = surface, surface
	}
	for _, locale := range v.site.Locales {
		for _, scheme := range []widget.Scheme{widget.SchemeLight, widget.SchemeDark} {
			for _, f := range []previewed{large, {Class: "phone", Width: 375, Height: 700}} {
				q := url.Values{"layout": {string(layout)}, "surface": {surface}, "locale": {locale}, "scheme": {string(scheme)}}
				f.Title = fmt.Sprintf("%s, %s, %d px", locale, scheme, f.Width)
				f.Src = "/preview/" + v.site.ID + "/frame?" + q.Encode()
				g.Frames = append(g.Frames, f)
			}
		}
	}
	return g
}

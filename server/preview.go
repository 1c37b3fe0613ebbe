package server

import (
	"bytes"
	_ "embed" // preview.html, preview_frame.html
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
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
	Title, Src    string
	Width, Height int
}

// embedded is a service that puts content into pages.
type embedded struct{ ID, Name, Purpose string }

// Surfaces of the preview besides forms, and what a frame has the script do to show them.
const (
	previewBanner       = "banner"
	previewPreferences  = "preferences"
	previewPlaceholders = "placeholders"
)

// preview serves /preview/{site}, /preview/{site}/frame, /preview/{site}/form and /preview/{site}/s/{file} of the admin
// address.
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
	case "form":
		s.previewForm(w, v, q)
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

// previewFrame is a page with one look. Placeholders and forms are seen once the banner is answered.
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
	if form, ok := strings.CutPrefix(q.Get("surface"), consent.SurfaceForm("")); ok {
		data["Call"], data["Form"] = "refuseAll", form
	}
	return data
}

// previewForm is the page of a form by itself. What is pressed in it is sent nowhere.
func (s *Server) previewForm(w http.ResponseWriter, v *view, q url.Values) {
	theme := v.site.Theme
	theme.Scheme = widget.Scheme(q.Get("scheme"))
	look, err := pages.NewLook(theme)
	f, ok := v.site.Form(q.Get("form"))
	locale := q.Get("locale")
	shown := v.current(consent.SurfaceForm(f.ID), locale)
	if err != nil || !ok || shown == nil {
		http.Error(w, "there is no form of this name, or not in this language", http.StatusNotFound)
		return
	}
	sh := &sheet{visit: &visit{v: v, h: &hosted{look: look}, locale: locale}, form: f, wording: shown}
	page, err := s.drawForm(sh).Render()
	if err != nil {
		http.Error(w, "the form cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", "sandbox")
	w.Header().Set("Content-Type", mimeHTML)
	w.Write(page)
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

// previewGroups is everything there is to look at: a group for each layout and surface, one for placeholders, which
// are the same in each layout, and two for each form of ours: in the page, and by itself.
func previewGroups(v *view) []previewGroup {
	var all []previewGroup
	for _, layout := range []widget.Layout{widget.LayoutBar, widget.LayoutBox, widget.LayoutModal} {
		for _, surface := range []string{previewBanner, previewPreferences} {
			g := previewGroup{ID: string(layout) + "-" + surface, Title: string(layout) + ", " + surface}
			all = append(all, g.looks(v, "frame", url.Values{"layout": {string(layout)}, "surface": {surface}}, 1280, 700))
		}
	}
	plain := func(surface string) url.Values {
		return url.Values{"layout": {string(widget.LayoutBar)}, "surface": {surface}}
	}
	if embeds(v) != nil {
		all = append(all, previewGroup{ID: previewPlaceholders, Title: previewPlaceholders}.looks(v, "frame", plain(previewPlaceholders), 640, 700))
	}
	for _, f := range v.site.Forms {
		if v.current(consent.SurfaceForm(f.ID), v.site.Locales[0]) == nil { // the page draws it
			continue
		}
		inPage, hosted := previewGroup{ID: "form-" + f.ID, Title: "form " + f.ID}, previewGroup{ID: "page-" + f.ID, Title: "form " + f.ID + ", by itself"}
		all = append(all, inPage.looks(v, "frame", plain(consent.SurfaceForm(f.ID)), 800, 800), hosted.looks(v, "form", url.Values{"form": {f.ID}}, 800, 800))
	}
	return all
}

// looks adds what a part of the preview draws in each locale and scheme, in a large window and on a phone.
func (g previewGroup) looks(v *view, part string, q url.Values, width, height int) previewGroup {
	for _, locale := range v.site.Locales {
		for _, scheme := range []widget.Scheme{widget.SchemeLight, widget.SchemeDark} {
			for _, width := range []int{width, 375} {
				q.Set("locale", locale)
				q.Set("scheme", string(scheme))
				title := fmt.Sprintf("%s, %s, %d px", locale, scheme, width)
				g.Frames = append(g.Frames, previewed{title, "/preview/" + v.site.ID + "/" + part + "?" + q.Encode(), width, height})
			}
		}
	}
	return g
}

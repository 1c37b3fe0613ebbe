package server

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/valyala/fasthttp"
)

// A dossier is an evidence file on paper: the same content, for somebody who reads rather than computes. It says
// nothing that is not in the file but the pictures, whose hashes are.

//go:embed dossier
var dossierFiles embed.FS

// dossiers renders dossiers in the languages there are words for.
type dossiers struct {
	page  *template.Template
	css   template.CSS
	csp   string
	words map[string]*dossierWords
}

// dossierWords are the texts of one language; their keys in dossier/*.json are the names with underscores.
type dossierWords struct {
	Lang, Date, Colon, Title, Lead                                                         string
	Months                                                                                 []string
	Site, Controller, Contact, Made, By, Proof, Of, Decided, Granted, Denied, Purpose      string
	When, Where, How, Surface, Page, Language, Country, Device, Grade, Who                 string
	Identifier, Subject, IP, Browser, ID, Follows, Erased, Asserted, Text, Seen, Published string
	Hash, Basis, Asked, Informed, Services, Buttons, Links, Fields, Pictures, Picture      string
	Pages                                                                                  map[string]string // by SnapshotAbout.Page
	PictureHash                                                                            string            `json:"picture_hash"`
	NoPicture                                                                              string            `json:"no_picture"`
	Log, Entry, Entries, Sealed, Root, Succeeds, Check, Key, Checkpoint                    string
	Check1                                                                                 string `json:"check_1"`
	Check2                                                                                 string `json:"check_2"`
	Check3                                                                                 string `json:"check_3"`
	Check4                                                                                 string `json:"check_4"`
	OtherEdges                                                                             string `json:"other_edges"`
	Phone, Desktop, Light, Dark                                                            string
	Methods                                                                                map[consent.Method]string
	Surfaces                                                                               map[string]string
	Grades                                                                                 map[string]string
	Devices                                                                                map[consent.DeviceClass]string
	Bases                                                                                  map[consent.Basis]string
}

func newDossiers() (*dossiers, error) {
	css, err := dossierFiles.ReadFile("dossier/dossier.css")
	if err != nil {
		return nil, err
	}
	d := &dossiers{css: template.CSS(css), words: map[string]*dossierWords{}}
	d.csp = "default-src 'none'; img-src data:; style-src " + hashSource(string(css)) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if d.page, err = template.ParseFS(dossierFiles, "dossier/dossier.html"); err != nil {
		return nil, fmt.Errorf("parsing the dossier: %w", err)
	}
	for _, lang := range []string{"en", "fr"} {
		b, err := dossierFiles.ReadFile("dossier/" + lang + ".json")
		if err != nil {
			return nil, err
		}
		w := new(dossierWords)
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(w); err != nil {
			return nil, fmt.Errorf("reading the words of the dossier in %s: %w", lang, err)
		}
		d.words[lang] = w
	}
	return d, nil
}

// in picks the language: the one asked for, else that of the first choice, else the site's, of those there are.
func (d *dossiers) in(wanted ...string) *dossierWords {
	for _, l := range wanted {
		if w := d.words[primary(l)]; w != nil {
			return w
		}
	}
	return d.words["en"]
}

// moment writes a time out.
func (w *dossierWords) moment(at consent.Millis) string {
	t := at.Time()
	return strings.Replace(t.Format(w.Date), t.Month().String(), w.Months[t.Month()-time.January], 1)
}

func (w *dossierWords) surface(s string) string {
	kind, id, named := strings.Cut(s, ":")
	if words := w.Surfaces[kind]; words != "" && named {
		return words + " " + id
	} else if words != "" {
		return words
	}
	return s
}

// dossierPage is what the template shows.
type dossierPage struct {
	T                  *dossierWords
	CSS                template.CSS
	Site               evidence.Site
	Made, Sealed, Root string
	Note               string
	Log                *evidence.Checkpoint
	Keys               []string
	Proofs             []dossierProof
	Wordings           []dossierWording
	Elsewhere          []evidence.Elsewhere
}

type dossierProof struct {
	Number  int
	Index   uint64
	When    string
	Choices []dossierChoice
	Facts   []dossierLine
	Person  []dossierLine
	Erased  bool
	Wording string // hash, "" none
}

type dossierChoice struct {
	Purpose, Title string
	Granted        bool
}

type dossierLine struct {
	Name, Value string
	Code        bool // as it is, not in words
}

type dossierWording struct {
	Hash, Surface, Published string
	Doc                      *consent.Wording
	Pictures                 []dossierPicture
}

type dossierPicture struct {
	Src           template.URL // data:, "" when the picture is not at hand
	Look, Hash    string
	Width, Height int
}

// answerDossier prints an evidence file.
func (s *Server) answerDossier(ctx *fasthttp.RequestCtx, v *view, f *evidence.File, lang string) error {
	d := s.docPages.dossiers
	var first struct{ Locale string }
	if len(f.Evidence.Proofs) > 0 {
		if err := json.Unmarshal([]byte(f.Evidence.Proofs[0].Facts), &first); err != nil {
			return err
		}
	}
	page, err := s.dossier(d.in(append([]string{lang, first.Locale}, v.site.Locales...)...), f)
	if err != nil {
		return err
	}
	page.CSS = d.css
	var b bytes.Buffer
	if err := d.page.Execute(&b, page); err != nil {
		return fmt.Errorf("rendering the dossier: %w", err)
	}
	begin(ctx)
	finish(ctx, fasthttp.StatusOK, "text/html; charset=utf-8", b.Bytes())
	ctx.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, d.csp)
	ctx.Response.Header.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	return nil
}

func (s *Server) dossier(t *dossierWords, f *evidence.File) (*dossierPage, error) {
	e := &f.Evidence
	c, err := evidence.OpenCheckpoint([]byte(e.Logs.Proofs.Checkpoint), s.opt.Evidence.Keys()...)
	if err != nil {
		return nil, err
	}
	page := &dossierPage{T: t, Site: e.Site, Made: t.moment(e.MadeAt), Sealed: t.moment(c.At), Root: c.Root.String(), Note: e.Logs.Proofs.Checkpoint,
		Log: c, Keys: e.Keys, Elsewhere: e.Elsewhere}
	if page.Wordings, err = s.dossierWordings(t, e.Published); err != nil {
		return nil, err
	}
	for i := range e.Proofs {
		p, err := dossierOf(t, &e.Proofs[i], page.Wordings)
		if err != nil {
			return nil, err
		}
		p.Number = i + 1
		page.Proofs = append(page.Proofs, p)
	}
	return page, nil
}

// printedFacts is what the dossier shows of a proof's facts.
type printedFacts struct {
	Country    string              `json:"country"`
	Decisions  map[string]string   `json:"decisions"`
	Device     consent.DeviceClass `json:"device"`
	Follows    string              `json:"follows"`
	Grade      string              `json:"grade"`
	ID         string              `json:"id"`
	Locale     string              `json:"locale"`
	Method     consent.Method      `json:"method"`
	RecordedAt consent.Millis      `json:"recorded_at"`
	Surface    string              `json:"surface"`
	Wording    string              `json:"wording"`
}

func dossierOf(t *dossierWords, p *evidence.Proof, wordings []dossierWording) (dossierProof, error) {
	var f printedFacts
	if err := json.Unmarshal([]byte(p.Facts), &f); err != nil {
		return dossierProof{}, fmt.Errorf("reading the facts of a proof: %w", err)
	}
	out := dossierProof{Index: p.Index, When: t.moment(f.RecordedAt), Erased: p.Erased, Facts: lines(
		dossierLine{t.How, t.Methods[f.Method], false}, dossierLine{t.Surface, t.surface(f.Surface), false}, dossierLine{t.Language, f.Locale, false},
		dossierLine{t.Country, f.Country, false}, dossierLine{t.Device, t.Devices[f.Device], false}, dossierLine{t.Grade, t.Grades[f.Grade], false},
		dossierLine{t.ID, f.ID, true}, dossierLine{t.Follows, f.Follows, true})}
	var shown *consent.Wording
	for i := range wordings {
		if wordings[i].Hash == f.Wording {
			shown, out.Wording = wordings[i].Doc, f.Wording
		}
	}
	out.Choices = choicesOf(f.Decisions, shown)
	if p.Erased {
		return out, nil
	}
	var m struct {
		IP        string `json:"ip"`
		Page      string `json:"page"`
		Subject   string `json:"subject"`
		UserAgent string `json:"user_agent"`
	}
	if err := json.Unmarshal([]byte(p.Personal), &m); err != nil {
		return out, fmt.Errorf("reading the personal part of a proof: %w", err)
	}
	out.Person = lines(dossierLine{t.Identifier, p.Identifier, false}, dossierLine{t.Subject, m.Subject, true}, dossierLine{t.IP, m.IP, true},
		dossierLine{t.Browser, m.UserAgent, true}, dossierLine{t.Page, m.Page, true})
	return out, nil
}

// choicesOf lists decisions in the order shown, under the titles shown; then those the text does not name.
func choicesOf(decisions map[string]string, w *consent.Wording) (all []dossierChoice) {
	left := map[string]string{}
	for purpose, d := range decisions {
		left[purpose] = d
	}
	if w != nil {
		for _, p := range w.Purposes {
			if d, ok := left[p.ID]; ok {
				all = append(all, dossierChoice{p.ID, p.Title, d == "granted"})
				delete(left, p.ID)
			}
		}
	}
	for _, purpose := range slices.Sorted(maps.Keys(left)) {
		all = append(all, dossierChoice{purpose, purpose, left[purpose] == "granted"})
	}
	return all
}

// lines drops those that say nothing.
func lines(all ...dossierLine) (said []dossierLine) {
	for _, l := range all {
		if l.Value != "" {
			said = append(said, l)
		}
	}
	return said
}

// dossierWordings collects the texts of a file, each with its pictures.
func (s *Server) dossierWordings(t *dossierWords, published []evidence.Publication) ([]dossierWording, error) {
	type entry struct {
		About       consent.SnapshotAbout `json:"about"`
		Hash        string                `json:"hash"`
		Kind        consent.PublicationKind
		PublishedAt consent.Millis `json:"published_at"`
		Surface     string
	}
	var all []dossierWording
	pictures := map[string][]dossierPicture{}
	for _, p := range published {
		var e entry
		if err := json.Unmarshal([]byte(p.Entry), &e); err != nil {
			return nil, fmt.Errorf("reading a publication: %w", err)
		}
		switch e.Kind {
		case consent.PublishedWording:
			doc, err := consent.ParseWording([]byte(p.Doc))
			if err != nil {
				return nil, err
			}
			all = append(all, dossierWording{Hash: e.Hash, Surface: t.surface(e.Surface), Published: t.moment(e.PublishedAt), Doc: doc})
		case consent.PublishedSnapshot:
			pictures[e.About.Wording] = append(pictures[e.About.Wording], s.dossierPicture(t, e.Hash, e.About))
		}
	}
	for i := range all {
		all[i].Pictures = pictures[all[i].Hash]
	}
	return all, nil
}

func (s *Server) dossierPicture(t *dossierWords, hash string, about consent.SnapshotAbout) dossierPicture {
	look := map[string]string{"phone": t.Phone, "desktop": t.Desktop}[about.Device] + ", " + map[string]string{"light": t.Light, "dark": t.Dark}[about.Scheme]
	look += ", " + strconv.Itoa(about.Width) + " px"
	if page := t.Pages[about.Page]; page != "" {
		look += ", " + page
	}
	p := dossierPicture{Look: look, Hash: hash, Width: about.Width, Height: about.Height}
	if png, err := s.picture(hash); err == nil { // one that is not at hand is named by its hash alone
		p.Src = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png))
	}
	return p
}

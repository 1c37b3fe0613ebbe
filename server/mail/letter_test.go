package mail

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// union is the club in every official language of the Union.
const union = `site: union
name: Union
origins: [https://union.example]
controller: {name: Union Ltd, contact: privacy@union.example}
locales: [bg, cs, da, de, el, en, es, et, fi, fr, ga, hr, hu, it, lt, lv, mt, nl, pl, pt, ro, sk, sl, sv]
policy: /privacy
purposes:
  - {id: letter, ready: newsletter}
  - {id: opens, ready: email_opens}
forms: [{id: join, fields: [{kind: email}], purposes: [letter, opens], double_opt_in: true, markup: yours}]
mail: {name: Union, address: hello@union.example}
`

// TestEveryLanguageRenders: both kinds, both parts; every text is there, in its language, with the link.
func TestEveryLanguageRenders(t *testing.T) {
	st, _ := sites(t, union)("union")
	subjects := map[string]string{}
	for _, locale := range st.Locales {
		for _, kind := range []Kind{Confirm, Address} {
			p, err := Preview(st, kind, locale)
			if err != nil {
				t.Fatal(err)
			}
			title, text := "confirm.title", "confirm.text"
			if kind == Address {
				title, text = "confirm.address_title", "confirm.address_text"
			}
			expected := []string{"Union", st.Controller.Name, st.Controller.Contact}
			for _, key := range []string{title, text, "confirm.button", "confirm.ignore", "mail.expires", "mail.reason"} {
				expected = append(expected, st.Words.Of(locale, key))
			}
			titles := []string{st.Purposes[0].Title[locale], st.Purposes[1].Title[locale]}
			for part, body := range map[string]string{"txt": p.Text, "html": unescape(p.HTML)} {
				for _, s := range expected {
					if s == "" || !strings.Contains(body, s) {
						t.Errorf("%s %s %s lacks %q", locale, kind, part, s)
					}
				}
				for _, s := range titles {
					if strings.Contains(body, s) != (kind == Confirm) {
						t.Errorf("%s %s %s: %q", locale, kind, part, s)
					}
				}
				if strings.ContainsAny(body, "{}") && part == "txt" || strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<no value>") {
					t.Errorf("%s %s %s: a placeholder is left in\n%s", locale, kind, part, body)
				}
			}
			if (mailtest.Letter{Text: p.Text, HTML: p.HTML}).Link(t) == "" || !strings.Contains(p.HTML, `lang="`+locale+`"`) {
				t.Errorf("%s %s", locale, kind)
			}
			subjects[p.Subject] = locale
		}
	}
	if len(subjects) < 20 {
		t.Errorf("subjects in %d languages: %v", len(subjects), subjects)
	}
	if p, err := Preview(st, Confirm, "is"); err != nil || !strings.Contains(p.HTML, `lang="bg"`) {
		t.Errorf("a language the site does not have is its first: %v", err)
	}
}

func unescape(s string) string {
	return strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&#43;", "+").Replace(s)
}

// TestTheTextPart is golden: it is read as it stands.
func TestTheTextPart(t *testing.T) {
	st, _ := sites(t, club)("club")
	p, err := Preview(st, Confirm, "en")
	if err != nil {
		t.Fatal(err)
	}
	want := `Maison Lavande

Confirm your choice

All that is missing is your confirmation. You agreed to:

- ` + st.Purposes[0].Title["en"] + `
- ` + st.Purposes[1].Title["en"] + `

Confirm
https://consent.example/c/sample-of-a-link-0123456789_abcdefghijklmnop

The link is valid for 48 hours.

If you did not ask for this, do nothing: without confirmation, nothing will be sent to you.

-- 
You receive this message because this address was entered on Maison Lavande.
Maison Lavande SAS
dpo@club.example
`
	if p.Text != want {
		t.Errorf("%s\nwant\n%s", p.Text, want)
	}
}

// own writes templates of the club's own, and gives the site.
func own(t *testing.T, files map[string]string) *Site {
	t.Helper()
	st, _ := sites(t, club)("club")
	if err := os.Mkdir(st.Templates, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, source := range files {
		if err := os.WriteFile(filepath.Join(st.Templates, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// TestOwnTemplates take the place of the built-in ones, part by part; one that does not work never keeps a mail back.
func TestOwnTemplates(t *testing.T) {
	st := own(t, map[string]string{
		"confirm.fr.txt":  "Bonjour, cliquez : {{.Link}}{{range .Purposes}} [{{.}}]{{end}} {{.Look.Light.Button}}",
		"confirm.en.html": `<html><body style="color:{{.Look.Light.Text}}"><a href="{{.Link}}">{{.Button}}</a></body></html>`,
		"confirm.en.txt":  "Without a link, {{.Site}}",
	})
	fr, err := Preview(st, Confirm, "fr")
	if err != nil || !strings.HasPrefix(fr.Text, "Bonjour, cliquez : https://consent.example/c/") || !strings.Contains(fr.Text, "["+st.Purposes[0].Title["fr"]+"]") {
		t.Errorf("%q %v", fr.Text, err)
	}
	if !strings.Contains(fr.HTML, "Confirmez votre choix") {
		t.Error("the part that is not replaced is gone")
	}
	en, err := Preview(st, Confirm, "en")
	if err == nil || !strings.Contains(err.Error(), "the link is missing") || !strings.Contains(en.Text, "Confirm your choice") {
		t.Errorf("%q %v", en.Text, err)
	}
	if !regexp.MustCompile(`<body style="color:#[0-9a-f]{6}"><a href="https://consent\.example/c/[^"]+">Confirm</a>`).MatchString(en.HTML) {
		t.Errorf("%s", en.HTML)
	}
	s := mailtest.Start(t, mailtest.Options{})
	d := open(t, s.URL(), func(o *Options) { o.Sites = func(string) (*Site, bool) { return st, true } }).run()
	j := d.job("a@exemple.fr")
	d.queue(j)
	if got := s.Wait(t, 1)[0].Read(t).Text; !strings.HasPrefix(got, "Bonjour, cliquez : https://consent.example/c/token-of-") {
		t.Errorf("%q", got)
	}
	j = d.job("b@exemple.fr")
	j.Locale = "en"
	d.queue(j)
	if got := s.Wait(t, 2)[1].Read(t).Text; !strings.Contains(got, "Confirm your choice") || !strings.Contains(d.log.String(), "the link is missing") {
		t.Errorf("%q\n%s", got, d.log.String())
	}
}

// TestCheckFindsEveryMistake at once, with its line.
func TestCheckFindsEveryMistake(t *testing.T) {
	st := own(t, map[string]string{
		"confirm.fr.txt":     "{{.Link}}",
		"address.fr.html":    `<a href="{{.Link}}">{{.Button}}</a>`,
		"confirm.fr.html":    "<p>\n{{.Lnk}}</p>",
		"confirm.en.txt":     "{{.Link}}\n\n{{if}}",
		"confirm.en.html":    `<a href="https://elsewhere.example">{{.Button}}</a>`,
		"address.en.html":    "{{.Link}}{{range .Purposes}}{{end}}<a href='{{if .Site}}x{{else}}\"{{end}}{{.Site}}",
		"address.en.txt":     strings.Repeat("x", maxTemplate+1),
		"address.fr.txt":     `{{.Link}}{{range printf "%3000000d" 1}}{{end}}{{printf "%3000000d" 1}}`,
		"confirm.de.txt":     "{{.Link}}",
		"confirmation.fr.md": "{{.Link}}",
		".confirm.fr.swp":    "an editor's",
	})
	got := map[string]string{}
	for _, m := range Check(st) {
		got[filepath.Base(m.File)] += fmt.Sprintf("%d %s", m.Line, m.Text)
	}
	for file, want := range map[string]string{
		"confirm.fr.html": "^2 .*Lnk", "confirm.en.txt": "^3 .*missing value for if", "confirm.en.html": "the link is missing",
		"address.en.html": "^0 html/template:", "address.en.txt": "over 100 KiB", "address.fr.txt": "larger than 100 KiB|can't iterate", "confirm.de.txt": `"de".*fr, en`, "confirmation.fr.md": "is no template",
	} {
		if !regexp.MustCompile(want).MatchString(got[file]) {
			t.Errorf("%s: %q, want %s", file, got[file], want)
		}
		delete(got, file)
	}
	if len(got) > 0 {
		t.Errorf("mistakes that are none: %v", got)
	}
	bare, _ := sites(t, club)("club")
	if all := Check(bare); all != nil {
		t.Errorf("without templates: %v", all)
	}
}

// TestWhatASiteWears: its colours, in the scheme it keeps to.
func TestWhatASiteWears(t *testing.T) {
	st, _ := sites(t, club)("club")
	for name, row := range map[string]struct {
		theme     widget.Theme
		has, lack []string
	}{
		"as it comes":    {widget.Theme{}, []string{"prefers-color-scheme:dark", `content="light dark"`}, nil},
		"always light":   {widget.Theme{Scheme: widget.SchemeLight}, []string{`content="light"`}, []string{"prefers-color-scheme"}},
		"always dark":    {widget.Theme{Scheme: widget.SchemeDark, Dark: widget.Palette{Surface: "#010203"}}, []string{`content="dark"`, "background-color:#010203"}, []string{"prefers-color-scheme"}},
		"own colours":    {widget.Theme{Light: widget.Palette{Button: "#0b6b3a"}, Radius: "3px"}, []string{"background-color:#0b6b3a", "border-radius:3px"}, nil},
		"a radius in em": {widget.Theme{Radius: "1em"}, []string{"border-radius:14px"}, nil},
		"a theme that is none, which no file gives": {widget.Theme{Light: widget.Palette{Text: "red;}</style>"}}, nil, []string{"red;"}},
	} {
		st.Theme = row.theme
		p, err := Preview(st, Confirm, "fr")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range row.has {
			if !strings.Contains(p.HTML, s) {
				t.Errorf("%s: lacks %s", name, s)
			}
		}
		for _, s := range row.lack {
			if strings.Contains(p.HTML, s) {
				t.Errorf("%s: has %s", name, s)
			}
		}
	}
	if got := []string{blend("#ffffff", "#000000", 4), blend("#102030", "#000000", 30), blend("#ff0000", "#0000ff", 50), blend("none", "#000000", 4)}; !slices.Equal(got, []string{"#f4f4f4", "#0b1621", "#7f007f", "none"}) {
		t.Error(got)
	}
}

// TestTheMailInABrowser: at the widths of phones and desks, light and dark, in the language with the longest words,
// nothing is cut off and axe-core finds nothing. CONSENTD_SHOTS names a directory for photographs.
func TestTheMailInABrowser(t *testing.T) {
	axe, err := os.ReadFile("../../widget/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
	}
	st, _ := sites(t, union)("union")
	st.Name, st.Controller = "Maison Lavande", consent.Controller{Name: "Maison Lavande SAS", Contact: "dpo@lavande.example"}
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := Preview(st, Kind(r.URL.Query().Get("kind")), r.URL.Query().Get("locale"))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, p.HTML)
	}))
	t.Cleanup(desk.Close)
	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for _, c := range []struct {
		kind   Kind
		locale string
		width  int64
		scheme string
	}{
		{Confirm, "fr", 375, "light"}, {Confirm, "fr", 375, "dark"}, {Address, "en", 375, "light"}, {Confirm, "fi", 320, "dark"}, {Confirm, "fr", 1000, "light"}, {Confirm, "el", 1000, "dark"},
	} {
		name := fmt.Sprintf("%s-%s-%d-%s", c.kind, c.locale, c.width, c.scheme)
		tab := b.Tab(t)
		tab.Width(c.width, 780, c.width < 600)
		tab.Prefer("prefers-color-scheme", c.scheme)
		tab.Open(desk.URL + "?kind=" + string(c.kind) + "&locale=" + c.locale)
		if over := widgettest.Eval[int](tab, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s: %d px wider than the screen", name, over)
		}
		if h := widgettest.Eval[float64](tab, `document.querySelector('a.button').getBoundingClientRect().height`); h < 44 {
			t.Errorf("%s: the button is %.0f px high", name, h)
		}
		widgettest.Eval[bool](tab, string(axe)+";true")
		type violation struct{ ID, Help string }
		for _, v := range widgettest.Eval[[]violation](tab, `axe.run(document, {rules: {region: {enabled: false}, "landmark-one-main": {enabled: false}}}).then(r => r.violations)`) {
			t.Errorf("%s: %s: %s", name, v.ID, v.Help)
		}
		for _, m := range tab.Messages() {
			t.Errorf("%s: the browser says %s", name, m)
		}
		if dir := os.Getenv("CONSENTD_SHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name+".png"), tab.Screenshot(), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
}

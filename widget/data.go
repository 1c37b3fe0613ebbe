package widget

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// Errors of Build that say what is wrong with its input.
var (
	// ErrWordings means that a wording is missing, belongs to another site, or says something else than the
	// other wordings of the site.
	ErrWordings = errors.New("widget: the wordings do not fit the site")
	// ErrLink means that a link is neither http, https, mailto nor an address on the page's own host.
	ErrLink = errors.New("widget: a link must be http, https, mailto or a path")
)

// DefaultKeep is how long a choice is kept when the site does not say: six months, refusals as long as
// consents (CNIL, délib. 2020-092, §37).
const DefaultKeep = 182 * 24 * time.Hour

// siteData is the module consentd:site; src/lib/types.ts says the same to TypeScript.
type siteData struct {
	ID         string        `json:"id"`
	Print      string        `json:"print"`
	Keep       int64         `json:"keep"` // seconds
	Query      bool          `json:"query"`
	Controller [2]string     `json:"controller"` // name, contact
	Purposes   []purposeData `json:"purposes"`
	Locales    []localeData  `json:"locales"`
}

type purposeData struct {
	ID       string      `json:"id"`
	Asked    bool        `json:"asked"`
	On       bool        `json:"on"`
	Services [][3]string `json:"services"` // name, provider, policy
}

type localeData struct {
	Lang        string      `json:"lang"`
	Banner      surfaceData `json:"banner"`
	Preferences surfaceData `json:"preferences"`
	Purposes    [][2]string `json:"purposes"` // title, text
	Policy      [2]string   `json:"policy"`   // text, href
	Accept      string      `json:"accept"`
	Refuse      string      `json:"refuse"`
	Choose      string      `json:"choose"`
	Save        string      `json:"save"`
	Back        string      `json:"back"`
	Necessary   string      `json:"necessary"`
}

type surfaceData struct {
	Hash  string `json:"hash"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// encodeSite gives the JSON of a site's data. Texts come from the wording documents alone, except for the few
// labels the documents do not have.
func encodeSite(site *consent.Site, wordings []*consent.Published) ([]byte, error) {
	if len(site.Locales) == 0 {
		return nil, fmt.Errorf("%w: the site has no locale", ErrWordings)
	}
	d := siteData{
		ID: site.ID, Print: fingerprint(site), Keep: int64(cmp.Or(site.Keep, DefaultKeep) / time.Second), Query: site.KeepQuery,
		Controller: [2]string{site.Controller.Name, site.Controller.Contact},
	}
	for _, locale := range site.Locales {
		pair, err := findPair(site, wordings, locale)
		if err != nil {
			return nil, err
		}
		d.Locales = append(d.Locales, pair.texts(site, locale))
		d.Purposes = pair.purposes() // of every locale the same: findPair compares with the site
	}
	return marshal(d)
}

func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // esbuild reads this and escapes what a script needs escaped
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// fingerprint changes when people have to be asked again: other purposes, another legal basis, other services
// or a raised revision. Texts are no part of it, and neither is any order.
func fingerprint(site *consent.Site) string {
	var lines []string
	for _, p := range site.Purposes {
		lines = append(lines, fmt.Sprintf("purpose %q %q %t", p.ID, p.Basis, p.Objection))
		for _, v := range p.Services {
			lines = append(lines, fmt.Sprintf("service %q %q %q", p.ID, v.Name, v.Provider))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256(fmt.Appendf(nil, "1 %d\n%s", site.Revision, strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// pair is the two wordings of a locale.
type pair struct{ banner, preferences *consent.Published }

func findPair(site *consent.Site, wordings []*consent.Published, locale string) (pair, error) {
	var p pair
	for surface, w := range map[string]**consent.Published{consent.SurfaceBanner: &p.banner, consent.SurfacePreferences: &p.preferences} {
		i := slices.IndexFunc(wordings, func(w *consent.Published) bool { return w.Surface == surface && w.Locale == locale })
		if i < 0 {
			return pair{}, fmt.Errorf("%w: no wording of surface %s in locale %s", ErrWordings, surface, locale)
		}
		*w = wordings[i]
	}
	return p, p.check(site)
}

// check holds what the script relies on: it shows the purposes, the link and the common buttons of both
// surfaces from one copy.
func (p pair) check(site *consent.Site) error {
	for _, w := range []*consent.Published{p.banner, p.preferences} {
		if err := checkWording(site, w); err != nil {
			return fmt.Errorf("%w (surface %s, locale %s)", err, w.Surface, w.Locale)
		}
	}
	b, s := p.banner, p.preferences
	same := len(b.Purposes) == len(s.Purposes) && reflect.DeepEqual(b.Links, s.Links) &&
		b.Buttons["accept"] == s.Buttons["accept"] && b.Buttons["refuse"] == s.Buttons["refuse"]
	for i := range b.Purposes {
		same = same && b.Purposes[i].Title == s.Purposes[i].Title && b.Purposes[i].Text == s.Purposes[i].Text
	}
	if !same {
		return fmt.Errorf("%w: banner and preferences differ in locale %s", ErrWordings, b.Locale)
	}
	return nil
}

// checkWording compares a wording with the site it is of, and looks at its links.
func checkWording(site *consent.Site, w *consent.Published) error {
	if sha256.Sum256(w.Doc) != w.Hash {
		return fmt.Errorf("%w: the hash is not that of the document", ErrWordings)
	}
	if w.Site != site.ID || w.Revision != site.Revision || w.Controller != site.Controller || len(w.Links) != 1 {
		return fmt.Errorf("%w: another site, revision, controller or number of links", ErrWordings)
	}
	if len(w.Purposes) != len(site.Purposes) {
		return fmt.Errorf("%w: %d purposes, the site has %d", ErrWordings, len(w.Purposes), len(site.Purposes))
	}
	for i, p := range w.Purposes {
		if s := site.Purposes[i]; p.ID != s.ID || p.Basis != s.Basis || p.Objection != s.Objection || p.Required == s.Asked() {
			return fmt.Errorf("%w: purpose %q where the site has %q, or another basis", ErrWordings, p.ID, s.ID)
		}
		for _, v := range p.Services {
			if err := checkLink(v.Policy); err != nil {
				return err
			}
		}
	}
	return checkLink(w.Links[0].Href)
}

// checkLink refuses what a browser would not just visit: javascript:, data: and whatever else has a scheme.
func checkLink(href string) error {
	u, err := url.Parse(href)
	if err != nil {
		return fmt.Errorf("%w: %q", ErrLink, href)
	}
	switch u.Scheme {
	case "", "http", "https", "mailto":
		return nil
	}
	return fmt.Errorf("%w: %q", ErrLink, href)
}

func (p pair) texts(site *consent.Site, locale string) localeData {
	link := p.banner.Links[0]
	d := localeData{
		Lang: locale, Banner: surface(p.banner), Preferences: surface(p.preferences), Policy: [2]string{link.Text, link.Href},
		Accept: p.banner.Buttons["accept"], Refuse: p.banner.Buttons["refuse"],
		Choose: p.banner.Buttons["choose"], Save: p.preferences.Buttons["save"],
		Back: site.Banner.Back[locale], Necessary: site.Banner.Necessary[locale],
	}
	for _, shown := range p.banner.Purposes {
		d.Purposes = append(d.Purposes, [2]string{shown.Title, shown.Text})
	}
	return d
}

func surface(w *consent.Published) surfaceData {
	return surfaceData{Hash: w.Hash.String(), Title: w.Title, Text: w.Text}
}

func (p pair) purposes() []purposeData {
	all := make([]purposeData, 0, len(p.preferences.Purposes))
	for _, shown := range p.preferences.Purposes {
		d := purposeData{ID: shown.ID, Asked: !shown.Required, On: shown.Default, Services: [][3]string{}}
		for _, v := range shown.Services {
			d.Services = append(d.Services, [3]string{v.Name, v.Provider, v.Policy})
		}
		all = append(all, d)
	}
	return all
}

package widget

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

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
	Keep       int64         `json:"keep"`       // seconds
	Controller [2]string     `json:"controller"` // name, contact
	Purposes   []purposeData `json:"purposes"`
	Locales    []localeData  `json:"locales"`

	Domain  string            `json:"domain,omitempty"`
	Logo    string            `json:"logo,omitempty"`
	Google  map[string]string `json:"google,omitempty"`  // signal → purpose
	UET     string            `json:"uet,omitempty"`     // purpose
	Clarity []string          `json:"clarity,omitempty"` // purposes of ad_Storage, analytics_Storage
	Matomo  []string          `json:"matomo,omitempty"`  // purposes of tracking, cookies
	From    []sourceData      `json:"from,omitempty"`

	Forms    []formData `json:"forms,omitempty"`
	Revision int64      `json:"revision,omitempty"` // where a wording is made in the page
}

type sourceData struct {
	Attribute string            `json:"attribute"`
	Cookie    string            `json:"cookie"`
	Kind      string            `json:"kind"`
	Names     map[string]string `json:"names"`
}

type purposeData struct {
	ID       string        `json:"id"`
	Asked    bool          `json:"asked"`
	On       bool          `json:"on,omitempty"`
	Services []serviceData `json:"services"`
}

type serviceData struct {
	ID       string   `json:"id,omitempty"` // of one that puts content into pages
	Name     string   `json:"name"`
	Provider string   `json:"provider,omitempty"`
	Policy   string   `json:"policy,omitempty"`
	Cookies  []string `json:"cookies,omitempty"` // names
}

type localeData struct {
	Lang        string            `json:"lang"`
	Rtl         bool              `json:"rtl,omitempty"`
	Hashes      map[string]string `json:"hashes"` // by surface
	Banner      [2]string         `json:"banner"` // title, text
	Preferences [2]string         `json:"preferences"`
	Purposes    [][2]string       `json:"purposes"`
	Policy      [2]string         `json:"policy"` // text, href
	Accept      string            `json:"accept"`
	Refuse      string            `json:"refuse"`
	Choose      string            `json:"choose"`
	Save        string            `json:"save"`
	Back        string            `json:"back"`
	Necessary   string            `json:"necessary"`

	Continue  string            `json:"continue,omitempty"`
	Reopen    string            `json:"reopen,omitempty"`
	Receipt   []string          `json:"receipt,omitempty"`   // button, waiting, failed
	Bases     []string          `json:"bases,omitempty"`     // in the order of the purposes
	Lifetimes []string          `json:"lifetimes,omitempty"` // in the order of purposes, services and cookies
	Once      string            `json:"once,omitempty"`
	Always    string            `json:"always,omitempty"`
	Embeds    map[string]string `json:"embeds,omitempty"` // by service

	Forms []formText `json:"forms,omitempty"` // in the order of the forms
	Words formWords  `json:"words,omitempty"`
}

// encodeSite gives the module of a site's data. Texts come from the wording documents alone, except for the label
// of the button that opens the preferences again, which stands on no surface, and what stands around a receipt.
func encodeSite(in Input) ([]byte, error) {
	site, o := in.Site, in.Options
	locales := in.locales()
	if len(locales) == 0 {
		return nil, fmt.Errorf("%w: the site has no locale", ErrWordings)
	}
	d := siteData{
		ID: site.ID, Print: fingerprint(site), Keep: int64(cmp.Or(site.Keep, DefaultKeep) / time.Second),
		Controller: [2]string{site.Controller.Name, site.Controller.Contact}, Domain: o.CookieDomain, Logo: o.Logo,
	}
	for i, locale := range locales {
		if !slices.Contains(site.Locales, locale) || slices.Contains(locales[:i], locale) {
			return nil, fmt.Errorf("%w: locale %q is not one of the site's, or is there twice", ErrWordings, locale)
		}
		pair, err := findPair(site, in.Wordings, locale)
		if err != nil {
			return nil, err
		}
		texts := pair.texts(site, locale)
		if o.Reopen != ReopenNone {
			texts.Reopen = site.Banner.Reopen[locale]
		}
		if o.Receipt {
			r := site.Banner.Receipt
			texts.Receipt = []string{r.Button[locale], r.Waiting[locale], r.Failed[locale]}
		}
		if err := texts.forms(site, in.Wordings); err != nil {
			return nil, err
		}
		d.Locales = append(d.Locales, texts)
		d.Purposes = pair.purposes(site) // of every locale the same: findPair compares with the site
	}
	d.forms(site)
	d.signals(o.Signals)
	for _, m := range o.Migrations {
		d.From = append(d.From, m.data()...)
	}
	var buf bytes.Buffer
	buf.WriteString("export default ")
	err := literal(&buf, reflect.ValueOf(d))
	return buf.Bytes(), err
}

// signals writes which purpose stands behind each signal; "" for none.
func (d *siteData) signals(s Signals) {
	if s.ConsentMode != (ConsentMode{}) {
		d.Google = map[string]string{}
		for _, sig := range s.ConsentMode.All() {
			d.Google[sig.Name] = sig.Purpose
		}
	}
	d.UET = s.UET
	if s.Clarity != (Clarity{}) {
		d.Clarity = []string{s.Clarity.AdStorage, s.Clarity.AnalyticsStorage}
	}
	if s.Matomo != (Matomo{}) {
		d.Matomo = []string{s.Matomo.Tracking, s.Matomo.Cookies}
	}
}

// fingerprint changes when people have to be asked again: other purposes on the banner, another legal basis, other services
// or a raised revision. Texts are no part of it, and neither is any order.
func fingerprint(site *consent.Site) string {
	var lines []string
	for _, p := range site.BannerPurposes() {
		lines = append(lines, fmt.Sprintf("purpose %q %q %t", p.ID, p.Basis, p.Objection))
		for _, v := range p.Services {
			lines = append(lines, fmt.Sprintf("service %q %q %q", p.ID, v.Name, v.Provider))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256(fmt.Appendf(nil, "1 %d\n%s", site.Revision, strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// pair is the wordings of a locale: two, and a placeholder for each service that puts content into pages. A site
// without a banner has none of them.
type pair struct {
	banner, preferences *consent.Published
	embeds              []*consent.Published
}

func findPair(site *consent.Site, wordings []*consent.Published, locale string) (pair, error) {
	var p pair
	for _, w := range wordings {
		switch {
		case w.Locale != locale:
		case w.Surface == consent.SurfaceBanner:
			p.banner = w
		case w.Surface == consent.SurfacePreferences:
			p.preferences = w
		case consent.IsEmbed(w.Surface):
			p.embeds = append(p.embeds, w)
		}
	}
	if !site.HasBanner() {
		return pair{}, nil
	}
	if p.banner == nil || p.preferences == nil {
		return pair{}, fmt.Errorf("%w: no wording of banner or preferences in locale %s", ErrWordings, locale)
	}
	if err := p.check(site); err != nil {
		return pair{}, err
	}
	return p, p.checkEmbeds(site)
}

// checkEmbeds wants one placeholder for each service that needs one, and no other.
func (p pair) checkEmbeds(site *consent.Site) error {
	n := 0
	for _, purpose := range site.BannerPurposes() {
		for _, v := range purpose.Services {
			if !v.Embed || !purpose.Asked() {
				continue
			}
			n++
			i := slices.IndexFunc(p.embeds, func(w *consent.Published) bool { return w.Surface == consent.SurfaceEmbed(v.ID) })
			if i < 0 || v.ID == "" || sha256.Sum256(p.embeds[i].Doc) != p.embeds[i].Hash || len(p.embeds[i].Purposes) != 1 || p.embeds[i].Purposes[0].ID != purpose.ID {
				return fmt.Errorf("%w: no placeholder for service %q in locale %s", ErrWordings, v.ID, p.banner.Locale)
			}
		}
	}
	if n != len(p.embeds) {
		return fmt.Errorf("%w: %d placeholders for %d services in locale %s", ErrWordings, len(p.embeds), n, p.banner.Locale)
	}
	return nil
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
	asked := site.BannerPurposes()
	if w.Purposes == nil || len(w.Purposes) != len(asked) {
		return fmt.Errorf("%w: %d purposes, the banner has %d", ErrWordings, len(w.Purposes), len(asked))
	}
	for i, p := range w.Purposes {
		if s := asked[i]; p.ID != s.ID || p.Basis != s.Basis || p.Objection != s.Objection || p.Required == s.Asked() {
			return fmt.Errorf("%w: purpose %q where the site has %q, or another basis", ErrWordings, p.ID, s.ID)
		}
		if n := len(p.Services); n > 0 && n != len(asked[i].Services) {
			return fmt.Errorf("%w: purpose %q has %d services", ErrWordings, p.ID, n)
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
	if p.banner == nil {
		return localeData{Lang: locale, Rtl: rightToLeft(locale), Hashes: map[string]string{}}
	}
	link := p.banner.Links[0]
	d := localeData{
		Lang: locale, Rtl: rightToLeft(locale), Hashes: map[string]string{},
		Banner: [2]string{p.banner.Title, p.banner.Text}, Preferences: [2]string{p.preferences.Title, p.preferences.Text}, Policy: [2]string{link.Text, link.Href},
		Accept: p.banner.Buttons["accept"], Refuse: p.banner.Buttons["refuse"],
		Choose: p.banner.Buttons["choose"], Save: p.preferences.Buttons["save"],
		Back: p.preferences.Buttons["back"], Necessary: p.preferences.Buttons["necessary"], Continue: p.banner.Buttons["continue"],
	}
	for _, shown := range p.preferences.Purposes {
		d.Purposes = append(d.Purposes, [2]string{shown.Title, shown.Text})
		if site.Banner.Bases != nil {
			d.Bases = append(d.Bases, shown.BasisText)
		}
		for _, v := range shown.Services {
			for _, c := range v.Cookies {
				d.Lifetimes = append(d.Lifetimes, c.Lifetime)
			}
		}
	}
	for _, w := range p.embeds {
		if d.Embeds == nil {
			d.Embeds = map[string]string{}
		}
		d.Embeds[strings.TrimPrefix(w.Surface, consent.SurfaceEmbed(""))] = w.Text // the title is the purpose's
		d.Once, d.Always = w.Buttons["once"], w.Buttons["always"]
	}
	for _, w := range append([]*consent.Published{p.banner, p.preferences}, p.embeds...) {
		d.Hashes[w.Surface] = w.Hash.String()
	}
	return d
}

// rightToLeft reports whether a locale is written from right to left: by its script, else by its language.
func rightToLeft(locale string) bool {
	tag, err := language.Parse(locale)
	if err != nil {
		return false
	}
	script, _ := tag.Script()
	return slices.Contains([]string{"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}, script.String())
}

func (p pair) purposes(site *consent.Site) []purposeData {
	if p.preferences == nil {
		return []purposeData{}
	}
	on := site.BannerPurposes()
	all := make([]purposeData, 0, len(on))
	for i, shown := range p.preferences.Purposes {
		d := purposeData{ID: shown.ID, Asked: !shown.Required, On: shown.Default && !shown.Required, Services: []serviceData{}}
		for j, v := range shown.Services {
			s := serviceData{Name: v.Name, Provider: v.Provider, Policy: v.Policy}
			if of := on[i].Services[j]; of.Embed {
				s.ID = of.ID
			}
			for _, c := range v.Cookies {
				s.Cookies = append(s.Cookies, c.Name)
			}
			d.Services = append(d.Services, s)
		}
		all = append(all, d)
	}
	return all
}

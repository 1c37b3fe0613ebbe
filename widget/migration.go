package widget

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// Migration lets a site keep the markup of another tool, and takes over the choices it stored. A choice read so
// is reported as imported, never as a new one; one older than the site keeps choices is not read.
type Migration struct {
	From   Source
	Cookie string            // name of its cookie or storage key; "": its default
	Names  map[string]string // its service or category → purpose here
}

// Source is a tool sites come from.
type Source string

// The tools that are understood. Beside each, the version whose markup and storage were read.
const (
	FromKlaro         Source = "klaro"         // 0.7
	FromCookieConsent Source = "cookieconsent" // vanilla-cookieconsent 3
	FromTarteaucitron Source = "tarteaucitron" // 1.34: storage, players by class, jobs (see Snippet)
	FromOrejime       Source = "orejime"       // 3
	FromOrejime2      Source = "orejime2"      // 2
	FromC15t          Source = "c15t"          // 2 and 3
	FromOsano         Source = "osano"         // cookieconsent 3.1: one answer for everything, so for each of Names
	FromFides         Source = "fides"         // 2
	FromConsentLoop   Source = "consentloop"   // 0.1
)

// tool is one of them, as the script meets it in a page.
type tool struct {
	from       Source
	feature    string   // the constant of the TypeScript
	cookie     string   // where it keeps choices
	attributes []string // of its markup, those that name services
}

var tools = []tool{
	{FromKlaro, "KLARO", "klaro", []string{"data-name"}},
	{FromCookieConsent, "COOKIECONSENT", "cc_cookie", []string{"data-category"}},
	{FromTarteaucitron, "TARTEAUCITRON", "tarteaucitron", nil},
	{FromOrejime, "OREJIME", "eu-consent", []string{"data-purpose"}},
	{FromOrejime2, "OREJIME2", "orejime", []string{"data-name"}},
	{FromC15t, "C15T", "c15t", []string{"data-c15t-category", "data-category"}},
	{FromOsano, "OSANO", "cookieconsent_status", nil},
	{FromFides, "FIDES", "fides_consent", nil},
	{FromConsentLoop, "CONSENTLOOP", "cl_consent", []string{"data-consent"}},
}

// Sources lists the tools.
func Sources() []Source {
	all := make([]Source, len(tools))
	for i, t := range tools {
		all[i] = t.from
	}
	return all
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (m Migration) check(site *consent.Site) error {
	if !slices.Contains(Sources(), m.From) || m.Cookie != "" && !namePattern.MatchString(m.Cookie) {
		return fmt.Errorf("%w: no migration from %q, cookie %q", ErrOptions, m.From, m.Cookie)
	}
	for _, id := range m.Names {
		if _, ok := site.Purpose(id); !ok {
			return fmt.Errorf("%w: migration from %s names purpose %q", ErrOptions, m.From, id)
		}
	}
	return nil
}

// data is what the script is told: the tool, and once more for each further attribute, with nothing to read.
func (m Migration) data() []sourceData {
	t := tools[slices.IndexFunc(tools, func(t tool) bool { return t.from == m.From })]
	d := sourceData{Kind: string(m.From), Cookie: cmp.Or(m.Cookie, t.cookie), Names: m.Names}
	if len(t.attributes) == 0 {
		return []sourceData{d}
	}
	var all []sourceData
	for _, d.Attribute = range t.attributes {
		all = append(all, d)
		d.Cookie = ""
	}
	return all
}

// players and tags are the services of tarteaucitron that the script itself knows; those a page adds to
// tarteaucitron.services it runs too.
var (
	players = []string{"youtube", "vimeo", "dailymotion", "googlemapsembed", "iframe"}
	tags    = map[string]string{"gtag": "JOB_GTAG", "googletagmanager": "JOB_GTM", "matomo": "JOB_MATOMO", "facebookpixel": "JOB_FACEBOOK"}
)

// plays reports whether a site names a service of tarteaucitron.
func (o Options) plays(service string) bool {
	return slices.ContainsFunc(o.Migrations, func(m Migration) bool { return m.From == FromTarteaucitron && m.Names[service] != "" })
}

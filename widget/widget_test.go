package widget_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// shop is a site in French and English with four purposes: one nobody decides on, two that ask for consent,
// one that rests on legitimate interest and can be objected to.
func shop() *consent.Site {
	both := func(fr, en string) consent.Text { return consent.Text{"fr": fr, "en": en} }
	return &consent.Site{
		ID: "shop", Name: "Maison Alba", Locales: []string{"fr", "en"}, Revision: 1, Keep: 182 * 24 * time.Hour,
		Controller: consent.Controller{Name: "Maison Alba SAS", Contact: "donnees@maison-alba.example"},
		Banner: consent.BannerText{
			Title: both("Vos données, votre choix", "Your data, your choice"),
			Text: both("Avec votre accord, nous et nos partenaires utilisons des traceurs pour les finalités ci-dessous. Refuser n’empêche pas d’acheter, et vous pouvez changer d’avis à tout moment.",
				"With your agreement, we and our partners use trackers for the purposes below. You can shop just as well without them, and change your mind at any time."),
			Accept: both("Tout accepter", "Accept all"), Refuse: both("Tout refuser", "Refuse all"), Choose: both("Choisir", "Choose"),
			Save: both("Enregistrer mes choix", "Save my choices"), Back: both("Fermer sans choisir", "Close without choosing"),
			Reopen: both("Mes choix", "My choices"), Necessary: both("Toujours actif", "Always on"),
			PreferencesTitle: both("Choisir finalité par finalité", "Choose purpose by purpose"),
			PreferencesText:  both("Chaque finalité est indépendante des autres. Rien n’est activé sans vous.", "Each purpose stands on its own. Nothing is switched on without you."),
			Bases: map[consent.Basis]consent.Text{
				consent.BasisConsent:            both("Base légale : votre consentement", "Legal basis: your consent"),
				consent.BasisContract:           both("Base légale : le contrat", "Legal basis: the contract"),
				consent.BasisLegitimateInterest: both("Base légale : intérêt légitime", "Legal basis: legitimate interest"),
			},
			EmbedText: both("Ce contenu vient de {service}, qui peut déposer des traceurs.", "This content comes from {service}, which may use trackers."),
			EmbedOnce: both("Charger une fois", "Load once"), EmbedAlways: both("Toujours autoriser", "Always allow"),
			PolicyText: both("Politique de confidentialité", "Privacy policy"), PolicyHref: both("/confidentialite", "/en/privacy"),
		},
		Purposes: []consent.Purpose{
			{ID: "necessary", Basis: consent.BasisContract, Title: both("Fonctionnement", "Operation"),
				Text: both("Panier, connexion et paiement.", "Basket, sign-in and payment.")},
			{ID: "analytics", Basis: consent.BasisConsent, Title: both("Analyse détaillée", "Detailed analytics"),
				Text: both("Comprendre quelles pages et quels produits intéressent, visite après visite.", "Understanding which pages and products are of interest, visit after visit."),
				Services: []consent.Service{{Name: "Loupe Analytics", Provider: "Loupe Ltd", Policy: "https://loupe.example/privacy",
					Cookies: []consent.Cookie{{Name: "_lp*", Lifetime: both("13 mois", "13 months")}, {Name: "lp.session", Lifetime: both("la visite", "the visit")}}}}},
			{ID: "ads", Basis: consent.BasisConsent, Title: both("Publicité personnalisée", "Personalised advertising"),
				Text:     both("Montrer ailleurs des annonces choisies d’après votre visite ici.", "Showing you ads elsewhere, chosen by what you saw here."),
				Services: []consent.Service{{ID: "adriver", Embed: true, Name: "AdRiver", Provider: "River Media GmbH", Policy: "https://adriver.example/datenschutz"}, {Name: "Panneau", Provider: "Panneau SARL", Policy: "https://panneau.example/vie-privee"}}},
			{ID: "audience", Basis: consent.BasisLegitimateInterest, Objection: true, Title: both("Mesure d’audience", "Audience measurement"),
				Text: both("Compter les visites, sans vous reconnaître. Vous pouvez vous y opposer.", "Counting visits without recognising you. You may object.")},
		},
	}
}

func input(t testing.TB, site *consent.Site) widget.Input {
	t.Helper()
	wordings, err := site.Wordings()
	if err != nil {
		t.Fatal(err)
	}
	return widget.Input{Site: site, Wordings: wordings}
}

func build(t testing.TB, in widget.Input) *widget.Bundle {
	t.Helper()
	b, err := widget.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signals is a complete mapping for the shop.
var signals = widget.Signals{ConsentMode: widget.ConsentMode{AdStorage: "ads", AdUserData: "ads", AdPersonalization: "ads",
	AnalyticsStorage: "analytics", FunctionalityStorage: "necessary", SecurityStorage: "necessary"}}

// Banner, preferences, gating, contextual consent, removal of cookies and Consent Mode, in French and English, with
// four purposes, have 8 KiB (DESIGN §11).
func TestBudget(t *testing.T) {
	in := input(t, shop())
	in.Options.Signals = signals
	b := build(t, in)
	t.Logf("js %d, gzip %d, brotli %d bytes", len(b.JS), len(b.Gzip), len(b.Brotli))
	if len(b.Brotli) > widget.Budget {
		t.Errorf("%d bytes of brotli, the budget is %d", len(b.Brotli), widget.Budget)
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	a, b := build(t, input(t, shop())), build(t, input(t, shop()))
	if !bytes.Equal(a.JS, b.JS) || !bytes.Equal(a.Brotli, b.Brotli) || !bytes.Equal(a.Gzip, b.Gzip) || a.Metafile != b.Metafile {
		t.Error("two builds of one input differ")
	}
	other := shop()
	other.Banner.Title["fr"] += "."
	if c := build(t, input(t, other)); c.Hash == a.Hash || c.ETag == a.ETag || c.Integrity == a.Integrity {
		t.Error("another text gives the same hash, ETag or integrity")
	}
}

func TestEveryEncodingHoldsTheSameScript(t *testing.T) {
	b := build(t, input(t, shop()))
	zr, err := gzip.NewReader(bytes.NewReader(b.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"brotli": brotli.NewReader(bytes.NewReader(b.Brotli)), "gzip": zr} {
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, b.JS) {
			t.Errorf("%s does not unpack to the script: %v", name, err)
		}
	}
	sum := sha512.Sum384(b.JS)
	if want := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); b.Integrity != want {
		t.Errorf("integrity %s, want %s", b.Integrity, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(b.Hash) || b.ETag != `W/"`+b.Hash+`"` {
		t.Errorf("hash %q, ETag %q", b.Hash, b.ETag)
	}
	if !json.Valid([]byte(b.Metafile)) {
		t.Error("the metafile is not JSON")
	}
}

var print = regexp.MustCompile(`:"([0-9a-f]{16})"`)

func TestPeopleAreAskedAgain(t *testing.T) {
	fingerprint := func(site *consent.Site) string {
		m := print.FindSubmatch(build(t, input(t, site)).JS)
		if m == nil {
			t.Fatal("no fingerprint in the bundle")
		}
		return string(m[1])
	}
	before := fingerprint(shop())
	for name, c := range map[string]struct {
		change func(*consent.Site)
		again  bool
	}{
		"not when a typo is corrected":          {func(s *consent.Site) { s.Banner.Text["fr"] = "Autre." }, false},
		"not when a purpose is worded anew":     {func(s *consent.Site) { s.Purposes[1].Text["en"] = "Other." }, false},
		"not when purposes are shown in turn":   {func(s *consent.Site) { s.Purposes[1], s.Purposes[2] = s.Purposes[2], s.Purposes[1] }, false},
		"not when a policy moves":               {func(s *consent.Site) { s.Purposes[1].Services[0].Policy = "https://loupe.example/p" }, false},
		"when a purpose is added":               {func(s *consent.Site) { s.Purposes = append(s.Purposes, s.Purposes[1]); s.Purposes[4].ID = "more" }, true},
		"when a purpose goes":                   {func(s *consent.Site) { s.Purposes = s.Purposes[:3] }, true},
		"when a service is added":               {func(s *consent.Site) { s.Purposes[3].Services = []consent.Service{{Name: "Compteur"}} }, true},
		"when a service has another provider":   {func(s *consent.Site) { s.Purposes[1].Services[0].Provider = "Elsewhere Inc" }, true},
		"when a purpose rests on another basis": {func(s *consent.Site) { s.Purposes[3].Basis, s.Purposes[3].Objection = consent.BasisConsent, false }, true},
		"when the revision is raised":           {func(s *consent.Site) { s.Revision++ }, true},
	} {
		site := shop()
		c.change(site)
		if got := fingerprint(site) != before; got != c.again {
			t.Errorf("%s: asked again = %t", name, got)
		}
	}
}

func TestInputThatDoesNotFitIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*widget.Input)
		want  error
	}{
		"a wording is missing":                    {func(in *widget.Input) { in.Wordings = in.Wordings[1:] }, widget.ErrWordings},
		"no locale":                               {func(in *widget.Input) { in.Site.Locales = nil }, widget.ErrWordings},
		"a locale the site does not have":         {func(in *widget.Input) { in.Locales = []string{"de"} }, widget.ErrWordings},
		"a locale asked for twice":                {func(in *widget.Input) { in.Locales = []string{"fr", "fr"} }, widget.ErrWordings},
		"wordings of another revision":            {func(in *widget.Input) { in.Site.Revision = 7 }, widget.ErrWordings},
		"wordings of other purposes":              {func(in *widget.Input) { in.Site.Purposes[1].ID = "x" }, widget.ErrWordings},
		"a hash that is not the document's":       {func(in *widget.Input) { in.Wordings[0].Hash[0]++ }, widget.ErrWordings},
		"banner and preferences disagree":         {func(in *widget.Input) { in.Wordings[0].Purposes[1].Text = "Something else" }, widget.ErrWordings},
		"a colour that closes the rule":           {func(in *widget.Input) { in.Theme.Light.Button = "#000}*{display:none" }, widget.ErrTheme},
		"a colour by name":                        {func(in *widget.Input) { in.Theme.Dark.Text = "red" }, widget.ErrTheme},
		"a radius with a url":                     {func(in *widget.Input) { in.Theme.Radius = "url(x)" }, widget.ErrTheme},
		"a scheme nobody knows":                   {func(in *widget.Input) { in.Theme.Scheme = "sepia" }, widget.ErrTheme},
		"a policy link that runs":                 {func(in *widget.Input) { *in = relinked(t, "javascript:alert(1)") }, widget.ErrLink},
		"a policy link that runs, in disguise":    {func(in *widget.Input) { *in = relinked(t, "java\tscript:alert(1)") }, widget.ErrLink},
		"a policy link that runs, after a space":  {func(in *widget.Input) { *in = relinked(t, " javascript:alert(1)") }, widget.ErrLink},
		"a policy link that runs, in capitals":    {func(in *widget.Input) { *in = relinked(t, "JavaScript:alert(1)") }, widget.ErrLink},
		"a service's policy that carries a page":  {func(in *widget.Input) { *in = reserviced(t, "data:text/html,x") }, widget.ErrLink},
		"control: nothing spoilt, and it is fine": {func(in *widget.Input) {}, nil},
	} {
		in := input(t, shop())
		c.spoil(&in)
		if _, err := widget.Build(in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func relinked(t *testing.T, href string) widget.Input {
	site := shop()
	site.Banner.PolicyHref["en"] = href
	return input(t, site)
}

func reserviced(t *testing.T, href string) widget.Input {
	site := shop()
	site.Purposes[1].Services[0].Policy = href
	return input(t, site)
}

func TestTheDefaultThemeIsReadable(t *testing.T) {
	if problems := (widget.Theme{}).Check(); problems != nil {
		t.Error(problems)
	}
	pale := widget.Theme{Light: widget.Palette{Button: "#eeeeee"}}
	if got := pale.Check(); len(got) != 2 || got[0].Code != "low_contrast" || got[0].Field != "light.label" {
		t.Errorf("white on #eeeeee: %v", got)
	}
	if got := widget.Contrast("#777777", "#ffffff"); got < 4.47 || got > 4.49 { // a published example: 4.48
		t.Errorf("#777777 on white: %f", got)
	}
}

// hostile is text that would be markup, style or code anywhere it is not text.
const hostile = "</script><script>alert(1)</script><!--<script> ]]> \u2028\u2029 </style> `${x}` \\\"' \x00 \U0001F36A <img src=x onerror=alert(1)>"

// FuzzText holds that a text, whatever it is, stands in the bundle as a string: no end of a script element, no
// comment that would change how an inline copy is read, no line separator; and that the bundle still builds.
func FuzzText(f *testing.F) {
	for _, seed := range []string{hostile, "", "</ScRiPt", "<!-", "\xff\xfe", `"}],"x":[{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		js := strings.ToLower(string(build(t, input(t, saying(text))).JS))
		for _, bad := range []string{"</script", "<!--", "<script", "\u2028", "\u2029"} {
			if strings.Contains(js, bad) {
				t.Errorf("%q stands in the bundle", bad)
			}
		}
	})
}

// saying is the shop with text in every place a text can have.
func saying(text string) *consent.Site {
	site := shop()
	say := consent.Text{"fr": text, "en": text}
	href := site.Banner.PolicyHref
	site.Banner = consent.BannerText{Title: say, Text: say, Accept: say, Refuse: say, Choose: say, Save: say, Back: say, Reopen: say,
		PreferencesTitle: say, PreferencesText: say, PolicyText: say, PolicyHref: href, Necessary: say, Continue: say,
		Bases: map[consent.Basis]consent.Text{consent.BasisConsent: say}, EmbedText: say, EmbedOnce: say, EmbedAlways: say}
	site.Controller = consent.Controller{Name: text, Contact: text}
	for i := range site.Purposes {
		p := &site.Purposes[i]
		p.Title, p.Text = say, say
		for j := range p.Services {
			p.Services[j].Name, p.Services[j].Provider = text, text
			for k := range p.Services[j].Cookies {
				p.Services[j].Cookies[k] = consent.Cookie{Name: text, Lifetime: say}
			}
		}
	}
	return site
}

func TestCacheBuildsEachVersionOnce(t *testing.T) {
	c := widget.NewCache()
	get := func(in widget.Input) *widget.Bundle {
		t.Helper()
		b, err := c.Build(in)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := get(input(t, shop()))
	if get(input(t, shop())) != first {
		t.Error("equal input was built again")
	}
	moved := shop()
	moved.Origins = []string{"https://elsewhere.example"}
	if get(input(t, moved)) != first {
		t.Error("a change that does not reach the script built it again")
	}
	dark := input(t, shop())
	dark.Theme.Scheme = widget.SchemeDark
	if get(dark) == first {
		t.Error("another theme gave the old bundle")
	}
	if b, ok := c.Find("shop", first.Hash); !ok || b != first {
		t.Error("the earlier version is not found by its hash")
	}
	if _, ok := c.Find("other", first.Hash); ok {
		t.Error("a bundle was found under another site")
	}
}

func TestAScriptOfFewerLocales(t *testing.T) {
	in := input(t, shop())
	all, print := build(t, in), func(b *widget.Bundle) string { return string(print.Find(b.JS)) }
	in.Locales = []string{"en"}
	english := build(t, in)
	if bytes.Contains(english.JS, []byte("Tout accepter")) || !bytes.Contains(english.JS, []byte("Accept all")) {
		t.Error("the script in English speaks French, or no English")
	}
	if len(english.Brotli) >= len(all.Brotli) || print(english) != print(all) {
		t.Errorf("%d bytes of %d, fingerprint %s, was %s", len(english.Brotli), len(all.Brotli), print(english), print(all))
	}
	in.Locales = []string{"fr", "en"}
	if b := build(t, in); b.Hash != all.Hash {
		t.Error("naming every locale makes another script")
	}
}

func TestVersionsOfOneLocaleDoNotPushOutAnother(t *testing.T) {
	c, in := widget.NewCache(), input(t, shop())
	in.Locales = []string{"en"}
	english, err := c.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	var french []*widget.Bundle
	for i := range 9 {
		in := input(t, shop())
		in.Locales, in.Theme.Radius = []string{"fr"}, fmt.Sprintf("%dpx", i)
		b, err := c.Build(in)
		if err != nil {
			t.Fatal(err)
		}
		french = append(french, b)
	}
	for _, want := range append(french[1:], english) {
		if b, ok := c.Find("shop", want.Hash); !ok || b != want {
			t.Errorf("script %s is gone", want.Hash)
		}
	}
	if _, ok := c.Find("shop", french[0].Hash); ok {
		t.Error("the ninth version did not push out the first")
	}
}

func TestCacheBuildsOnceForThoseWhoAskTogether(t *testing.T) {
	c, in := widget.NewCache(), input(t, shop())
	bundles := make([]*widget.Bundle, 8)
	var wg sync.WaitGroup
	for i := range bundles {
		wg.Go(func() { bundles[i], _ = c.Build(in) })
	}
	wg.Wait()
	for _, b := range bundles {
		if b == nil || b != bundles[0] {
			t.Fatal("two of them got different bundles")
		}
	}
}

func TestSources(t *testing.T) {
	exports := regexp.MustCompile(`(?m)^export (?:async )?(?:function|const|class) (\w+)`)
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|cssText|\.style(\.\w+)? =|createElement\('style'\)`)
	err := fs.WalkDir(os.DirFS("src"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".ts") {
			return err
		}
		src, err := os.ReadFile("src/" + name)
		if found := sinks.Find(src); found != nil {
			t.Errorf("%s writes text as something else than text: %s", name, found)
		}
		if base, lib := strings.CutPrefix(strings.TrimSuffix(name, ".ts"), "lib/"); lib && base != "types" {
			all := exports.FindAllSubmatch(src, -1)
			if len(all) != 1 || string(all[0][1]) != base {
				t.Errorf("%s exports %q, want %s alone", name, all, base)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile("package-lock.json")
	if err != nil || bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Errorf("package-lock.json names a registry: %v", err)
	}
}

package measure

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// shop is a site that uses every surface.
func shop() *consent.Site {
	fr := func(s string) consent.Text { return consent.Text{"fr": s} }
	return &consent.Site{ID: "shop", Name: "Maison", Locales: []string{"fr"}, Revision: 1, Controller: consent.Controller{Name: "Maison SAS", Contact: "dpo@maison.example"},
		Banner: consent.BannerText{Title: fr("Vos données, votre choix"), Text: fr("Nous demandons votre accord pour les usages ci-dessous."), Accept: fr("Tout accepter"), Refuse: fr("Tout refuser"),
			Choose: fr("Choisir"), Save: fr("Enregistrer mes choix"), Back: fr("Fermer"), Reopen: fr("Mes choix"), Necessary: fr("Toujours actif"), Continue: fr("Continuer sans accepter"),
			PreferencesTitle: fr("Choisir usage par usage"), PreferencesText: fr("Rien n’est activé sans vous."), PolicyText: fr("Confidentialité"), PolicyHref: fr("/confidentialite"),
			EmbedText: fr("Ce contenu vient de {service}."), EmbedOnce: fr("Charger une fois"), EmbedAlways: fr("Toujours autoriser"),
			Receipt: &consent.ReceiptText{Button: fr("Télécharger mon reçu"), Waiting: fr("Pas encore envoyé."), Failed: fr("Le reçu n’a pas pu être fait.")}},
		Purposes: []consent.Purpose{
			{ID: "basket", Basis: consent.BasisContract, Title: fr("Panier"), Text: fr("Garder votre panier.")},
			{ID: "film", Basis: consent.BasisConsent, Title: fr("Films"), Text: fr("Montrer des films d’ailleurs."), Services: []consent.Service{
				{ID: "bobine", Embed: true, Name: "Bobine", Provider: "Bobine SARL", Policy: "https://bobine.example/", Cookies: []consent.Cookie{{Name: "bobine*", Lifetime: fr("1 an")}}}}},
		}}
}

// page is the shop with a theme, and with something added to its script.
func page(t *testing.T, theme widget.Theme, change func(js string) string) Page {
	t.Helper()
	site := shop()
	wordings, err := site.Wordings()
	if err != nil {
		t.Fatal(err)
	}
	b, err := widget.Build(widget.Input{Site: site, Wordings: wordings, Theme: theme, Options: widget.Options{Reopen: widget.ReopenStart, Receipt: true}})
	if err != nil {
		t.Fatal(err)
	}
	return Page{Site: "shop", Locale: "fr", JS: []byte(change(string(b.JS))), Embeds: []Embed{{"bobine", "film"}}}
}

// findings measures pages, and gives for each what was found: detail by code and key.
func findings(t *testing.T, pages []Page) []map[string]string {
	t.Helper()
	path, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Run(t.Context(), path, pages)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]map[string]string, len(pages))
	for i := range out {
		out[i] = map[string]string{}
	}
	for _, f := range all {
		out[f.Page][f.Code+" "+f.Key] = f.Detail
	}
	return out
}

func same(js string) string { return js }

// styled adds rules to each sheet of the widget.
func styled(rules string) func(string) string {
	return func(js string) string {
		return `{const read=CSSStyleSheet.prototype.replaceSync;CSSStyleSheet.prototype.replaceSync=function(css){read.call(this,css&&css+` + "`" + rules + "`" + `)}};` + js
	}
}

func TestEveryThemeAFileMayHaveIsFine(t *testing.T) {
	themes := []widget.Theme{{}, {Layout: widget.LayoutBox, Radius: "0", Space: "12px"}, {Layout: widget.LayoutModal, Radius: "32px", Space: "40px"},
		{Radius: "57px"}, {Layout: widget.LayoutBox, Radius: "57px"}, {Layout: widget.LayoutModal, Radius: "40px", Space: "12px"}} // the roundest server/site lets through
	var pages []Page
	for _, theme := range themes {
		pages = append(pages, page(t, theme, same))
	}
	for i, got := range findings(t, pages) {
		if len(got) > 0 {
			t.Errorf("%+v: %v", themes[i], got)
		}
	}
}

// What the style sheet does not do today is put into it here: each rule must be able to say no.
func TestWhatIsWrongIsFound(t *testing.T) {
	cases := []struct {
		name         string
		theme        widget.Theme
		rules        string
		found, words string // code and key, and a part of the sentence
	}{
		{"corners so round that they cut words off", widget.Theme{Radius: "300px"}, "", "text_cut_off theme.radius", "cannot be seen whole"},
		{"refusing narrower than accepting", widget.Theme{}, ".actions{grid-template-columns:2fr 1fr!important}", "choices_unequal banner.refuse.fr", "accepting has"},
		{"refusing in pale letters", widget.Theme{}, "#refuse{color:#888!important}", "choices_unequal banner.refuse.fr", "looks otherwise"},
		{"refusing in lighter type", widget.Theme{}, "#refuse{font-weight:400!important}", "choices_unequal banner.refuse.fr", "400"},
		{"refusing below accepting", widget.Theme{}, ".actions{display:block!important}.actions button{width:100%}", "choices_unequal banner.refuse.fr", "side by side"},
		{"letters of 8 pixels", widget.Theme{}, ".legal{font-size:8px!important}", "text_small theme", "8.0 px; 12 are the least"},
		{"a button in letters of 9 pixels", widget.Theme{}, "#choose{font-size:9px!important}", "text_small banner.choose.fr", "9.0 px"},
		{"buttons of 16 pixels, close together", widget.Theme{}, ".actions{gap:1px!important;grid-auto-rows:auto!important}.actions button{min-height:0!important;height:16px;padding:0!important;line-height:1!important}",
			"target_small banner.refuse.fr", "× 16 px"},
		{"a way back in letters of 8 pixels", widget.Theme{}, "#reopen{font-size:8px!important}", "text_small banner.reopen.fr", "on the reopen: "},
		{"a receipt in letters of 8 pixels", widget.Theme{}, "#receipt{font-size:8px!important}", "text_small banner.receipt_button.fr", "on the receipt: "},
		{"a label that does not fit", widget.Theme{}, "#always{white-space:nowrap;width:60px;overflow:hidden}", "text_cut_off banner.always_allow.fr", "does not fit"},
	}
	pages := []Page{page(t, widget.Theme{}, styled("#nothing{color:red}"))} // the control
	for _, c := range cases {
		pages = append(pages, page(t, c.theme, styled(c.rules)))
	}
	all := findings(t, pages)
	if len(all[0]) > 0 {
		t.Errorf("nothing spoilt: %v", all[0])
	}
	for i, c := range cases {
		if detail, ok := all[i+1][c.found]; !ok || !strings.Contains(detail, c.words) || !strings.HasPrefix(detail, "at ") {
			t.Errorf("%s: %v", c.name, all[i+1])
		}
	}
}

func TestABrowserThatSaysNothing(t *testing.T) {
	dir := t.TempDir()
	program := func(name, script string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := Run(t.Context(), program("ends", "exit 3"), []Page{{}}); !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "3") {
		t.Errorf("one that ends: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, program("waits", "exec sleep 60"), []Page{{}}); !errors.Is(err, ErrSilent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that waits: %v", err)
	}
	cancel()
	if _, err := Run(ctx, program("begins", "exit 0"), []Page{{}}); !errors.Is(err, ErrSilent) {
		t.Errorf("one nobody waits for any more: %v", err)
	}
	if _, err := Run(t.Context(), filepath.Join(dir, "nothing"), []Page{{}}); err == nil {
		t.Error("one that is not there")
	}
	path, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), path, []Page{{Site: "shop", Locale: "fr", JS: []byte("0")}}); !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "the banner never came") {
		t.Errorf("a script that shows nothing: %v", err)
	}
}

func TestFindLooksWhereItIsTold(t *testing.T) {
	t.Setenv("CONSENTD_CHROMIUM", filepath.Join(t.TempDir(), "nothing"))
	if _, err := Find(); !errors.Is(err, ErrNoBrowser) {
		t.Error(err)
	}
}

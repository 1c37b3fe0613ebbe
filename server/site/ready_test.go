package site_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
)

// readySite is a file whose purposes are those given, in the locales given.
func readySite(locales, purposes string) string {
	return "site: small\nname: Small\norigins: []\ncontroller: {name: Small Ltd, contact: privacy@small.example}\nlocales: [" + locales +
		"]\npolicy: /privacy\npurposes:\n" + purposes
}

func TestAReadyPurposeTakesItsWordsAndBasis(t *testing.T) {
	r, _ := serve(t, map[string]string{"small.yaml": readySite("fr, en-GB", "  - {id: analytics, ready: audience}\n  - {id: site, ready: necessary}\n")}, nil)
	got := get(t, r, "small").Purposes
	want := []consent.Purpose{
		{ID: "analytics", Basis: consent.BasisConsent, Channel: consent.ChannelWeb, Use: consent.UseMeasure,
			Title: consent.Text{"fr": "Mesure d’audience", "en-GB": "Audience measurement"},
			Text: consent.Text{"fr": "Des cookies comptent les visites et relèvent les pages consultées, pour que nous sachions comment le site est utilisé.",
				"en-GB": "Cookies count visits and note which pages are viewed, so that we know how the site is used."}},
		{ID: "site", Basis: consent.BasisLegitimateInterest, Channel: consent.ChannelWeb,
			Title: consent.Text{"fr": "Nécessaire au site", "en-GB": "Necessary for the site"}},
	}
	got[1].Text = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFileOverridesAReadyPurposeTextByText(t *testing.T) {
	r, _ := serve(t, map[string]string{"small.yaml": readySite("fr, en",
		"  - {id: fraud, ready: profiling, basis: legitimate_interest, objection: true, title: {en: Fraud}, text: {fr: Nous veillons.}}\n")}, nil)
	p := get(t, r, "small").Purposes[0]
	if p.Title["en"] != "Fraud" || p.Title["fr"] != "Suivi de votre activité" || p.Text["fr"] != "Nous veillons." ||
		!strings.HasPrefix(p.Text["en"], "We record") || p.Basis != consent.BasisLegitimateInterest || !p.Objection {
		t.Errorf("got %+v", p)
	}
}

func TestEachMistakeWithAReadyPurposeIsReported(t *testing.T) {
	for _, tc := range []struct {
		name, locales, purpose string
		want                   []string
	}{
		{"nothing but a ready purpose", "fr, en", "ready: audience", nil},
		{"a ready purpose there is not", "fr, en", "ready: analytics", []string{"8:22 ready_unknown"}},
		{"a ready purpose without a name", "fr, en", "ready: ''", []string{"8:22 ready_unknown"}},
		{"a ready purpose that is a list", "fr, en", "ready: [audience]", []string{"8:22 wrong_type"}},
		{"no ready purpose and no words", "fr, en", "basis: consent", []string{"8:5 missing_key", "8:5 missing_key"}},
		{"a title in one language", "fr, en", "ready: audience, title: {fr: Compter}", nil},
		{"one title for two languages", "fr, en", "ready: audience, title: Compter", []string{"8:39 text_missing"}},
		{"one title for one language", "fr", "ready: audience, title: Compter", nil},
		{"an empty title", "fr, en", "ready: audience, title: ''", []string{"8:39 text_missing"}},
		{"a title empty in one language", "fr, en", "ready: audience, title: {fr: ''}", []string{"8:44 text_missing"}},
		{"a text in a language the site does not have", "fr, en", "ready: audience, text: {de: Zählen}", []string{"8:43 text_locale"}},
		{"a title that is an article", "fr", "ready: audience, title: " + strings.Repeat("é", 201), []string{"8:39 text_too_long"}},
		{"a wrong basis", "fr, en", "ready: audience, basis: necessity", []string{"8:39 basis_unknown"}},
		{"an objection to what needs consent", "fr, en", "ready: audience, objection: true", []string{"8:43 objection_basis"}},
		{"an objection to what is necessary", "fr, en", "ready: necessary, objection: true", nil},
		{"nothing to decide", "fr, en", "ready: necessary", []string{"7:1 nothing_asked?"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			problems := site.Validate("small.yaml", []byte(readySite(tc.locales, "  - {id: one, "+tc.purpose+"}\n")))
			if got := found(problems); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tc.want, problems)
			}
		})
	}
}

func TestALanguageWithoutReadyWordsNeedsBoth(t *testing.T) {
	var got []string
	for _, p := range site.Validate("small.yaml", []byte(readySite("fr, is", "  - {id: one, ready: audience, title: {is: Mæling}}\n  - {id: two, ready: ads}\n"))) {
		got = append(got, p.Key+" "+p.Code)
	}
	want := []string{"locales[1] locale_without_texts", "purposes[0].text.is text_missing", "purposes[1].ready ready_unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheSchemaListsTheReadyPurposes: in editors as in the error that names them.
func TestTheSchemaListsTheReadyPurposes(t *testing.T) {
	var s struct {
		Defs map[string]struct {
			Properties map[string]struct{ Enum []string } `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(site.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	names := s.Defs["purpose"].Properties["ready"].Enum
	problems := site.Validate("small.yaml", []byte(readySite("fr", "  - {id: one, ready: nothing}\n")))
	if len(problems) != 1 || len(names) == 0 || !strings.Contains(problems[0].Text, "there are "+strings.Join(names, ", ")) {
		t.Errorf("schema %q, problem %v", names, problems)
	}
	for _, name := range names {
		if problems := site.Validate("small.yaml", []byte(readySite("fr", "  - {id: one, basis: consent, ready: "+name+"}\n"))); problems != nil {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

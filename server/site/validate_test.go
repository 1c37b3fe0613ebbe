package site_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/site"
)

func demo(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// changed replaces one part of the demo, which has to be there once. An empty old is the whole file.
func changed(t testing.TB, old, new string) string {
	t.Helper()
	if old == "" {
		return new
	}
	if n := strings.Count(demo(t), old); n != 1 {
		t.Fatalf("%q is in the demo %d times", old, n)
	}
	return strings.Replace(demo(t), old, new, 1)
}

// found writes problems as the table does: "line:column code", warnings with a question mark.
func found(problems []site.Problem) []string {
	out := []string{}
	for _, p := range problems {
		mark := ""
		if p.Severity == site.Warning {
			mark = "?"
		}
		out = append(out, fmt.Sprintf("%d:%d %s%s", p.Line, p.Column, p.Code, mark))
	}
	return out
}

func TestEachMistakeIsReportedAtItsPlace(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		want           []string
	}{
		{"a good file has none", "site: demo", "site: demo", nil},

		// the file
		{"an empty file", "", "", []string{"1:1 several_documents"}},
		{"a file of comments", "", "# nothing\n", []string{"1:1 several_documents"}},
		{"a file of two sites", "theme:\n", "---\ntheme:\n", []string{"35:1 several_documents"}},
		{"a file that is no mapping", "", "- a\n- b\n", []string{"1:1 wrong_type"}},
		{"a file over 256 KiB", "", strings.Repeat("####################################\n", 8_000), []string{"1:1 too_large"}},
		{"a file of 10,001 lines", "", strings.Repeat("#\n", 10_001), []string{"1:1 too_large"}},
		{"brackets 33 deep", "name: Boutique Démo\n", "name: " + strings.Repeat("[", 33) + strings.Repeat("]", 33) + "\n", []string{"2:39 too_large"}},
		{"dashes 33 deep", "", strings.Repeat("- ", 33), []string{"1:65 too_large"}},
		{"YAML that does not parse", "name: Boutique Démo\n", "name: 'Boutique Démo\n", []string{"2:7 syntax"}},
		{"a colon in a text without quotes", "name: Boutique Démo\n", "name: Boutique: Démo\n", []string{"2:7 syntax"}},
		{"an unknown key", "page_query: true", "page_querry: true", []string{"10:1 unknown_key"}},
		{"an unknown key inside", "services:", "service:", []string{"20:5 unknown_key"}},
		{"an unknown key of the theme", "radius: 8px", "hide_refuse: true", []string{"36:3 unknown_key"}},
		{"a key twice", "ip: truncated", "name: Another", []string{"9:1 duplicate_key"}},
		{"a key twice inside", "basis: legitimate_interest", "basis: legitimate_interest\n    basis: consent", []string{"29:5 duplicate_key"}},
		{"an anchor and its alias", "locales: [fr, en]", "locales: [&a fr, *a]", []string{"5:11 yaml_feature", "5:18 yaml_feature"}},
		{"a tag", "revision: 2", "revision: !!int 2", []string{"6:11 yaml_feature"}},
		{"a key without a value", "ip: truncated", "ip:", []string{"9:1 no_value"}},

		// types
		{"a number where a text belongs", "name: Boutique Démo\n", "name: 42\n", []string{"2:7 wrong_type"}},
		{"a text where a list belongs", "locales: [fr, en]", "locales: fr", []string{"5:10 wrong_type"}},
		{"a text where a mapping belongs", "controller: {name: Boutique Démo SAS, contact: dpo@shop.example}", "controller: me", []string{"4:13 wrong_type"}},
		{"a text where a number belongs", "revision: 2", "revision: two", []string{"6:11 wrong_type"}},
		{"a number with a fraction where a whole one belongs", "revision: 2", "revision: 2.5", []string{"6:11 wrong_type"}},
		{"a text where true or false belongs", "page_query: true", "page_query: yes", []string{"10:13 wrong_type"}},
		{"a list where a text belongs", "fr: Une lettre par mois.", "fr: [Une lettre]", []string{"26:16 wrong_type"}},
		{"a mapping inside a text", "fr: Une lettre par mois.", "fr: {fr: x}", []string{"26:16 wrong_type"}},
		{"a purpose that is a text", "  - id: fraud\n", "  - marketing\n  - id: fraud\n", []string{"27:5 wrong_type"}},

		// the site
		{"no site id", "site: demo\n", "", []string{"1:1 missing_key"}},
		{"a site id with a capital", "site: demo", "site: Demo", []string{"1:7 site_id"}},
		{"a site id that is too long", "site: demo", "site: " + strings.Repeat("a", 41), []string{"1:7 site_id"}},
		{"an empty name", "name: Boutique Démo\n", "name: ''\n", []string{"2:7 no_value"}},
		{"no controller", "controller: {name: Boutique Démo SAS, contact: dpo@shop.example}\n", "", []string{"1:1 missing_key"}},
		{"an empty controller", "{name: Boutique Démo SAS, contact: dpo@shop.example}", "{}", []string{"4:1 missing_key", "4:1 missing_key"}},
		{"a controller nobody can reach", ", contact: dpo@shop.example", "", []string{"4:1 missing_key"}},
		{"a controller with a blank name", "{name: Boutique Démo SAS,", "{name: ' ',", []string{"4:20 no_value"}},
		{"a revision below one", "revision: 2", "revision: 0", []string{"6:11 invalid_value"}},
		{"an unknown IP policy", "ip: truncated", "ip: hashed", []string{"9:5 invalid_value"}},
		{"a region that is no country", "region: FR", "region: EU", []string{"11:9 region_unknown"}},
		{"a region in small letters", "region: FR", "region: fr", []string{"11:9 region_unknown"}},
		{"a limit of nothing", "burst: 40", "burst: 0", []string{"12:43 invalid_value"}},

		// origins
		{"no origins", "origins: [http://127.0.0.1:8081, \"https://*.shop.example\"]\n", "", []string{"1:1 missing_key"}},
		{"an empty list of origins is for the API alone", "[http://127.0.0.1:8081, \"https://*.shop.example\"]", "[]", nil},
		{"an origin with a path", "http://127.0.0.1:8081", "https://shop.example/", []string{"3:11 origin_invalid"}},
		{"an origin without a scheme", "http://127.0.0.1:8081", "shop.example", []string{"3:11 origin_invalid"}},
		{"an origin of another scheme", "http://127.0.0.1:8081", "ftp://shop.example", []string{"3:11 origin_invalid"}},
		{"an origin with a user", "http://127.0.0.1:8081", "https://me@shop.example", []string{"3:11 origin_invalid"}},
		{"an origin with a query", "http://127.0.0.1:8081", "'https://shop.example?'", []string{"3:11 origin_invalid"}},
		{"any origin", "http://127.0.0.1:8081", "'*'", []string{"3:11 origin_invalid"}},
		{"a wildcard in the middle", "http://127.0.0.1:8081", "'https://a.*.shop.example'", []string{"3:11 origin_invalid"}},
		{"a wildcard in a name", "http://127.0.0.1:8081", "'https://a*.shop.example'", []string{"3:11 origin_invalid"}},
		{"a wildcard over a public suffix", "http://127.0.0.1:8081", "'https://*.co.uk'", []string{"3:11 origin_too_wide"}},
		{"a wildcard over a host of strangers' pages", "http://127.0.0.1:8081", "'https://*.github.io'", []string{"3:11 origin_too_wide"}},
		{"an origin that is not encrypted", "http://127.0.0.1:8081", "http://shop.example", []string{"3:11 origin_http?"}},
		{"unencrypted localhost", "http://127.0.0.1:8081", "http://localhost:3000", nil},

		// languages
		{"no languages", "locales: [fr, en]\n", "", []string{"1:1 missing_key"}},
		{"an empty list of languages", "locales: [fr, en]", "locales: []", []string{"5:1 missing_key"}},
		{"an underscore in a language", "locales: [fr, en]", "locales: [fr, en, en_GB]", []string{"5:19 locale_invalid"}},
		{"a language there is not", "locales: [fr, en]", "locales: [fr, en, english]", []string{"5:19 locale_invalid"}},
		{"a language twice", "locales: [fr, en]", "locales: [fr, en, fr]", []string{"5:19 locale_duplicate"}},
		{"a text in a language the site does not have", "{fr: Une lettre par mois.,", "{de: Ein Brief., fr: Une lettre par mois.,", []string{"26:16 text_locale"}},
		{"a text missing in a language", ", en: Newsletter}", "}", []string{"25:5 text_missing"}},
		{"a text empty in a language", "en: Newsletter}", "en: ''}", []string{"25:43 text_missing"}},
		{"a text without a value in a language", "      en: We count visits to improve the site.\n", "      en:\n", []string{"19:10 text_missing"}},
		{"one text for two languages", "title: {fr: Lettre d’information, en: Newsletter}", "title: Newsletter", []string{"25:12 text_missing"}},
		{"a title that is an article", "en: Newsletter}", "en: " + strings.Repeat("é", 201) + "}", []string{"25:43 text_too_long"}},
		{"a title left out", "    title: {fr: Lettre d’information, en: Newsletter}\n", "", []string{"22:5 missing_key"}},

		// the policy
		{"no policy", "policy: {fr: https://shop.example/confidentialite, en: https://shop.example/privacy}\n", "", []string{"1:1 policy_missing"}},
		{"an empty policy", "policy: {fr: https://shop.example/confidentialite, en: https://shop.example/privacy}", "policy:", []string{"7:1 policy_missing"}},
		{"a policy missing in a language", ", en: https://shop.example/privacy", "", []string{"7:1 policy_missing"}},
		{"one policy for all languages", "{fr: https://shop.example/confidentialite, en: https://shop.example/privacy}", "https://shop.example/privacy", nil},
		{"a policy on the site itself", "https://shop.example/confidentialite", "/confidentialite", nil},
		{"a policy that is a script", "https://shop.example/confidentialite", "'javascript:alert(1)'", []string{"7:14 link_invalid"}},
		{"a policy on a host without a scheme", "https://shop.example/confidentialite", "//shop.example", []string{"7:14 link_invalid"}},
		{"a service's policy that is no address", "https://shop.example/matomo", "see website", []string{"21:61 link_invalid"}},
		{"a service without a name", "{name: Matomo, ", "{", []string{"21:9 missing_key"}},

		// purposes
		{"no purposes", "", strings.Split(demo(t), "purposes:")[0], []string{"1:1 no_purpose"}},
		{"an empty list of purposes", "", strings.Split(demo(t), "purposes:")[0] + "purposes: []\n", []string{"13:1 no_purpose"}},
		{"a purpose without an id", "- id: fraud\n    basis", "- basis", []string{"27:5 missing_key"}},
		{"a purpose id with a space", "id: fraud", "id: no fraud", []string{"27:9 purpose_id"}},
		{"a purpose id twice", "id: fraud", "id: analytics", []string{"27:9 purpose_duplicate"}},
		{"a purpose without a basis", "    basis: legitimate_interest\n    objection: true\n", "", []string{"27:5 missing_key"}},
		{"an unknown basis", "basis: legitimate_interest\n    objection: true", "basis: necessity", []string{"28:12 basis_unknown"}},
		{"an objection to consent", "basis: legitimate_interest", "basis: consent", []string{"29:16 objection_basis"}},
		{"nothing to decide", "", strings.Split(demo(t), "  - id: analytics")[0] +
			"  - id: orders\n    basis: contract\n    title: {fr: A, en: B}\n    text: {fr: A, en: B}\n", []string{"13:1 nothing_asked?"}},

		// dark patterns
		{"a purpose on by default", "id: newsletter", "id: newsletter\n    default: on", []string{"23:14 default_on"}},
		{"a purpose that defaults to true", "id: newsletter", "id: newsletter\n    default: true", []string{"23:14 default_on"}},
		{"a purpose off by default, which says nothing new", "id: newsletter", "id: newsletter\n    default: off", nil},
		{"a choice kept over 13 months", "keep: 182d", "keep: 396d", []string{"8:17 keep_too_long"}},
		{"a choice kept 13 months", "keep: 182d", "keep: 395d", nil},
		{"a choice kept no day", "keep: 182d", "keep: 1h", []string{"8:17 keep_too_short"}},
		{"a choice asked for again after a week", "keep: 182d", "keep: 1w", []string{"8:17 keep_short?"}},
		{"a choice kept for ever", "keep: 182d", "keep: forever", []string{"8:17 invalid_value"}},
		{"a choice kept for a number of nothing", "keep: 182d", "keep: 182", []string{"8:17 invalid_value"}},
		{"a choice kept for less than nothing", "keep: 182d", "keep: -5h", []string{"8:17 invalid_value"}},
		{"a newsletter kept over three years", "keep: 395d", "keep: 1097d", []string{"24:11 keep_too_long"}},
		{"a newsletter kept three years", "keep: 395d", "keep: 1096d", []string{"24:11 keep_long?"}},
		{"a refuse button without words", "{fr: Continuer sans accepter}", "{fr: ''}", []string{"33:16 refuse_missing"}},
		{"a refuse button set to nothing", "refuse: {fr: Continuer sans accepter}", "refuse:", []string{"33:3 refuse_missing"}},
		{"a refuse button set to false", "refuse: {fr: Continuer sans accepter}", "refuse: false", []string{"33:11 refuse_missing"}},
		{"a refuse button of blanks", "refuse: {fr: Continuer sans accepter}", "refuse: {fr: ' '}", []string{"33:16 refuse_missing"}},
		{"a refuse button of characters nobody sees", "{fr: Continuer sans accepter}", `{fr: "\u200B\u2060 \u3164"}`, []string{"33:16 refuse_missing"}},
		{"a refuse button that reads as accepting", "fr: Continuer sans accepter", "fr: tout accepter", []string{"33:16 refuse_unclear"}},
		{"a refuse button that reads as choosing", "fr: Continuer sans accepter", "fr: Choisir", []string{"33:16 refuse_unclear"}},
		{"an accept button that reads as refusing", "refuse: {fr: Continuer sans accepter}", "accept: {fr: Tout refuser}", []string{"32:1 refuse_unclear"}},
		{"another button without words", "refuse: {fr: Continuer sans accepter}", "choose: ''", []string{"33:11 text_missing"}},
		{"a button label that is a speech", "fr: Continuer sans accepter", "fr: " + strings.Repeat("a", 61), []string{"33:16 text_too_long"}},
		{"pale words on a pale button", `{button: "#124e2a"}`, `{button: "#e0e0e0"}`, []string{"37:3 low_contrast", "37:3 low_contrast"}},
		{"pale text", `{button: "#124e2a"}`, `{text: "#777777"}`, []string{"37:17 low_contrast"}},
		{"text just dark enough", `{button: "#124e2a"}`, `{text: "#767676"}`, nil},
		{"a dark theme that is hard to read", `light: {button: "#124e2a"}`, `dark: {text: "#555555"}`, []string{"37:16 low_contrast"}},
		{"a colour that is none", `"#124e2a"`, `"red;}"`, []string{"37:19 theme_value"}},
		{"corners that cut words off", "radius: 8px", "radius: 58px", []string{"36:11 text_cut_off"}},
		{"corners that cut off words close to them", "radius: 8px", "space: 12px\n  radius: 3em", []string{"37:11 text_cut_off"}},
		{"corners as round as words allow", "radius: 8px", "radius: 57px", nil},
		{"a scheme that is none", "scheme: light", "scheme: sepia", []string{"35:11 theme_value"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			problems := site.Validate("demo.yaml", []byte(changed(t, tc.old, tc.new)))
			if got := found(problems); !slices.Equal(got, tc.want) {
				t.Errorf("got  %q\nwant %q\n%v", got, tc.want, problems)
			}
			for _, p := range problems {
				if p.Text == "" || p.File != "demo.yaml" || strings.Contains(p.Text, "%!") {
					t.Errorf("a problem that does not say enough: %+v", p)
				}
			}
		})
	}
}

func TestALanguageWithoutBuiltInTextsNeedsAllOfThem(t *testing.T) {
	icelandic := strings.NewReplacer("[fr, en]", "[is]", "fr: ", "is: ", ", en: https://shop.example/privacy", "", ", en: Audience measurement", "",
		"      en: We count visits to improve the site.\n", "", ", en: Newsletter", "", ", en: One letter a month.", "",
		", en: Fraud prevention", "", ", en: We spot suspicious orders.", "").Replace(demo(t))
	problems := site.Validate("demo.yaml", []byte(icelandic))
	if got := found(problems); !slices.Equal(got, []string{"5:11 locale_without_texts"}) {
		t.Fatalf("got %v", problems)
	}
	want := "under banner, add title, text, accept, choose, save, back, reopen, preferences_title, preferences_text, policy_text, necessary, legal_basis, basis_consent, basis_legitimate_interest, objection in this language"
	if !strings.Contains(problems[0].Text, want) {
		t.Errorf("got %q, want it to say %q", problems[0].Text, want)
	}
	complete := strings.Replace(icelandic, "banner:\n", "banner:\n  title: A\n  text: B\n  accept: C\n  choose: D\n  save: E\n  back: F\n"+
		"  reopen: G\n  preferences_title: H\n  preferences_text: I\n  policy_text: J\n  necessary: K\n"+
		"  legal_basis: L\n  basis_consent: M\n  basis_legitimate_interest: N\n  objection: O\n", 1)
	if problems := site.Validate("demo.yaml", []byte(complete)); problems != nil {
		t.Errorf("with all texts: %v", problems)
	}
	problems = site.Validate("demo.yaml", []byte(strings.Replace(complete, "banner:\n", "banner:\n  receipt: true\n", 1)))
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "add receipt_button, receipt_waiting, receipt_failed in") {
		t.Errorf("a receipt without its words: %v", problems)
	}
}

func TestAFileWithFiveMistakesReportsFive(t *testing.T) {
	text := strings.NewReplacer("site: demo", "site: Demo", "http://127.0.0.1:8081", "https://shop.example/x", "keep: 182d", "keep: 500d",
		"page_query:", "pagequery:", "basis: legitimate_interest\n    objection: true", "basis: profit").Replace(demo(t))
	want := []string{"1:7 site_id", "3:11 origin_invalid", "8:17 keep_too_long", "10:1 unknown_key", "28:12 basis_unknown"}
	problems := site.Validate("sites/demo.yaml", []byte(text))
	if got := found(problems); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if line := problems[3].String(); line != `sites/demo.yaml:10:1: error: pagequery is no key here; did you mean "page_query"? [unknown_key]` {
		t.Errorf("printed as %q", line)
	}
}

func TestOneMistakeIsNotReportedTwice(t *testing.T) {
	for name, text := range map[string]string{
		"a missing everything": "{}",
		"a wrong everything":   "site: []\nname: []\norigins: 1\ncontroller: 1\nlocales: 1\npolicy: 1\npurposes: 1\nbanner: 1\ntheme: 1\nchoices: 1\n",
	} {
		seen := map[string]bool{}
		for _, p := range site.Validate("x.yaml", []byte(text)) {
			if seen[p.Key] {
				t.Errorf("%s: %s is reported twice: %v", name, p.Key, p)
			}
			seen[p.Key] = true
		}
		if len(seen) < 7 {
			t.Errorf("%s: only %d mistakes", name, len(seen))
		}
	}
}

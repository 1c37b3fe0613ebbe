package site_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/site"
)

// behaviour is everything a file can say about what the script does besides asking.
const behaviour = `cookie: {domain: shop.example}
gpc: ignore
reload_on_withdrawal: true
signals:
  google_consent_mode: {ad_storage: newsletter, analytics_storage: analytics}
  microsoft_uet: newsletter
  microsoft_clarity: {analytics_storage: analytics}
  matomo: {tracking: analytics}
  data_layer: true
migrate:
  - {from: klaro, names: {matomo: analytics}}
  - {from: cookieconsent, cookie: cc, names: {ads: newsletter}}
`

func TestEachMistakeOfBehaviourIsReported(t *testing.T) {
	file := func(from, to string) []byte {
		text := strings.NewReplacer("origins: [http://127.0.0.1:8081, ", "origins: [", "banner:\n", "banner:\n  continue_link: true\n  reopen_button: bottom-end\n  logo: /logo.svg\n",
			"- {name: Matomo,", "- {id: matomo, embed: true, cookies: [{name: _pk_id*, lifetime: 13mo}, {name: _pk_ses*, lifetime: session}], name: Matomo,").Replace(demo(t)) + "  layout: box\n  position: top-end\n" + behaviour
		if from != "" && strings.Count(text, from) != 1 {
			t.Fatalf("%q is in the file %d times", from, strings.Count(text, from))
		}
		return []byte(strings.Replace(text, from, to, 1))
	}
	for name, tc := range map[string]struct {
		from, to string
		want     []string
	}{
		"everything right":                            {"", "", nil},
		"a signal of a purpose the site has not":      {"microsoft_uet: newsletter", "microsoft_uet: adverts", []string{"purpose_unknown"}},
		"a signal Google does not have":               {"{ad_storage:", "{adstorage:", []string{"unknown_key"}},
		"a migration to a purpose the site has not":   {"{matomo: analytics}}", "{matomo: stats}}", []string{"purpose_unknown"}},
		"a migration from a tool nobody knows":        {"from: klaro", "from: clara", []string{"invalid_value"}},
		"a domain strangers share":                    {"domain: shop.example", "domain: co.uk", []string{"cookie_domain"}},
		"a domain with a dot in front":                {"domain: shop.example", "domain: .shop.example", []string{"cookie_domain"}},
		"a domain in Unicode of another site":         {"domain: shop.example", "domain: bücher.example", []string{"cookie_domain"}},
		"a domain an origin is not on":                {"domain: shop.example", "domain: shop2.example", []string{"cookie_domain"}},
		"an answer to GPC that is none":               {"gpc: ignore", "gpc: maybe", []string{"invalid_value"}},
		"a button in a corner that is none":           {"reopen_button: bottom-end", "reopen_button: middle", []string{"invalid_value"}},
		"a receipt by another name":                   {"reopen_button: bottom-end", "receipt: yes, please", []string{"wrong_type"}},
		"a receipt's words in no language":            {"reopen_button: bottom-end", "receipt: true\n  receipt_button: {fr: ''}", []string{"text_missing"}},
		"a logo that runs":                            {"logo: /logo.svg", "logo: 'javascript:alert(1)'", []string{"link_invalid"}},
		"content of a service without an id":          {"id: matomo, embed", "embed", []string{"missing_key"}},
		"a service id with a space":                   {"id: matomo,", "id: ma tomo,", []string{"service_id"}},
		"a lifetime nobody can read":                  {"lifetime: 13mo", "lifetime: long", []string{"invalid_value"}},
		"a cookie name that matches everything":       {"_pk_id*", "'*'", []string{"invalid_value"}},
		"a layout that is none":                       {"layout: box", "layout: wall", []string{"theme_value"}},
		"a bar in a corner":                           {"layout: box", "layout: bar", []string{"theme_value"}},
		"a link to go on without its words, in one":   {"continue_link: true", "continue_link: true\n  continue_without: {fr: ''}", []string{"text_missing"}},
		"a switch hard to see on what lies behind it": {`{button: "#124e2a"}`, `{button: "#124e2a", accent: "#f0f0f0"}`, []string{"low_contrast"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := site.Validate("demo.yaml", file(tc.from, tc.to))
			var got []string
			for _, p := range problems {
				got = append(got, p.Code)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v", problems)
			}
		})
	}
}

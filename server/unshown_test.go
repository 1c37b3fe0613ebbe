package server

import (
	"net/http"
	"testing"

	"github.com/google/uuid"
)

// What a browser hands on without a text of ours on the screen is graded by what stands behind it.
func TestChoicesMadeElsewhereAreGradedAsThat(t *testing.T) {
	k := start(t)
	for name, tc := range map[string]struct {
		body   string
		header []string
		grade  string
	}{
		"from the banner":                          {k.choice(), nil, "proven"},
		"taken over from another tool":             {k.choice(set("surface", "import"), drop("wording"), drop("prompt"), set("decisions", map[string]any{"ads": true})), nil, "imported"},
		"a signal the server sees too":             {k.choice(set("surface", "signal"), set("method", "reject_all"), drop("wording"), set("decisions", map[string]any{"ads": false, "analytics": false})), []string{"Sec-GPC: 1"}, "proven"},
		"a signal only the page says it has heard": {k.choice(set("surface", "signal"), set("method", "reject_all"), drop("wording"), set("decisions", map[string]any{"ads": false, "analytics": false})), nil, "asserted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.do("POST", "/v1/sites/demo/consents", tc.body, append([]string{asPlain, ofShop}, tc.header...)...)
			if r.status != http.StatusCreated {
				t.Fatalf("%d %s", r.status, r.body)
			}
			p, _, err := k.ledger.Proof(uuid.MustParse(field[string](t, r.body, "id")))
			if err != nil || p.Grade.String() != tc.grade {
				t.Errorf("graded %v, want %s (%v)", p, tc.grade, err)
			}
		})
	}
}

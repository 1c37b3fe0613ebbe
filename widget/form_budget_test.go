package widget_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
)

// What forms may add to a script of one language, in bytes of brotli, texts and all. A script over the budget is
// served one language at a time.
const (
	maxOurs  = 3584
	maxYours = 3200
	maxBoth  = 5824
)

// onlyForms keeps some of the forms of a site.
func onlyForms(ids ...string) *consent.Site {
	site := formShop()
	site.Forms = slices.DeleteFunc(site.Forms, func(f consent.Form) bool { return !slices.Contains(ids, f.ID) })
	return site
}

// A site without forms has not one byte of a form's code; one with a kind of form has nothing of the other.
func TestFormsAreLeftOutWhereThereAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		site    *consent.Site
		in, out []string
	}{
		"no form":              {onlyForms(), nil, []string{"form"}},
		"a form of ours":       {onlyForms("newsletter"), []string{"formOurs", "formField"}, []string{"formYours", "formWording", "formHash"}},
		"the page's own form":  {onlyForms("contact"), []string{"formYours", "formWording", "formHash"}, []string{"formOurs", "formAsk", "formField", "formIcon"}},
		"both":                 {onlyForms("newsletter", "contact"), []string{"formOurs", "formYours"}, []string{"formNobody"}},
		"forms without banner": {withoutBanner(onlyForms("newsletter")), []string{"formOurs", "formNobody"}, []string{"banner", "preferences", "session", "gate"}},
	} {
		b := build(t, input(t, c.site))
		all := modules(t, b.Metafile)
		for _, module := range c.in {
			if !slices.Contains(all, module) {
				t.Errorf("%s: %s.ts is not in the script", name, module)
			}
		}
		for _, module := range c.out {
			if i := slices.IndexFunc(all, func(m string) bool { return m == module || module == "form" && strings.HasPrefix(m, "form") }); i >= 0 {
				t.Errorf("%s: %s.ts is in the script", name, all[i])
			}
		}
	}
	if js := string(build(t, input(t, onlyForms())).JS); strings.Contains(js, "data-consentd-form") || strings.Contains(js, "consentd:form") || strings.Contains(js, ".field") {
		t.Error("a script without forms knows of forms")
	}
}

func TestWhatFormsCost(t *testing.T) {
	size := func(site *consent.Site) int {
		in := input(t, site)
		in.Locales = []string{"fr"}
		return len(build(t, in).Brotli)
	}
	without := size(onlyForms())
	ours, yours, both := size(onlyForms("newsletter"))-without, size(onlyForms("contact"))-without, size(onlyForms("newsletter", "contact"))-without
	t.Logf("brotli: without %d; ours +%d, the page's own +%d, both +%d; ours without a banner %d",
		without, ours, yours, both, size(withoutBanner(onlyForms("newsletter"))))
	if ours > maxOurs || yours > maxYours || both > maxBoth {
		t.Errorf("at most %d, %d and %d", maxOurs, maxYours, maxBoth)
	}
}

func withoutBanner(site *consent.Site) *consent.Site {
	site.Purposes = slices.DeleteFunc(site.Purposes, consent.Purpose.OnBanner)
	return site
}

// modules lists the modules that left something in a script.
func modules(t *testing.T, metafile string) []string {
	t.Helper()
	var meta struct {
		Outputs map[string]struct {
			Inputs map[string]struct{ BytesInOutput int }
		}
	}
	if err := json.Unmarshal([]byte(metafile), &meta); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, out := range meta.Outputs {
		for name, in := range out.Inputs {
			if module, ok := strings.CutPrefix(name, "consentd:src/lib/"); ok && in.BytesInOutput > 0 {
				all = append(all, strings.TrimSuffix(module, ".ts"))
			}
		}
	}
	return all
}

package site

import (
	"os"
	"strings"
	"testing"
)

// TestACookieDomainBeyondASCIIMeansItsASCIIForm, as the site's origins do.
func TestACookieDomainBeyondASCIIMeansItsASCIIForm(t *testing.T) {
	demo, err := os.ReadFile("testdata/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"bücher.example", "xn--bcher-kva.example"} {
		doc := strings.NewReplacer("origins: [http://127.0.0.1:8081, ", "origins: [", "shop.example", "bücher.example").Replace(string(demo)) + "cookie: {domain: " + domain + "}\n"
		c, problems := parse("demo.yaml", []byte(doc))
		for _, p := range problems {
			if p.Severity == Error {
				t.Errorf("%s: %s", domain, p)
			}
		}
		if o := c.options(); o.CookieDomain != "xn--bcher-kva.example" {
			t.Errorf("%s: %s", domain, o.CookieDomain)
		}
	}
}

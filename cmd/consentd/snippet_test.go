package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// siteDir writes site files into a directory of their own.
func siteDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const shopFile = `site: shop
name: Shop
origins: [https://shop.example]
controller: {name: Shop SAS, contact: dpo@shop.example}
locales: [fr]
policy: /privacy
purposes: [{id: ads, ready: advertising}]
signals: {google_consent_mode: {ad_storage: ads}}
`

func TestSnippetPrintsWhatPagesCarry(t *testing.T) {
	dir := siteDir(t, map[string]string{
		"shop.yaml": shopFile,
		"wide.yaml": strings.NewReplacer("site: shop", "site: wide", "[fr]", "[fr, en, de, el, bg]", "signals", "banner: {continue_link: true}\nsignals").Replace(shopFile),
		"bad.yaml":  strings.NewReplacer("site: shop", "site: bad", "[fr]", "[xx]").Replace(shopFile),
	})
	const hint = "Each language has its own script"
	for name, c := range map[string]struct {
		args    []string
		tag     string
		advised bool
	}{
		"one script for all":                   {[]string{"--site", "shop"}, `/s/shop.js" defer`, false},
		"a script for each language":           {[]string{"--site", "wide"}, `/s/wide.js" defer`, true},
		"a script for each, the language said": {[]string{"--site", "wide", "--lang", "de"}, `/s/wide.js?lang=de" defer`, false},
		"a placeholder of the page's template": {[]string{"--site", "wide", "--lang", "{{ page.lang }}"}, `/s/wide.js?lang={{ page.lang }}" defer`, false},
	} {
		out, errs, err := command(append([]string{"snippet", "--edge", "https://consent.shop.example", "--sites", dir}, c.args...)...)
		if err != nil || !strings.Contains(out, "gtag('consent', 'default', {") || !strings.HasSuffix(out, `<script src="https://consent.shop.example`+c.tag+"></script>\n") ||
			strings.Contains(errs, hint) != c.advised {
			t.Errorf("%s: %v\n%s%s", name, err, out, errs)
		}
	}
	for site, want := range map[string]string{"other": "no file is of this site: other", "bad": "bad.yaml:5:11"} {
		if _, _, err := command("snippet", "--site", site, "--edge", "https://consent.shop.example", "--sites", dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", site, err)
		}
	}
}

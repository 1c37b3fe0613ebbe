package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSnippetPrintsWhatPagesCarry(t *testing.T) {
	dir := t.TempDir()
	file := `site: shop
name: Shop
origins: [https://shop.example]
controller: {name: Shop SAS, contact: dpo@shop.example}
locales: [fr]
policy: /privacy
purposes: [{id: ads, ready: advertising}]
signals: {google_consent_mode: {ad_storage: ads}}
`
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, err := command("snippet", "--site", "shop", "--edge", "https://consent.shop.example", "--sites", dir)
	if err != nil || !strings.Contains(out, "gtag('consent', 'default', {") || !strings.HasSuffix(out, "<script src=\"https://consent.shop.example/s/shop.js\" defer></script>\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, _, err := command("snippet", "--site", "other", "--edge", "https://consent.shop.example", "--sites", dir); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a site nobody has: %v", err)
	}
}

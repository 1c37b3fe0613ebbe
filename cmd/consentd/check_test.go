package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckWeighsAndMeasuresScripts(t *testing.T) {
	dir := siteDir(t, map[string]string{
		"film.yaml": strings.NewReplacer("site: shop", "site: film", "[fr]", "[fr, en]", "ready: advertising", "ready: media, services: [{id: bobine, embed: true, name: Bobine}]").Replace(shopFile),
		"wide.yaml": strings.NewReplacer("site: shop", "site: wide", "[fr]", "[fr, en, de, el, bg]", "signals", "banner: {continue_link: true}\nsignals").Replace(shopFile),
	})
	out, errs, err := command("check", dir)
	if err != nil || out != "" || strings.Contains(errs, "not measured") || !contains(errs, "film: ", " of 8192 bytes (brotli), one script in fr, en\n",
		"wide: ", " (el) of 8192 bytes (brotli), a script for each of 5 languages", "0 errors, 0 warnings") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}

// A label that is within the bounds of a text can still be more than a button holds.
func TestCheckRefusesWhatABrowserDrawsBadly(t *testing.T) {
	dir := siteDir(t, map[string]string{"shop.yaml": shopFile + "banner:\n  refuse:\n    fr: Refuser\n"})
	fake := filepath.Join(t.TempDir(), "chromium")
	if err := os.WriteFile(fake, []byte(postsFigures), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "shop.yaml")
	out, errs, err := command("check", "--browser", fake, dir)
	want := file + `:11:9: error: banner.refuse.fr at 320 px in fr, on the banner: accepting has 150 × 45 px, refusing 90 × 45 [choices_unequal]`
	if err == nil || !contains(out, want) || !contains(errs, "1 errors, 0 warnings") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	out, _, _ = command("check", "--json", "--browser", fake, dir)
	if !contains(out, `"line":11,"column":9,"severity":"error","code":"choices_unequal","key":"banner.refuse.fr"`) {
		t.Error(out)
	}
}

// postsFigures stands in for a browser that draws refusing smaller: no site file can have ours do so.
const postsFigures = `#!/usr/bin/env bash
body='{"Looks":[{"Page":0,"Width":320,"Surface":"banner","Controls":[{"ID":"accept","Width":150,"Height":45},{"ID":"refuse","Width":90,"Height":45}]}]}'
host=${!#}; host=${host#http://}; host=${host%/}
exec 3<>"/dev/tcp/${host%:*}/${host#*:}"
printf 'POST /figures HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body" >&3
cat <&3 >/dev/null
`

func TestCheckWithoutABrowser(t *testing.T) {
	dir := siteDir(t, map[string]string{"shop.yaml": shopFile})
	t.Setenv("CONSENTD_CHROMIUM", filepath.Join(dir, "nothing"))
	for name, c := range map[string]struct {
		browser string
		ok      bool
		words   string
	}{
		"none is installed": {"auto", true, "sizes were not measured in a browser: no Chromium"},
		"none is wanted":    {"none", true, "0 errors"},
		"one is named":      {filepath.Join(dir, "nothing"), false, "measuring in a browser"},
	} {
		_, errs, err := command("check", "--browser", c.browser, dir)
		if err != nil {
			errs += err.Error()
		}
		if (err == nil) != c.ok || !strings.Contains(errs, c.words) || strings.Contains(errs, "not measured") != (c.browser == "auto") {
			t.Errorf("%s: %v\n%s", name, err, errs)
		}
	}
}

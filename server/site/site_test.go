package site_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// secret is a site secret for tests.
func secret(string) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }

// serve opens a registry over files by name, and gives its directory.
func serve(t testing.TB, files map[string]string, change func(*site.Options)) (*site.Registry, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	o := site.Options{Dir: dir, Secret: secret}
	if change != nil {
		change(&o)
	}
	r, err := site.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, r *site.Registry, id string) *site.Site {
	t.Helper()
	s, ok := r.Get(id)
	if !ok {
		t.Fatalf("no site %s: %v", id, r.Problems())
	}
	return s
}

func TestAFileBecomesASite(t *testing.T) {
	r, dir := serve(t, map[string]string{"demo.yaml": demo(t)}, nil)
	s := get(t, r, "demo")
	want := &consent.Site{
		ID: "demo", Name: "Boutique Démo", Origins: []string{"http://127.0.0.1:8081", "https://*.shop.example"}, Locales: []string{"fr", "en"},
		Revision: 2, Controller: consent.Controller{Name: "Boutique Démo SAS", Contact: "dpo@shop.example"},
		Keep: 182 * 24 * time.Hour, IP: consent.IPTruncated, KeepQuery: true, Region: "FR",
		Purposes: []consent.Purpose{
			{ID: "analytics", Basis: consent.BasisConsent, Channel: consent.ChannelWeb,
				Title:    consent.Text{"fr": "Mesure d’audience", "en": "Audience measurement"},
				Text:     consent.Text{"fr": "Nous comptons les visites pour améliorer le site.", "en": "We count visits to improve the site."},
				Services: []consent.Service{{Name: "Matomo", Provider: "Boutique Démo SAS", Policy: "https://shop.example/matomo"}}},
			{ID: "newsletter", Basis: consent.BasisConsent, Channel: consent.ChannelWeb, Lifetime: 395 * 24 * time.Hour,
				Title: consent.Text{"fr": "Lettre d’information", "en": "Newsletter"},
				Text:  consent.Text{"fr": "Une lettre par mois.", "en": "One letter a month."}},
			{ID: "fraud", Basis: consent.BasisLegitimateInterest, Objection: true, Channel: consent.ChannelWeb,
				Title: consent.Text{"fr": "Lutte contre la fraude", "en": "Fraud prevention"},
				Text:  consent.Text{"fr": "Nous repérons les commandes suspectes.", "en": "We spot suspicious orders."}},
		},
	}
	got := *s.Site
	keyer, text := got.Keyer, got.Banner
	got.Keyer, got.Banner, got.Words = nil, consent.BannerText{}, nil
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Error(diff)
	}
	subject, _ := consent.ParseSubject(consent.KindEmail, "a@b.fr", "")
	expect, _ := consent.NewKeyer(bytes.Repeat([]byte{7}, 32))
	if keyer.Key(subject) != expect.Key(subject) {
		t.Error("subject keys are not derived from the site's secret")
	}
	if text.Refuse["fr"] != "Continuer sans accepter" || text.Refuse["en"] != "Refuse all" || text.Accept["fr"] != "Tout accepter" ||
		text.PolicyHref["en"] != "https://shop.example/privacy" || !strings.HasPrefix(text.Text["en"], "Boutique Démo SAS asks") {
		t.Errorf("texts %+v", text)
	}
	if s.Theme.Light.Button != "#124e2a" || s.Theme.Radius != "8px" || s.Theme.Scheme != widget.SchemeLight {
		t.Errorf("theme %+v", s.Theme)
	}
	if s.Limits != (site.Limits{ConsentsPerMinute: 120, Burst: 40}) || s.File != filepath.Join(dir, "demo.yaml") {
		t.Errorf("limits %+v, file %s", s.Limits, s.File)
	}
}

const minimal = `
site: small
name: Small
origins: []
controller: {name: Small Ltd, contact: privacy@small.example}
locales: [en-GB]
policy: /privacy
purposes:
  - {id: ads, basis: consent, title: Ads, text: Ads that follow you.}
`

func TestWhatAFileLeavesOutHasItsDefault(t *testing.T) {
	r, _ := serve(t, map[string]string{"small.yml": minimal}, nil)
	s := get(t, r, "small")
	if s.Revision != 1 || s.Keep != widget.DefaultKeep || s.IP != consent.IPFull || s.KeepQuery || s.Region != "" ||
		s.Limits != (site.Limits{ConsentsPerMinute: 60, Burst: 60}) || s.Theme != (widget.Theme{}) {
		t.Errorf("got %+v, limits %+v", s.Site, s.Limits)
	}
	if s.Banner.Accept["en-GB"] != "Accept all" || s.Purposes[0].Title["en-GB"] != "Ads" || s.Banner.PolicyHref["en-GB"] != "/privacy" {
		t.Errorf("texts %+v", s.Banner)
	}
}

// TestEveryBuiltInTextIsThere: no wording of a site without texts of its own has a blank.
func TestEveryBuiltInTextIsThere(t *testing.T) {
	text := strings.Split(demo(t), "banner:")[0]
	r, _ := serve(t, map[string]string{"demo.yaml": text}, nil)
	s := get(t, r, "demo")
	if len(s.Published) != 4 {
		t.Fatalf("%d wordings, want 4: two surfaces in two languages", len(s.Published))
	}
	for _, w := range s.Published {
		all := []string{w.Title, w.Text, w.Links[0].Text, w.Links[0].Href, w.Buttons["accept"], w.Buttons["refuse"]}
		for _, label := range w.Buttons {
			all = append(all, label)
		}
		for _, p := range w.Purposes {
			all = append(all, p.Title, p.Text)
		}
		if slices.Contains(all, "") || slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, "{") }) {
			t.Errorf("%s in %s: %q", w.Surface, w.Locale, all)
		}
	}
	for _, l := range s.Locales {
		for name, text := range map[string]consent.Text{"back": s.Banner.Back, "reopen": s.Banner.Reopen, "necessary": s.Banner.Necessary, "save": s.Banner.Save} {
			if text[l] == "" {
				t.Errorf("%s in %s is empty", name, l)
			}
		}
	}
}

// TestABundleBuilds: what this package lets through, the widget takes.
func TestABundleBuilds(t *testing.T) {
	r, _ := serve(t, map[string]string{"demo.yaml": demo(t), "small.yaml": minimal}, nil)
	for _, s := range r.All() {
		if _, err := widget.Build(widget.Input{Site: s.Site, Wordings: s.Published, Theme: s.Theme}); err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
	}
}

func TestWhichOriginsMayPost(t *testing.T) {
	const origins = `["https://Shop.Example", "https://*.shop.example", "https://*.ports.example:8443", "https://bücher.example:443", http://localhost:3000, "http://[::1]:8080", "http://10.0.0.1:80"]`
	r, _ := serve(t, map[string]string{"small.yaml": strings.Replace(minimal, "[]", origins, 1)}, nil)
	s := get(t, r, "small")
	for origin, want := range map[string]bool{
		"https://shop.example":                  true,
		"https://www.shop.example":              true,
		"https://a.b.shop.example":              true,
		"https://x.ports.example:8443":          true,
		"https://xn--bcher-kva.example":         true,
		"http://localhost:3000":                 true,
		"http://[::1]:8080":                     true,
		"http://10.0.0.1":                       true,
		"":                                      false,
		"null":                                  false,
		"http://shop.example":                   false,
		"https://shop.example:8443":             false,
		"https://shop.example/":                 false,
		"https://www.shop.example:8443":         false,
		"https://evilshop.example":              false,
		"https://.shop.example":                 false,
		"https://shop.example.evil.example":     false,
		"https://evil.example/.shop.example":    false,
		"https://evil.example:1.shop.example":   false,
		"https://evil.example#.shop.example":    false,
		"https://user@www.shop.example":         false,
		"https://ports.example:8443":            false,
		"https://x.ports.example":               false,
		"https://x.ports.example:8443.shop.ex":  false,
		"http://localhost:3001":                 false,
		"https://WWW.shop.example":              false,
		"https://*.shop.example":                false,
		"https://" + strings.Repeat("a.", 5000): false,
	} {
		if got := s.AllowsOrigin(origin); got != want {
			t.Errorf("%.60q: %v, want %v", origin, got, want)
		}
	}
}

func TestAnsweringARequestCostsNoAllocation(t *testing.T) {
	r, _ := serve(t, map[string]string{"demo.yaml": demo(t)}, nil)
	n := testing.AllocsPerRun(1000, func() {
		s, ok := r.Get("demo")
		if !ok || !s.AllowsOrigin("https://www.shop.example") || s.AllowsOrigin("https://evil.example") {
			t.Fatal("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGetAndAllowsOrigin(b *testing.B) {
	r, _ := serve(b, map[string]string{"demo.yaml": demo(b)}, nil)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := r.Get("demo")
		if !s.AllowsOrigin("https://www.shop.example") {
			b.Fatal("refused")
		}
	}
}

func TestCheckLooksAtFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), demo(t))
	write(t, filepath.Join(dir, "b.yml"), strings.Replace(minimal, "site: small", "site: demo", 1))
	write(t, filepath.Join(dir, "c.yaml"), strings.Replace(minimal, "en-GB", "en_GB", 1))
	write(t, filepath.Join(dir, ".d.yaml.swp"), "not: [looked at")
	write(t, filepath.Join(dir, ".e.yaml"), "not: [looked at")
	write(t, filepath.Join(dir, "f.txt"), "not: [looked at")
	single := filepath.Join(t.TempDir(), "single")
	write(t, single, "a: [")
	empty := t.TempDir()
	gone := filepath.Join(dir, "gone")

	got := map[string]string{}
	for _, p := range site.Check(dir, single, empty, gone) {
		got[p.File] = found([]site.Problem{p})[0]
	}
	want := map[string]string{filepath.Join(dir, "b.yml"): "2:7 site_duplicate", filepath.Join(dir, "c.yaml"): "6:11 locale_invalid",
		single: "1:4 syntax", empty: "0:0 no_sites?", gone: "0:0 unreadable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if problems := site.Check(filepath.Join(dir, "a.yaml")); problems != nil {
		t.Errorf("a good file: %v", problems)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"1d": 24 * time.Hour, "182d": 182 * 24 * time.Hour, "26w": 182 * 24 * time.Hour, "90m": 90 * time.Minute, "12h": 12 * time.Hour} {
		if got, err := site.ParseDuration(s); got != want || err != nil {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "1.5d", "99999999d", "six months", "182", "1d12h"} {
		if got, err := site.ParseDuration(s); !errors.Is(err, site.ErrDuration) {
			t.Errorf("%q: %v, %v; want ErrDuration", s, got, err)
		}
	}
}

func TestEachSiteHasASecretOfItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	s, err := site.OpenSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	demo, err := s.Site("demo")
	if err != nil || len(demo) != 32 {
		t.Fatalf("%d bytes, %v", len(demo), err)
	}
	other, err := s.Site("other")
	if err != nil || bytes.Equal(demo, other) {
		t.Errorf("two sites share a secret, %v", err)
	}
	again, err := site.OpenSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	if same, err := again.Site("demo"); err != nil || !bytes.Equal(demo, same) {
		t.Errorf("opened again it is another, %v", err)
	}
	if _, err := s.Site("../demo"); err == nil {
		t.Error("a path passed for a site id")
	}
	if err := os.Chmod(filepath.Join(dir, "demo.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Site("demo"); !errors.Is(err, keyfile.ErrPermission) {
		t.Errorf("readable by all: got %v, want ErrPermission", err)
	}
}

func TestARotatedSealingKeyStillOpensWhatTheFormerSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "seal")
	k, err := site.OpenSealKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	old := k.Ring().Seal("demo", consent.KindEmail, "a@b.fr")
	running, err := site.OpenSealKeys(dir) // another process
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	fresh := k.Ring().Seal("demo", consent.KindEmail, "a@b.fr")
	if old[1] != 1 || fresh[1] != 2 {
		t.Errorf("sealed with keys %d and %d, want 1 and 2", old[1], fresh[1])
	}
	if v, err := k.Ring().Open("demo", consent.KindEmail, old); v != "a@b.fr" || err != nil {
		t.Errorf("the former: %q, %v", v, err)
	}
	if _, err := running.Ring().Open("demo", consent.KindEmail, fresh); !errors.Is(err, consent.ErrNoKey) {
		t.Errorf("before Reload: got %v, want ErrNoKey", err)
	}
	if err := running.Reload(); err != nil {
		t.Fatal(err)
	}
	if v, err := running.Ring().Open("demo", consent.KindEmail, fresh); v != "a@b.fr" || err != nil {
		t.Errorf("after Reload: %q, %v", v, err)
	}
	for n := 3; n <= 255; n++ {
		if err := k.Rotate(); err != nil {
			t.Fatalf("key %d: %v", n, err)
		}
	}
	if err := k.Rotate(); !errors.Is(err, keyfile.ErrFull) {
		t.Errorf("key 256: got %v, want ErrFull", err)
	}
}

func TestADirectoryThatIsNotThereIsAnError(t *testing.T) {
	_, err := site.Open(site.Options{Dir: filepath.Join(t.TempDir(), "gone"), Secret: secret})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// GET never changes state: mail scanners and prefetchers follow links.
func TestNoGetChangesState(t *testing.T) {
	k := start(t, sealed(t))
	if err := k.Prepare(k.sites.All()); err != nil {
		t.Fatal(err)
	}
	body := k.choice()
	if r := k.post(body); r.status != 201 {
		t.Fatal(r.body)
	}
	k.seal()
	next := func() (all [3]uint64) {
		for i, s := range consent.Streams() {
			all[i] = k.ledger.Next(s)
		}
		return all
	}
	before := next()
	publications := 0
	for _, st := range k.sites.All() {
		publications += len(st.Published) + 2 // its configuration and its script
		if h, err := newHosted(st); err == nil {
			publications += len(h.wordings())
		}
	}
	if before != [3]uint64{1, 0, uint64(publications)} {
		t.Fatalf("one choice and %d publications: %v", publications, before)
	}
	k.seal()
	token := k.issueAll()
	who := link.Token{Kind: link.Centre, Site: "atelier", SubjectKind: consent.KindExternal, Expires: 1 << 45}
	centre := k.links.Seal(&who)
	who.Kind = link.Unsubscribe
	unsubscribe := k.links.Seal(&who)
	values := strings.NewReplacer(":site", "demo", ":file", "demo.js", ":device", uuid.NewString(), ":hash", k.wordingOf("demo", "banner", "fr"),
		":id", field[string](t, body, "id"))
	for _, r := range k.routes() {
		if r.method != get {
			continue
		}
		query := ""
		if strings.HasSuffix(r.path, "/lookup") {
			query = "?external=7"
		}
		path := values.Replace(r.path)
		switch {
		case strings.Contains(path, "/snapshots/"):
			path = "/v1/sites/demo/snapshots/" + pictureHash.String()
		case strings.HasSuffix(path, "/tile/*"):
			path = strings.Replace(path, "*", "entries/000.p/1", 1)
		case strings.HasPrefix(path, "/f/"):
			path = strings.NewReplacer("demo", "atelier", ":form", "lettre").Replace(path)
		case strings.HasPrefix(path, "/p/"):
			path = strings.Replace(path, ":token", centre, 1)
		case strings.HasPrefix(path, "/u/"):
			path = strings.Replace(path, ":token", unsubscribe, 1)
		case strings.HasSuffix(r.path, "/snapshots/:hash"):
			path = strings.NewReplacer(":site", "demo", ":hash", pictureHash.String()).Replace(r.path)
		case strings.HasPrefix(path, "/log/"):
			path = strings.Replace(path, "*", fmt.Sprintf("0/000.p/%d", map[bool]int{true: publications, false: 1}[strings.Contains(path, "published")]), 1)
		case strings.HasPrefix(path, "/c/"):
			path = k.requested("marie@atelier.example")
			before = next() // the request is a choice
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			if got := k.do(method, path+query, "", token); got.status >= 300 && !strings.HasSuffix(r.path, "/rates") {
				t.Errorf("%s %s: %d %s", method, r.path, got.status, got.body)
			}
		}
	}
	if after := next(); after != before {
		t.Fatalf("%v became %v", before, after)
	}
}

// A changed file is served at once, with its wordings kept before anybody can answer them; what the old one
// gave out goes on working.
func TestAChangedConfiguration(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "demo.yaml")
	text, err := os.ReadFile("testdata/sites/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	sites, err := site.Open(site.Options{Dir: dir, Secret: func(string) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer sites.Close()
	k := start(t, func(o *Options) { o.Sites = sites })
	k.sites.Close()
	k.sites = sites
	old, oldChoice := k.do("GET", "/s/demo.js", "", "Accept-Encoding: identity"), k.choice()
	st, _ := sites.Get("demo")
	b, err := k.prepare(st)[0].scripts.whole()
	if err != nil {
		t.Fatal(err)
	}
	write(bytes.ReplaceAll(text, []byte("We count visits."), []byte("We count every visit.")))
	sites.Reload()
	fresh := k.do("GET", "/s/demo.js", "", "Accept-Encoding: identity")
	if !strings.Contains(fresh.body, "We count every visit.") || fresh.header.Get("Etag") == old.header.Get("Etag") {
		t.Fatal("the old script is still served")
	}
	if r := k.do("GET", "/s/demo."+b.Hash+".js", "", "Accept-Encoding: identity"); r.status != 200 || r.body != old.body {
		t.Fatal("a page that pins the old script lost it")
	}
	if r := k.post(oldChoice); r.status != 201 {
		t.Fatal("an open tab cannot answer the old wording any more", r.body)
	}
	hash := k.wordingOf("demo", "banner", "en")
	if hash == field[string](t, oldChoice, "wording") {
		t.Fatal("the wording did not change")
	}
	h, _ := consent.ParseHash(hash)
	if _, err := k.ledger.Wording("demo", h); err != nil {
		t.Fatal("the new wording was served before it was kept", err)
	}
	if r := k.post(k.choice(set("wording", hash), set("locale", "en"))); r.status != 201 {
		t.Fatal(r.body)
	}
	if n := len(*k.views.Load()); n != 1 {
		t.Fatalf("%d views are held", n)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	sites.Reload()
	if r := k.do("GET", "/v1/sites/demo/wordings/"+hash, ""); r.status != 404 {
		t.Fatal("a site that is gone still answers", r.status)
	}
}

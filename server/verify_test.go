package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/widget/widgettest"
	"github.com/google/uuid"
)

var shots = flag.String("shots", "", "directory to write a picture of every page into (make screenshots)")

func browser(t *testing.T) *widgettest.Browser {
	t.Helper()
	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// photograph writes what the tab shows, the whole page, where -shots asks for it.
func photograph(t *testing.T, tab *widgettest.Tab, name string) {
	t.Helper()
	if *shots == "" {
		return
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		t.Fatal(err)
	}
	png, err := chromedp.Run(tab.Context(), chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// accessible runs axe-core on a page.
func accessible(t *testing.T, tab *widgettest.Tab, what string) {
	t.Helper()
	source, err := os.ReadFile("../widget/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Fatalf("axe-core is not installed: run npm ci --prefix widget (%v)", err)
	}
	widgettest.Eval[bool](tab, string(source)+";true")
	found := widgettest.Eval[[]struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}](tab, `axe.run(document, {resultTypes: ["violations"], rules: {"target-size": {enabled: true}}}).then(r => r.violations)`)
	for _, v := range found {
		t.Errorf("%s: %s: %s %+v", what, v.ID, v.Help, v.Nodes)
	}
}

// exhibit is a file to be judged, as both verifiers get it.
type exhibit struct {
	name string
	File string   `json:"file"` // base64
	Keys []string `json:"keys"`
	Old  *string  `json:"old"`
}

// bent edits the content of a file and encodes it again.
func bent(t *testing.T, file []byte, edit func(*evidence.Evidence)) []byte {
	t.Helper()
	f, err := evidence.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	edit(&f.Evidence)
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exhibits are good files, and what may be wrong with one.
func exhibits(t *testing.T, k *kit) []exhibit {
	t.Helper()
	keys := []string{k.opt.Evidence.Keys()[0].String()}
	stranger, err := evidence.NewSigner("consentd/e1", bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	one := func(path string) []byte {
		t.Helper()
		r := k.do("GET", path, "", k.bearer("proofs"))
		if r.status != 200 {
			t.Fatal(r.body)
		}
		return []byte(r.body)
	}
	for i := range 75 { // so that paths turn both ways
		k.assert(fmt.Sprintf("%d@b.fr", i), true)
	}
	k.seal()
	early, earlyCheckpoint, err := k.opt.Evidence.Checkpoint(consent.StreamProofs)
	if err != nil {
		t.Fatal(err)
	}
	id := k.chosen(set("page", "https://shop.example/é/œuvre?\u2028"))
	file := one("/v1/sites/demo/proofs/" + id + "/evidence")
	since := one("/v1/sites/demo/proofs/" + id + fmt.Sprintf("/evidence?since=%d&since_published=3", earlyCheckpoint.Size))
	asserted := one("/v1/sites/demo/proofs/" + k.assert("a@b.fr", true) + "/evidence")
	erased := k.erasedFile(id)
	var all []exhibit
	add := func(name string, b []byte, old []byte, keys ...string) {
		e := exhibit{name: name, File: base64.StdEncoding.EncodeToString(b), Keys: keys}
		if old != nil {
			text := string(old)
			e.Old = &text
		}
		all = append(all, e)
	}
	add("good", file, nil, keys...)
	add("of an address", asserted, nil, keys...)
	add("erased", erased, nil, keys...)
	add("with how it grew", since, nil, keys...)
	add("with an earlier checkpoint", since, early, keys...)
	add("with an earlier checkpoint it says nothing of", file, early, keys...)
	add("with garbage for a checkpoint", file, []byte("x\n"), keys...)
	add("another key", file, nil, stranger.Key.String())
	add("two keys, one of them right", file, nil, stranger.Key.String(), keys[0])
	add("the key of one log", file, nil, k.opt.Evidence.Keys()[0].For("consentd/e1/proofs").String())
	add("empty", nil, nil, keys...)
	add("truncated", file[:len(file)-9], nil, keys...)
	add("with a line feed more", append(bytes.Clone(file), '\n'), nil, keys...)
	add("with a byte order mark", append([]byte("\ufeff"), file...), nil, keys...)
	add("newer", bytes.Replace(file, []byte(`"v":1}`), []byte(`"v":2}`), 99), nil, keys...)
	add("with a stranger's member", bytes.Replace(file, []byte(`{"evidence":{`), []byte(`{"evidence":{"a":1,`), 1), nil, keys...)
	for name, edit := range map[string]func(*evidence.Evidence){
		"facts": func(e *evidence.Evidence) {
			e.Proofs[0].Facts = strings.Replace(e.Proofs[0].Facts, "denied", "granted", 1)
		},
		"facts spaced": func(e *evidence.Evidence) { e.Proofs[0].Facts += " " },
		"index":        func(e *evidence.Evidence) { e.Proofs[0].Index++ },
		"index far":    func(e *evidence.Evidence) { e.Proofs[0].Index = 1 << 52 },
		"path":         func(e *evidence.Evidence) { e.Proofs[0].Inclusion[0][7] ^= 1 },
		"short path":   func(e *evidence.Evidence) { e.Proofs[0].Inclusion = e.Proofs[0].Inclusion[1:] },
		"long path":    func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Inclusion = append(p.Inclusion, p.Inclusion[0]) },
		"personal":     func(e *evidence.Evidence) { e.Proofs[0].Personal += " " },
		"salt":         func(e *evidence.Evidence) { e.Proofs[0].Salt = strings.Repeat("00", 16) },
		"salt odd":     func(e *evidence.Evidence) { e.Proofs[0].Salt = "0" },
		"no salt":      func(e *evidence.Evidence) { e.Proofs[0].Salt = "" },
		"half erased":  func(e *evidence.Evidence) { e.Proofs[0].Erased = true },
		"site":         func(e *evidence.Evidence) { e.Site.ID = "other" },
		"made":         func(e *evidence.Evidence) { e.MadeAt++ },
		"name":         func(e *evidence.Evidence) { e.Name = "consentd/e2" },
		"key":          func(e *evidence.Evidence) { e.Keys[0] = stranger.Key.For("x").String() },
		"no text":      func(e *evidence.Evidence) { e.Published = []evidence.Publication{} },
		"text": func(e *evidence.Evidence) {
			for i := range e.Published {
				e.Published[i].Doc = strings.Replace(e.Published[i].Doc, `"v":1`, `"v":2`, 1)
			}
		},
		"entries": func(e *evidence.Evidence) {
			for i := range e.Published {
				e.Published[i].Entry = strings.Replace(e.Published[i].Entry, `"v":1`, `"v":2`, 1)
			}
		},
		"logs swapped": func(e *evidence.Evidence) { e.Logs.Proofs, e.Logs.Published = e.Logs.Published, e.Logs.Proofs },
		"checkpoint": func(e *evidence.Evidence) {
			e.Logs.Proofs.Checkpoint = strings.Replace(e.Logs.Proofs.Checkpoint, "time 2", "time 3", 1)
		},
		"no note": func(e *evidence.Evidence) { e.Logs.Published.Checkpoint = "hello" },
		"since": func(e *evidence.Evidence) {
			e.Logs.Proofs.Since = &evidence.Since{Size: 1, Hashes: e.Proofs[0].Inclusion}
		},
	} {
		add("changed: "+name, bent(t, file, edit), nil, keys...)
	}
	for i := 0; i < len(file); i += 37 {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		add(fmt.Sprintf("byte %d flipped", i), bad, nil, keys...)
	}
	return all
}

// erasedFile is evidence of a proof without its personal part.
func (k *kit) erasedFile(id string) []byte {
	k.t.Helper()
	p, seq, err := k.ledger.Proof(uuid.MustParse(id))
	if err != nil {
		k.t.Fatal(err)
	}
	p.Erase()
	f, err := k.opt.Evidence.Make(k.t.Context(), evidence.Request{Site: evidence.Site{ID: "demo", Name: "Demo"}, Proofs: []evidence.Recorded{{Proof: p, Seq: seq, Generation: 1}}})
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := f.Encode()
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// TestThePageJudgesAsTheProgramDoes gives the same files to both verifiers: they take the same steps with the same
// outcomes.
func TestThePageJudgesAsTheProgramDoes(t *testing.T) {
	k := start(t, sealed(t))
	k.do("GET", "/s/demo.js", "")
	all := exhibits(t, k)
	docs, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	tab := browser(t).Tab(t)
	tab.Open(k.url + "/verify")
	got := widgettest.Eval[[][]string](tab, `Promise.all(`+string(docs)+`.map(async c =>
		(await verifyFile(Uint8Array.from(atob(c.file), x => x.charCodeAt(0)), c.keys, c.old)).steps.map(s => s.part + " " + s.check + " " + s.status)))`)
	accepted := 0
	for i, e := range all {
		var keys []evidence.Key
		for _, text := range e.Keys {
			key, err := evidence.ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		file, err := base64.StdEncoding.DecodeString(e.File)
		if err != nil {
			t.Fatal(err)
		}
		var old []byte
		if e.Old != nil {
			old = []byte(*e.Old)
		}
		r := evidence.Verify(file, keys, old)
		var want []string
		for _, s := range r.Steps {
			want = append(want, s.Part+" "+s.Check+" "+string(s.Status))
		}
		if !slices.Equal(got[i], want) {
			t.Errorf("%s: the page took the steps\n%s\nthe program\n%s", e.name, strings.Join(got[i], "\n"), strings.Join(want, "\n"))
		}
		if r.OK() {
			accepted++
		}
	}
	if accepted != 7 {
		t.Errorf("%d of %d files accepted, want 7", accepted, len(all))
	}
}

// TestThePageWorksFromADisk opens a saved copy of the page, as an auditor without any network would.
func TestThePageWorksFromADisk(t *testing.T) {
	k := start(t, sealed(t))
	k.do("GET", "/s/demo.js", "")
	id := k.chosen()
	file := k.do("GET", "/v1/sites/demo/proofs/"+id+"/evidence", "", k.bearer("proofs")).body
	page := k.do("GET", "/verify", "")
	if page.status != 200 || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'sha256-") || strings.Contains(page.body, "{{policy}}") {
		t.Fatal(page.status, page.header)
	}
	dir := t.TempDir()
	for name, body := range map[string]string{"verify.html": page.body, "good.json": file, "bad.json": strings.Replace(file, `\"ads\":\"denied\"`, `\"ads\":\"granted\"`, 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := k.opt.Evidence.Keys()[0].String()
	b := browser(t)
	for _, look := range []struct {
		lang, scheme  string
		width, height int64
		yes, no       string
	}{{"en", "light", 1280, 900, "The evidence holds", "The evidence is refused"}, {"fr", "dark", 375, 740, "La preuve tient", "La preuve est refusée"}} {
		for _, use := range []struct{ name, file, key, says string }{
			{"empty", "", "", ""}, {"good", "good.json", key, look.yes}, {"bad", "bad.json", key, look.no},
			{"private", "good.json", "PRIVATE+KEY+x", ""}, {"token", "good.json", k.tokens["proofs"], ""},
		} {
			name := "verify-" + look.lang + "-" + use.name
			tab := b.Tab(t)
			tab.Width(look.width, look.height, look.width < 600)
			tab.Prefer("prefers-color-scheme", look.scheme)
			tab.Open("file://" + filepath.Join(dir, "verify.html"))
			must := func(actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(tab.Context(), actions...); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			must(chromedp.Click(chromedp.CSS(`[data-language="` + look.lang + `"]`)))
			if use.file != "" {
				must(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{filepath.Join(dir, use.file)}))
			}
			if use.key != "" {
				must(chromedp.SetValue(chromedp.CSS("#key"), use.key))
			}
			must(chromedp.Click(chromedp.CSS(".go")))
			if use.says == "" {
				tab.Until(`document.querySelector("#outcome > .note") && !document.querySelector("#outcome h2")`)
			} else {
				tab.Until(`document.querySelector("#outcome h2")?.textContent === ` + fmt.Sprintf("%q", use.says))
			}
			accessible(t, tab, name)
			photograph(t, tab, name)
			if widgettest.Eval[bool](tab, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s is wider than the window", name)
			}
			for _, m := range tab.Messages() {
				t.Errorf("%s: the browser says: %s", name, m)
			}
			tab.Close()
		}
	}
}

// TestTheDossierIsReadable looks at it in both languages, on a screen and on paper.
func TestTheDossierIsReadable(t *testing.T) {
	k := start(t, sealed(t))
	k.do("GET", "/s/demo.js", "")
	snapshot, err := consent.NewSnapshot(k.published("banner", "fr"), picture, consent.SnapshotAbout{Device: "phone", Scheme: "light", Width: 375, Height: 740})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ledger.Announce(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	id := k.chosen()
	b := browser(t)
	for _, look := range []struct {
		lang, scheme  string
		width, height int64
	}{{"fr", "light", 1280, 900}, {"en", "dark", 375, 740}} {
		r := k.do("GET", "/v1/sites/demo/proofs/"+id+"/evidence?format=html&lang="+look.lang, "", k.bearer("proofs"))
		path := filepath.Join(t.TempDir(), "dossier.html")
		if err := os.WriteFile(path, []byte(r.body), 0o600); err != nil {
			t.Fatal(err)
		}
		tab := b.Tab(t)
		tab.Width(look.width, look.height, look.width < 600)
		tab.Prefer("prefers-color-scheme", look.scheme)
		tab.Open("file://" + path)
		accessible(t, tab, "the dossier in "+look.lang)
		photograph(t, tab, "dossier-"+look.lang)
		if widgettest.Eval[bool](tab, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("in %s the dossier is wider than the window", look.lang)
		}
	}
}

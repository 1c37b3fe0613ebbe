package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// asserted records a choice over the API and gives its id.
func asserted(t *testing.T, edge, token, external string) string {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if code, body := record(t, edge, token, id, "external", external); code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	return id.String()
}

// keyFile writes the verifier key of the logs into a file, as somebody would note it.
func keyFile(t *testing.T, data string) (path, key string) {
	t.Helper()
	out, errs, err := command("keys", "--data", data)
	if err != nil || !strings.HasPrefix(out, "log consentd/e1+") || !strings.Contains(out, "receipts ") {
		t.Fatalf("keys: %q %s %v", out, errs, err)
	}
	key = strings.Fields(out)[1]
	path = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, key
}

// judged runs consentd verify and gives what it printed and how it exited.
func judged(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	out, errs, err := command(append([]string{"verify"}, args...)...)
	var exit exitCode
	switch {
	case err == nil:
		return out + errs, 0
	case errors.As(err, &exit):
		return out + errs, int(exit)
	}
	return err.Error(), -1
}

func TestEvidenceIsWrittenAndVerifiedByCommands(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	_, edge := serve(t, data, sites)
	token := tokenFor(t, data)
	wantRows(t, data, nil, "SELECT count() FROM wordings FINAL", "2") // a subject's proofs are asked of ClickHouse, once it has its tables
	id := asserted(t, edge, token, "c1")
	asserted(t, edge, token, "c1")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	key, vkey := keyFile(t, data)
	end := "AA"
	if strings.HasSuffix(vkey, end) {
		end = "BB"
	}

	for _, args := range [][]string{{"--proof", id, "-o", at("one.json")}, {"--subject", "external:c1", "-o", at("all.json")}, {"--proof", id, "--format", "html", "--lang", "fr", "-o", at("dossier.html")}} {
		if out, errs, err := command(append([]string{"evidence", "--data", data, "--server", edge, "--site", "demo"}, args...)...); err != nil {
			t.Fatalf("%v: %s %s %v", args, out, errs, err)
		}
	}
	if html, err := os.ReadFile(at("dossier.html")); err != nil || !bytes.Contains(html, []byte("Preuve de consentement")) {
		t.Errorf("%.80s %v", html, err)
	}
	for name, proofs := range map[string]string{"one.json": "ACCEPTED: 1 proofs", "all.json": "ACCEPTED: 2 proofs"} {
		if out, code := judged(t, at(name), "--key", key); code != 0 || !strings.Contains(out, proofs) {
			t.Errorf("%s: exit %d\n%s", name, code, out)
		}
	}
	code, note := get(t, edge+"/log/checkpoint", "")
	if code != 200 {
		t.Fatal(code, note)
	}
	asserted(t, edge, token, "c2")
	if _, _, err := command("evidence", "--data", data, "--server", edge, "--site", "demo", "--proof", id, "--since", strings.Split(note, "\n")[1], "-o", at("since.json")); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(at("one.json"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) string {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return at(name)
	}
	write("checkpoint", note)
	write("bad.json", strings.Replace(string(file), "granted", "refused", 1))
	for _, row := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"the key itself", []string{at("one.json"), "--key", vkey}, 0, "ACCEPTED"},
		{"an earlier checkpoint", []string{at("since.json"), "--key", key, "--checkpoint", at("checkpoint")}, 0, "the file's log holds all of it"},
		{"an earlier checkpoint a file is silent about", []string{at("all.json"), "--key", key, "--checkpoint", at("since.json")}, 1, "refused  checkpoint signed"},
		{"a changed file", []string{at("bad.json"), "--key", key}, 1, "refused  evidence.proofs[0].inclusion in_log"},
		{"a changed file, quietly", []string{at("bad.json"), "--key", key, "--quiet"}, 1, "REFUSED"},
		{"the key of another edge", []string{at("one.json"), "--key", vkey[:len(vkey)-2] + end}, -1, "verifier key"},
		{"a private key", []string{at("one.json"), "--key", "PRIVATE+KEY+x+00000000+AA"}, -1, "private key"},
		{"no key", []string{at("one.json")}, -1, "--key"},
		{"a file that is not there", []string{at("none.json"), "--key", key}, -1, "none.json"},
		{"a key for a file", []string{key, "--key", key}, 1, "not an evidence file"},
	} {
		out, code := judged(t, row.args...)
		if code != row.code || !strings.Contains(out, row.says) {
			t.Errorf("%s: exit %d, want %d saying %q\n%s", row.name, code, row.code, row.says, out)
		}
	}
	for name, args := range map[string][]string{
		"unknown_proof":   {"--proof", uuid.Must(uuid.NewV7()).String()},
		"invalid_subject": {"--subject", "email:x"},
		"UUID":            {"--proof", "first"},
		"--subject":       {},
	} {
		if _, _, err := command(append([]string{"evidence", "--data", data, "--server", edge, "--site", "demo"}, args...)...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v, want %s", args, err, name)
		}
	}
}

// TestARotatedKeyStandsBesideTheOld: files verify with either key; the new one signs from the next start.
func TestARotatedKeyStandsBesideTheOld(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	noEngine := []string{"--engine-lib", filepath.Join(data, "none")}
	p, edge := serve(t, data, sites, noEngine...)
	token := tokenFor(t, data)
	id := asserted(t, edge, token, "c1")
	old, _ := keyFile(t, data)
	p.end(t)
	for _, which := range []string{"log", "receipts"} {
		if _, errs, err := command("keys", "--data", data, "--rotate", which); err != nil {
			t.Fatal(errs, err)
		}
	}
	young, _ := keyFile(t, data)
	_, edge = serve(t, data, sites, noEngine...)
	path := filepath.Join(t.TempDir(), "e.json")
	if _, _, err := command("evidence", "--data", data, "--server", edge, "--site", "demo", "--proof", id, "-o", path); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"old": old, "new": young} {
		if out, code := judged(t, path, "--key", key); code != 0 {
			t.Errorf("with the %s key: %d\n%s", name, code, out)
		}
	}
	if _, keys := get(t, edge+"/.well-known/jwks.json", ""); strings.Count(keys, `"kid"`) != 2 {
		t.Errorf("receipt keys: %s", keys)
	}
}

// TestARestoredBackupGoesOnUnderANewOrigin: the whole program, set back to yesterday.
func TestARestoredBackupGoesOnUnderANewOrigin(t *testing.T) {
	data, sites := filepath.Join(t.TempDir(), "data"), siteFile(t, origin)
	noEngine := []string{"--engine-lib", filepath.Join(data, "none")}
	p, edge := serve(t, data, sites, noEngine...)
	admin := strings.TrimPrefix(p.says(t, `admin=(\S+)`), "http://")
	token := tokenFor(t, data)
	asserted(t, edge, token, "before")
	backup, errs, err := command("backup", "--data", data, "--admin", admin)
	if err != nil {
		t.Fatal(errs, err)
	}
	lost := asserted(t, edge, token, "after")
	key, _ := keyFile(t, data)
	dir := t.TempDir()
	file := func(edge, id, name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if out, errs, err := command("evidence", "--data", data, "--server", edge, "--site", "demo", "--proof", id, "-o", path); err != nil {
			t.Fatal(out, errs, err)
		}
		return path
	}
	given := file(edge, lost, "given.json")
	p.end(t)
	mustRestore(t, "--data", data, "--replace", strings.TrimSpace(backup))
	_, edge = serve(t, data, sites, noEngine...)
	later := file(edge, asserted(t, edge, token, "later"), "later.json")
	for _, path := range []string{given, later} {
		if out, code := judged(t, path, "--key", key); code != 0 {
			t.Errorf("%s: %d\n%s", path, code, out)
		}
	}
	if out, _ := judged(t, later, "--key", key); !strings.Contains(out, "it went on from consentd/e1/proofs, last signed with 2 entries") {
		t.Errorf("it does not name the old origin:\n%s", out)
	}
}

// published gives what the log of publications holds, at most 255 entries; not ok: what was answered instead.
func published(t *testing.T, edge string) (entries string, ok bool) {
	t.Helper()
	code, note := get(t, edge+"/log/published/checkpoint", "")
	if code != 200 {
		return note, false
	}
	code, entries = get(t, edge+"/log/published/tile/entries/000.p/"+strings.Split(note, "\n")[1], "")
	return entries, code == 200
}

// TestTextsArePhotographedByThemselves waits for the pictures a server takes by itself; then there is nothing left to
// ask for.
func TestTextsArePhotographedByThemselves(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--snapshots", "auto")
	admin := strings.TrimPrefix(p.says(t, `admin=(\S+)`), "http://")
	const want = 2 * 2 * 2                          // banner and preferences, light and dark, phone and desktop
	p.says(t, `msg="texts photographed" site=demo`) // nothing is missing then, in however many sessions
	if out, errs, err := command("snapshot", "--data", data, "--admin", admin, "--site", "demo"); err != nil || out != "0 pictures taken\n" {
		t.Errorf("%q %s %v", out, errs, err)
	}
	if _, _, err := command("snapshot", "--data", data, "--admin", admin, "--site", "nowhere"); err == nil {
		t.Error("pictures of a site that is not there")
	}
	pictures, err := filepath.Glob(filepath.Join(data, "snapshots", "*.png"))
	if err != nil || len(pictures) < 4 {
		t.Fatalf("%q %v", pictures, err)
	}
	for _, path := range pictures {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if size := img.Bounds().Size(); size.X != 375 && size.X != 1280 {
			t.Errorf("%s is %v", path, size)
		}
		hash := strings.TrimSuffix(filepath.Base(path), ".png")
		if code, body := get(t, edge+"/v1/sites/demo/snapshots/"+hash, ""); code != 200 || body != string(b) {
			t.Errorf("%s: %d, %d bytes", hash, code, len(body))
		}
	}
	var entries string
	eventually(t, "every picture in the sealed log", func() (bool, string) {
		var ok bool
		if entries, ok = published(t, edge); !ok {
			return false, entries
		}
		return strings.Count(entries, `"kind":"snapshot"`) == want, entries
	})

	// A choice under a photographed text comes with its pictures.
	var wording string
	for entry := range strings.SplitSeq(entries, `{"about"`) {
		var e struct{ Hash, Kind, Surface string }
		if i := strings.LastIndexByte(entry, '}'); i > 0 && json.Unmarshal([]byte(`{"about"`+entry[:i+1]), &e) == nil && e.Kind == "wording" && e.Surface == "banner" {
			wording = e.Hash
		}
	}
	id := uuid.Must(uuid.NewV7()).String()
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"device":%q},"surface":"banner","method":"accept_all","decisions":{"analytics":true},"wording":%q,"locale":"fr","page":%q}`,
		id, uuid.NewString(), wording, origin+"/"), "Origin: "+origin)
	out, errs, err := command("evidence", "--data", data, "--server", edge, "--site", "demo", "--proof", id, "--format", "html")
	if err != nil || strings.Count(out, "data:image/png;base64,") != 4 {
		t.Errorf("%d pictures in the dossier, want 4: %s %v", strings.Count(out, "data:image/png;base64,"), errs, err)
	}
	if dir := os.Getenv("SHOTS"); dir != "" {
		os.WriteFile(filepath.Join(dir, "dossier.html"), []byte(out), 0o600)
	}
}

// TestPagesOfTheServerArePhotographed: the wordings people meet without a script have their pictures too, of pages drawn
// for nobody; the same pages are not photographed again, by another process either.
func TestPagesOfTheServerArePhotographed(t *testing.T) {
	data, sites := t.TempDir(), t.TempDir()
	site := strings.NewReplacer("[fr, en]", "[fr]", ", en: https://shop.example/privacy", "", ", en: The letter", "", ", en: Once a month.", "", "purposes: [letter, partners]", "purposes: [letter]").Replace(clubSite)
	if err := os.WriteFile(filepath.Join(sites, "demo.yaml"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--engine-lib", filepath.Join(data, "none")}
	p, edge := serve(t, data, sites, args...)
	admin := p.says(t, `admin=http://(\S+)`)
	want := map[string]int{"": 4, "form": 4, "confirm": 4, "centre": 2 * 4, "unsubscribe": 3 * 4} // two purposes, and both at once
	if out := must(t, "snapshot", "--data", data, "--admin", admin, "--site", "demo"); out != "32 pictures taken\n" {
		t.Fatal(out)
	}
	if out := must(t, "snapshot", "--data", data, "--admin", admin, "--site", "demo"); out != "0 pictures taken\n" {
		t.Error(out)
	}
	var got map[string]int
	var shown map[string]bool // wordings
	eventually(t, "every picture in the sealed log", func() (bool, string) {
		entries, ok := published(t, edge)
		if !ok {
			return false, entries
		}
		got, shown = map[string]int{}, map[string]bool{}
		for entry := range strings.SplitSeq(entries, `{"about"`) {
			var e struct {
				About consent.SnapshotAbout
				Kind  consent.PublicationKind
				Hash  string
			}
			if i := strings.LastIndexByte(entry, '}'); i < 0 || json.Unmarshal([]byte(`{"about"`+entry[:i+1]), &e) != nil || e.Kind != consent.PublishedSnapshot {
				continue
			}
			got[e.About.Page]++
			shown[e.About.Wording] = true
			if code, body := get(t, edge+"/v1/sites/demo/snapshots/"+e.Hash, ""); code != 200 || !strings.HasPrefix(body, "\x89PNG") {
				t.Errorf("%+v: %d, %d bytes", e, code, len(body))
			}
			if dir := os.Getenv("SHOTS"); dir != "" {
				_, body := get(t, edge+"/v1/sites/demo/snapshots/"+e.Hash, "")
				os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s-%.6s.png", e.About.Page, e.About.Device, e.About.Scheme, e.About.Wording)), []byte(body), 0o600)
			}
		}
		return maps.Equal(got, want), fmt.Sprint(got)
	})
	if len(shown) != 1+2+3 {
		t.Errorf("%d wordings have pictures, of the form, two rows and three ends", len(shown))
	}

	// Whoever signed up has the form in every way it is met among the evidence.
	mustSignUp(t, edge, sites, "lea@exemple.fr", 0)
	token := tokenFor(t, data)
	_, answer := send(t, edge+"/v1/sites/demo/lookup", token, `{"purposes":["letter"],"subjects":[{"email":"lea@exemple.fr"}]}`)
	_, rest, found := strings.Cut(answer, `"proof":"`)
	if !found {
		t.Fatal(answer)
	}
	out, errs, err := command("evidence", "--data", data, "--server", edge, "--site", "demo", "--proof", rest[:36], "--format", "html")
	if err != nil || strings.Count(out, "data:image/png;base64,") != 3*4 || !contains(out, "en page seule", "à confirmer") {
		t.Errorf("%d pictures in the dossier: %s %v", strings.Count(out, "data:image/png;base64,"), errs, err)
	}
	p.end(t)

	p, _ = serve(t, data, sites, args...)
	if out := must(t, "snapshot", "--data", data, "--admin", p.says(t, `admin=http://(\S+)`), "--site", "demo"); out != "0 pictures taken\n" {
		t.Errorf("after a restart %s", out)
	}
}

package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// sealed gives a server logs, receipts and a shelf of pictures.
func sealed(t testing.TB) func(*Options) {
	return func(o *Options) {
		l := o.Ledger.(*ledger.Ledger)
		signer, err := evidence.NewSigner("consentd/e1", bytes.Repeat([]byte{3}, 32))
		if err != nil {
			t.Fatal(err)
		}
		keeper, err := evidence.Open(t.Context(), evidence.Options{Edge: "e1", Signers: []evidence.Signer{signer},
			Proofs: l.Log(consent.StreamProofs), Publications: l.Log(consent.StreamWordings), Published: l,
			Near: []evidence.Anchor{evidence.Directory{Path: t.TempDir()}, l}, Now: l.Now, Log: o.Log})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := token.OpenRing(filepath.Join(t.TempDir(), "receipts"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ring.Close() })
		o.Evidence, o.Receipts = keeper, ring
		o.Pictures = func(h consent.Hash) ([]byte, error) {
			if h == pictureHash {
				return picture, nil
			}
			return nil, fs.ErrNotExist
		}
	}
}

// picture is one white pixel.
var picture, _ = base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")

var pictureHash = consent.Hash(sha256.Sum256(picture))

// seal signs both logs now.
func (k *kit) seal() {
	k.t.Helper()
	if err := k.opt.Evidence.(*evidence.Keeper).Seal(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
}

// file asks for evidence and verifies it.
func (k *kit) file(method, path, body string) (*evidence.File, *evidence.Report) {
	k.t.Helper()
	r := k.do(method, path, body, asJSON, k.bearer("proofs"))
	if r.status != 200 {
		k.t.Fatal(r.status, r.body)
	}
	report := evidence.Verify([]byte(r.body), k.opt.Evidence.Keys(), nil)
	if !report.OK() {
		k.t.Fatalf("%+v", report.Steps)
	}
	return report.File, report
}

// chosen records a choice on the banner and gives its id.
func (k *kit) chosen(change ...func(choice)) string {
	k.t.Helper()
	body := k.choice(change...)
	if r := k.post(body); r.status != 201 {
		k.t.Fatal(r.body)
	}
	return field[string](k.t, body, "id")
}

func TestEvidenceOfAChoiceHoldsWhatTheBrowserWasGiven(t *testing.T) {
	k := start(t, sealed(t))
	if r := k.do("GET", "/s/demo.js", ""); r.status != 200 {
		t.Fatal(r.status)
	}
	id := k.chosen()
	f, report := k.file("GET", "/v1/sites/demo/proofs/"+id+"/evidence", "")
	if got := field[string](t, f.Evidence.Proofs[0].Facts, "id"); got != id || len(f.Evidence.Proofs) != 1 || f.Evidence.Site.ID != "demo" {
		t.Errorf("%+v", f.Evidence)
	}
	passed := map[string]bool{}
	for _, s := range report.Steps {
		passed[s.Part+" "+s.Check] = s.Status == evidence.Passed
	}
	for _, want := range []string{"evidence.proofs[0].personal opens", "evidence.proofs[0].wording shown", "evidence.proofs[0].wording carried"} {
		if !passed[want] {
			t.Errorf("%s did not pass: %+v", want, report.Steps)
		}
	}
	kinds := map[string]int{}
	for _, p := range f.Evidence.Published {
		kinds[field[string](t, p.Entry, "kind")]++
	}
	if fmt.Sprint(kinds) != "map[bundle:1 config:1 wording:1]" {
		t.Errorf("it rests on %v", kinds)
	}
}

func TestEvidenceIsGivenToWhoMayHaveItOnly(t *testing.T) {
	k := start(t, sealed(t))
	id := k.chosen()
	away := *k.foreignProof()
	for _, row := range []struct {
		name, path string
		header     []string
		status     int
		code       string
	}{
		{"without a token", "/v1/sites/demo/proofs/" + id + "/evidence", nil, 401, "token_missing"},
		{"with a token of another scope", "/v1/sites/demo/proofs/" + id + "/evidence", []string{k.bearer("lookup")}, 403, "token_wrong_scope"},
		{"with a token of another site", "/v1/sites/demo/proofs/" + id + "/evidence", []string{k.bearerFor("slow", "proofs")}, 403, "token_wrong_site"},
		{"of a proof nobody made", "/v1/sites/demo/proofs/" + uuid.Must(uuid.NewV7()).String() + "/evidence", []string{k.bearer("proofs")}, 503, "warehouse_unavailable"},
		{"of a proof of another site", "/v1/sites/slow/proofs/" + id + "/evidence", []string{k.bearerFor("slow", "proofs")}, 404, "unknown_proof"},
		{"of no id at all", "/v1/sites/demo/proofs/first/evidence", []string{k.bearer("proofs")}, 404, "unknown_proof"},
		{"of a proof another edge recorded", "/v1/sites/demo/proofs/" + away.ID.String() + "/evidence", []string{k.bearer("proofs")}, 404, "recorded_elsewhere"},
		{"in no known form", "/v1/sites/demo/proofs/" + id + "/evidence?format=pdf", []string{k.bearer("proofs")}, 400, "bad_query"},
		{"since nothing", "/v1/sites/demo/proofs/" + id + "/evidence?since=-1", []string{k.bearer("proofs")}, 400, "bad_query"},
	} {
		r := k.do("GET", row.path, "", row.header...)
		if code, _ := r.problem(t); r.status != row.status || code != row.code {
			t.Errorf("%s: %d %s, want %d %s", row.name, r.status, code, row.status, row.code)
		}
	}
	bare := start(t)
	id = bare.chosen()
	for _, path := range []string{"/v1/sites/demo/proofs/" + id + "/evidence", "/v1/sites/demo/proofs/" + id + "/receipt", "/log/checkpoint", "/log/tile/0/000", "/log/keys", "/.well-known/jwks.json"} {
		r := bare.do("GET", path, "", bare.bearer("proofs"))
		if code, _ := r.problem(t); r.status != 503 || code != "not_sealed" {
			t.Errorf("%s of a server without logs: %d %s", path, r.status, code)
		}
	}
}

// foreignProof puts a proof of another edge into the ledger, as a shared ClickHouse would answer it.
func (k *kit) foreignProof() *consent.Proof {
	k.t.Helper()
	p := &consent.Proof{Facts: consent.Facts{ID: uuid.Must(uuid.NewV7()), Site: "demo", Edge: "e2", RecordedAt: k.ledger.Now(), Surface: consent.SurfaceAPI,
		Method: consent.MethodCustom, Grade: consent.GradeAsserted, Decisions: []consent.Choice{{Purpose: "ads", Granted: true}}}, Personal: consent.Personal{Salt: consent.NewSalt()}}
	p.Commitment = p.Personal.Commit()
	if _, err := k.ledger.Append(k.t.Context(), p); err != nil {
		k.t.Fatal(err)
	}
	return p
}

func TestEvidenceOfASubjectIsEverythingInOneFile(t *testing.T) {
	w := openWarehouse(t)
	k := start(t, sealed(t), func(o *Options) { o.Warehouse = w })
	var ids []string
	for i := range 4 {
		ids = append(ids, k.assert("a@b.fr", i%2 == 0))
		k.assert("other@b.fr", true)
	}
	k.ship(w)
	ids = append(ids, k.assert("a@b.fr", false))
	f, _ := k.file("POST", "/v1/sites/demo/evidence", `{"subject":{"email":"A@b.fr"}}`)
	if len(f.Evidence.Proofs) != 5 || len(f.Evidence.Subject) != 32 {
		t.Fatalf("%d proofs of %q", len(f.Evidence.Proofs), f.Evidence.Subject)
	}
	for i, p := range f.Evidence.Proofs {
		if got := field[string](t, p.Facts, "id"); got != ids[len(ids)-1-i] || p.Identifier != "a@b.fr" {
			t.Errorf("proof %d is %s of %s", i, got, p.Identifier)
		}
	}
	if f, _ := k.file("POST", "/v1/sites/demo/evidence", `{"subject":{"email":"nobody@b.fr"}}`); len(f.Evidence.Proofs) != 0 {
		t.Errorf("%d proofs of nobody", len(f.Evidence.Proofs))
	}
	for body, want := range map[string]string{`{}`: "missing_field", `{"subject":{"email":"x"}}`: "invalid_subject", `{"subject":{"email":"a@b.fr"},"limit":1}`: "unknown_field", `[`: "malformed_json"} {
		r := k.do("POST", "/v1/sites/demo/evidence", body, asJSON, k.bearer("proofs"))
		if code, _ := r.problem(t); code != want {
			t.Errorf("%s: %s, want %s", body, code, want)
		}
	}
}

func TestTheLogIsPublicAndHoldsNothingPersonal(t *testing.T) {
	k := start(t, sealed(t))
	k.chosen(set("page", "https://shop.example/planted"))
	device := uuid.NewString()
	k.chosen(set("subject", map[string]any{"device": device}))
	k.seal()
	note := k.do("GET", "/log/checkpoint", "")
	if note.status != 200 || note.header.Get("Content-Type") != "text/plain; charset=utf-8" || note.header.Get("Cache-Control") != "public, max-age=1" ||
		!strings.HasPrefix(note.body, "consentd/e1/proofs\n2\n") {
		t.Fatal(note)
	}
	if c, err := evidence.OpenCheckpoint([]byte(note.body), k.opt.Evidence.Keys()...); err != nil || c.Size != 2 {
		t.Errorf("%+v %v", c, err)
	}
	if keys := k.do("GET", "/log/keys", ""); keys.body != k.opt.Evidence.Keys()[0].String()+"\n" {
		t.Errorf("%q", keys.body)
	}
	tile := k.do("GET", "/log/tile/0/000.p/2", "")
	if tile.status != 200 || len(tile.body) != 64 || tile.header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(tile.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d %d bytes %v", tile.status, len(tile.body), tile.header)
	}
	for _, header := range [][]string{nil, {"Accept-Encoding: gzip"}} {
		entries := k.do("GET", "/log/tile/entries/000.p/2", "", header...)
		if entries.status != 200 || header == nil && !strings.Contains(entries.body, `"type":"consent"`) || header != nil && entries.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%v: %d %v", header, entries.status, entries.header)
		}
		for _, planted := range []string{"planted", device, "127.0.0.1", "Go-http-client"} {
			if strings.Contains(entries.body, planted) {
				t.Errorf("the public log holds %q", planted)
			}
		}
	}
	published := k.do("GET", "/log/published/checkpoint", "")
	var size int
	fmt.Sscan(strings.Split(published.body, "\n")[1], &size)
	if size < 5 {
		t.Fatalf("%s", published.body)
	}
	entries := k.do("GET", fmt.Sprintf("/log/published/tile/entries/000.p/%d", size), "")
	if entries.status != 200 || !strings.Contains(entries.body, `"kind":"config"`) || strings.Contains(entries.body, "dpo@") {
		t.Errorf("%d %s", entries.status, entries.body)
	}
	for _, path := range []string{"/log/tile/0/000", "/log/tile/0/000.p/3", "/log/tile/0/0", "/log/tile/entries/001", "/log/tile/", "/log/tile/x", "/log/published/tile/5/000"} {
		r := k.do("GET", path, "")
		if code, _ := r.problem(t); r.status != 404 || code != "not_found" {
			t.Errorf("%s: %d %s", path, r.status, code)
		}
	}
}

func TestAMonitorIsSlowedDownWhenItRunsWild(t *testing.T) {
	k := start(t, sealed(t))
	k.chosen()
	k.seal()
	ask := func() reply { return k.send("GET", "/log/tile/0/000.p/1", "") }
	for i := range logBurst {
		if r := ask(); r.status != 200 {
			t.Fatal(i, r.status, r.body)
		}
	}
	// What this machine has taken its time for has come back: others take the rest, in an hour, so that no more does.
	for ok := true; ok; {
		ok, _ = k.limits.allow("", netip.MustParseAddr("127.0.0.1"), time.Now().Add(time.Hour), logRate, logBurst)
	}
	r := ask()
	if code, _ := r.problem(t); r.status != 429 || code != "rate_limited" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", r.status, code, r.header)
	}
}

func TestASnapshotIsServedByItsHash(t *testing.T) {
	k := start(t, sealed(t))
	r := k.do("GET", "/v1/sites/demo/snapshots/"+pictureHash.String(), "")
	if r.status != 200 || r.body != string(picture) || r.header.Get("Content-Type") != "image/png" || !strings.Contains(r.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v", r.status, r.header)
	}
	for _, hash := range []string{strings.Repeat("0", 64), "x", "..%2f..%2fkeys"} {
		if r := k.do("GET", "/v1/sites/demo/snapshots/"+hash, ""); r.status != 404 {
			t.Errorf("%s: %d", hash, r.status)
		}
	}
}

// ---- receipts

func (k *kit) receipt(id, query string, header ...string) reply {
	k.t.Helper()
	return k.do("GET", "/v1/sites/demo/proofs/"+id+"/receipt"+query, "", header...)
}

func claimsOf(t *testing.T, raw string) (header, claims map[string]any) {
	t.Helper()
	for i, part := range strings.Split(raw, ".")[:2] {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, []*map[string]any{&header, &claims}[i]); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func TestAReceiptIsForTheDeviceThatChose(t *testing.T) {
	k := start(t, sealed(t), func(o *Options) { o.Warehouse = openWarehouse(t) })
	device := uuid.NewString()
	id := k.chosen(set("subject", map[string]any{"device": device}))
	r := k.receipt(id, "?device="+strings.ToUpper(device), ofShop)
	if r.status != 200 || r.header.Get("Content-Type") != "application/jwt" || r.header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		!strings.Contains(r.header.Get("Content-Disposition"), "receipt-"+id+".jwt") {
		t.Fatal(r.status, r.header, r.body)
	}
	header, claims := claimsOf(t, r.body)
	if header["typ"] != "consent-receipt+jwt" || header["alg"] != "Ed25519" {
		t.Errorf("%v", header)
	}
	purpose := claims["services"].([]any)[0].(map[string]any)["purposes"].([]any)[0].(map[string]any)
	if claims["version"] != "KI-CR-v1.1.0" || claims["consentReceiptID"] != id || claims["piiPrincipalId"] != claims["sub"] || claims["language"] != "fr" ||
		purpose["consentType"] != "EXPLICIT" || !strings.HasPrefix(purpose["termination"].(string), "until 20") {
		t.Errorf("%v", claims)
	}
	if at, ok := claims["consentTimestamp"].(float64); !ok || at < 1.7e9 || at > 1e10 {
		t.Errorf("consentTimestamp is %v, not seconds", claims["consentTimestamp"])
	}
	decisions := claims["consentd"].(map[string]any)["decisions"].(map[string]any)
	if decisions["ads"] != "denied" || decisions["analytics"] != "granted" {
		t.Errorf("%v", decisions)
	}
	if again := k.receipt(id, "?device="+device); again.body != r.body {
		t.Error("the same receipt has other bytes")
	}
	if byToken := k.receipt(id, "", k.bearer("proofs")); byToken.body != r.body {
		t.Errorf("with a token: %d %s", byToken.status, byToken.body)
	}
	strange, unknown := k.receipt(id, "?device="+uuid.NewString()), k.receipt(uuid.Must(uuid.NewV7()).String(), "?device="+device)
	if strange.status != 404 || strange.body != unknown.body || unknown.status != 404 {
		t.Errorf("a stranger: %d %s; no such proof: %d %s", strange.status, strange.body, unknown.status, unknown.body)
	}
	for _, row := range []struct {
		name, query string
		header      []string
		status      int
	}{
		{"nobody", "", nil, 401}, {"a device that is none", "?device=me", nil, 401}, {"an address", "?device=a@b.fr", nil, 400},
		{"a token of another scope", "", []string{k.bearer("lookup")}, 403}, {"a broken token", "?device=" + device, []string{"Authorization: Bearer x"}, 401},
		{"an unknown profile", "?profile=1&device=" + device, nil, 400},
	} {
		if r := k.receipt(id, row.query, row.header...); r.status != row.status {
			t.Errorf("%s: %d, want %d", row.name, r.status, row.status)
		}
	}
}

func TestAReceiptInTheStructureOf27560(t *testing.T) {
	k := start(t, sealed(t))
	device := uuid.NewString()
	id := k.chosen(set("subject", map[string]any{"device": device}), set("method", "reject_all"), set("decisions", map[string]any{"analytics": false, "ads": false}))
	_, claims := claimsOf(t, k.receipt(id, "?profile=27560&device="+device).body)
	event := claims["events"].([]any)[0].(map[string]any)
	party := claims["party_identification"].([]any)[0].(map[string]any)
	record := claims["record"].(map[string]any)
	if event["event_state"] != "refused" || party["party_role"] != "pii_controller" || record["record_id"] != id || claims["version"] != nil {
		t.Errorf("%v", claims)
	}
}

// TestReceiptsSatisfyAnotherLibrary hands receipts and keys to jose, the JOSE library of npm.
func TestReceiptsSatisfyAnotherLibrary(t *testing.T) {
	k := start(t, sealed(t))
	device := uuid.NewString()
	id := k.chosen(set("subject", map[string]any{"device": device}))
	old := k.receipt(id, "?device="+device).body
	if err := k.opt.Receipts.(*token.Ring).Rotate(); err != nil {
		t.Fatal(err)
	}
	young := k.receipt(id, "?profile=27560&device="+device).body
	if old == young {
		t.Fatal("no new key signs")
	}
	keys := k.do("GET", "/.well-known/jwks.json", "")
	if keys.status != 200 || keys.header.Get("Content-Type") != "application/jwk-set+json" {
		t.Fatal(keys)
	}
	bent := old[:len(old)/2] + map[bool]string{true: "B", false: "A"}[old[len(old)/2] == 'A'] + old[len(old)/2+1:]
	for _, row := range []struct {
		name, jwt string
		ok        bool
	}{{"by a key that signs no more", old, true}, {"by the newest key", young, true}, {"with a letter changed", bent, false}, {"that is an API token", k.tokens["proofs"], false}} {
		proof, err := proofOfReceipt(row.jwt, keys.body)
		if row.ok && (err != nil || proof != id) || !row.ok && err == nil {
			t.Errorf("a receipt %s: %v %s", row.name, err, proof)
		}
	}
}

// proofOfReceipt has jose verify a receipt, and gives the proof it is of; with an error, what jose said.
func proofOfReceipt(jwt, keys string) (string, error) {
	const script = `import {createLocalJWKSet, jwtVerify} from "jose";
		const {payload} = await jwtVerify(process.argv[1], createLocalJWKSet(JSON.parse(process.argv[2])), {algorithms: ["Ed25519"], typ: "consent-receipt+jwt", issuer: "consentd/e1"});
		console.log(payload.jti);`
	cmd := exec.Command("node", "--input-type=module", "-e", script, "--", jwt, keys)
	cmd.Dir = "../widget"
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// ---- the dossier

func TestTheDossierSaysWhatWasShownAndChosen(t *testing.T) {
	k := start(t, sealed(t))
	k.do("GET", "/s/demo.js", "")
	w := k.published("banner", "fr")
	p, err := consent.NewSnapshot(w, picture, consent.SnapshotAbout{Bundle: strings.Repeat("0", 64), Device: "phone", Scheme: "dark", Width: 375, Height: 740})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ledger.Announce(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	id := k.chosen(set("page", "https://shop.example/<script>alert(1)</script>"))
	path := "/v1/sites/demo/proofs/" + id + "/evidence?format=html"
	r := k.do("GET", path, "", k.bearer("proofs"))
	if r.status != 200 || r.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatal(r.status, r.header, r.body)
	}
	for _, want := range []string{`<html lang="fr">`, "Preuve de consentement", "Consentement donné", "Refusé", w.Title, w.Text, id, "data:image/png;base64,", "téléphone, sombre, 375 px",
		pictureHash.String(), w.Hash.String(), "consentd/e1/proofs", "UTC"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the dossier lacks %q", want)
		}
	}
	for _, bad := range []string{"<script", "ZgotmplZ", "January", "http-equiv"} {
		if strings.Contains(r.body, bad) {
			t.Errorf("the dossier has %q", bad)
		}
	}
	if !regexp.MustCompile(`\d{1,2} (janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre) 20\d\d à \d\d:\d\d:\d\d,\d{3} UTC`).MatchString(r.body) {
		t.Error("no date in French")
	}
	en := k.do("GET", path+"&lang=en", "", k.bearer("proofs"))
	if !strings.Contains(en.body, `<html lang="en">`) || !strings.Contains(en.body, "Consent given") || !strings.Contains(en.body, `<div class="shown" lang="fr">`) {
		t.Error("no English dossier")
	}
	asserted := k.assert("a@b.fr", true)
	if r := k.do("GET", "/v1/sites/demo/proofs/"+asserted+"/evidence?format=html&lang=en", "", k.bearer("proofs")); !strings.Contains(r.body, "No text was shown") || !strings.Contains(r.body, "a@b.fr") {
		t.Errorf("%d", r.status)
	}
}

// published finds a current wording of demo.
func (k *kit) published(surface, locale string) *consent.Published {
	k.t.Helper()
	st, _ := k.sites.Get("demo")
	for _, w := range st.Published {
		if w.Surface == surface && w.Locale == locale {
			return w
		}
	}
	k.t.Fatalf("no %s in %s", surface, locale)
	return nil
}

func TestTheWordsOfTheDossierAreWholeInEveryLanguage(t *testing.T) {
	d, err := newDossiers()
	if err != nil {
		t.Fatal(err)
	}
	flat := func(w *dossierWords) map[string]any {
		b, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	en := flat(d.words["en"])
	for lang, w := range d.words {
		m := flat(w)
		for key, v := range m {
			if v == "" || v == nil {
				t.Errorf("%s: %s is missing", lang, key)
			}
			if inner, ok := v.(map[string]any); ok && len(inner) != len(en[key].(map[string]any)) {
				t.Errorf("%s: %s has %d words, English %d", lang, key, len(inner), len(en[key].(map[string]any)))
			}
		}
	}
	for _, grade := range []consent.Grade{consent.GradeAsserted, consent.GradeImported, consent.GradeProven, consent.GradeVerified} {
		if d.words["fr"].Grades[grade.String()] == "" {
			t.Errorf("no word for grade %s", grade)
		}
	}
}

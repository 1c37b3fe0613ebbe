package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/consentd/consentd/storage/storagetest"
)

const origin = "https://shop.example"

// serve starts consentd on free ports; its ClickHouse is the embedded one unless args say otherwise.
func serve(t *testing.T, data, sites string, args ...string) (p *program, edge string) {
	t.Helper()
	p = start(t, append([]string{"serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)...)
	return p, p.says(t, `msg="consentd serves" url=(\S+)`)
}

func tokenFor(t *testing.T, data string) string {
	t.Helper()
	out, errs, err := command("token", "-site", "demo", "-scope", "lookup rates proofs record", "-ttl", "1d", "-name", "test", "-data", data)
	if err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("token: %q %s %v", out, errs, err)
	}
	return strings.TrimSpace(out)
}

// choose posts one choice over the API and gives status and body.
func choose(t *testing.T, edge, token, external string) (int, string) {
	t.Helper()
	return record(t, edge, token, uuid.Must(uuid.NewV7()), "external", external)
}

// record posts the choice with an id of a subject of any kind.
func record(t *testing.T, edge, token string, id uuid.UUID, kind, subject string) (int, string) {
	t.Helper()
	body := fmt.Sprintf(`{"id":%q,"subject":{%q:%q},"surface":"api","method":"accept_all","decisions":{"analytics":true}}`, id, kind, subject)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, edge+"/v1/sites/demo/consents", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(res.Body)
	return res.StatusCode, b.String()
}

func mustChoose(t *testing.T, edge, token, external string) {
	t.Helper()
	if code, body := choose(t, edge, token, external); code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	if _, body := get(t, edge+"/v1/sites/demo/lookup?purpose=analytics&external="+external, token); !contains(body, `"status":"granted"`) {
		t.Fatalf("a lookup right after the 201: %s", body)
	}
}

// TestWithoutAnyClickHouse: the engine is missing; choices are collected, lookups answered, and it is said
// once in the log and in /readyz. Started again with a ClickHouse, everything is shipped.
func TestWithoutAnyClickHouse(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "nowhere", "libchdb.so"))
	token := tokenFor(t, data)
	for i := range 5 {
		mustChoose(t, edge, token, fmt.Sprint("c", i))
	}
	if n := strings.Count(p.err.String(), "no ClickHouse"); n != 1 {
		t.Errorf("said %d times:\n%s", n, p.err.String())
	}
	if code, body := get(t, p.says(t, `admin=(\S+)`)+"/readyz", ""); code != 200 || !contains(body, `"name":"engine"`, "npm ci") {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, body := get(t, edge+"/v1/sites/demo/rates", token); code != 503 || !contains(body, `"warehouse_unavailable"`) {
		t.Errorf("rates: %d %s", code, body)
	}
	p.end(t)

	p, edge = serve(t, data, sites)
	wantRows(t, data, nil, "SELECT count(), uniqExact(id) FROM consents", "5\t5")
	mustChoose(t, edge, token, "c5")
	wantRows(t, data, nil, "SELECT count(), max(seq) FROM consents", "6\t5")
	p.end(t)
}

// wantRows waits until sql prints want under its header.
func wantRows(t *testing.T, data string, args []string, query, want string) {
	t.Helper()
	eventually(t, query, func() (bool, string) {
		out, errs, err := command(append([]string{"sql", "--data", data, "--format", "tsv", query}, args...)...)
		_, rows, _ := strings.Cut(out, "\n")
		return err == nil && strings.TrimSpace(rows) == want, out + errs + fmt.Sprint(err)
	})
}

// TestExternalClickHouseTakesPrecedence runs against a real server behind a proxy that refuses connections for
// the whole first run, then lets them through.
func TestExternalClickHouseTakesPrecedence(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	direct := kit.Database(t)
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	proxy.Refuse()
	url := storagetest.Through(t, direct, proxy)
	p, edge := serve(t, data, sites, "--clickhouse", url)
	token := tokenFor(t, data)
	for i := range 5 {
		mustChoose(t, edge, token, fmt.Sprint("c", i))
	}
	eventually(t, "the drain in readyz", func() (bool, string) {
		code, body := get(t, edge+"/readyz", "")
		var ready struct {
			Checks []struct {
				Name string
				OK   bool
			}
		}
		if err := json.Unmarshal([]byte(body), &ready); err != nil {
			t.Fatal(err)
		}
		for _, c := range ready.Checks {
			if c.Name == "engine" {
				t.Fatalf("an embedded engine beside an external ClickHouse: %s", body)
			}
			if c.Name == "drain" && !c.OK {
				return code == 200, body
			}
		}
		return false, body
	})
	proxy.Heal(t)
	wantRows(t, data, []string{"--clickhouse", direct}, "SELECT count(), uniqExact(id) FROM consents", "5\t5")
	p.end(t)
	if _, err := os.Stat(filepath.Join(data, "engine")); !os.IsNotExist(err) {
		t.Errorf("an embedded engine was started: %v", err)
	}
}

// TestAClusterHoldsWhatIsRecorded runs against two shards through the server beside them: choices are spread, found,
// counted and erased.
func TestAClusterHoldsWhatIsRecorded(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	cluster := []string{"--clickhouse", storagetest.NewCluster(t).Database(t)}
	p, edge := serve(t, data, sites, cluster...)
	admin, token := p.says(t, `admin=http://(\S+)`), tokenFor(t, data)
	for i := range 30 {
		mustChoose(t, edge, token, fmt.Sprint("c", i))
	}
	wantRows(t, data, cluster, "SELECT count(), uniqExact(id) FROM consents", "30\t30")
	wantRows(t, data, cluster, "SELECT uniqExact(_shard_num) FROM consent_facts", "2")
	wantRows(t, data, cluster, "SELECT uniqExact(_shard_num) FROM consent_personal", "2")
	if _, body := get(t, edge+"/v1/sites/demo/rates?by=purpose", token); !contains(body, `"granted":30`) {
		t.Error(body)
	}
	must(t, "erase", "--site", "demo", "--external", "c7", "--data", data, "--admin", admin)
	wantRows(t, data, cluster, "SELECT count(), countIf(erased) FROM consents", "30\t1")
	p.end(t)
}

// TestStartIsRefused says what each mistake gets.
func TestStartIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held, sites := t.TempDir(), siteFile(t, origin)
	noEngine := []string{"--engine-lib", filepath.Join(held, "none")}
	serve(t, held, sites, noEngine...)
	file := filepath.Join(t.TempDir(), "consentd.yaml")
	if err := os.WriteFile(file, []byte("adr: 127.0.0.1:0\nedge: e1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		args []string
		want []string
	}{
		{"a port in use", []string{"--addr", taken.Addr().String()}, []string{"--addr " + taken.Addr().String(), "the port is in use"}},
		{"an admin port in use", []string{"--addr", "127.0.0.1:0", "--admin", taken.Addr().String()}, []string{"--admin", "the port is in use"}},
		{"a data directory in use", []string{"--addr", "127.0.0.1:0", "--data", held}, []string{"another consentd holds this data directory", "--data"}},
		{"no directory of sites", []string{"--addr", "127.0.0.1:0", "--sites", filepath.Join(held, "nosites")}, []string{"--sites", "nosites"}},
		{"a ClickHouse address that is none", []string{"--addr", "127.0.0.1:0", "--clickhouse", "http://x"}, []string{"--clickhouse", "clickhouse://"}},
		{"a network that is none", []string{"--addr", "127.0.0.1:0", "--trusted-proxies", "10.0.0.0/99"}, []string{"10.0.0.0/99", "10.0.0.0/8"}},
		{"a country database that is not there", []string{"--addr", "127.0.0.1:0", "--geoip", filepath.Join(held, "none.mmdb")}, []string{"--geoip", "none.mmdb"}},
		{"an option that is none, in the file", []string{"--config", file}, []string{"no such option: adr"}},
		{"a flag that is none", []string{"--adr", "x"}, []string{"--adr", "--help"}},
	} {
		args := append([]string{"serve", "--data", t.TempDir(), "--sites", sites, "--admin", "127.0.0.1:0"}, noEngine...)
		_, _, err := command(append(args, row.args...)...)
		if err == nil || !contains(err.Error(), row.want...) {
			t.Errorf("%s: %v, want words %q", row.name, err, row.want)
		}
	}
}

func TestOptionsComeFromFileAndEnvironment(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	file := filepath.Join(t.TempDir(), "consentd.yaml")
	doc := fmt.Sprintf("data: %s\nsites: %s\naddr: 127.0.0.1:0\nadmin: 127.0.0.1:0\nedge: from-file\ntrusted-proxies: [10.0.0.0/8, 192.0.2.1]\nengine-lib: %s\n", data, sites, filepath.Join(data, "none"))
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONSENTD_EDGE", "from-env")
	p := start(t, "serve", "--config", file)
	edge := p.says(t, `msg="consentd serves" url=(\S+)`)
	if _, body := choose(t, edge, tokenFor(t, data), "c1"); !contains(body, `"edge":"from-env"`) {
		t.Errorf("the environment wins over the file: %s", body)
	}
}

func TestCheckReportsFiveMistakesAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	doc := `site: demo
name: Test
origins: [https://shop.example/path]
controller: {name: Test SAS, contact: dpo@test.example}
locales: [fr, en]
policy: {fr: https://test.example/privacy, en: https://test.example/privacy}
choices: {keep: 500d}
colour: red
purposes:
  - id: analytics
    basis: consents
    title: {fr: Mesure d’audience}
    text: {fr: Compter les visites., en: Counting visits.}
`
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := command("check", file)
	if code := exitCode(0); !errors.As(err, &code) || code != 1 {
		t.Errorf("exit: %v", err)
	}
	for line, code := range map[int]string{3: "origin_invalid", 7: "keep_too_long", 8: "unknown_key", 11: "basis_unknown", 12: "text_missing"} {
		found := false
		for l := range strings.Lines(out) {
			found = found || contains(l, fmt.Sprintf("bad.yaml:%d:", line), code)
		}
		if !found {
			t.Errorf("line %d: no %s in\n%s", line, code, out)
		}
	}
	if !contains(errs, "5 errors") {
		t.Errorf("%s", errs)
	}
	if out, errs, err := command("check", siteFile(t, origin)); err != nil || out != "" || !contains(errs, "0 errors, 0 warnings") {
		t.Errorf("a good file: %q %q %v", out, errs, err)
	}
}

func TestTokenIsRefused(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want string
	}{
		{"without a site", []string{"--scope", "lookup", "--name", "x"}, "--site"},
		{"an unknown scope", []string{"--site", "demo", "--scope", "everything", "--name", "x"}, "everything"},
		{"a life of two years", []string{"--site", "demo", "--scope", "lookup", "--name", "x", "--ttl", "730d"}, "400"},
		{"a life that is none", []string{"--site", "demo", "--scope", "lookup", "--name", "x", "--ttl", "soon"}, "182d"},
		{"an id that is none", []string{"--revoke", "x"}, "jti"},
	} {
		out, _, err := command(append([]string{"token", "--data", t.TempDir()}, row.args...)...)
		if err == nil || !contains(err.Error(), row.want) || out != "" {
			t.Errorf("%s: %q %v, want %q", row.name, out, err, row.want)
		}
	}
}

// TestARevokedTokenIsRefusedByTheRunningServer: another process revokes, the server notices.
func TestARevokedTokenIsRefusedByTheRunningServer(t *testing.T) {
	data := t.TempDir()
	_, edge := serve(t, data, siteFile(t, origin), "--engine-lib", filepath.Join(data, "none"))
	out, errs, err := command("token", "--site", "demo", "--scope", "lookup", "--name", "crm", "--data", data)
	if err != nil {
		t.Fatal(err)
	}
	token, id := strings.TrimSpace(out), strings.TrimSuffix(strings.Fields(errs)[1], ",")
	url := edge + "/v1/sites/demo/lookup?purpose=analytics&external=x"
	if code, body := get(t, url, token); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if _, _, err := command("token", "--revoke", id, "--data", data); err != nil {
		t.Fatal(err)
	}
	eventually(t, "401 token_revoked", func() (bool, string) {
		code, body := get(t, url, token)
		return code == 401 && contains(body, "token_revoked"), body
	})
}

// TestASealingKeyRotates: another process adds a key, the running server seals with it, and what was sealed
// before still opens.
func TestASealingKeyRotates(t *testing.T) {
	data := t.TempDir()
	_, edge := serve(t, data, siteFile(t, origin), "--engine-lib", filepath.Join(data, "none"))
	token := tokenFor(t, data)
	sealed := func() (id uuid.UUID) {
		t.Helper()
		id = uuid.Must(uuid.NewV7())
		if code, body := record(t, edge, token, id, "email", "jean@test.example"); code != http.StatusCreated {
			t.Fatalf("%d %s", code, body)
		}
		return id
	}
	opens := func(id uuid.UUID) {
		t.Helper()
		if _, body := get(t, edge+"/v1/sites/demo/proofs/"+id.String(), token); !contains(body, `"identifier":"jean@test.example"`) {
			t.Errorf("%s", body)
		}
	}
	first := sealed()
	opens(first)
	if _, errs, err := command("seal", "--rotate", "--data", data); err != nil {
		t.Fatalf("%s %v", errs, err)
	}
	if names, err := os.ReadDir(filepath.Join(data, "keys", "seal")); err != nil || len(names) != 2 {
		t.Errorf("%v %v, want two keys", names, err)
	}
	opens(sealed())
	opens(first)
	if _, _, err := command("seal", "--data", data); err == nil || !contains(err.Error(), "--rotate") {
		t.Errorf("without --rotate: %v", err)
	}
}

func TestSQLOnlyReads(t *testing.T) {
	data := t.TempDir()
	p, _ := serve(t, data, siteFile(t, origin))
	wantRows(t, data, nil, "SELECT count() FROM wordings", "2")
	for _, query := range []string{"DROP TABLE consent_facts", "INSERT INTO prompts (site) VALUES ('x')", "ALTER TABLE consent_facts DELETE WHERE 1"} {
		if out, _, err := command("sql", "--data", data, query); err == nil {
			t.Errorf("%s: allowed, %s", query, out)
		}
	}
	if _, _, err := command("sql", "--data", data, "SELECT nonsense FROM consents"); err == nil || !contains(err.Error(), "nonsense") {
		t.Errorf("a mistake in a query: %v", err)
	}
	p.end(t)
}

func TestHelpTeaches(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"serve", "--help"}, {"token", "-h"}} {
		out, errs, err := command(args...)
		if err != nil || !contains(out, "Usage: consentd") {
			t.Errorf("%v: %q %q %v", args, out, errs, err)
		}
	}
}

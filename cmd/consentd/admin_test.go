package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/token"
)

func adminToken(t *testing.T, data string) string {
	t.Helper()
	return issue(t, data, token.AllSites, token.ScopeAdmin)
}

func issue(t *testing.T, data, site, scope string) string {
	t.Helper()
	raw, err := dataFlags{data}.issueOwn(site, scope)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// askOffice sends one request; header are lines "Name: value".
func askOffice(t *testing.T, method, url, bearer, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// withoutEngine serves without a ClickHouse and gives the admin address, http://host:port.
func withoutEngine(t *testing.T, data string, args ...string) (p *program, admin string) {
	t.Helper()
	p, _ = serve(t, data, siteFile(t, origin), append([]string{"--engine-lib", filepath.Join(data, "none")}, args...)...)
	return p, p.says(t, `admin=(\S+)`)
}

// TestTheAdminAddressGoesByItsOwnNamesOnly: a page in a browser cannot come in under a name of its own.
func TestTheAdminAddressGoesByItsOwnNamesOnly(t *testing.T) {
	data := t.TempDir()
	_, admin := withoutEngine(t, data, "--admin-hosts", "consentd.internal")
	port := admin[strings.LastIndexByte(admin, ':'):]
	bearer := adminToken(t, data)
	for host, known := range map[string]bool{
		"localhost" + port: true, "LOCALHOST": true, "127.0.0.1" + port: true, "127.0.0.1": true, "[::1]" + port: true, "127.9.9.9": true,
		"consentd.internal:9090": true, "CONSENTD.internal": true, "localhost:19090": true, // a port that is forwarded
		"evil.example" + port: false, "evil.example": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"0.0.0.0" + port: false, "192.0.2.7": false, "[::]": false, "consentd.internal.evil.example": false, "x": false,
	} {
		for _, path := range []string{"/readyz", "/metrics", "/mail", "/debug/pprof/", "/preview/demo"} {
			code, body := askOffice(t, http.MethodGet, admin+path, bearer, "", "Host: "+host)
			if refused := code == http.StatusMisdirectedRequest; refused == known || refused && !contains(body, "--admin-hosts") {
				t.Errorf("%s as %s: %d %s", path, host, code, body)
			}
		}
	}
	code, body := askOffice(t, http.MethodPost, admin+"/backup", bearer, "", "Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin")
	if code != http.StatusMisdirectedRequest {
		t.Errorf("a name that was bound anew: %d %s", code, body)
	}
}

// TestWhatChangesOrShowsPersonsAsksForAToken, and so does every route nobody has thought of.
func TestWhatChangesOrShowsPersonsAsksForAToken(t *testing.T) {
	data := t.TempDir()
	_, admin := withoutEngine(t, data)
	for _, route := range []string{"POST /backup", "POST /erase/demo", "POST /snapshot/demo", "GET /mail", "POST /mail/retry", "GET /later", "POST /readyz",
		"DELETE /metrics", "POST /preview/demo", "POST /debug/pprof/symbol", "GET /readyz/", "GET /metrics/x", "GET /"} {
		method, path, _ := strings.Cut(route, " ")
		for name, bearer := range map[string]string{"no token": "", "no token at all": "x", "one of the API": tokenFor(t, data), "one of another directory": otherToken(t)} {
			code, body := askOffice(t, method, admin+path, bearer, `{"kind":"email","value":"a@b.fr"}`)
			if code != http.StatusUnauthorized && code != http.StatusForbidden || !contains(body, "--scope admin") {
				t.Errorf("%s with %s: %d %s", route, name, code, body)
			}
		}
		if code, body := askOffice(t, method, admin+path, adminToken(t, data), `{}`); code == http.StatusUnauthorized || code == http.StatusForbidden {
			t.Errorf("%s with an admin token: %d %s", route, code, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/preview/demo", "/mail/preview/demo", "/debug/pprof/", "/debug/pprof/heap?debug=1"} {
		if code, body := askOffice(t, http.MethodGet, admin+path, "", ""); code != http.StatusOK {
			t.Errorf("%s: %d %.100s", path, code, body)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "backups")); err != nil {
		t.Errorf("with the token a backup is made: %v", err)
	}
}

func otherToken(t *testing.T) string {
	t.Helper()
	other := t.TempDir()
	tokenFor(t, other)
	return adminToken(t, other)
}

func TestAnAdminTokenIsForAllSitesAndNothingElse(t *testing.T) {
	data := t.TempDir()
	if _, _, err := command("token", "--data", data, "--site", "demo", "--scope", "admin", "--name", "x"); err == nil || !contains(err.Error(), "admin", `"*"`) {
		t.Errorf("for one site: %v", err)
	}
	out, errs, err := command("token", "--data", data, "--site", "*", "--scope", "admin", "--name", "x")
	if err != nil || !contains(errs, "scopes admin") {
		t.Fatalf("%s %v", errs, err)
	}
	p, admin := withoutEngine(t, data)
	edge := p.says(t, `url=(\S+)`)
	if code, body := get(t, edge+"/v1/sites/demo/lookup?purpose=analytics&external=x", strings.TrimSpace(out)); code != http.StatusForbidden {
		t.Errorf("a lookup: %d %s", code, body)
	}
	if code, body := askOffice(t, http.MethodGet, admin+"/mail", strings.TrimSpace(out), ""); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
}

// TestNoPasswordIsShown: not by pprof, /readyz, the log, run.json nor an error, also when the address is wrong.
func TestNoPasswordIsShown(t *testing.T) {
	const secret = "s3cr3t-Pw"
	data := t.TempDir()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p, _ := serve(t, data, siteFile(t, origin), "--clickhouse", "clickhouse://u:"+secret+"@"+silent.Addr().String()+"/db", "--smtp", "smtp://u:"+secret+"@"+silent.Addr().String())
	admin := p.says(t, `admin=(\S+)`)
	if code, body := askOffice(t, http.MethodGet, admin+"/debug/pprof/cmdline", "", ""); code == http.StatusOK || !contains(body, "passwords") {
		t.Errorf("cmdline: %d %s", code, body)
	}
	_, ready := askOffice(t, http.MethodGet, admin+"/readyz", "", "")
	_, mails := askOffice(t, http.MethodGet, admin+"/mail", adminToken(t, data), "")
	run, err := os.ReadFile(runningFile(data))
	if err != nil {
		t.Fatal(err)
	}
	p.end(t)
	for name, said := range map[string]string{"readyz": ready, "mails": mails, "run.json": string(run), "the log": p.err.String(), "output": p.out.String()} {
		if strings.Contains(said, secret) {
			t.Errorf("%s: %s", name, said)
		}
	}
	file := filepath.Join(t.TempDir(), "consentd.yaml")
	if err := os.WriteFile(file, []byte("clickhouse: clickhouse://u:"+secret+"@h\nsmtp: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--config", file}, {"--clickhouse", "clickhouse://u:" + secret + "%zz@h"}, {"--clickhouse", "http://u:" + secret + "@h"}, {"--clickhouse", "clickhouse://u:" + secret + "@h:x"},
		{"--smtp", "smtp://u:" + secret + "%zz@h"}, {"--smtp", "ftp://u:" + secret + "@h"}, {"--public-url", "ftp://x"}} {
		out, errs, err := command(append([]string{"serve", "--data", t.TempDir(), "--sites", siteFile(t, origin), "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", "/none"}, args...)...)
		if err == nil || strings.Contains(out+errs+err.Error(), secret) {
			t.Errorf("%q: %s%s%v", args, out, errs, err)
		}
	}
}

// TestAnAdminAddressForEverybodyIsWarnedOf once, and still goes by the address that was dialled.
func TestAnAdminAddressForEverybodyIsWarnedOf(t *testing.T) {
	data := t.TempDir()
	p, _ := serve(t, data, siteFile(t, origin), "--engine-lib", filepath.Join(data, "none"), "--admin", "0.0.0.0:0")
	port := p.says(t, `admin=\S+:(\d+)`)
	if n := strings.Count(p.err.String(), "can be reached from other machines"); n != 1 {
		t.Errorf("warned of %d times:\n%s", n, p.err.String())
	}
	for _, ip := range ownAddresses(t) {
		base := "http://" + netip.AddrPortFrom(ip, 0).String()
		base = strings.TrimSuffix(base, "0") + port
		if code, body := askOffice(t, http.MethodGet, base+"/readyz", "", ""); code != http.StatusOK {
			t.Errorf("%s: %d %s", base, code, body)
		}
	}
	must(t, "backup", "--data", data)
	must(t, "backup", "--data", data, "--admin", "0.0.0.0:"+port)
	q, _ := withoutEngine(t, t.TempDir())
	if contains(q.err.String(), "other machines") {
		t.Errorf("a private one is warned of:\n%s", q.err.String())
	}
}

// ownAddresses are the IPv4 addresses of this machine: loopback is always among them.
func ownAddresses(t *testing.T) (all []netip.Addr) {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			all = append(all, p.Addr())
		}
	}
	if len(all) == 0 {
		t.Fatal("this machine has no address")
	}
	return all
}

// TestStartWarningsAreSaidOnce, each of them.
func TestStartWarningsAreSaidOnce(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	withForm(t, sites)
	p, _ := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--admin", "0.0.0.0:0")
	seen := map[string]int{}
	for line := range strings.Lines(p.err.String()) {
		if contains(line, "level=WARN") || contains(line, "level=ERROR") {
			_, text, _ := strings.Cut(line, "level=")
			seen[text]++
		}
	}
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%d times: %s", n, line)
		}
	}
	if len(seen) < 3 { // no ClickHouse, no mail server, the admin address
		t.Errorf("%d warnings:\n%s", len(seen), p.err.String())
	}
}

// TestCommandsFindTheServerOfTheirDataDirectory, and say what to do where none is found.
func TestCommandsFindTheServerOfTheirDataDirectory(t *testing.T) {
	data := t.TempDir()
	p, admin := withoutEngine(t, data)
	edge := p.says(t, `url=(\S+)`)
	info, err := os.Stat(runningFile(data))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	var r running
	doc, err := os.ReadFile(runningFile(data))
	if err := json.Unmarshal(doc, &r); err != nil || r.PID != os.Getpid() || r.Public != edge || r.Admin != admin || r.Edge != "e1" || time.Since(r.Started) > time.Hour {
		t.Errorf("%s %v", doc, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	id := asserted(t, edge, tokenFor(t, data), "c1")
	commands := map[string][]string{"backup": nil, "mail": nil, "erase": {"--site", "demo", "--external", "nobody"}, "snapshot": {"--site", "demo"},
		"evidence": {"--site", "demo", "--proof", id}}
	for name, args := range commands {
		args = append([]string{name, "--data", data}, args...)
		if _, errs, err := command(args...); err != nil && name != "erase" && name != "snapshot" || name == "erase" && !contains(fmt.Sprint(err), "not everything is erased") {
			t.Errorf("%q: %s %v", args, errs, err) // there is no ClickHouse to erase in, and there may be no Chromium
		}
	}
	t.Setenv("CONSENTD_ADMIN", "127.0.0.1:0") // as serve is told
	must(t, "backup", "--data", data)
	os.Unsetenv("CONSENTD_ADMIN")
	flags := func(name string) string {
		return map[bool]string{true: "--server", false: "--admin"}[name == "evidence"]
	}
	for name, args := range commands {
		args = append([]string{name, "--data", data, flags(name), map[string]string{"--server": "http://127.0.0.1:1", "--admin": "127.0.0.1:1"}[flags(name)]}, args...)
		if _, _, err := command(args...); err == nil || !contains(err.Error(), "127.0.0.1:1", "is it running", flags(name)) {
			t.Errorf("an address that is named wins: %q: %v", args, err)
		}
	}
	p.end(t)
	if _, err := os.Stat(runningFile(data)); !os.IsNotExist(err) {
		t.Errorf("after a stop: %v", err)
	}
	refused := func(when string, want ...string) {
		t.Helper()
		for name, args := range commands {
			if _, _, err := command(append([]string{name, "--data", data}, args...)...); err == nil || !contains(err.Error(), append(want, flags(name))...) {
				t.Errorf("%s: %s: %v", when, name, err)
			}
		}
	}
	refused("after a stop", "no server runs on", "consentd serve --data "+data)
	leave := func(pid int, text string) {
		t.Helper()
		if text == "" {
			text = string(bytes.Replace(doc, fmt.Appendf(nil, `"pid": %d`, os.Getpid()), fmt.Appendf(nil, `"pid": %d`, pid), 1))
		}
		if err := os.WriteFile(runningFile(data), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave(1<<30, "")
	refused("of a process that is gone", "is gone", "consentd serve --data "+data)
	leave(os.Getpid(), "")
	refused("of a process that does not answer", "is it running", "consentd serve")
	leave(0, "{}")
	refused("of nothing", "says nothing of use")
	empty := t.TempDir()
	if _, _, err := command("backup", "--data", empty, "--admin", "127.0.0.1:1"); err == nil || !contains(err.Error(), "--data "+empty) {
		t.Errorf("a directory without keys: %v", err)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("a command made keys in a directory that is none of a server: %v %v", left, err)
	}
}

// TestATokenForAnUnknownSiteWarns, and is issued.
func TestATokenForAnUnknownSiteWarns(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	for _, row := range []struct {
		site, sites string
		warned      bool
	}{{"demo", sites, false}, {"*", sites, false}, {"dmo", sites, true}, {"demo", filepath.Join(data, "nowhere"), true}} {
		out, errs, err := command("token", "--data", data, "--sites", row.sites, "--site", row.site, "--scope", "lookup", "--name", "x")
		if err != nil || out == "" || contains(errs, "warning:", row.site) != row.warned {
			t.Errorf("%+v: %q %v", row, errs, err)
		}
	}
	serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"))
	if _, errs, err := command("token", "--data", data, "--sites", filepath.Join(data, "nowhere"), "--site", "demo", "--scope", "lookup", "--name", "x"); err != nil || contains(errs, "warning") {
		t.Errorf("the running server knows the site: %s %v", errs, err)
	}
}

// adminRoutes are all routes of the admin address, "METHOD path", as the source mounts them: one that is added is tested.
func adminRoutes(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	mounted := regexp.MustCompile(`mux\.Handle(?:Func)?\("((?:GET|POST|PUT|DELETE) /[^"]*)"`)
	files = slices.DeleteFunc(files, func(name string) bool { return name == "demo.go" || strings.HasSuffix(name, "_test.go") })
	for _, file := range append(files, "../../server/admin.go") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mounted.FindAllStringSubmatch(string(b), -1) {
			all = append(all, strings.NewReplacer("{site}", "demo", "{part...}", "x", "/profile", "/profile?seconds=1").Replace(m[1]))
		}
	}
	if len(all) < 18 {
		t.Fatalf("only %d routes are found: %q", len(all), all)
	}
	return all
}

// TestNoRouteOfTheAdminAddressIsLoadedByAnotherSite, nor under another name, also with a token: a browser may have one.
func TestNoRouteOfTheAdminAddressIsLoadedByAnotherSite(t *testing.T) {
	data := t.TempDir()
	_, admin := withoutEngine(t, data)
	bearer := adminToken(t, data)
	const evil = "Origin: https://evil.example"
	for _, route := range adminRoutes(t) {
		method, path, _ := strings.Cut(route, " ")
		for _, row := range []struct {
			name    string
			changes bool // only what is not GET is refused
			header  []string
			status  int
		}{
			{"an image on another site's page", false, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, http.StatusForbidden},
			{"a script of another site", false, []string{evil, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, http.StatusForbidden},
			{"a page on another port of this machine", false, []string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, http.StatusForbidden},
			{"no mode", false, []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
			{"a form of another site", true, []string{evil, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, http.StatusForbidden},
			{"a browser without Fetch Metadata", true, []string{evil}, http.StatusForbidden},
			{"a page without an origin", true, []string{"Origin: null"}, http.StatusForbidden},
			{"a name bound anew", false, []string{"Host: evil.example", "Sec-Fetch-Site: same-origin"}, http.StatusMisdirectedRequest},
			{"an address that is not this one's", false, []string{"Host: 192.0.2.7"}, http.StatusMisdirectedRequest},
		} {
			if row.changes && method == http.MethodGet {
				continue
			}
			if code, body := askOffice(t, method, admin+path, bearer, "{}", row.header...); code != row.status {
				t.Errorf("%s: %s: %d %.100s, want %d", route, row.name, code, body, row.status)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(data, "backups")); !os.IsNotExist(err) {
		t.Errorf("a backup was made: %v", err)
	}
	for _, site := range []string{"none", "same-origin"} {
		if code, body := askOffice(t, http.MethodGet, admin+"/preview/demo", "", "", "Sec-Fetch-Site: "+site, "Sec-Fetch-Mode: navigate"); code != http.StatusOK {
			t.Errorf("typed in, or a link of its own (%s): %d %.100s", site, code, body)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
)

// openNode runs every part of a consentd, with its own ClickHouse, and serves.
func openNode(t *testing.T, data, sites string, log io.Writer) *node {
	t.Helper()
	f := &nodeFlags{Edge: "e1", Admin: "127.0.0.1:0", TrustedProxies: []string{"127.0.0.0/8"}, EngineMemory: 1024, Cache: 64, Memory: 256, IdleTimeout: 2 * time.Minute, Reserve: 1, Snapshots: "off", AccessLog: true}
	f.Data = data
	n, err := open(t.Context(), f, "127.0.0.1:0", sites, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	serving := func() {
		if _, err := findRunning(data, ""); err != nil {
			t.Error("it says that it serves, and commands do not find it:", err)
		}
	}
	go func() { done <- n.run(ctx, serving) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n
}

// holding lists the files below dir that hold a word.
func holding(t *testing.T, dir string, word []byte) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return nil // removed meanwhile, or no file
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, word) {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestAnErasedPersonLeavesNoTrace plants words wherever something personal goes, erases, and looks for them in every
// file of the data directory, ClickHouse's included, and in the log; the evidence still holds.
func TestAnErasedPersonLeavesNoTrace(t *testing.T) {
	data := t.TempDir()
	var log storagetest.Log
	sites := siteFile(t, origin)
	withForm(t, sites)
	n := openNode(t, data, sites, &log)
	if n.noEngine != nil {
		t.Fatal(n.noEngine)
	}
	edge := hostURL(n.public)
	bearer, _, err := n.tokens.Issue(token.Grant{Name: "test", Sites: []string{"demo"}, Scopes: token.Scopes(), TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, 5*time.Minute, "the schema", func() bool { // wordings come after it
		return n.ledger.Next(consent.StreamWordings) > 0 && n.drain.Backlog(consent.StreamWordings) == 0 && n.keeper.Seal(t.Context()) == nil
	})
	db := clickhouseOf(t, n)
	for _, alter := range []string{ // so that what is stored can be read, and what is deleted goes soon
		"ALTER TABLE consent_personal MODIFY COLUMN page LowCardinality(String) CODEC(NONE), MODIFY COLUMN user_agent LowCardinality(String) CODEC(NONE), MODIFY COLUMN ip IPv6 CODEC(NONE)",
		"ALTER TABLE consent_personal MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0",
	} {
		if err := db.Exec(t.Context(), alter); err != nil {
			t.Fatal(err)
		}
	}

	device, email := uuid.NewString(), "canary.mail.9183@planted.example"
	ip := netip.MustParseAddr("2001:db8:5512:9183:8841:77:cafe:d09")
	canaries := map[string][]byte{"page": []byte("canary-page-5512"), "browser": []byte("CanaryBrowser/8841"), "address": ip.AsSlice()} // sixteen bytes: four are found by chance
	id := uuid.Must(uuid.NewV7()).String()
	st, _ := n.sites.Get("demo")
	body := fmt.Sprintf(`{"id":%q,"subject":{"device":%q},"surface":"banner","method":"accept_all","decisions":{"analytics":true},"wording":%q,"locale":"fr","page":%q}`,
		id, device, st.Published[0].Hash, origin+"/canary-page-5512")
	post(t, edge, body, "Origin: "+origin, "User-Agent: CanaryBrowser/8841", "X-Forwarded-For: "+ip.String())
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"email":%q},"surface":"api","method":"accept_all","decisions":{"analytics":true}}`, uuid.Must(uuid.NewV7()), email), "Authorization: Bearer "+bearer)
	mustSignUp(t, edge, sites, email, 0) // the mail waits: this server has none to send it with
	kept := uuid.Must(uuid.NewV7()).String()
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"device":%q},"surface":"banner","method":"accept_all","decisions":{"analytics":true},"wording":%q,"locale":"fr","page":%q}`,
		kept, uuid.NewString(), st.Published[0].Hash, origin+"/kept"),
		"Origin: "+origin, "User-Agent: KeptBrowser/1")
	storagetest.Eventually(t, 5*time.Minute, "shipped", func() bool { return n.drain.Backlog(consent.StreamProofs) == 0 })

	keys := map[string]consent.SubjectKey{"the device": n.keyOf(t, consent.KindDevice, device), "the address": n.keyOf(t, consent.KindEmail, email)}
	inNotes := waiting(t, n, keys["the address"])
	for name, word := range inNotes {
		if in := holding(t, filepath.Join(data, "ledger"), word); len(in) == 0 {
			t.Errorf("control: the %s is nowhere in the ledger", name)
		}
	}
	for name, word := range canaries {
		if in := holding(t, filepath.Join(data, "ledger"), word); len(in) == 0 {
			t.Errorf("control: the %s is nowhere in the ledger", name)
		}
		if in := holding(t, filepath.Join(data, "engine"), word); len(in) == 0 {
			t.Errorf("control: the %s is nowhere in ClickHouse", name)
		}
	}

	maps.Copy(canaries, inNotes)
	admin := n.admin.Addr().String()
	for _, c := range []struct {
		args string
		want []string
	}{
		{"--no-scrub --device " + device, []string{"opt-ins     0 requests", "mails       0 mails", "ledger      state forgotten; 1 proofs", "ClickHouse  1 rows erased", "disk        not scrubbed"}},
		{"--email " + strings.ToUpper(email), []string{"opt-ins     1 requests", "mails       1 mails", "ledger      state forgotten; 2 proofs", "ClickHouse  2 rows erased", "disk        the ledger's files were rewritten"}},
		{"--email " + email, []string{"opt-ins     0 requests", "mails       0 mails", "ledger      state forgotten; 0 proofs", "ClickHouse  0 rows erased"}},
	} {
		if out := must(t, append([]string{"erase", "--site", "demo", "--data", data, "--admin", admin}, strings.Fields(c.args)...)...); !contains(out, c.want...) || strings.Contains(out, "NOT DONE") {
			t.Errorf("%s:\n%s", c.args, out)
		}
	}
	for name, key := range keys {
		canaries["key of "+name] = key[:]
		canaries["key of "+name+" in hex"] = []byte(key.String())
		if code, body := get(t, edge+"/v1/sites/demo/lookup?purpose=analytics&key="+key.String(), bearer); code != 200 || !contains(body, `"status":"unknown"`, `"reason":"never_asked"`) {
			t.Errorf("a lookup of %s: %d %s", name, code, body)
		}
	}
	canaries["e-mail"], canaries["device id"], canaries["address in words"] = []byte(email), []byte(device), []byte(ip.String())

	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("last found: %q", left)
		}
	}()
	storagetest.Eventually(t, 4*time.Minute, "every trace gone", func() bool {
		left = nil
		for name, word := range canaries {
			if name == "key of the device" || name == "key of the address" {
				continue // may bound a file until the next start; looked for below
			}
			for _, file := range holding(t, data, word) {
				left = append(left, name+" in "+file)
			}
		}
		if len(left) > 0 {
			time.Sleep(200 * time.Millisecond)
		}
		return len(left) == 0
	})
	for name, word := range canaries {
		if strings.Contains(log.String(), string(word)) {
			t.Errorf("the log names the %s", name)
		}
	}
	file, report := evidenceOf(t, n, edge, bearer, id)
	if !strings.Contains(report, "erased") {
		t.Errorf("the evidence does not say so:\n%s", report)
	}
	for name, word := range canaries {
		if bytes.Contains(file, word) {
			t.Errorf("the evidence holds the %s", name)
		}
	}
	if _, report := evidenceOf(t, n, edge, bearer, kept); strings.Contains(report, "erased") {
		t.Errorf("somebody else was erased:\n%s", report)
	}
	storagetest.Eventually(t, time.Minute, "no key in ClickHouse", func() bool { // a part may be half removed
		left = nil
		for name, key := range keys {
			for _, file := range holding(t, filepath.Join(data, "engine"), key[:]) {
				left = append(left, name+" in "+file)
			}
		}
		return len(left) == 0
	})
}

func clickhouseOf(t *testing.T, n *node) clickhouse.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(n.engine.URL())
	if err != nil {
		t.Fatal(err)
	}
	db, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (n *node) keyOf(t *testing.T, kind consent.Kind, value string) consent.SubjectKey {
	t.Helper()
	s, err := consent.ParseSubject(kind, value, "")
	if err != nil {
		t.Fatal(err)
	}
	st, _ := n.sites.Get("demo")
	return st.Keyer.Key(s)
}

func post(t *testing.T, edge, body string, header ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, edge+"/v1/sites/demo/consents", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", res.StatusCode, b)
	}
}

// evidenceOf gets a file, which has to verify, and what was said of it.
func evidenceOf(t *testing.T, n *node, edge, bearer, id string) (file []byte, report string) {
	t.Helper()
	code, body := get(t, edge+"/v1/sites/demo/proofs/"+id+"/evidence", bearer)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	r := evidence.Verify([]byte(body), n.keeper.Keys(), nil)
	b, err := json.MarshalIndent(r.Steps, "", " ")
	if err != nil || !r.OK() {
		t.Fatalf("%s %v", b, err)
	}
	return []byte(body), string(b)
}

// withForm gives the site of siteFile a form that people confirm by mail.
func withForm(t *testing.T, sites string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(sites, "demo.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`  - {id: letter, ready: newsletter}
forms:
  - {id: join, fields: [{kind: email}], purposes: [letter], double_opt_in: true, title: {fr: La lettre}, text: {fr: Chaque mois.}}
mail: {name: Test, address: bonjour@test.example}
`)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// waiting gives what the mail and the request of a subject hold of them.
func waiting(t *testing.T, n *node, key consent.SubjectKey) map[string][]byte {
	t.Helper()
	words := map[string][]byte{"key in the mail": []byte(base64.StdEncoding.EncodeToString(key[:])), "key in the request": []byte(`"key":"` + key.String())}
	err := n.ledger.Notes("mail", nil, func(_, value []byte) error {
		var job struct{ Subject, To []byte }
		if err := json.Unmarshal(value, &job); err != nil {
			return err
		}
		if consent.SubjectKey(job.Subject) == key {
			words["sealed address"], words["sealed address in the proof"] = []byte(base64.StdEncoding.EncodeToString(job.To)), job.To
		}
		return nil
	})
	if err != nil || len(words) != 4 {
		t.Fatalf("%v: no mail waits", err)
	}
	return words
}

// TestErasingIsFinishedLater: what ClickHouse cannot forget now is said, and forgotten by the same command later.
func TestErasingIsFinishedLater(t *testing.T) {
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	data, sites := t.TempDir(), siteFile(t, origin)
	withForm(t, sites)
	p, edge := serve(t, data, sites, "--clickhouse", storagetest.Through(t, kit.Database(t), proxy))
	admin, bearer := p.says(t, `admin=http://(\S+)`), tokenFor(t, data)
	args := []string{"erase", "--site", "demo", "--email", "Lea@Exemple.fr", "--data", data, "--admin", admin}
	eventually(t, "nothing to erase yet", func() (bool, string) { // once there are tables
		out, errs, err := command(args...)
		return err == nil && contains(out, "state forgotten; 0 proofs", "ClickHouse  0 rows erased"), out + errs
	})
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"email":"lea@exemple.fr"},"surface":"api","method":"accept_all","decisions":{"analytics":true}}`, uuid.Must(uuid.NewV7())), "Authorization: Bearer "+bearer)
	mustSignUp(t, edge, sites, "lea@exemple.fr", 0)
	history := func() string {
		_, body := send(t, edge+"/v1/sites/demo/history", bearer, `{"subject":{"email":"lea@exemple.fr"}}`)
		return body
	}
	eventually(t, "shipped", func() (bool, string) {
		_, metrics := get(t, "http://"+admin+"/metrics", "")
		return contains(metrics, `consentd_drain_backlog_rows{stream="proofs"} 0`), metrics
	})
	if h := history(); strings.Count(h, `"facts"`) != 2 {
		t.Fatalf("control: %s", h)
	}
	proxy.Refuse()
	out, _, err := command(args...)
	if err == nil || !contains(err.Error(), "not everything is erased: run this again") ||
		!contains(out, "opt-ins     1 requests", "mails       1 mails", "ledger      state forgotten; 2 proofs", "ClickHouse  NOT DONE: rows of this person may still be there", "disk        the ledger's") {
		t.Fatalf("%v\n%s", err, out)
	}
	if contains(out, "exemple") {
		t.Errorf("the answer names the person:\n%s", out)
	}
	if code, body := send(t, edge+"/v1/sites/demo/lookup", bearer, `{"purposes":["analytics","letter"],"subjects":[{"email":"lea@exemple.fr"}]}`); code != 200 || strings.Count(body, `"reason":"never_asked"`) != 2 {
		t.Errorf("%d %s", code, body)
	}
	proxy.Heal(t)
	eventually(t, "the rest is erased", func() (bool, string) {
		out, errs, err := command(args...)
		return err == nil && contains(out, "opt-ins     0 requests", "mails       0 mails", "state forgotten; 0 proofs", "ClickHouse  2 rows erased"), out + errs
	})
	if out := must(t, args...); !contains(out, "ClickHouse  0 rows erased") {
		t.Error(out)
	}
	if h := history(); contains(h, `"facts"`) {
		t.Errorf("a history is left: %s", h)
	}
	if contains(p.err.String(), "exemple.fr") {
		t.Errorf("the log tells of a person:\n%s", p.err.String())
	}
}

// TestErasingWithoutAnyClickHouse forgets what is here, and says what may be elsewhere.
func TestErasingWithoutAnyClickHouse(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	withForm(t, sites)
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--smtp", "file://"+filepath.Join(data, "mail"))
	admin := p.says(t, `admin=http://(\S+)`)
	mustSignUp(t, edge, sites, "lea@exemple.fr", 0)
	must(t, "backup", "--data", data, "--admin", admin)
	erase := func(args ...string) (string, error) {
		out, _, err := command(append([]string{"erase", "--data", data, "--admin", admin}, args...)...)
		return out, err
	}
	out, err := erase("--site", "demo", "--email", "lea@exemple.fr")
	if err == nil || !contains(out, "opt-ins     1 requests", "ledger      state forgotten; 1 proofs", "ClickHouse  NOT DONE", "elsewhere   backups under", "elsewhere   mails that were written to file:") {
		t.Errorf("%v\n%s", err, out)
	}
	for name, c := range map[string]struct{ args, want string }{
		"nobody":             {"--site demo", "erase whom? name --email"},
		"two of them":        {"--site demo --email a@b.fr --phone +33612345678", "can't be used together"},
		"no site":            {"--email a@b.fr", "missing flags: --site"},
		"a site of no file":  {"--site nope --email a@b.fr", "404: there is no site of this name"},
		"no address":         {"--site demo --email lea", "--email: "},
		"no number":          {"--site demo --phone 12", "--phone: "},
		"no device":          {"--site demo --device me", "--device: "},
		"no key":             {"--site demo --key 12", "--key: "},
		"another key's case": {"--site demo --key ABCDEF00112233445566778899AABBCC", "--key: "},
		"an admin elsewhere": {"--site demo --email a@b.fr --admin 127.0.0.1:1", "is it running"},
	} {
		if out, err := erase(strings.Fields(c.args)...); err == nil || !contains(err.Error(), c.want) || out != "" {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
	for name, body := range map[string]string{"nothing": "", "a list": "[]", "another member": `{"kind":"email","value":"a@b.fr","force":true}`, "a kind that is none": `{"kind":"name","value":"Lea"}`, "too much": `{"kind":"email","value":"` + strings.Repeat("a", 5000) + `"}`} {
		code, answer := askOffice(t, http.MethodPost, "http://"+admin+"/erase/demo", adminToken(t, data), body)
		if code/100 != 4 || code == http.StatusUnauthorized || code == http.StatusForbidden {
			t.Fatalf("%s: %d %s", name, code, answer)
		}
	}
}

// TestAnAnswerThatIsCutOff: a server that goes away in the middle has not finished.
func TestAnAnswerThatIsCutOff(t *testing.T) {
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"step":"opt-ins","text":"0 requests to confirm forgotten"}`+"\n")
	}))
	defer half.Close()
	data := t.TempDir()
	tokenFor(t, data) // makes the keys
	out, _, err := command("erase", "--data", data, "--site", "demo", "--email", "a@b.fr", "--admin", strings.TrimPrefix(half.URL, "http://"))
	if err == nil || !contains(err.Error(), "run this again") || !contains(out, "opt-ins") {
		t.Errorf("%q %v", out, err)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
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
	f := &nodeFlags{Edge: "e1", Admin: "127.0.0.1:0", TrustedProxies: []string{"127.0.0.0/8"}, EngineMemory: 1024, Cache: 64, Reserve: 1, Snapshots: "off", AccessLog: true}
	f.Data = data
	n, err := open(t.Context(), f, "127.0.0.1:0", sites, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.run(ctx) }()
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
	n := openNode(t, data, siteFile(t, origin), &log)
	if n.noEngine != nil {
		t.Fatal(n.noEngine)
	}
	edge := hostURL(n.public)
	bearer, _, err := n.tokens.Issue(token.Grant{Name: "test", Sites: []string{"demo"}, Scopes: token.Scopes(), TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, 60*time.Second, "the schema", func() bool { return n.drain.Health() == nil && n.keeper.Seal(t.Context()) == nil })
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
	canaries := map[string][]byte{"page": []byte("canary-page-5512"), "browser": []byte("CanaryBrowser/8841"), "address": {203, 0, 113, 77}}
	id := uuid.Must(uuid.NewV7()).String()
	st, _ := n.sites.Get("demo")
	body := fmt.Sprintf(`{"id":%q,"subject":{"device":%q},"surface":"banner","method":"accept_all","decisions":{"analytics":true},"wording":%q,"locale":"fr","page":%q}`,
		id, device, st.Published[0].Hash, origin+"/canary-page-5512")
	post(t, edge, body, "Origin: "+origin, "User-Agent: CanaryBrowser/8841", "X-Forwarded-For: 203.0.113.77")
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"email":%q},"surface":"api","method":"accept_all","decisions":{"analytics":true}}`, uuid.Must(uuid.NewV7()), email), "Authorization: Bearer "+bearer)
	kept := uuid.Must(uuid.NewV7()).String()
	post(t, edge, fmt.Sprintf(`{"id":%q,"subject":{"device":%q},"surface":"banner","method":"accept_all","decisions":{"analytics":true},"wording":%q,"locale":"fr","page":%q}`,
		kept, uuid.NewString(), st.Published[0].Hash, origin+"/kept"),
		"Origin: "+origin, "User-Agent: KeptBrowser/1")
	storagetest.Eventually(t, 30*time.Second, "shipped", func() bool { return n.drain.Backlog(consent.StreamProofs) == 0 })

	keys := map[string]consent.SubjectKey{"the device": n.keyOf(t, consent.KindDevice, device), "the address": n.keyOf(t, consent.KindEmail, email)}
	for name, word := range canaries {
		if in := holding(t, filepath.Join(data, "ledger"), word); len(in) == 0 {
			t.Errorf("control: the %s is nowhere in the ledger", name)
		}
		if in := holding(t, filepath.Join(data, "engine"), word); len(in) == 0 {
			t.Errorf("control: the %s is nowhere in ClickHouse", name)
		}
	}

	for name, key := range keys {
		done, err := n.ledger.Erase(t.Context(), "demo", key)
		if err != nil || done.Proofs != 1 {
			t.Fatalf("%s: %+v %v", name, done, err)
		}
		storagetest.Eventually(t, 30*time.Second, "shipped past the erasure", func() bool {
			c, err := n.ledger.Cursor(consent.StreamProofs)
			return err == nil && c.Next >= done.Before
		})
		if erased, err := n.warehouse.Erase(t.Context(), "demo", key); err != nil || erased != 1 {
			t.Fatalf("%s: %d %v", name, erased, err)
		}
		canaries["key of "+name] = key[:]
		canaries["key of "+name+" in hex"] = []byte(key.String())
	}
	canaries["e-mail"], canaries["device id"], canaries["address in words"] = []byte(email), []byte(device), []byte("203.0.113.77")
	if err := n.ledger.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}

	var left []string
	storagetest.Eventually(t, 90*time.Second, "every trace gone", func() bool {
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
	for name, key := range keys {
		if in := holding(t, filepath.Join(data, "engine"), key[:]); len(in) > 0 {
			t.Errorf("the key of %s is in %q", name, in)
		}
	}
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

package rig

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
)

func TestTheMeasuredSiteIsAValidSite(t *testing.T) {
	for _, p := range site.Validate("site.yaml", siteFile) {
		t.Errorf("%d: %s: %s", p.Line, p.Key, p.Text)
	}
}

func TestEveryChoiceIsAnotherValidRequest(t *testing.T) {
	shown := &Shown{Hash: strings.Repeat("ab", 32), Surface: "banner", Locale: "fr", Purposes: []string{"ads", "analytics"}}
	c := NewChoice("/x", "127.0.0.1:1", shown)
	r, seen, methods := rand.NewPCG(1, 2), map[string]bool{}, map[string]int{}
	for range 200 {
		before := len(c.Bytes)
		c.Patch(r, c.Bytes)
		_, body, _ := strings.Cut(string(c.Bytes), "\r\n\r\n")
		var got struct {
			ID, Method, Wording, Page, Prompt string
			Subject                           struct{ Device string }
			Decisions                         map[string]bool
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(c.Bytes) != before {
			t.Fatalf("%v in %s", err, body)
		}
		id, err := uuid.Parse(got.ID)
		if err != nil || consent.CheckProofID(id, consent.ToMillis(time.Now())) != nil {
			t.Fatalf("proof id %q: %v", got.ID, err)
		}
		for _, v := range []string{got.ID, got.Subject.Device, got.Prompt} {
			if _, err := uuid.Parse(v); err != nil || seen[v] {
				t.Fatalf("%q: error %v, seen before %v", v, err, seen[v])
			}
			seen[v] = true
		}
		if c.Bytes[c.IDAt] != got.ID[0] || string(c.Bytes[c.DeviceAt:c.DeviceAt+36]) != got.Subject.Device {
			t.Fatal("the offsets point elsewhere")
		}
		if want := methodOf(got.Decisions); got.Method != want || got.Wording != shown.Hash || !strings.HasPrefix(got.Page, Origin+"/a/") {
			t.Fatalf("method %s for %v, want %s; page %s", got.Method, got.Decisions, want, got.Page)
		}
		methods[got.Method]++
	}
	if len(methods) != 3 {
		t.Errorf("methods drawn: %v", methods)
	}
}

func methodOf(decisions map[string]bool) string {
	given := 0
	for _, yes := range decisions {
		if yes {
			given++
		}
	}
	return string(method(given, len(decisions)))
}

func TestMetricsAreReadAsPrometheusWritesThem(t *testing.T) {
	const page = `# HELP f age
# TYPE f histogram
f_bucket{stream="proofs",le="0.1"} 90
f_bucket{stream="proofs",le="1"} 99
f_bucket{stream="proofs",le="+Inf"} 100
f_bucket{stream="prompts",le="0.1"} 0
f_bucket{stream="prompts",le="1"} 0
f_bucket{stream="prompts",le="+Inf"} 50
f_count{stream="proofs"} 100
g 1e+06
`
	m, err := parseMetrics(strings.NewReader(page))
	if err != nil || m["g"] != 1e6 || m[`f_count{stream="proofs"}`] != 100 {
		t.Fatalf("%v, %v", m, err)
	}
	for name, c := range map[string]struct {
		label string
		q     float64
		want  float64
		ok    bool
	}{
		"within the first bucket":    {`stream="proofs"`, 0.5, 0.1, true},
		"at the end of the second":   {`stream="proofs"`, 0.99, 1, true},
		"beyond the last bound":      {`stream="prompts"`, 0.5, math.Inf(1), true},
		"both streams together":      {"", 0.6, 0.1, true},
		"a stream that is not there": {`stream="wordings"`, 0.5, 0, false},
	} {
		if got, ok := m.Quantile("f", c.label, c.q); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, ok, c.want, c.ok)
		}
	}
	if d := m.Minus(Metrics{"g": 1}); d["g"] != 999_999 {
		t.Errorf("difference %v", d["g"])
	}
	if _, err := parseMetrics(strings.NewReader("<html>\n")); err == nil {
		t.Error("a page of something else was read as metrics")
	}
}

func TestAProcessThatDiesIsReportedWithItsWords(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(sh, []string{"-c", "echo port in use >&2; exit 3"}, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	err = p.AwaitOK(t.Context(), "http://"+addr.String(), 10*time.Second)
	if !errors.Is(err, ErrDied) || !strings.Contains(err.Error(), "port in use") {
		t.Errorf("error %v", err)
	}
	if !errors.Is(p.Exited(), ErrDied) {
		t.Error("the process does not count as ended")
	}
}

func TestAProcessThatIgnoresItsTermIsKilled(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	p, err := Start(sh, []string{"-c", "trap '' TERM; echo ready; while :; do :; done"}, log)
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, 10*time.Second, "the shell has started", func() bool { return p.Tail() == "ready" })
	before, err := Sample(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(300 * time.Millisecond); err == nil {
		t.Error("a process that had to be killed counts as stopped")
	}
	if before.Server < 0 || before.Cores < 1 || p.Exited() == nil {
		t.Errorf("sample %+v, exited %v", before, p.Exited())
	}
}

func TestSpentAddsUpToTheMachine(t *testing.T) {
	at := time.Unix(0, 0)
	from := Usage{At: at, Cores: 2}
	to := Usage{At: at.Add(10 * time.Second), Cores: 2, Generator: 3 * time.Second, Server: 5 * time.Second, Engine: 2 * time.Second,
		Busy: 14 * time.Second, Stolen: time.Second}
	s := to.Since(from)
	if s.Other != 4*time.Second || s.Idle != 5*time.Second || s.Share(s.Server) != 0.25 {
		t.Errorf("other %v, idle %v, server's share %v", s.Other, s.Idle, s.Share(s.Server))
	}
}

func TestDevicesCanBeDrawnAgain(t *testing.T) {
	seen := map[uuid.UUID]bool{}
	for i := range uint64(10_000) {
		hi, lo := Device(i)
		u := id(hi, lo)
		if u.Version() != 4 || u.Variant() != uuid.RFC4122 || seen[u] {
			t.Fatalf("device %d is %s", i, u)
		}
		seen[u] = true
	}
	hi, lo := Device(42)
	if again, _ := Device(42); again != hi || !seen[id(hi, lo)] {
		t.Error("one number gives two devices")
	}
}

func TestFoldersAreFoundByWhatTheyHold(t *testing.T) {
	c := &Consentd{Dir: t.TempDir()}
	for _, f := range []string{"ledger/MANIFEST-000001", "ledger/MANIFEST-000002", "keys/sites/bench.key", "a/twice", "b/twice"} {
		path := filepath.Join(c.Data(), filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]string{"MANIFEST-*": "ledger", "bench.key": "keys/sites"} {
		if got, err := c.below(pattern); err != nil || got != filepath.Join(c.Data(), filepath.FromSlash(want)) {
			t.Errorf("%s is in %s, %v; want %s", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"twice", "nowhere"} {
		if got, err := c.below(pattern); err == nil {
			t.Errorf("%s is in %s", pattern, got)
		}
	}
}

func TestAWordingIsReadWithThePurposesPeopleDecideOn(t *testing.T) {
	doc := `{"surface":"banner","locale":"fr","purposes":[{"id":"z","basis":"consent"},{"id":"n","basis":"contract"},` +
		`{"id":"a","basis":"legitimate_interest","objection":true}]}`
	s, err := readShown("h", []byte(doc))
	if err != nil || strings.Join(s.Purposes, " ") != "a z" || s.Surface != "banner" || s.Locale != "fr" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := readShown("h", []byte(http.StatusText(404))); err == nil {
		t.Error("a document that is no wording was read")
	}
}

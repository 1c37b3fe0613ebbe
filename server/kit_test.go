package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// kit is a server on a real listener over a real ledger, real sites and real tokens.
type kit struct {
	*Server
	t      testing.TB
	url    string
	ledger *ledger.Ledger
	sites  *site.Registry
	ring   *token.Ring
	links  *link.Ring
	mail   *mailbox
	tokens map[string]string // by scope, for site demo
	log    *storagetest.Log
	clock  *clock
	rules  *contract
}

// clock is what the ledger takes its time from.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	stood time.Time // when it was stopped; zero: it goes
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stood.IsZero() {
		return c.stood.Add(c.ahead)
	}
	return time.Now().Add(c.ahead)
}

// stop has it move when the test says so, and by nothing else.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stood = time.Now()
}

// noon moves it to the next noon in UTC: no day and no year ends during the test.
func (c *clock) noon() {
	const day = 24 * time.Hour
	since := c.now().Sub(c.now().Truncate(day)) // midnight
	c.advance((day + day/2 - since) % day)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// prepareServer makes everything but the listener.
func prepareServer(t testing.TB, change ...func(*Options)) *kit {
	t.Helper()
	k := &kit{t: t, log: &storagetest.Log{}, clock: &clock{}, tokens: map[string]string{}}
	var err error
	if k.ledger, err = ledger.Open(ledger.Options{Dir: t.TempDir(), Clock: k.clock.now, Reserve: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.ledger.Close() })
	secret := func(string) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }
	if k.sites, err = site.Open(site.Options{Dir: "testdata/sites", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.sites.Close() })
	if p := k.sites.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	if k.ring, err = token.OpenRing(filepath.Join(t.TempDir(), "tokens")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.ring.Close() })
	for _, scope := range token.Scopes() {
		k.tokens[scope] = k.issue(token.Grant{Name: scope, Sites: []string{"demo"}, Scopes: []string{scope}, TTL: time.Hour})
	}
	seal, err := consent.NewKeyRing(map[byte][]byte{1: bytes.Repeat([]byte{9}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if k.links, err = link.Open(filepath.Join(t.TempDir(), "links")); err != nil {
		t.Fatal(err)
	}
	o := Options{Ledger: k.ledger, Sites: k.sites, Tokens: k.ring, Seal: seal, Links: k.links, PublicURL: "https://consent.example", Version: "test", Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	k.mail = openMailbox(t, k, seal)
	o.Mail = k.mail.queue
	for _, c := range change {
		c(&o)
	}
	if k.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	return k
}

// listen opens a free port of the loopback address.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// start serves on a free port of the loopback address.
func start(t testing.TB, change ...func(*Options)) *kit {
	t.Helper()
	return startOn(t, listen(t), change...)
}

// startOn serves on a listener.
func startOn(t testing.TB, ln net.Listener, change ...func(*Options)) *kit {
	t.Helper()
	k := prepareServer(t, append([]func(*Options){func(o *Options) { o.PublicURL = "http://" + ln.Addr().String() }}, change...)...)
	k.rules = loadContract(t)
	served := make(chan error, 1)
	go func() { served <- k.Serve(ln) }()
	k.mail.open(t)
	k.url = "http://" + ln.Addr().String()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := k.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return k
}

func (k *kit) issue(g token.Grant) string {
	k.t.Helper()
	raw, _, err := k.ring.Issue(g)
	if err != nil {
		k.t.Fatal(err)
	}
	return raw
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	closes bool // the connection ends with this answer
}

// problem reads a problem's code and the codes of its errors as "pointer code".
func (r reply) problem(t testing.TB) (code string, errs []string) {
	t.Helper()
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
		Errors                    []struct{ Pointer, Code string }
	}
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d, content type %q, body %s", r.status, ct, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	if p.Status != r.status || p.Title == "" || p.Type != "/docs#"+p.Code {
		t.Fatalf("status %d, problem %s", r.status, r.body)
	}
	for _, e := range p.Errors {
		errs = append(errs, e.Pointer+" "+e.Code)
	}
	return p.Code, errs
}

// do sends one request; header lines are "Name: value". Every answer of a documented route is held to the
// OpenAPI document.
func (k *kit) do(method, path, body string, header ...string) reply {
	k.t.Helper()
	r := k.send(method, path, body, header...)
	k.rules.checkKnown(k.t, method, path, r)
	return r
}

func (k *kit) send(method, path, body string, header ...string) reply {
	k.t.Helper()
	req, err := http.NewRequest(method, k.url+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b), res.Close}
}

const (
	asJSON  = "Content-Type: application/json"
	asPlain = "Content-Type: text/plain;charset=UTF-8"
	ofShop  = "Origin: https://shop.example"
)

// bearer is the header of the token with a scope.
func (k *kit) bearer(scope string) string { return "Authorization: Bearer " + k.tokens[scope] }

// bearerFor is the header of a token for another site.
func (k *kit) bearerFor(site, scope string) string {
	k.t.Helper()
	return "Authorization: Bearer " + k.issue(token.Grant{Name: site, Sites: []string{site}, Scopes: []string{scope}, TTL: time.Hour})
}

// issueAll is the header of a token for everything.
func (k *kit) issueAll() string {
	k.t.Helper()
	return "Authorization: Bearer " + k.issue(token.Grant{Name: "all", Sites: []string{token.AllSites}, Scopes: token.Scopes(), TTL: time.Hour})
}

// wordingOf is the hash of a current wording.
func (k *kit) wordingOf(siteID, surface, locale string) string {
	k.t.Helper()
	st, _ := k.sites.Get(siteID)
	for _, w := range st.Published {
		if w.Surface == surface && w.Locale == locale {
			return w.Hash.String()
		}
	}
	k.t.Fatalf("no wording for %s %s %s", siteID, surface, locale)
	return ""
}

// choice is a body that is admitted; change edits it first.
type choice map[string]any

func (k *kit) choice(change ...func(choice)) string {
	c := choice{
		"id": uuid.Must(uuid.NewV7()).String(), "subject": map[string]any{"device": uuid.NewString()}, "surface": "banner",
		"method": "custom", "decisions": map[string]any{"analytics": true, "ads": false},
		"wording": k.wordingOf("demo", "banner", "fr"), "locale": "fr", "page": "https://shop.example/fr/?utm=x#top", "prompt": uuid.NewString(),
	}
	for _, f := range change {
		f(c)
	}
	b, err := json.Marshal(c)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

func set(name string, value any) func(choice) { return func(c choice) { c[name] = value } }
func drop(name string) func(choice)           { return func(c choice) { delete(c, name) } }

// post records a choice from a page of the shop.
func (k *kit) post(body string) reply {
	return k.do("POST", "/v1/sites/demo/consents", body, asPlain, ofShop)
}

func field[T any](t testing.TB, body string, path ...string) T {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	got, ok := v.(T)
	if !ok {
		t.Fatalf("%v of %s is %v", path, body, v)
	}
	return got
}

package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// keeper is a ledger that keeps what it is given, as a careless one would, and can be made to wait or fail.
type keeper struct {
	Ledger
	mu      sync.Mutex
	proofs  []*consent.Proof
	prompts []*consent.Prompt
	gate    chan struct{} // not nil: Append waits until it is closed
	entered chan struct{} // told when an Append waits
	fail    error
	panics  bool

	failAfter int // AppendWith fails once it was called as often; 0: never
}

func (l *keeper) AppendWith(ctx context.Context, p *consent.Proof, notes ...ledger.Note) (ledger.Receipt, error) {
	l.mu.Lock()
	fail := l.failAfter
	if l.failAfter > 0 {
		l.failAfter++
	}
	l.mu.Unlock()
	if fail > 1 {
		return ledger.Receipt{}, ledger.ErrBusy
	}
	return l.Ledger.AppendWith(ctx, p, notes...)
}

func (l *keeper) Append(ctx context.Context, p *consent.Proof) (ledger.Receipt, error) {
	l.mu.Lock()
	l.proofs = append(l.proofs, p)
	gate, fail, panics := l.gate, l.fail, l.panics
	l.mu.Unlock()
	if gate != nil {
		l.entered <- struct{}{}
		<-gate
	}
	if panics {
		panic("a bug, with " + p.Personal.Page)
	}
	if fail != nil {
		return ledger.Receipt{}, fail
	}
	return l.Ledger.Append(ctx, p)
}

func (l *keeper) AppendPrompt(ctx context.Context, p *consent.Prompt) error {
	l.mu.Lock()
	l.prompts = append(l.prompts, p)
	l.mu.Unlock()
	return l.Ledger.AppendPrompt(ctx, p)
}

// keeping puts a keeper in front of the real ledger.
func keeping(l *keeper) func(*Options) {
	return func(o *Options) {
		l.Ledger = o.Ledger
		o.Ledger = l
	}
}

// rawRequest writes a request the way a connection carries it.
func rawRequest(method, path, body string, header ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: edge.example\r\nContent-Length: %d\r\n%s\r\n\r\n%s", method, path, len(body), strings.Join(header, "\r\n"), body)
}

// The framework's buffers are overwritten by the next request on a connection: whatever a proof or a prompt
// keeps must have been copied.
func TestNothingOfARequestOutlivesIt(t *testing.T) {
	l := &keeper{}
	k := start(t, keeping(l))
	conn, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	send := func(request string) string {
		t.Helper()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode >= 300 {
			t.Fatal(res.StatusCode, string(b), err)
		}
		return string(b)
	}
	type sent struct{ id, page, agent, prompt, device string }
	var all []sent
	for i := range 8 {
		letter := strings.Repeat(string(rune('a'+i)), 40+i)
		s := sent{agent: "Agent/" + letter, page: "https://shop.example/" + letter, prompt: uuid.NewString(), device: uuid.NewString()}
		body := k.choice(set("page", s.page), set("prompt", s.prompt), set("subject", map[string]any{"device": s.device}))
		s.id = field[string](t, body, "id")
		all = append(all, s)
		answer := send(rawRequest("POST", "/v1/sites/demo/consents", body, asJSON, ofShop, "User-Agent: "+s.agent))
		if !strings.Contains(answer, s.id) {
			t.Fatal(answer)
		}
		prompt := k.choice(drop("id"), drop("subject"), drop("method"), drop("decisions"), set("page", s.page), set("prompt", s.prompt))
		send(rawRequest("POST", "/v1/sites/demo/prompts", prompt, asJSON, ofShop))
		// A request full of other bytes goes over the same buffers.
		send(rawRequest("GET", "/v1/sites/demo/lookup?external="+strings.Repeat("Z", 250), "", k.bearer("lookup"), "User-Agent: "+strings.Repeat("Z", 2000)))
	}
	st, _ := k.sites.Get("demo")
	for i, s := range all {
		p, m := l.proofs[i], l.prompts[i]
		who, _ := consent.ParseSubject(consent.KindDevice, s.device, "")
		got := sent{p.ID.String(), p.Personal.Page, p.Personal.UserAgent, p.Prompt.String(), s.device}
		if got != s || p.Site != "demo" || p.Surface != "banner" || p.Method != "custom" || p.Locale != "fr" || p.Personal.Subject != st.Keyer.Key(who) ||
			fmt.Sprint(p.Decisions) != "[{ads false} {analytics true}]" || p.Commitment != p.Personal.Commit() {
			t.Errorf("proof %d has become %+v", i, p)
		}
		if m.ID.String() != s.prompt || m.Page != s.page || m.Site != "demo" || m.Surface != "banner" || m.Locale != "fr" {
			t.Errorf("prompt %d has become %+v", i, m)
		}
	}
}

func TestWhatTheLedgerSaysBecomesAProblem(t *testing.T) {
	for name, tc := range map[string]struct {
		fail   error
		status int
		code   string
		retry  bool
	}{
		"the queue is full":         {ledger.ErrBusy, 503, "busy", true},
		"the disk is nearly full":   {ledger.ErrNoSpace, 503, "disk_full", true},
		"recording is suspended":    {ledger.ErrSuspended, 503, "recording_suspended", true},
		"it is closed":              {ledger.ErrClosed, 503, "shutting_down", true},
		"a write was not confirmed": {fmt.Errorf("%w: EIO", ledger.ErrFatal), 500, "internal", false},
		"something unforeseen":      {errors.New("boom"), 500, "internal", false},
	} {
		t.Run(name, func(t *testing.T) {
			k := start(t, keeping(&keeper{fail: tc.fail}))
			r := k.post(k.choice())
			if code, _ := r.problem(t); r.status != tc.status || code != tc.code || tc.retry != (r.header.Get("Retry-After") != "") {
				t.Fatal(r.status, r.body, r.header)
			}
			id := r.header.Get("X-Request-Id")
			if log := k.log.String(); id == "" || strings.Count(log, "request="+id) != 1 || !strings.Contains(log, `route=/v1/sites/:site/consents`) {
				t.Fatalf("request %q, log %s", id, log)
			}
		})
	}
}

func TestAPanicIsOneProblemAndTheServerLivesOn(t *testing.T) {
	l := &keeper{panics: true}
	k := start(t, keeping(l))
	r := k.post(k.choice())
	if code, _ := r.problem(t); r.status != 500 || code != "internal" || strings.Contains(r.body, "bug") {
		t.Fatal(r.body)
	}
	l.mu.Lock()
	l.panics = false
	l.mu.Unlock()
	if r := k.post(k.choice()); r.status != 201 {
		t.Fatal(r.body)
	}
	log := k.log.String()
	if strings.Count(log, "panic in /v1/sites/:site/consents: string") != 1 || !strings.Contains(log, "life_test.go") || strings.Contains(log, "shop.example") {
		t.Fatal(log)
	}
}

func TestAFloodOfRefusalsDoesNotFloodTheLog(t *testing.T) {
	k := start(t, keeping(&keeper{fail: ledger.ErrBusy}))
	began := time.Now()
	for range 50 {
		if r := k.post(k.choice()); r.status != 503 {
			t.Fatal(r.body)
		}
	}
	if n := strings.Count(k.log.String(), "code=busy"); n == 0 || n > 2+int(time.Since(began).Seconds()) { // one a second
		t.Fatalf("%d lines", n)
	}
}

func TestLogsAndMetricsNameNobody(t *testing.T) {
	l := &keeper{}
	k := start(t, keeping(l), func(o *Options) { o.AccessLog = true })
	secrets := []string{"marie@shop.example", "marie%40shop.example", "crm-4711", "8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3", "https://shop.example/secret", "127.0.0.1", "Secret/1.0"}
	k.do("GET", "/v1/sites/demo/lookup?external=crm-4711", "", k.bearer("lookup"), "User-Agent: Secret/1.0")
	k.do("GET", "/v1/sites/demo/lookup?email=marie%40shop.example", "", k.bearer("lookup"))
	k.do("GET", "/v1/sites/demo/devices/8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3", "", "User-Agent: Secret/1.0")
	k.do("GET", "/marie@shop.example", "")
	k.do("POST", "/v1/sites/demo/lookup", `{"subjects":[{"email":"marie@shop.example"}]}`, asJSON, k.bearer("lookup"))
	k.do("POST", "/v1/sites/demo/consents", k.choice(set("page", "https://shop.example/secret")), asJSON, ofShop, "User-Agent: Secret/1.0")
	l.mu.Lock()
	l.fail = errors.New("boom")
	l.mu.Unlock()
	k.do("POST", "/v1/sites/demo/consents", k.choice(set("page", "https://shop.example/secret")), asJSON, ofShop, "User-Agent: Secret/1.0")
	log, metrics := k.log.String(), admin(k, "/metrics").body
	if strings.Count(log, "msg=request ") != 7 || !strings.Contains(log, "code=internal") {
		t.Fatalf("the log is not what this test is about: %s", log)
	}
	for _, secret := range append(secrets, k.tokens["lookup"]) {
		if strings.Contains(log, secret) || strings.Contains(metrics, secret) {
			t.Errorf("%s is in the log or the metrics", secret)
		}
	}
}

// admin asks the admin handler.
func admin(k *kit, path string) reply {
	w := httptest.NewRecorder()
	k.Admin().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return reply{status: w.Code, header: w.Header(), body: w.Body.String()}
}

func TestEveryMetricIsPublishedAndMoves(t *testing.T) {
	k := start(t)
	body := k.choice()
	for range 2 {
		k.post(body)
	}
	assertion := k.choice(drop("surface"), drop("wording"), drop("locale"), drop("page"), drop("prompt"))
	k.do("POST", "/v1/sites/demo/consents", assertion, asJSON, k.bearer("record"))
	k.post("{")
	k.lookup("device=" + uuid.NewString())
	k.ask(`{"subjects":[{"external":"1"},{"external":"2"}]}`)
	k.do("GET", "/v1/sites/slow/devices/"+uuid.NewString(), "")
	var r reply
	storagetest.Eventually(t, time.Minute, "one connection is left, others are gone", func() bool {
		r = admin(k, "/metrics")
		return strings.Contains(r.body, "consentd_http_connections 1\n")
	})
	for _, line := range []string{
		`consentd_http_requests_total{class="2xx",route="POST /v1/sites/:site/consents"} 3`,
		`consentd_http_requests_total{class="4xx",route="POST /v1/sites/:site/consents"} 1`,
		`consentd_http_request_seconds_count{route="GET /v1/sites/:site/lookup"} 1`,
		`consentd_http_problems_total{code="malformed_json",kind="refused",status="400"} 1`,
		`consentd_http_problems_total{code="busy",kind="retry",status="503"} 0`,
		`consentd_consents_recorded_total{via="browser"} 1`,
		`consentd_consents_recorded_total{via="api"} 1`,
		`consentd_consents_replayed_total 1`,
		`consentd_lookup_subjects_total 2`,
		`consentd_http_panics_total 0`,
		`consentd_http_in_flight 0`,
		`consentd_rate_limit_buckets 2`,
	} {
		if !strings.Contains(r.body, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	for _, c := range k.metrics.collectors() {
		descs := make(chan *prometheus.Desc, 1)
		c.Describe(descs)
		_, name, _ := strings.Cut((<-descs).String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if !strings.Contains(r.body, "# TYPE "+name+" ") {
			t.Errorf("%s is made and not published", name)
		}
	}
	if t.Failed() {
		t.Log(r.body)
	}
	if r := admin(k, "/debug/pprof/goroutine?debug=1"); r.status != 200 {
		t.Error(r.status)
	}
}

func TestReadinessSaysWhatIsWrong(t *testing.T) {
	var disk, clickhouse error
	k := start(t, func(o *Options) {
		o.Checks = []Check{
			{Name: "ledger", Essential: true, Do: func(context.Context) error { return disk }},
			{Name: "clickhouse", Do: func(context.Context) error { return clickhouse }},
		}
	})
	for _, step := range []struct {
		name             string
		disk, clickhouse error
		status           int
		body             string
	}{
		{"all is well", nil, nil, 200, `{"status":"ready","checks":[{"name":"ledger","essential":true,"ok":true},{"name":"clickhouse","essential":false,"ok":true}]}`},
		{"without ClickHouse choices are taken", nil, errors.New("not installed"), 200, `{"status":"degraded","checks":[{"name":"ledger","essential":true,"ok":true},{"name":"clickhouse","essential":false,"ok":false,"wrong":"not installed"}]}`},
		{"without a disk they are not", errors.New("full"), nil, 503, `{"status":"unavailable","checks":[{"name":"ledger","essential":true,"ok":false,"wrong":"full"},{"name":"clickhouse","essential":false,"ok":true}]}`},
	} {
		disk, clickhouse = step.disk, step.clickhouse
		public := regexp.MustCompile(`,"wrong":"[^"]*"`).ReplaceAllString(step.body, "")
		if r := k.do("GET", "/readyz", ""); r.status != step.status || r.body != public {
			t.Errorf("%s: %d %s", step.name, r.status, r.body)
		}
		if r := admin(k, "/readyz"); r.status != step.status || r.body != step.body {
			t.Errorf("%s, admin: %d %s", step.name, r.status, r.body)
		}
	}
	if r := k.do("GET", "/healthz", ""); r.status != 200 || r.body != `{"ok":true,"version":"test"}` {
		t.Error(r.body)
	}
	if r := k.do("GET", "/.well-known/gpc.json", ""); r.status != 200 || !field[bool](t, r.body, "gpc") {
		t.Error(r.body)
	}
}

// A choice under way when the shutdown begins is recorded and answered; one that comes later is turned away.
func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	l := &keeper{gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	k := prepareServer(t, keeping(l))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- k.Serve(ln) }()
	k.url = "http://" + ln.Addr().String()
	idle, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	body := k.choice()
	answers := make(chan reply, 1)
	go func() { answers <- k.send("POST", "/v1/sites/demo/consents", body, asJSON, ofShop) }()
	<-l.entered
	down := make(chan error, 1)
	go func() { down <- k.Shutdown(context.Background()) }()
	storagetest.Eventually(t, time.Minute, "the shutdown to begin", k.draining.Load)
	ctx := newCtx("GET", "/healthz", "")
	if k.serve(ctx); ctx.Response.StatusCode() != 503 || !bytes.Contains(ctx.Response.Body(), []byte("shutting_down")) || !ctx.Response.ConnectionClose() {
		t.Fatalf("a request during the shutdown: %s", ctx.Response.String())
	}
	select {
	case err := <-down:
		t.Fatalf("the shutdown did not wait: %v", err)
	default:
	}
	close(l.gate)
	if r := <-answers; r.status != 201 || !r.closes {
		t.Fatal(r.status, r.body, r.header)
	}
	if err := <-down; err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.ledger.Proof(uuid.MustParse(field[string](t, body, "id"))); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Fatal("the port still answers")
	}
}

func TestADeadlineMovesOnlyWhenItMatters(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		now, next time.Time
		settled   bool
	}{
		"none, and none asked for": {time.Time{}, time.Time{}, true},
		"the first":                {time.Time{}, now, false},
		"a little later":           {now, now.Add(900 * time.Millisecond), true},
		"the same":                 {now, now, true},
		"a second later":           {now, now.Add(time.Second), false},
		"sooner":                   {now, now.Add(-time.Millisecond), false},
		"taken away":               {now, time.Time{}, false},
	} {
		if got := settled(tc.now, tc.next); got != tc.settled {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// gate is a listener that hands over a connection when it is told to.
type gate struct {
	net.Listener
	pass chan struct{}
}

func (g gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err == nil {
		<-g.pass
	}
	return conn, err
}

// A connection that says nothing is closed, and one that stops in the middle of a request is told so. The server sees
// each once its client has said everything: how fast that was is not what is tested.
func TestSlowClientsAreCutOff(t *testing.T) {
	g := gate{listen(t), make(chan struct{})}
	k := startOn(t, g, func(o *Options) { o.ReadTimeout, o.IdleTimeout = 500*time.Millisecond, 500*time.Millisecond })
	t.Cleanup(func() { close(g.pass) })
	for name, tc := range map[string]struct{ send, want string }{
		"nothing is sent":         {"", ""},
		"half a header":           {"GET /healthz HTTP/1.1\r\nHost: a\r\nX-", "HTTP/1.1 408"},
		"half a body":             {"POST /v1/sites/demo/consents HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", "HTTP/1.1 408"},
		"a request, then nothing": {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, tc.send); err != nil {
				t.Fatal(err)
			}
			g.pass <- struct{}{}
			b, err := io.ReadAll(conn) // ends when the server closes
			if err != nil || !strings.HasPrefix(string(b), tc.want) {
				t.Fatalf("%v %q", err, b)
			}
		})
	}
}

// TestACheckThatHangsIsReported within the time all checks have together, and not begun again while it does.
func TestACheckThatHangsIsReported(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 10)
	hang := func(context.Context) error { begun <- struct{}{}; <-release; return nil }
	k := start(t, func(o *Options) {
		o.Checks = []Check{{Name: "ledger", Essential: true, Do: func(context.Context) error { return nil }}, {Name: "a", Do: hang}, {Name: "b", Do: hang},
			{Name: "c", Do: func(context.Context) error { panic("at all") }}}
	})
	for range 2 {
		began := time.Now()
		r := admin(k, "/readyz")
		if took := time.Since(began); r.status != 200 || took > 3*checkTimeout || strings.Count(r.body, "does not answer") != 2 || !strings.Contains(r.body, `"name":"ledger","essential":true,"ok":true`) ||
			!strings.Contains(r.body, "panicked") {
			t.Errorf("after %s: %d %s", took, r.status, r.body)
		}
	}
	if n := len(begun); n != 2 {
		t.Errorf("begun %d times", n)
	}
	close(release)
	storagetest.Eventually(t, time.Minute, "they answer again", func() bool { return !strings.Contains(admin(k, "/readyz").body, "does not answer") })
}

// TestNothingBehindALinkIsListed by search engines, whatever is answered there.
func TestNothingBehindALinkIsListed(t *testing.T) {
	k := start(t)
	for i := range k.routes() {
		r := &k.routes()[i]
		if !r.page && (!r.cors || r.method != get) {
			continue
		}
		path := strings.NewReplacer(":site", "demo", ":form", "join", ":token", "x", ":device", uuid.NewString(), ":id", uuid.NewString()).Replace(r.path)
		if got := k.send(r.method, path, "", ofShop); got.header.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s %s: %d %v", r.method, path, got.status, got.header)
		}
	}
}

package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/storagetest"
)

// dial opens a connection to the server and says something.
func (k *kit) dial(say string) net.Conn {
	k.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		k.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, say); err != nil {
		k.t.Fatal(err)
	}
	return conn
}

// hear reads one answer.
func hear(t testing.TB, r *bufio.Reader) reply {
	t.Helper()
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b), res.Close}
}

// heap is what is in use, once garbage is gone.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestAHeaderAllocatesNothingForTheBodyItAnnounces, whoever sends it, with no token, a wrong one, a good one, and however
// it is announced.
func TestAHeaderAllocatesNothingForTheBodyItAnnounces(t *testing.T) {
	for framing, announced := range map[string]string{"a length": "Content-Length: 4194303\r\n\r\nA", "a chunk": "Transfer-Encoding: chunked\r\n\r\n3fffff\r\nA"} {
		t.Run(framing, func(t *testing.T) { nothingAllocated(t, announced) })
	}
}

func nothingAllocated(t *testing.T, announced string) {
	k := start(t)
	const clients = 100
	for name, auth := range map[string]string{"no token": "X: x", "a wrong token": "Authorization: x", "a good token": k.bearer("lookup")} {
		before := heap()
		for range clients {
			k.dial("POST /v1/sites/demo/lookup HTTP/1.1\r\nHost: a\r\n" + auth + "\r\nContent-Type: application/json\r\n" + announced)
		}
		storagetest.Eventually(t, time.Minute, "all headers are read", func() bool {
			return strings.Contains(admin(k, "/metrics").body, "consentd_http_in_flight 100\n") || name != "a good token" && k.metrics.inFlight.Load() == 0
		})
		if grown := heap() - before; grown > clients*2*connectionCost {
			t.Errorf("%s: %d KiB a connection", name, grown/clients>>10)
		}
		http.DefaultClient.CloseIdleConnections()
	}
}

// TestALimitIsTheRoutes however its address is written: what a small body is answered, a large one is too.
func TestALimitIsTheRoutes(t *testing.T) {
	k := start(t)
	subjects := strings.Repeat(`{"external":"a-customer-number-that-is-long"},`, 3000)
	contacts := strings.Repeat(`{"subject":{"external":"a-customer-number-that-is-long"}},`, 3000)
	for path, body := range map[string]struct{ scope, small, large string }{
		"/lookup":   {"lookup", `{"subjects":[]}`, `{"subjects":[` + strings.TrimSuffix(subjects, ",") + `]}`},
		"/links":    {"links", `{"subjects":[]}`, `{"subjects":[` + strings.TrimSuffix(subjects, ",") + `]}`},
		"/contacts": {"record", `{"contacts":[]}`, `{"contacts":[` + strings.TrimSuffix(contacts, ",") + `]}`},
		"/history":  {"proofs", `{"subject":{"external":"1"}}`, ""}, // not about many
	} {
		for _, target := range []string{"%s", "%s?", "%s?_=1", "%s?key=x&key=/lookup", k.url + "%s", k.url + "%s?x", "%s/", "/%s", "%s%%2F", "/v1/sites/demo/..%s"} {
			target := fmt.Sprintf(target, "/v1/sites/demo"+path)
			ask := func(doc string) int {
				conn := k.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", target, k.bearer(body.scope), len(doc), doc))
				return hear(t, bufio.NewReader(conn)).status
			}
			small := ask(body.small)
			if large := ask(body.large); body.large != "" && large != small {
				t.Errorf("%s: %d, a large body %d", target, small, large)
			}
		}
		long := `{"x":"` + strings.Repeat("x", 100<<10) + `"}`
		conn := k.dial(fmt.Sprintf("POST /v1/sites/demo%s?/lookup HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, k.bearer(body.scope), len(long), long))
		if r := hear(t, bufio.NewReader(conn)); (r.status == 413) != (path == "/history") {
			t.Errorf("%s: 100 KiB are answered %d", path, r.status)
		}
	}
}

// TestWhatIsNotReadOfABodyIsNoRequest: a refusal that did not look at the body leaves nothing of it behind.
func TestWhatIsNotReadOfABodyIsNoRequest(t *testing.T) {
	k := start(t)
	const next = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	inner := "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
	long := strings.Repeat(inner, hardCap/len(inner)) + inner
	chunks := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	for name, row := range map[string]struct {
		request string
		status  int
		closes  bool
	}{
		"no such route":                {"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" + inner[:33], 404, false},
		"no token":                     {fmt.Sprintf("POST /v1/sites/demo/lookup HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner), 401, false},
		"no token, in chunks":          {"POST /v1/sites/demo/lookup HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(inner), 401, false},
		"a body where none belongs":    {fmt.Sprintf("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner), 200, false},
		"a method that is not allowed": {fmt.Sprintf("PUT /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner), 405, false},
		"much":                         {fmt.Sprintf("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(long), long), 404, true},
		"much, in chunks":              {"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(long), 404, true},
		"chunks that are none":         {"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 404, true},
	} {
		r := bufio.NewReader(k.dial(row.request + next))
		if got := hear(t, r); got.status != row.status || got.closes != row.closes {
			t.Errorf("%s: %d, closes %v", name, got.status, got.closes)
		}
		if !row.closes {
			if got := hear(t, r); got.status != 200 || !strings.Contains(got.body, "version") {
				t.Errorf("%s: then %d %s", name, got.status, got.body)
			}
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%s: then %q %v", name, rest, err)
		}
	}
}

// TestAChoiceThatIsCutShortIsNotRecorded, although what came of it reads as one.
func TestAChoiceThatIsCutShortIsNotRecorded(t *testing.T) {
	k := start(t)
	body := k.choice()
	head := "POST /v1/sites/demo/consents HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + ofShop + "\r\n"
	for name, request := range map[string]string{
		"its length is larger":   fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body)+1, body),
		"the last chunk is none": fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", head, len(body), body),
	} {
		conn := k.dial(request)
		conn.(*net.TCPConn).CloseWrite()
		r := bufio.NewReader(conn)
		if got := hear(t, r); got.status != 400 || !got.closes {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if r := k.post(body); r.status != 201 {
		t.Errorf("sent whole: %d %s", r.status, r.body)
	}
}

// batch is a lookup of n subjects as it goes over the line, without its last byte.
func (k *kit) batch(n int) (request, last string) {
	body := `{"subjects":[` + strings.Repeat(`{"external":"`+strings.Repeat("x", 200)+`"},`, n-1) + `{"external":"1"}]}`
	request = fmt.Sprintf("POST /v1/sites/demo/lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n%s", k.bearer("lookup"), len(body), body)
	return request[:len(request)-1], request[len(request)-1:]
}

// TestLargeRequestsHaveRoomOrAreToldToComeAgain, and room is free again once the answer has left or the client has.
func TestLargeRequestsHaveRoomOrAreToldToComeAgain(t *testing.T) {
	k := start(t, func(o *Options) { o.Memory, o.MaxConnections = 16<<20, 100 })
	request, last := k.batch(7000) // 1.5 MB, and the whole account once it is read
	slow := k.dial(request)
	storagetest.Eventually(t, time.Minute, "the first holds memory", func() bool { return k.memory.held() > 0 })
	for range 3 {
		r := hear(t, bufio.NewReader(k.dial(request+last)))
		if code, _ := r.problem(t); r.status != 503 || code != "overloaded" || r.header.Get("Retry-After") == "" {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if r := k.lookup("external=1&purpose=analytics"); r.status != 200 {
		t.Errorf("small ones are not answered: %d", r.status)
	}
	if _, err := io.WriteString(slow, last); err != nil {
		t.Fatal(err)
	}
	if r := hear(t, bufio.NewReader(slow)); r.status != 200 || strings.Count(r.body, `"subject`) > 0 && !strings.HasSuffix(r.body, "]}") {
		t.Fatalf("%d %.200s", r.status, r.body)
	}
	storagetest.Eventually(t, time.Minute, "all is given back", func() bool { return k.memory.held() == 0 })
	gone := k.dial(request)
	storagetest.Eventually(t, time.Minute, "another holds memory", func() bool { return k.memory.held() > 0 })
	gone.Close()
	storagetest.Eventually(t, time.Minute, "who hangs up gives it back", func() bool { return k.memory.held() == 0 })
	if r := hear(t, bufio.NewReader(k.dial(request+last))); r.status != 200 {
		t.Fatalf("%d %.200s", r.status, r.body)
	}
}

// TestAnAnswerThatIsNotReadIsCounted until the client reads it or is gone; strangers' answers not against operators'.
func TestAnAnswerThatIsNotReadIsCounted(t *testing.T) {
	k := start(t, func(o *Options) { o.Memory, o.MaxConnections = 256<<20, 100 })
	request, last := k.batch(9000)
	conn := k.dial("")
	conn.(*net.TCPConn).SetReadBuffer(4096)
	if _, err := io.WriteString(conn, request+last); err != nil {
		t.Fatal(err)
	}
	storagetest.Eventually(t, time.Minute, "it is counted", func() bool { return k.memory.trusted.used.Load() > 1<<20 })
	if n := k.memory.strangers.used.Load(); n != 0 {
		t.Errorf("%d bytes are strangers'", n)
	}
	if r := hear(t, bufio.NewReader(conn)); r.status != 200 {
		t.Error(r.status)
	}
	storagetest.Eventually(t, time.Minute, "and given back", func() bool { return k.memory.held() == 0 })
}

// TestALargeAnswerWithoutRoomIsRefused, unless it tells of what has been recorded.
func TestALargeAnswerWithoutRoomIsRefused(t *testing.T) {
	k := prepareServer(t)
	k.memory = newMemory(80)
	k.memory.trusted.used.Store(1)
	k.memory.strangers.used.Store(1)
	for name, row := range map[string]struct {
		route   route
		n       int
		refused bool
	}{
		"small":                           {route{method: get}, smallAnswer, false},
		"large":                           {route{method: get}, smallAnswer + 1, true},
		"large, under a token":            {route{method: post, scope: "lookup"}, smallAnswer + 1, true},
		"large, the same for everybody":   {route{method: get, shared: true}, smallAnswer + 1, false},
		"large, of what has been decided": {route{method: post}, smallAnswer + 1, false},
	} {
		conn := &coarseConn{}
		ctx := newCtx("GET", "/", "")
		ctx.Init2(conn, nil, false)
		ctx.Response.SetBody(bytes.Repeat([]byte("x"), row.n))
		err := k.holdAnswer(ctx, &row.route)
		if (err != nil) != row.refused || row.refused && len(ctx.Response.Body()) > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, len(ctx.Response.Body()))
		}
		k.connState(conn, 2)
		if k.memory.held() != 2 {
			t.Errorf("%s: %d bytes are held", name, k.memory.held())
		}
	}
}

// TestConnectionsAreNotKeptWhenTheyAreMany: who rests does not keep out who comes.
func TestConnectionsAreNotKeptWhenTheyAreMany(t *testing.T) {
	k := start(t, func(o *Options) { o.MaxConnections = 16 })
	const ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	closed := 0
	for range 40 {
		if r := hear(t, bufio.NewReader(k.dial(ask))); r.status != 200 {
			t.Fatalf("refused: %d", r.status)
		} else if r.closes {
			closed++
		}
	}
	if closed == 0 || closed > 30 {
		t.Errorf("%d of 40 are not kept", closed)
	}
}

// TestMemoryIsGivenBackAfterABurst of large requests, once each, and not after an ordinary hour.
func TestMemoryIsGivenBackAfterABurst(t *testing.T) {
	k := start(t)
	given := make(chan struct{}, 10)
	k.memory.relief.after, k.memory.relief.give = time.Millisecond, func() { given <- struct{}{} }
	request, last := k.batch(10_000)
	storm := func(clients int) {
		var conns []net.Conn
		for range clients {
			conns = append(conns, k.dial(request))
		}
		storagetest.Eventually(t, time.Minute, "all hold memory", func() bool { return k.memory.held() >= int64(clients*2*len(request))-1<<20 })
		for _, c := range conns {
			if _, err := io.WriteString(c, last); err != nil {
				t.Fatal(err)
			}
			if r := hear(t, bufio.NewReader(c)); r.status != 200 {
				t.Fatalf("%d %.200s", r.status, r.body)
			}
			c.Close()
		}
		storagetest.Eventually(t, time.Minute, "nothing is held", func() bool { return k.memory.held() == 0 })
	}
	storm(1)
	if len(given) > 0 {
		t.Error("given back after a single large request")
	}
	storm(16)
	select {
	case <-given:
	case <-time.After(time.Minute):
		t.Fatal("nothing is given back")
	}
}

// TestGivingBackReachesTheSystem: what a pool holds is gone too.
func TestGivingBackReachesTheSystem(t *testing.T) {
	const size = 256 << 20
	var pool sync.Pool
	large := bytes.Repeat([]byte("x"), size)
	pool.Put(&large)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	giveBack()
	runtime.ReadMemStats(&after)
	if freed := int64(after.HeapReleased - before.HeapReleased); freed < size/2 {
		t.Errorf("%d MiB were given back", freed>>20)
	}
	pool.Get()
}

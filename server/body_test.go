package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// bodied is a route that takes a body, as a client calls it.
type bodied struct {
	path   func() string // anew for each call: a link may be good once
	header []string
	small  string // a body; what it is answered does not matter, but it is read whole
	limit  int    // bytes of the largest body; 0: the body is not looked at
}

// bodiedRoutes are all routes that take a body. One that is missing here fails the test.
func (k *kit) bodiedRoutes() map[string]bodied {
	at := func(path string) func() string { return func() string { return path } }
	page := func(path func() string, limit int) bodied {
		return bodied{path, []string{asForm, "Origin: " + k.url}, "a=b", limit}
	}
	k.sign(k.signUp("anna@atelier.example"))
	centre, unsubscribe := k.linksOf("anna@atelier.example")
	people := 0
	all := map[string]bodied{
		"/f/:site/:form": page(at("/f/atelier/lettre?lang=fr"), maxBody),
		"/p/:token":      page(at(centre), maxBody),
		"/u/:token":      page(at(unsubscribe), maxBody),
		"/c/:token": page(func() string {
			people++
			return k.requested(fmt.Sprintf("person%d@atelier.example", people))
		}, 0),
	}
	for name, limit := range map[string]int{"consents": maxBody, "prompts": maxBody, "wordings": maxBody, "identify": maxBody, "history": maxBody,
		"evidence": maxBody, "lookup": maxLargeBody, "contacts": maxLargeBody, "links": maxLargeBody} {
		all["/v1/sites/:site/"+name] = bodied{at("/v1/sites/demo/" + name), []string{asJSON, ofShop}, "{}", limit}
	}
	return all
}

// inChunks is a body as chunks of at most 10,000 bytes.
func inChunks(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 10_000)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// head is the beginning of a POST, without what says how long it is.
func (b *bodied) head(k *kit, more ...string) string {
	host := strings.TrimPrefix(k.url, "http://")
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", b.path(), host, strings.Join(append(more, b.header...), "\r\n"))
}

const byChunks = "Transfer-Encoding: chunked\r\n\r\n"

// TestABodyInChunksIsHeldToTheLimitOfItsRoute: it does not say how long it is, so it is read until it ends or is too long,
// and not at all before the token is known.
func TestABodyInChunksIsHeldToTheLimitOfItsRoute(t *testing.T) {
	k := start(t)
	rows := k.bodiedRoutes()
	for _, r := range k.routes() {
		if r.method != post {
			continue
		}
		b, ok := rows[r.path]
		if !ok {
			t.Errorf("%s is not tested", r.path)
			continue
		}
		stranger := b
		if r.scope != "" {
			b.header = append([]string{k.bearer(r.scope)}, b.header...)
		}
		ask := func(b bodied, rest string) reply { return hear(t, bufio.NewReader(k.dial(b.head(k)+rest))) }
		announced := ask(b, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(b.small), b.small))
		if got := ask(b, byChunks+inChunks(b.small)); got.status != announced.status || got.closes {
			t.Errorf("%s: %d in chunks, %d otherwise: %.200s", r.path, got.status, announced.status, got.body)
		}
		want := 413
		if b.limit == 0 {
			want = announced.status
		}
		long := strings.Repeat(" ", b.limit+1)
		if got := ask(b, byChunks+inChunks(long)); got.status != want {
			t.Errorf("%s: %d bytes in chunks: %d, want %d: %.200s", r.path, len(long), got.status, want, got.body)
		}
		if got := ask(b, byChunks+inChunks(long[1:])); got.status == 413 {
			t.Errorf("%s: %d bytes in chunks are too many", r.path, len(long)-1)
		}
		if got := k.endless(b.head(k) + byChunks); got.status != want || !got.closes {
			t.Errorf("%s: a body without end: %d, closes %v: %.200s", r.path, got.status, got.closes, got.body)
		}
		if r.scope == "" {
			continue
		}
		if got := ask(stranger, byChunks+inChunks(long)); got.status != 401 {
			t.Errorf("%s: too much, without a token: %d", r.path, got.status)
		}
		if got := k.endless(stranger.head(k) + byChunks); got.status != 401 || !got.closes {
			t.Errorf("%s: a body without end, without a token: %d, closes %v", r.path, got.status, got.closes)
		}
	}
	k.wellInChunks()
}

// endless sends chunks until the connection ends, and gives the answer.
func (k *kit) endless(head string) reply {
	k.t.Helper()
	conn := k.dial(head)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		part := inChunks(strings.Repeat(" ", 10_000))
		part = strings.TrimSuffix(part, "0\r\n\r\n")
		for {
			if _, err := io.WriteString(conn, part); err != nil {
				return
			}
		}
	}()
	got := hear(k.t, bufio.NewReader(conn))
	conn.Close()
	<-sent
	return got
}

// wellInChunks: a choice that comes in chunks counts like any other.
func (k *kit) wellInChunks() {
	k.t.Helper()
	head := strings.Join([]string{"POST /v1/sites/demo/consents HTTP/1.1", "Host: a", asPlain, ofShop, byChunks}, "\r\n")
	if got := hear(k.t, bufio.NewReader(k.dial(head+inChunks(k.choice())))); got.status != 201 {
		k.t.Errorf("a choice: %d %s", got.status, got.body)
	}
}

// TestABodyThatIsAnnouncedTooLargeIsRefusedBeforeItComes: nobody waits for what would be thrown away.
func TestABodyThatIsAnnouncedTooLargeIsRefusedBeforeItComes(t *testing.T) {
	k := start(t, func(o *Options) { o.ReadTimeout = 5 * time.Second })
	for path, limit := range map[string]int{"consents": maxBody, "lookup": maxLargeBody} {
		conn := k.dial(fmt.Sprintf("POST /v1/sites/demo/%s HTTP/1.1\r\nHost: a\r\n%s\r\n%s\r\n%s\r\nContent-Length: %d\r\n\r\n{", path, k.issueAll(), asJSON, ofShop, limit+1))
		if got := hear(t, bufio.NewReader(conn)); got.status != 413 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		conn.(*net.TCPConn).Close()
	}
}

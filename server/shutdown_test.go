package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bounded fails the test when f does not return; how long it took is not what is tested.
func bounded[T any](t *testing.T, what string, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s does not end", what)
		panic("unreachable")
	}
}

// TestAShutdownBeforeServeHolds: fasthttp forgets one that comes before it has its listener.
func TestAShutdownBeforeServeHolds(t *testing.T) {
	k := prepareServer(t)
	if err := k.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	if err := bounded(t, "Serve", func() error { return k.Serve(ln) }); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the port still answers")
	}
}

// TestAShutdownWhileServeBeginsHolds, whichever of the two is first.
func TestAShutdownWhileServeBeginsHolds(t *testing.T) {
	for range 200 {
		k := &Server{opt: Options{}}
		k.opt.setDefaults()
		k.http = k.newHTTP()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- k.Serve(ln) }()
		if err := bounded(t, "Shutdown", func() error { return k.Shutdown(context.Background()) }); err != nil {
			t.Fatal(err)
		}
		if err := bounded(t, "Serve", func() error { return <-served }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAShutdownWaitsForNobodyWhoIsOnlySending: connections without a whole request are closed although the time for
// requests under way is not bounded.
func TestAShutdownWaitsForNobodyWhoIsOnlySending(t *testing.T) {
	k := prepareServer(t)
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- k.Serve(ln) }()
	for _, words := range []string{"", "GET /healthz HTTP/1.1\r\nHos", "POST /v1/sites/demo/consents HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
		"POST /v1/sites/demo/consents HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"} {
		before := dialled(t, ln, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") // each once on a connection that has been of use
		if _, err := io.WriteString(before, words); err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, words); err != nil {
			t.Fatal(err)
		}
	}
	if err := bounded(t, "Shutdown", func() error { return k.Shutdown(context.Background()) }); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

// dialled is a connection on which one request was answered.
func dialled(t *testing.T, ln net.Listener, request string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAShutdownCutsReadersWhoDoNotRead once its time is over, and that is no failure.
func TestAShutdownCutsReadersWhoDoNotRead(t *testing.T) {
	k := prepareServer(t)
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- k.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for many := strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n", 1000); err == nil; { // until the server waits for us
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		_, err = io.WriteString(c, many)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := bounded(t, "Shutdown", func() error { return k.Shutdown(ctx) }); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

// TestAShutdownTellsOfHandlersThatRunOn: what they use must not be closed.
func TestAShutdownTellsOfHandlersThatRunOn(t *testing.T) {
	l := &keeper{gate: make(chan struct{}), entered: make(chan struct{}, 1)}
	k := prepareServer(t, keeping(l))
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- k.Serve(ln) }()
	k.url = "http://" + ln.Addr().String()
	body := k.choice()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		req, _ := http.NewRequest(http.MethodPost, k.url+"/v1/sites/demo/consents", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", "https://shop.example")
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	<-l.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bounded(t, "Shutdown", func() error { return k.Shutdown(ctx) }); !errors.Is(err, ErrStillHandling) {
		t.Error(err)
	}
	close(l.gate)
	<-answered
	if err := bounded(t, "Serve", func() error { return <-served }); err != nil {
		t.Fatal(err)
	}
}

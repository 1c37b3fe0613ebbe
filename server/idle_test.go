package server

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestProxiesCloseIdleConnectionsFirst: they keep one for 60 to 90 s.
func TestProxiesCloseIdleConnectionsFirst(t *testing.T) {
	k := prepareServer(t)
	if k.http.IdleTimeout != 2*time.Minute || k.http.ReadTimeout != 30*time.Second {
		t.Errorf("idle %s, reading %s", k.http.IdleTimeout, k.http.ReadTimeout)
	}
}

// TestAnIdleConnectionIsKeptLongerThanARequestMayTake, and half a request on it no longer than that.
func TestAnIdleConnectionIsKeptLongerThanARequestMayTake(t *testing.T) {
	k := start(t, func(o *Options) { o.ReadTimeout, o.IdleTimeout = 100*time.Millisecond, time.Hour })
	const ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	conn := k.dial(ask)
	r := bufio.NewReader(conn)
	if got := hear(t, r); got.status != 200 {
		t.Fatal(got.status)
	}
	conn.SetReadDeadline(time.Now().Add(2 * time.Second)) // a deadline may be late by the second that coarseConn saves
	if _, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("closed while idle: %v", err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	for _, half := range []string{ask, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Half: "} {
		if _, err := io.WriteString(conn, half); err != nil {
			t.Fatal(err)
		}
		want := 200
		if half != ask {
			want = 408
		}
		if got := hear(t, r); got.status != want {
			t.Fatalf("%q: %d", half, got.status)
		}
	}
}

func TestOtherVersionsOfHTTPAreNotSpoken(t *testing.T) {
	k := start(t)
	for version, want := range map[string]int{"HTTP/1.1": 200, "HTTP/1.0": 200, "HTTP/1.2": 505, "HTTP/2.0": 505, "HTTP/0.9": 505, "HTTP/3.0": 505, "HTTP/9.9": 505,
		"HTTP/2": 400, "http/1.1": 400, "HTTP/1.1x": 400} {
		got := hear(t, bufio.NewReader(k.dial("GET /healthz "+version+"\r\nHost: a\r\n\r\n")))
		if got.status != want || want != 200 && !got.closes {
			t.Errorf("%s: %d %s", version, got.status, got.body)
		}
	}
	if got := hear(t, bufio.NewReader(k.dial("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); got.status/100 == 2 || !got.closes {
		t.Errorf("HTTP/2 without TLS: %d", got.status)
	}
	if strings.Contains(k.log.String(), "code not listed") {
		t.Error(k.log.String())
	}
}

package server

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

func TestABrowserIsAnsweredOnlyOnTheSitesOrigins(t *testing.T) {
	k := start(t)
	const consents = "/v1/sites/demo/consents"
	ask := func(path, method string, header ...string) reply {
		return k.do("OPTIONS", path, "", append(header, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: content-type")...)
	}
	for _, origin := range []string{"https://shop.example", "https://www.shop.example", "https://a.b.shop.example"} {
		r := ask(consents, "POST", "Origin: "+origin)
		h := r.header
		if r.status != 204 || h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Methods") != "POST" ||
			h.Get("Access-Control-Allow-Headers") != "Content-Type" || h.Get("Access-Control-Max-Age") != "7200" || !strings.HasPrefix(h.Get("Vary"), "Origin") ||
			h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", origin, r.status, h)
		}
		posted := k.do("POST", consents, k.choice(set("page", origin+"/")), asJSON, "Origin: "+origin)
		if posted.status != 201 || posted.header.Get("Access-Control-Allow-Origin") != origin || posted.header.Get("Vary") != "Origin" ||
			posted.header.Get("Access-Control-Expose-Headers") != "Date, Retry-After" || posted.header.Get("Date") == "" {
			t.Errorf("%s: %d %v", origin, posted.status, posted.header)
		}
	}
	for _, origin := range []string{"https://evil.example", "https://evilshop.example", "https://shop.example.evil.example", "http://shop.example",
		"https://shop.example:8443", "null", "https://shop.example/", "HTTPS://SHOP.EXAMPLE"} {
		for _, r := range []reply{ask(consents, "POST", "Origin: "+origin), k.do("POST", consents, k.choice(), asJSON, "Origin: "+origin)} {
			if code, _ := r.problem(t); r.status != 403 || code != "origin_foreign" || r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Vary") != "Origin" {
				t.Errorf("%s: %d %v", origin, r.status, r.header)
			}
		}
	}
	refused := k.do("POST", consents, "{", asJSON, ofShop)
	if refused.status != 400 || refused.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("a page cannot read why it was refused: %v", refused.header)
	}
	if r := ask("/v1/sites/demo/devices/"+uuid.NewString(), "GET", ofShop); r.header.Get("Access-Control-Allow-Methods") != "GET" {
		t.Error(r.header)
	}
	if r := ask("/v1/sites/demo/lookup", "POST", ofShop); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("pages may not use tokens: %v", r.header)
	}
	if r := ask("/v1/sites/nowhere/consents", "POST", ofShop); r.status != 404 {
		t.Error(r.status)
	}
}

func TestHeadAndOptions(t *testing.T) {
	k := start(t)
	for path, allow := range map[string]string{
		"/v1/sites/demo/lookup":   "GET, HEAD, POST, OPTIONS",
		"/v1/sites/demo/consents": "POST, OPTIONS",
		"/s/demo.js":              "GET, HEAD, OPTIONS",
		"/healthz":                "GET, HEAD, OPTIONS",
	} {
		if r := k.do("OPTIONS", path, ""); r.status != 204 || r.header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s: %d %q", path, r.status, r.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/s/demo.js", "/healthz", "/docs", "/openapi.yaml", "/v1/sites/demo/wordings/" + k.wordingOf("demo", "banner", "fr")} {
		get, head := k.do("GET", path, "", "Accept-Encoding: identity"), k.do("HEAD", path, "", "Accept-Encoding: identity")
		if head.status != 200 || head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) {
			t.Errorf("HEAD %s: %d %q %v", path, head.status, head.body, head.header)
		}
	}
}

func TestTheClientsAddressIsTheLastOneThatCanBeBelieved(t *testing.T) {
	for name, tc := range map[string]struct {
		trusted string
		peer    string
		lines   []string
		want    string
	}{
		"nobody is trusted, and nothing believed":             {"", "203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9"},
		"the peer is not a trusted proxy":                     {"10.0.0.0/8", "203.0.113.9", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                                           {"10.0.0.0/8", "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"what the client wrote itself stands to the left":     {"10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		"the client claims to be a proxy":                     {"10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4, 10.9.9.9, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"two proxies":                                         {"10.0.0.0/8", "10.0.0.1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		"several header lines are one list":                   {"10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		"everybody on the way is trusted":                     {"10.0.0.0/8", "10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no header":                                           {"10.0.0.0/8", "10.0.0.1", nil, "10.0.0.1"},
		"nonsense stops the walk":                             {"10.0.0.0/8", "10.0.0.1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		"nonsense alone":                                      {"10.0.0.0/8", "10.0.0.1", []string{"<script>"}, "10.0.0.1"},
		"an empty entry stops the walk":                       {"10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4,"}, "10.0.0.1"},
		"an address with a port":                              {"10.0.0.0/8", "10.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		"IPv6 in brackets with a port":                        {"10.0.0.0/8", "10.0.0.1", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		"IPv6 in brackets":                                    {"10.0.0.0/8", "10.0.0.1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"IPv4 written as IPv6 is IPv4":                        {"10.0.0.0/8", "10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a trusted proxy written as IPv6 is still recognised": {"10.0.0.0/8", "10.0.0.1", []string{"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
		"a zone is dropped":                                   {"10.0.0.0/8", "10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{}
			if tc.trusted != "" {
				s.opt.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(tc.trusted)}
			}
			ctx := newCtx("GET", "/", "")
			ctx.SetRemoteAddr(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tc.peer), 4711)))
			for _, line := range tc.lines {
				ctx.Request.Header.Add(fasthttp.HeaderXForwardedFor, line)
			}
			if got := s.clientIP(ctx); got.String() != tc.want {
				t.Fatalf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestTheRateIsLimitedPerSiteAndNetwork(t *testing.T) {
	k := start(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	slow := func(ip string) reply {
		return k.do("GET", "/v1/sites/slow/devices/"+uuid.NewString(), "", "X-Forwarded-For: "+ip)
	}
	limited := func(r reply) bool {
		t.Helper()
		if r.status == 200 {
			return false
		}
		after, err := strconv.Atoi(r.header.Get("Retry-After"))
		if code, _ := r.problem(t); r.status != 429 || code != "rate_limited" || err != nil || after < 30 || after > 60 { // one a minute
			t.Fatalf("%d %s Retry-After %q", r.status, r.body, r.header.Get("Retry-After"))
		}
		return true
	}
	for i, ip := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} { // one /24, a burst of two
		if got := limited(slow(ip)); got != (i == 2) {
			t.Fatalf("request %d from one network: limited %v", i+1, got)
		}
	}
	if limited(slow("198.51.101.1")) || limited(slow("2001:db8:1::1")) || limited(slow("2001:db8:1:ffff::1")) {
		t.Fatal("another network is limited")
	}
	if !limited(slow("2001:db8:1:2::1")) {
		t.Fatal("a /48 is not one network")
	}
	post := k.do("POST", "/v1/sites/slow/consents", "{}", asJSON, "Origin: https://slow.example", "X-Forwarded-For: 198.51.100.9")
	if code, _ := post.problem(t); code != "rate_limited" || post.header.Get("Access-Control-Allow-Origin") == "" {
		t.Fatal(post.body)
	}
	if r := k.do("GET", "/v1/sites/demo/devices/"+uuid.NewString(), "", "X-Forwarded-For: 198.51.100.1"); r.status != 200 {
		t.Fatal("another site is limited")
	}
}

func TestBucketsFillAgainAndTakeBoundedMemory(t *testing.T) {
	l := newLimiter()
	now := time.Now()
	ip := netip.MustParseAddr("198.51.100.1")
	if ok, _ := l.allow("a", ip, now, 1, 1); !ok {
		t.Fatal("the first is refused")
	}
	if ok, wait := l.allow("a", ip, now, 1, 1); ok || wait != 1 {
		t.Fatal(ok, wait)
	}
	if ok, wait := l.allow("a", ip, now, 0.1, 1); ok || wait != 10 {
		t.Fatalf("a changed limit is not taken up: %v %d", ok, wait)
	}
	if ok, _ := l.allow("a", ip, now.Add(11*time.Second), 0.1, 1); !ok {
		t.Fatal("the bucket does not fill again")
	}
	for i := range 500_000 {
		l.allow("a", netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 0}), now, 1, 1)
	}
	if n := l.size(); n > 2*64*shardRoom || n < 64*shardRoom {
		t.Fatalf("%d buckets", n)
	}
}

func TestTheScriptTag(t *testing.T) {
	k := start(t)
	plain := k.do("GET", "/s/demo.js", "", "Accept-Encoding: identity")
	h := plain.header
	if plain.status != 200 || h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("Cache-Control") != bundleCache || h.Get("Vary") != "Accept-Encoding" ||
		h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Encoding") != "" || !strings.Contains(plain.body, "consents") {
		t.Fatal(plain.status, h)
	}
	st, _ := k.sites.Get("demo")
	v := k.prepare(st)[0]
	b, err := v.scripts.whole()
	if err != nil {
		t.Fatal(err)
	}
	for accept, want := range map[string]struct {
		encoding string
		body     []byte
	}{
		"br":                       {"br", b.Brotli},
		"gzip, deflate, br, zstd":  {"br", b.Brotli},
		"gzip":                     {"gzip", b.Gzip},
		"gzip;q=0.5, br;q=0":       {"gzip", b.Gzip},
		"br;q=0.0, gzip;q=0":       {"", b.JS},
		"*":                        {"br", b.Brotli},
		"br;q=0, *":                {"gzip", b.Gzip},
		"*;q=0":                    {"", b.JS},
		"deflate":                  {"", b.JS},
		"GZIP":                     {"gzip", b.Gzip},
		"brotli, x-gzip, compress": {"", b.JS},
	} {
		r := k.do("GET", "/s/demo.js", "", "Accept-Encoding: "+accept)
		if r.header.Get("Content-Encoding") != want.encoding || r.body != string(want.body) {
			t.Errorf("%s: %q, %d bytes", accept, r.header.Get("Content-Encoding"), len(r.body))
		}
	}
	etag := h.Get("Etag")
	for _, header := range []string{etag, `"x", ` + etag, "*", strings.TrimPrefix(etag, "W/")} {
		if r := k.do("GET", "/s/demo.js", "", "If-None-Match: "+header); r.status != 304 || r.body != "" || r.header.Get("Etag") != etag {
			t.Errorf("If-None-Match %s: %d", header, r.status)
		}
	}
	if r := k.do("GET", "/s/demo.js", "", `If-None-Match: "x"`); r.status != 200 {
		t.Error(r.status)
	}
	pinned := k.do("GET", "/s/demo."+b.Hash+".js", "", "Accept-Encoding: identity")
	if pinned.status != 200 || pinned.body != plain.body || !strings.Contains(pinned.header.Get("Cache-Control"), "immutable") {
		t.Fatal(pinned.status, pinned.header)
	}
	for _, path := range []string{"/s/nowhere.js", "/s/demo.0123456789abcdef.js", "/s/nowhere.0123456789abcdef.js"} {
		r := k.do("GET", path, "")
		if r.status != 404 || r.header.Get("Content-Type") != "text/javascript; charset=utf-8" || !strings.Contains(r.body, "console.warn(") || strings.Contains(r.body, "nowhere") ||
			strings.Contains(r.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v %s", path, r.status, r.header, r.body)
		}
		if run := k.do("GET", path, "", "Sec-Fetch-Dest: script"); run.status != 200 || run.body != r.body || run.header.Get("Vary") != "Sec-Fetch-Dest" {
			t.Errorf("%s, asked for by a script tag: %d %v", path, run.status, run.header) // browsers run no 404
		}
	}
	for _, path := range []string{"/s/demo", "/s/.js", "/s/demo..js", "/s/demo.a.b.js", "/s/demo.css", "/s/"} {
		r := k.do("GET", path, "")
		if code, _ := r.problem(t); r.status != 404 || code != "not_found" {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestAWordingIsServedByteForByte(t *testing.T) {
	k := start(t)
	st, _ := k.sites.Get("demo")
	for _, w := range st.Published {
		r := k.do("GET", "/v1/sites/demo/wordings/"+w.Hash.String(), "", "Origin: https://anybody.example")
		h := r.header
		if r.status != 200 || r.body != string(w.Doc) || h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Fatal(r.status, h)
		}
		if again := k.do("GET", "/v1/sites/demo/wordings/"+w.Hash.String(), "", "If-None-Match: "+h.Get("Etag")); again.status != 304 {
			t.Fatal(again.status)
		}
	}
	for _, hash := range []string{"7", strings.Repeat("0", 64), strings.ToUpper(st.Published[0].Hash.String()), k.wordingOf("slow", "banner", "en")} {
		r := k.do("GET", "/v1/sites/demo/wordings/"+hash, "")
		if code, _ := r.problem(t); r.status != 404 || code != "unknown_wording" {
			t.Errorf("%s: %s", hash, r.body)
		}
	}
}

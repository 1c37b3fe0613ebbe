package server

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// TestAProxyThatIsNotNamedIsToldOf once in the log, and in the administrator's readyz for as long as the process runs.
func TestAProxyThatIsNotNamedIsToldOf(t *testing.T) {
	for name, header := range map[string]string{"X-Forwarded-For": "X-Forwarded-For: 198.51.100.%d", "X-Real-IP": "X-Real-IP: 198.51.100.%d", "Forwarded": "Forwarded: for=198.51.100.%d"} {
		k := start(t)
		for i := range 10 {
			k.do("GET", "/v1/sites/slow/devices/"+uuid.NewString(), "", strings.Replace(header, "%d", string(rune('0'+i)), 1))
		}
		log := k.log.String()
		if n := strings.Count(log, "a proxy that is not named"); n != 1 || !strings.Contains(log, "--trusted-proxies 127.0.0.1") {
			t.Errorf("%s: told %d times:\n%s", name, n, log)
		}
		if n := strings.Count(log, "share one address"); n != 1 {
			t.Errorf("%s: of refusals %d times:\n%s", name, n, log)
		}
		if r := admin(k, "/readyz"); r.status != 200 || !strings.Contains(r.body, `"hints":["visitors seem to come through a proxy`) || !strings.Contains(r.body, "--trusted-proxies 127.0.0.1") || !strings.Contains(r.body, "(8 were refused)") {
			t.Errorf("%s: %s", name, r.body)
		}
		if r := k.do("GET", "/readyz", ""); strings.Contains(r.body, "127.0.0.1") || strings.Contains(r.body, "hints") {
			t.Errorf("%s: everybody is told: %s", name, r.body)
		}
	}
}

// TestANamedProxyIsNotToldOf, nor anything where visitors come by themselves.
func TestANamedProxyIsNotToldOf(t *testing.T) {
	k := start(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	for range 5 {
		k.do("GET", "/v1/sites/slow/devices/"+uuid.NewString(), "", "X-Forwarded-For: 198.51.100.1")
	}
	if strings.Contains(k.log.String(), "proxy") || strings.Contains(admin(k, "/readyz").body, "hints") {
		t.Error(k.log.String(), admin(k, "/readyz").body)
	}
}

// TestAStrangerIsNoProxy for sending a header, and many of them take bounded memory.
func TestAStrangerIsNoProxy(t *testing.T) {
	k := prepareServer(t)
	ask := func(ip string) {
		ctx := newCtx("GET", "/", "")
		ctx.SetRemoteAddr(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 4711)))
		ctx.Request.Header.Set(fasthttp.HeaderXForwardedFor, "1.2.3.4")
		k.noteForwarded(ctx, k.clientIP(ctx))
	}
	ask("203.0.113.9")
	if h := k.proxies.hint(); h != "" {
		t.Errorf("one request: %s", h)
	}
	for range suspicious {
		ask("203.0.113.9")
	}
	if h := k.proxies.hint(); !strings.Contains(h, "203.0.113.9") {
		t.Errorf("many requests: %q", h)
	}
	for i := range 1000 {
		ask(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}).String())
	}
	n := 0
	k.proxies.peers.Range(func(any, any) bool { n++; return true })
	if n > maxPeers {
		t.Errorf("%d peers are remembered", n)
	}
}

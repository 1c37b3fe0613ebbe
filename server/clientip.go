package server

import (
	"net"
	"net/netip"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"github.com/valyala/fasthttp"
)

// clientIP is the address a request comes from. Without trusted proxies it is the peer's. Behind them, it is
// found by walking X-Forwarded-For from the right: each entry was written by the hop to its right, so the
// first one that is not a trusted proxy is the last that can be believed. What stands left of it was written
// by the client, and may say anything.
func (s *Server) clientIP(ctx *fasthttp.RequestCtx) netip.Addr {
	ip := peer(ctx.RemoteAddr())
	if len(s.opt.TrustedProxies) == 0 || !s.trusted(ip) {
		s.noteForwarded(ctx, ip)
		return ip
	}
	lines := ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)
	for i := len(lines) - 1; i >= 0; i-- {
		rest := string(lines[i])
		for rest != "" {
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				rest, hop = "", rest
			}
			next, ok := parseHop(hop)
			if !ok {
				return ip // written by a proxy we trust, but not an address: nothing further left is better
			}
			if ip = next; !s.trusted(ip) {
				return ip
			}
		}
	}
	return ip
}

func peer(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

func (s *Server) trusted(ip netip.Addr) bool {
	for _, p := range s.opt.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// parseHop reads one entry: an address, maybe with a port or in brackets, as proxies write them.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return ip.Unmap().WithZone(""), true
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return ap.Addr().Unmap().WithZone(""), true
}

// keepIP cuts an address to what the site's policy keeps.
func keepIP(ip netip.Addr, policy consent.IPPolicy) netip.Addr {
	switch policy {
	case consent.IPNone:
		return netip.Addr{}
	case consent.IPTruncated:
		return network(ip)
	}
	return ip
}

// network is the first address of ip's /24 or /48: about one household, office or customer.
func network(ip netip.Addr) netip.Addr {
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Addr{} // no address at all
	}
	return p.Addr()
}

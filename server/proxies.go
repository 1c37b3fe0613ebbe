package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// proxyWatch notices what an operator behind a proxy that is not named has to know: all visitors have the proxy's
// address, share its rate limit, and are recorded with its network. Nothing fails, so nothing else would say it. What
// it keeps are addresses of peers, at most maxPeers, and only of those that look like proxies.
type proxyWatch struct {
	peers sync.Map // netip.Addr → *peerCount
	known atomic.Int32
	told  atomic.Bool // that a peer forwards
	hurt  atomic.Bool // that visitors were refused for it
}

// peerCount is what came from one address that looks like many visitors'.
type peerCount struct {
	forwarded atomic.Uint64 // requests with an X-Forwarded-For that was not believed
	refused   atomic.Uint64 // requests answered 429, counted as this address's
}

const (
	// maxPeers bounds the addresses remembered: a strange header is sent by anybody.
	maxPeers = 64
	// suspicious is how many forwarded requests make a proxy of a public address; one is enough in a private network.
	suspicious = 20
)

// of finds the count of a peer; nil when there is no room for another.
func (w *proxyWatch) of(ip netip.Addr) *peerCount {
	if c, ok := w.peers.Load(ip); ok {
		return c.(*peerCount)
	}
	if w.known.Add(1) > maxPeers {
		w.known.Add(-1)
		return nil
	}
	c, known := w.peers.LoadOrStore(ip, &peerCount{})
	if known {
		w.known.Add(-1)
	}
	return c.(*peerCount)
}

// noteForwarded counts a request of a peer that is not trusted and says for whom it comes.
func (s *Server) noteForwarded(ctx *fasthttp.RequestCtx, peer netip.Addr) {
	if !forwards(&ctx.Request.Header) {
		return
	}
	c := s.proxies.of(peer)
	if c == nil {
		return
	}
	if n := c.forwarded.Add(1); n >= need(peer) && s.proxies.told.CompareAndSwap(false, true) {
		s.opt.Log.LogAttrs(s.ctx, slog.LevelWarn, "requests come through a proxy that is not named: all its visitors have one address and share one rate limit",
			slog.String("proxy", peer.String()), slog.String("if it is yours, name it with", "--trusted-proxies "+peer.String()))
	}
}

// noteRefused counts a request that was refused because its network has sent too many, where that network may be a
// proxy's: it forwards, or it is a private one, as of a container's gateway.
func (s *Server) noteRefused(ctx *fasthttp.RequestCtx, client netip.Addr) {
	if client != peer(ctx.RemoteAddr()) || !forwards(&ctx.Request.Header) && !private(client) {
		return
	}
	c := s.proxies.of(client)
	if c == nil {
		return
	}
	c.refused.Add(1)
	if s.proxies.hurt.CompareAndSwap(false, true) {
		s.opt.Log.LogAttrs(s.ctx, slog.LevelWarn, "visitors are refused (429) because they share one address, which may be a proxy's",
			slog.String("address", client.String()), slog.String("if it is yours, have it send X-Forwarded-For and name it with", "--trusted-proxies "+client.String()))
	}
}

// forwards reports whether a request says for whom it comes, in any of the ways proxies do.
func forwards(h *fasthttp.RequestHeader) bool {
	return len(h.Peek(fasthttp.HeaderXForwardedFor)) > 0 || len(h.Peek("X-Real-Ip")) > 0 || len(h.Peek(fasthttp.HeaderForwarded)) > 0
}

func private(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() }

func need(peer netip.Addr) uint64 {
	if private(peer) {
		return 1
	}
	return suspicious
}

// hint says what was noticed, the busiest peers first; "": nothing.
func (w *proxyWatch) hint() string {
	type seen struct {
		ip                 netip.Addr
		forwarded, refused uint64
	}
	var all []seen
	var refused uint64
	w.peers.Range(func(k, v any) bool {
		ip, c := k.(netip.Addr), v.(*peerCount)
		if p := (seen{ip, c.forwarded.Load(), c.refused.Load()}); p.forwarded >= need(ip) || p.refused > 0 {
			all = append(all, p)
			refused += p.refused
		}
		return true
	})
	if len(all) == 0 {
		return ""
	}
	slices.SortFunc(all, func(a, b seen) int {
		return cmp.Or(cmp.Compare(b.forwarded+b.refused, a.forwarded+a.refused), a.ip.Compare(b.ip))
	})
	const most = 4
	var names []string
	for _, p := range all[:min(most, len(all))] {
		names = append(names, p.ip.String())
	}
	return fmt.Sprintf("visitors seem to come through a proxy that is not named, have its address and share its rate limit (%d were refused): "+
		"if it is yours, have it send X-Forwarded-For and name it with --trusted-proxies %s", refused, strings.Join(names, ","))
}

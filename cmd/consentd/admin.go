package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/consentd/consentd/server/token"
)

// adminServer serves the admin address. Who may enter is decided here for every route, those of later too:
//
//   - The Host header names this machine, the address that was dialled, or a name from --admin-hosts: a page in a
//     browser cannot come in under a name of its own (DNS rebinding).
//   - Another site's page is refused (Sec-Fetch-Site, Origin).
//   - What is not on the list of open routes asks for a token of scope admin. Everything that changes something or
//     shows persons is closed that way, without being named.
type adminServer struct {
	http  *http.Server
	inner http.Handler
	busy  sync.RWMutex // held for reading by each request; for writing, for good, once none may begin
}

// newAdminServer puts the routes of the server and those of this package behind one door.
func (n *node) newAdminServer() *adminServer {
	mux := http.NewServeMux()
	mux.Handle("/", n.server.Load().Admin())
	n.mailRoutes(mux)
	mux.HandleFunc("POST /snapshot/{site}", n.snapshotHandler)
	mux.HandleFunc("POST /erase/{site}", n.eraseHandler)
	mux.HandleFunc("POST /backup", n.backupHandler)
	mux.HandleFunc("POST /check", n.inspectHandler)
	mux.HandleFunc("POST /resend", n.resendHandler)
	closed := n.withToken(patient(mux))
	own := hostOf(n.flags.Admin)
	o := &adminServer{inner: hostKnown(append(slices.Clone(n.flags.AdminHosts), own), http.NewCrossOriginProtection().Handler(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if embedded(r) {
				http.Error(w, "another site's page may link here, not load from here", http.StatusForbidden)
				return
			}
			if openToAll(r) {
				mux.ServeHTTP(w, r)
				return
			}
			closed.ServeHTTP(w, r)
		})))}
	// What takes longer than these waits behind a token, see patient.
	o.http = &http.Server{Handler: o, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return n.life }}
	return o
}

func (o *adminServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !o.busy.TryRLock() {
		http.Error(w, "the server is stopping", http.StatusServiceUnavailable)
		return
	}
	defer o.busy.RUnlock()
	o.inner.ServeHTTP(w, r)
}

// serve answers until shutdown, then returns nil.
func (o *adminServer) serve(ln net.Listener) error {
	if err := o.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the admin address: %w", err)
	}
	return nil
}

// shutdown ends every connection and with it the context of each request, waits until ctx ends for the handlers to
// notice, and says whether all have.
func (o *adminServer) shutdown(ctx context.Context) (ended bool) {
	o.http.Close()
	none := make(chan struct{})
	go func() { o.busy.Lock(); close(none) }()
	select {
	case <-none:
		return true
	case <-ctx.Done():
		return false
	}
}

// openRoutes is what needs no token: nothing there changes anything or names a person. A name that ends with / stands
// for all below it.
var openRoutes = [...]string{"/healthz", "/readyz", "/metrics", "/preview/", "/mail/preview/", "/debug/pprof/"}

// embedded: a page of another site loads this as a part of itself (Fetch Metadata, Sec-Fetch-Site and -Mode): it could
// have the server profile itself again and again.
func embedded(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate"
}

func openToAll(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for _, open := range openRoutes {
		if r.URL.Path == open || strings.HasSuffix(open, "/") && strings.HasPrefix(r.URL.Path, open) {
			return true
		}
	}
	return false
}

// withToken lets those in who show an admin token.
func (n *node) withToken(next http.Handler) http.Handler {
	const how = `this needs a token of scope admin: the consentd command issues itself one from --data; for another program: consentd token --scope admin --site '*' --name NAME`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := token.Bearer(r.Header.Get("Authorization"))
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="consentd admin"`)
			http.Error(w, how, http.StatusUnauthorized)
			return
		}
		claims, err := n.tokens.Verify(raw)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="consentd admin", error="invalid_token"`)
			http.Error(w, fmt.Sprintf("%v; %s", err, how), http.StatusUnauthorized)
			return
		}
		if err := claims.Allows(token.AllSites, token.ScopeAdmin); err != nil {
			http.Error(w, fmt.Sprintf("%v; %s", err, how), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// patient takes the bound on answers away: a backup or an erasure may work for minutes before its last word.
func patient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return // the connection is gone
		}
		next.ServeHTTP(w, r)
	})
}

// hostKnown refuses requests that are meant for another name.
func hostKnown(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if !isLocal(host) && !isDialled(host, r) && !slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.EqualFold(n, host) }) {
			http.Error(w, fmt.Sprintf("this admin address does not go by the name %q; use the address it listens on, or name the host in --admin-hosts", host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf takes the port off, and the brackets of an IPv6 address.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

// isLocal: only this machine is reached under it, from this machine.
func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// isDialled: it is the address the connection came in at. A page whose address is a number has that number's origin.
func isDialled(host string, r *http.Request) bool {
	ip, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return err == nil && ok && local.AddrPort().Addr().Unmap() == ip.Unmap().WithZone("")
}

// warnOfAdmin says once that the admin address can be reached from elsewhere.
func (n *node) warnOfAdmin() {
	if a, ok := n.admin.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		n.log.Warn("the admin address can be reached from other machines: metrics, previews and profiles are open to whoever can; erasing, backups and mails ask for a token",
			"admin", n.admin.Addr().String(), "keep it private with", "--admin 127.0.0.1:9090, or a firewall")
	}
}

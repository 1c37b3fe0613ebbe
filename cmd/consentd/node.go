package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/consentd/consentd/server"
	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/mail"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// node is a running consentd: the parts, in the order they were opened. They close in the reverse order, so
// that whatever still works has what it needs.
type node struct {
	flags    *nodeFlags
	log      *slog.Logger
	registry *prometheus.Registry

	ledger       *ledger.Ledger
	sites        *site.Registry
	tokens       *token.Ring
	engine       *engine.Engine       // nil: an external ClickHouse, or none
	warehouse    *warehouse.Warehouse // nil: none
	drain        *drain.Drain         // nil: none
	keeper       *evidence.Keeper
	receipts     *token.Ring
	photographer *photographer
	seal         sealer
	links        *link.Ring
	mail         *mail.Queue
	tellMail     atomic.Pointer[func(path, link string)] // told of mails written to files; nil: nobody
	server       atomic.Pointer[server.Server]           // read when a site file changes, from the registry's goroutine
	noEngine     error                                   // why there is no ClickHouse

	public, admin net.Listener
	closers       []func() error
}

// open opens every part. addr is where the public port listens, sites the directory of site files. What was
// opened before an error is closed again.
func open(ctx context.Context, f *nodeFlags, addr, sites string, log *slog.Logger) (*node, error) {
	n := &node{flags: f, log: log, registry: prometheus.NewRegistry()}
	n.photographer = &photographer{n: n, wanted: make(chan struct{}, 1)}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, step := range []func() error{
		func() error { return n.listen(addr) },
		n.openLedger,
		func() error { return n.openSites(sites) },
		n.openTokens,
		func() error { return n.openWarehouse(ctx) },
		func() error { return n.openLogs(ctx) },
		n.openSeal,
		n.openLinks,
		n.openMail,
		n.openServer,
		n.sendMail,
		n.openSnapshots,
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// later registers what has to be closed; the last registered closes first.
func (n *node) later(c func() error) { n.closers = append(n.closers, c) }

func (n *node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

// listen comes first: a port in use is the most common mistake, and nothing has been touched yet.
func (n *node) listen(addr string) (err error) {
	if n.public, err = listen("--addr", addr); err != nil {
		return err
	}
	n.later(ignoreClosed(n.public.Close))
	if n.admin, err = listen("--admin", n.flags.Admin); err != nil {
		return err
	}
	n.later(ignoreClosed(n.admin.Close))
	return nil
}

func listen(flag, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s %s: the port is in use; stop what listens there or choose another", flag, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return ln, nil
}

func ignoreClosed(c func() error) func() error {
	return func() error {
		if err := c(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (n *node) openLedger() (err error) {
	n.ledger, err = ledger.Open(ledger.Options{Dir: n.flags.ledger(), Edge: n.flags.Edge, Cache: n.flags.Cache << 20,
		Reserve: n.flags.Reserve << 20, Log: n.log, Metrics: n.registry, Unlogged: n.flags.BenchUnlogged})
	if errors.Is(err, ledger.ErrLocked) {
		return fmt.Errorf("%w; stop it, or give this one its own --data", err)
	}
	if err == nil {
		n.later(n.ledger.Close)
	}
	return err
}

// openSites loads the site files. A changed set is prepared (wordings published, scripts built) before
// anything is answered from it.
func (n *node) openSites(dir string) error {
	secrets, err := site.OpenSecrets(n.flags.secrets())
	if err != nil {
		return err
	}
	n.sites, err = site.Open(site.Options{Dir: dir, Secret: secrets.Site, Log: n.log, OnChange: func(all []*site.Site) {
		if s := n.server.Load(); s != nil {
			n.prepare(s, all)
			n.photographer.want()
		}
	}})
	if err != nil {
		return fmt.Errorf("--sites %s: %w", dir, err)
	}
	n.later(n.sites.Close)
	return nil
}

// prepare never stops the program: a site that cannot be prepared is tried again when it is asked for.
func (n *node) prepare(s *server.Server, all []*site.Site) {
	if err := s.Prepare(all); err != nil {
		n.log.Error("preparing sites", "error", err)
	}
}

func (n *node) openTokens() (err error) {
	n.tokens, err = token.Open(token.Options{Dir: n.flags.tokens(), Log: n.log})
	if err == nil {
		n.later(n.tokens.Close)
	}
	return err
}

// engineStart bounds the first start of the embedded ClickHouse: reading a 600 MB library from a cold disk.
const engineStart = 90 * time.Second

// openWarehouse finds a ClickHouse and starts shipping to it. Without one consentd collects and answers
// lookups all the same (DESIGN §7): it says so once, and in /readyz.
func (n *node) openWarehouse(ctx context.Context) error {
	url := n.flags.Clickhouse
	if url == "" {
		url, n.noEngine = n.startEngine(ctx)
		if n.noEngine != nil {
			n.log.Error("no ClickHouse: choices are collected and lookups answered; rates, history and shipping wait", "error", n.noEngine)
			return nil
		}
	}
	var err error
	n.warehouse, err = warehouse.Open(warehouse.Options{URL: url, Log: n.log})
	if err != nil {
		return fmt.Errorf("--clickhouse: %w", err)
	}
	n.later(n.warehouse.Close)
	n.drain = drain.New(drain.Options{Ledger: n.ledger, Warehouse: n.warehouse, Log: n.log, Metrics: n.registry})
	n.later(n.ship())
	return nil
}

// ship runs the drain until the function it returns is called.
func (n *node) ship() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.drain.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func (n *node) startEngine(ctx context.Context) (url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	n.engine, err = engine.Open(ctx, engine.Options{Dir: n.flags.engine(), Lib: n.flags.EngineLib, MemoryBytes: n.flags.EngineMemory << 20, Log: n.log})
	if err != nil {
		return "", err
	}
	n.later(n.engine.Close)
	return n.engine.URL(), nil
}

func (n *node) openSeal() error {
	keys, err := site.OpenSealKeys(n.flags.seal())
	if err != nil {
		return err
	}
	n.seal = sealer{keys}
	watching, stop := context.WithCancel(context.Background())
	go n.seal.watch(watching, n.log)
	n.later(func() error { stop(); return nil })
	return nil
}

func (n *node) openServer() error {
	proxies, err := n.flags.proxies()
	if err != nil {
		return err
	}
	country, err := n.countries()
	if err != nil {
		return err
	}
	base, err := n.publicURL()
	if err != nil {
		return err
	}
	if err := n.boundMemory(); err != nil {
		return err
	}
	o := server.Options{Memory: n.flags.Memory << 20, IdleTimeout: n.flags.IdleTimeout, Ledger: n.ledger, Sites: n.sites, Tokens: n.tokens, Seal: n.seal, Links: n.links, Mail: n.mail, PublicURL: base, Evidence: n.keeper, Receipts: n.receipts, Pictures: n.picture, Country: country, TrustedProxies: proxies,
		Checks: n.checks(), Version: versionString(), Log: n.log, AccessLog: n.flags.AccessLog, Metrics: n.registry}
	if n.warehouse != nil {
		o.Warehouse = n.warehouse
	}
	s, err := server.New(o)
	if err != nil {
		return err
	}
	n.server.Store(s)
	n.prepare(s, n.sites.All())
	n.later(n.tidy(s))
	return nil
}

// tidyEvery is how often what is over is forgotten; it is kept for days, so the hour does not matter.
const tidyEvery = time.Hour

// tidy has the server forget what is over, until the function it returns is called.
func (n *node) tidy(s *server.Server) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(tidyEvery); ; {
			if err := s.Tidy(); err != nil {
				n.log.Error("forgetting old requests to confirm; tried again in an hour", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	}()
	return func() error { cancel(); <-done; return nil }
}

// countries reads the MaxMind database, if there is one.
func (n *node) countries() (func(netip.Addr) string, error) {
	if n.flags.Geoip == "" {
		return nil, nil
	}
	db, err := maxminddb.Open(n.flags.Geoip)
	if err != nil {
		return nil, fmt.Errorf("--geoip %s: %w", n.flags.Geoip, err)
	}
	n.later(db.Close)
	return func(ip netip.Addr) string {
		var code string
		if err := db.Lookup(ip).DecodePath(&code, "country", "iso_code"); err != nil {
			return ""
		}
		return code
	}, nil
}

// checks is what /readyz looks at. Only the ledger is essential.
func (n *node) checks() []server.Check {
	all := []server.Check{
		{Name: "ledger", Essential: true, Do: func(context.Context) error { return n.ledger.Health() }},
		{Name: "sites", Do: func(context.Context) error { return siteErrors(n.sites.Problems()) }},
		{Name: "tokens", Do: func(context.Context) error { return n.tokens.Err() }},
		{Name: "log", Do: func(context.Context) error { return n.keeper.Health() }},
		{Name: "mail", Do: func(context.Context) error { return n.mail.Health() }},
	}
	if n.flags.Clickhouse == "" {
		all = append(all, server.Check{Name: "engine", Do: func(context.Context) error {
			if n.engine == nil {
				return n.noEngine
			}
			return n.engine.Health()
		}})
	}
	if n.drain != nil {
		all = append(all, server.Check{Name: "drain", Do: func(context.Context) error { return n.drain.Health() }})
	}
	return all
}

func siteErrors(problems []site.Problem) error {
	var errs []error
	for _, p := range problems {
		if p.Severity == site.Error {
			errs = append(errs, errors.New(p.String()))
		}
	}
	return errors.Join(errs...)
}

// drainRequests is how long requests under way may take once the program is asked to stop.
const drainRequests = 15 * time.Second

// run serves until ctx ends, a listener fails or the ledger does; then it stops: no new requests, those under
// way finish, what is left ships or waits on disk, parts close.
func (n *node) run(ctx context.Context) error {
	front := n.server.Load()
	admin := &http.Server{Handler: n.adminHandler(front.Admin()), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { failed <- front.Serve(n.public) })
	wg.Go(func() { failed <- admin.Serve(n.admin) })
	var err error
	select {
	case <-ctx.Done():
		n.log.Info("stopping: requests under way are answered first")
	case err = <-failed:
	case <-n.ledger.Fatal():
		err = n.ledger.Err()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRequests)
	defer cancel()
	err = errors.Join(err, front.Shutdown(stop), admin.Close())
	wg.Wait()
	return errors.Join(err, n.close())
}

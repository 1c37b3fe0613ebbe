package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	"github.com/google/uuid"
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
	siteDir      string
	secrets      *site.Secrets
	keys         *keyRegister
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

	backing sync.Mutex // held while a backup is written

	life  context.Context // ends when the node begins to stop; what works in the background works until then
	end   context.CancelFunc
	parts parts
}

// step is one step of opening a node; its name completes "opening".
type step struct {
	name string
	do   func(ctx context.Context) error
}

// open opens every part. addr is where the public port listens, sites the directory of site files. What was
// opened before an error is closed again. errStopped: ctx ended first.
func open(ctx context.Context, f *nodeFlags, addr, sites string, log *slog.Logger) (*node, error) {
	n := &node{flags: f, log: log, registry: prometheus.NewRegistry()}
	n.life, n.end = context.WithCancel(context.Background())
	n.photographer = &photographer{n: n, wanted: make(chan struct{}, 1)}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	plain := func(do func() error) func(context.Context) error { return func(context.Context) error { return do() } }
	err := n.start(ctx, []step{
		{"the ports", plain(func() error { return n.listen(addr) })},
		{"the ledger", plain(n.openLedger)},
		{"the keys", n.checkKeys},
		{"the site files", plain(func() error { return n.openSites(sites) })},
		{"the keys of tokens", plain(n.openTokens)},
		{"ClickHouse", n.openWarehouse},
		{"the log of proofs", n.openLogs},
		{"the keys that seal", plain(n.openSeal)},
		{"the keys of links", plain(n.openLinks)},
		{"the queue of mails", plain(n.openMail)},
		{"the server", plain(n.openServer)},
		{"sending mails", plain(n.sendMail)},
		{"the list of keys", n.registerKeys},
		{"what was erased before a restore", n.openReplay},
		{"the backups", plain(n.openBackups)},
		{"the pictures", plain(n.openSnapshots)},
		{"the name of the edge", n.decideRecording},
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// sayAfter is how long a step of the start may take before it is named in the log, and again after as long.
const sayAfter = 10 * time.Second

// start takes the steps, one after the other. It does not wait for one that goes on although the program is to end or
// the ledger has failed: that may be a disk that does not answer.
func (n *node) start(ctx context.Context, steps []step) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	now := make(chan string, len(steps))
	opened := make(chan error, 1)
	go func() { opened <- n.take(ctx, fail, steps, now) }()
	at, since, asked := "", time.Now(), ctx.Done()
	var late <-chan time.Time // not nil once the steps should end
	for tick := time.NewTicker(sayAfter); ; {
		select {
		case at = <-now:
			since = time.Now()
		case <-tick.C:
			n.log.Info("starting takes long", "opening", at, "since", time.Since(since).Round(time.Second))
		case <-asked:
			asked, late = nil, time.After(forRequests)
		case err := <-opened:
			tick.Stop()
			return n.started(ctx, err)
		case <-late:
			tick.Stop()
			return startLeft(context.Cause(ctx), at)
		}
	}
}

// take takes the steps, and tells now of each.
func (n *node) take(ctx context.Context, fail context.CancelCauseFunc, steps []step, now chan<- string) error {
	watched := false
	for _, s := range steps {
		now <- s.name
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("opening %s: %w", s.name, err)
		}
		if n.ledger != nil && !watched {
			watched = true
			go n.watchLedger(ctx, fail)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// watchLedger ends a start whose ledger has failed, whatever the start is busy with.
func (n *node) watchLedger(ctx context.Context, fail context.CancelCauseFunc) {
	select {
	case <-n.ledger.Fatal():
		fail(n.ledger.Err())
	case <-ctx.Done():
	}
}

// started is what a start comes to whose steps have ended.
func (n *node) started(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	closed := n.close(time.Now().Add(forRequests), nil)
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return errors.Join(err, closed)
	case !errors.Is(cause, context.Canceled):
		return errors.Join(cause, closed) // the ledger's failure: what the step made of it says less
	case closed != nil:
		return closed
	}
	return errStopped
}

// startLeft is what a start comes to of which a step does not end.
func startLeft(cause error, at string) error {
	if errors.Is(cause, context.Canceled) {
		return fmt.Errorf("asked to stop while opening %s, which did not end in time: ended without it", at)
	}
	return fmt.Errorf("while opening %s: %w", at, cause)
}

// later registers what has to be closed; the last registered closes first.
func (n *node) later(name string, c func() error) {
	n.parts = append(n.parts, part{name: name, close: c})
}

// work runs f in the background until the node begins to stop.
func (n *node) work(name string, f func(ctx context.Context) error) {
	done := make(chan error, 1)
	go func() { done <- f(n.life) }()
	n.later(name, func() error { return <-done })
}

// close ends what works in the background and closes every part, until end; left names what is known to run on.
func (n *node) close(end time.Time, left []string) error {
	n.end()
	left, err := n.parts.close(end, left)
	n.parts = nil
	tellLeft(n.log, left)
	return err
}

// listen comes first: a port in use is the most common mistake, and nothing has been touched yet.
func (n *node) listen(addr string) (err error) {
	if n.public, err = listen("--addr", addr); err != nil {
		return err
	}
	n.later("the public port", ignoreClosed(n.public.Close))
	if n.admin, err = listen("--admin", n.flags.Admin); err != nil {
		return err
	}
	n.later("the admin port", ignoreClosed(n.admin.Close))
	n.warnOfAdmin()
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
	if err := noHalfRestore(n.flags.Data); err != nil {
		return err
	}
	cache, err := n.flags.cacheBytes()
	if err != nil {
		return err
	}
	n.ledger, err = ledger.Open(ledger.Options{Dir: n.flags.ledger(), Edge: n.flags.Edge, Cache: cache,
		Reserve: n.flags.Reserve << 20, Log: n.log, Metrics: n.registry})
	if errors.Is(err, ledger.ErrLocked) {
		return fmt.Errorf("%w; stop it, or give this one its own --data", err)
	}
	if err == nil {
		n.parts = append(n.parts, part{name: "the ledger", base: true, close: n.ledger.Close})
	}
	return err
}

// openSites loads the site files. A changed set is prepared (wordings published, scripts built) before
// anything is answered from it.
func (n *node) openSites(dir string) (err error) {
	n.siteDir = dir
	if n.secrets, err = site.OpenSecrets(n.flags.secrets()); err != nil {
		return err
	}
	n.sites, err = site.Open(site.Options{Dir: dir, Secret: n.secrets.Site, Log: n.log, OnChange: func(all []*site.Site) {
		if s := n.server.Load(); s != nil {
			n.prepare(s, all)
			n.photographer.want()
		}
	}})
	if err != nil {
		return fmt.Errorf("--sites %s: %w", dir, err)
	}
	n.later("the site files", n.sites.Close)
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
		n.later("the keys of tokens", n.tokens.Close)
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
		if ctx.Err() != nil {
			return ctx.Err()
		}
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
	n.later("the connections to ClickHouse", n.warehouse.Close)
	session, gone := n.nextSession()
	n.drain = drain.New(drain.Options{Ledger: n.ledger, Warehouse: n.warehouse, KeepShipped: n.flags.KeepShipped, Session: session, Replaces: gone,
		Predecessors: predecessors(n.ledger.Generations()), Log: n.log, Metrics: n.registry})
	n.work("shipping", n.drain.Run)
	return nil
}

// predecessors are the instances a ledger was made from: it may ship under the name they shipped under.
func predecessors(all []ledger.Generation) (instances []uuid.UUID) {
	for _, g := range all[:len(all)-1] {
		instances = append(instances, g.Instance)
	}
	return instances
}

func (n *node) startEngine(ctx context.Context) (url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	n.engine, err = engine.Open(ctx, engine.Options{Dir: n.flags.engine(), Lib: n.flags.EngineLib, MemoryBytes: n.flags.EngineMemory << 20, Log: n.log})
	if err != nil {
		return "", err
	}
	n.later("the embedded ClickHouse", n.engine.Close)
	return n.engine.URL(), nil
}

func (n *node) openSeal() error {
	keys, err := site.OpenSealKeys(n.flags.seal())
	if err != nil {
		return err
	}
	n.seal = sealer{keys}
	n.work("watching the keys that seal", func(ctx context.Context) error { n.seal.watch(ctx, n.log); return nil })
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
		o.Warehouse, o.Gaps = n.warehouse, n.drain.Gaps
	}
	s, err := server.New(o)
	if err != nil {
		return err
	}
	n.server.Store(s)
	n.prepare(s, n.sites.All())
	n.work("forgetting what is over", func(ctx context.Context) error { n.tidy(ctx, s); return nil })
	return nil
}

// tidyEvery is how often what is over is forgotten; it is kept for days, so the hour does not matter.
const tidyEvery = time.Hour

// tidy has the server forget what is over, until ctx ends.
func (n *node) tidy(ctx context.Context, s *server.Server) {
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
	n.parts = append(n.parts, part{name: "--geoip", base: true, close: db.Close}) // it is mapped: reading it after would end the process
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
		{Name: "data", Do: func(context.Context) error { return n.ledger.Degraded() }},
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
		all = append(all, server.Check{Name: "drain", Do: func(context.Context) error { return n.drain.Health() }},
			server.Check{Name: "rows", Do: func(context.Context) error { return n.drain.Rows() }},
			server.Check{Name: "clock", Do: func(context.Context) error { return n.drain.Clock() }})
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

// run serves until ctx ends, a listener fails or the ledger does; then it stops: no new requests, those under
// way finish, what is left ships or waits on disk, parts close. It calls serving once commands find it by --data.
func (n *node) run(ctx context.Context, serving func()) error {
	front, admin := n.server.Load(), n.newAdminServer()
	failed := make(chan error, 2)
	go func() { failed <- front.Serve(n.public) }()
	go func() { failed <- admin.serve(n.admin) }()
	err := n.writeRunning()
	if err == nil {
		serving()
		select {
		case <-ctx.Done():
			n.log.Info("stopping: requests under way are answered first", "at_most", forRequests)
		case err = <-failed:
		case <-n.ledger.Fatal():
			err = n.ledger.Err()
		}
	}
	end := time.Now().Add(forStop)
	err = errors.Join(err, removeRunning(n.flags.Data)) // while the data directory is held: the next server's stays
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), forRequests)
	defer cancel()
	var left []string
	inside := make(chan bool, 1)
	go func() { inside <- admin.shutdown(stop) }()
	switch e := front.Shutdown(stop); {
	case errors.Is(e, server.ErrStillHandling):
		left = append(left, "requests under way")
	case e != nil:
		err = errors.Join(err, e)
	}
	if !<-inside {
		left = append(left, "requests under way on the admin address")
	}
	return errors.Join(err, n.close(end, left))
}

// Package server is consentd's HTTP side: it takes choices from browsers and programs, has them made durable,
// and answers who consented to what.
//
// It guarantees that a 2xx to a choice is sent only after the ledger said it is durable, that nothing is
// recorded when a 4xx or 503 is sent (after a 500 the outcome is unknown, and sending the same id again tells),
// that every refusal has a stable code, and that nothing personal reaches a log, a metric or a URL.
//
// It does not terminate TLS (a proxy does), does not talk to ClickHouse itself, and keeps no state that a
// restart would miss besides rate limits and caches.
//
// # Files
//
//	routes.go     the route table
//	server.go     Options, New, Serve, Shutdown
//	handle.go     what happens around every handler: site, token, CORS, panics, metrics, logs
//	metrics.go    what is counted, all of it looked up before the first request
//	errors.go     the one map from errors to problems; codes.go lists them
//	respond.go    writing answers without allocating
//	view.go       a site's configuration, prepared for handlers
//	conn.go       connections: deadlines, and how they end
//	memory.go     what requests may take of it; body.go reads bodies within
//	cors.go, clientip.go, proxies.go, limit.go    the rules at the door; browsers.go for what a browser says of itself
//	bundle.go     GET  /s/…           the script tag; scripts.go for which script it gets
//	consents.go   POST …/consents     a choice
//	prompts.go    POST …/prompts      a display
//	devices.go    GET  …/devices/…    a browser reads its own state
//	wordings.go   GET  …/wordings/…   what a hash stands for
//	question.go   what a lookup asks: purposes, or a channel and its uses
//	lookup.go     GET  …/lookup       may I? for one; batch.go for up to 10,000
//	contacts.go   POST …/contacts     people were in touch: what keeps a consent from running out
//	history.go    POST …/history      all proofs of a subject; proofs.go for one
//	rates.go      GET  …/rates        how many said yes
//	links.go      POST …/links        addresses for senders
//	identify.go   POST …/identify     what an account has decided
//	forms.go      /f/…                a form without a script
//	optin.go      /c/…                double opt-in: what a mail asks to confirm
//	centre.go     /p/…                the preference centre; export.go for a copy of everything
//	unsubscribe.go /u/…               unsubscribing, by a person or by a mailbox provider
//	hosted.go     what these pages share; deeds.go for the proofs made on them; tidy.go forgets what is over
//	evidence.go   …/proofs/…/evidence a file for a stranger; dossier.go prints it, published.go logs what was shown
//	receipt.go    …/proofs/…/receipt  a signed receipt for the person
//	log.go        /log/…              the public log; verify.go the page that checks a file
//	health.go     /healthz, /readyz; admin.go for the admin address; preview.go /preview/…, every look of a site
//	docs.go       /docs and /openapi.yaml
//
// # Why Fiber on fasthttp
//
// Bare, it answers 130,000 POSTs a second on two cores (November 2026), and its buffers are reused: the record
// path allocates little more than the proof. The price is that nothing it hands out may
// outlive a handler. Bodies are therefore copied once, into a string, before anything is read out of them
// (see body); everything else that is kept is copied where it is taken. The server is fasthttp's own rather
// than the one Fiber makes, because the latter cannot set a body limit per route nor map errors below the
// router.
package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/widget"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// Ledger is what the server asks of the local store; *ledger.Ledger is one.
type Ledger interface {
	Edge() string
	Now() consent.Millis
	Append(ctx context.Context, p *consent.Proof) (ledger.Receipt, error)
	AppendWith(ctx context.Context, p *consent.Proof, notes ...ledger.Note) (ledger.Receipt, error)
	AppendPrompt(ctx context.Context, p *consent.Prompt) error
	Publish(ctx context.Context, w *consent.Published) error
	Announce(ctx context.Context, p *consent.Publication) error
	Wording(site string, h consent.Hash) (*consent.Publication, error)
	Standing(site string, key consent.SubjectKey, purpose string, now consent.Millis) (consent.Standing, bool, error)
	State(site string, key consent.SubjectKey) (consent.State, error)
	Standings(site string, keys []consent.SubjectKey, purposes []string, now consent.Millis, visit func(i int, sts []consent.Standing)) error
	Proof(id uuid.UUID) (*consent.Proof, uint64, error)
	Touch(ctx context.Context, site string, at consent.Millis, keys ...consent.SubjectKey) error
	SetNotes(ctx context.Context, notes ...ledger.Note) error
	Note(space string, key []byte) ([]byte, error)
	Notes(space string, from []byte, fn func(key, value []byte) error) error
	Unshipped(site string, key consent.SubjectKey, fn func(seq uint64, p *consent.Proof) error) error
	Generation(s consent.Stream, seq uint64) uint32 // of the log, in which seq was written
}

// Sites finds configurations; *site.Registry is one. A reload makes a new *site.Site.
type Sites interface {
	Get(id string) (*site.Site, bool)
	All() []*site.Site
}

// Tokens verifies API tokens; *token.Ring is one. Verify must not keep raw.
type Tokens interface {
	Verify(raw string) (*token.Claims, error)
}

// Sealer seals e-mail addresses and phone numbers before they are stored; *consent.KeyRing is one.
type Sealer interface {
	Seal(site string, kind consent.Kind, value string) []byte
	Open(site string, kind consent.Kind, sealed []byte) (string, error)
}

// Check is one thing /readyz looks at. One that takes longer than 2 s counts as failed for as long as it takes.
type Check struct {
	Name      string
	Essential bool // when it fails the server is not ready; otherwise it is ready and degraded
	Do        func(context.Context) error
}

// Options of New. Ledger, Sites, Tokens, Seal, Links and PublicURL are required.
type Options struct {
	Ledger    Ledger
	Warehouse Warehouse // nil: rates answer warehouse_unavailable, history and export what the ledger holds

	// Gaps says what the warehouse is known to lack; nil: nothing. It is called with every answer that rests on it.
	Gaps   func() []consent.Gap
	Sites  Sites
	Tokens Tokens
	Seal   Sealer
	Links  *link.Ring // makes and opens the secrets in addresses
	Mail   Mailer     // nil: forms with double opt-in answer mail_unavailable

	// PublicURL is how people reach this server: https://consent.shop.example, without a slash at the end. Links in
	// mails begin with it; a name beyond ASCII in its ASCII form.
	PublicURL string
	Evidence  Evidence                             // nil: no public log, no evidence files
	Receipts  Receipts                             // nil: no receipts
	Pictures  func(h consent.Hash) ([]byte, error) // a snapshot by its hash, fs.ErrNotExist; nil: none

	Country        func(netip.Addr) string // ISO 3166-1 alpha-2 or ""; nil: never known
	TrustedProxies []netip.Prefix          // whose X-Forwarded-For is believed; none: nobody's
	Checks         []Check
	Version        string

	Log       *slog.Logger         // default: discard
	AccessLog bool                 // one line per request; without it only failures are logged
	Metrics   *prometheus.Registry // default: a new one

	// Memory bounds, in bytes, what connections, requests and answers take together; default 1 GiB. Half is for
	// connections, the rest for bodies and answers that are larger than every connection may have (see memory.go).
	Memory         int64
	MaxConnections int           // default: as many as half of Memory holds; more are refused by closing them
	ReadTimeout    time.Duration // for one request to arrive, and for the first of a connection to begin; default 30 s
	WriteTimeout   time.Duration // for one answer to leave; default 30 s
	// IdleTimeout is how long a connection may be without a request; default 120 s. Proxies must be the first to
	// close it (they keep one 60 to 90 s), or they send a request into a connection that is just being closed.
	IdleTimeout time.Duration
}

func (o *Options) setDefaults() {
	if o.Country == nil {
		o.Country = func(netip.Addr) string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = max(1, int(o.Memory/2/connectionCost))
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 120 * time.Second
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = 30 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
}

// Server answers HTTP. Its methods are safe for concurrent use.
type Server struct {
	opt         Options
	app         *fiber.App
	route       fasthttp.RequestHandler // Fiber's router
	http        *fasthttp.Server
	metrics     *metrics
	limits      *limiter
	browsers    *browsers
	codes       map[codeKey]*codeState
	steps       []admit.Step
	promptSteps []admit.Step
	docPages    docPages
	plain       *pages.Look // of pages that are no site's
	origin      string      // of PublicURL
	prefix      string      // path of PublicURL: before the path of every link between pages
	bundles     *widget.Cache
	mails       *mailLimits
	offers      offers
	announced   sync.Map // Hash of each script this process has logged
	previewer   previewer

	// ctx is what the ledger is called with. It is never cancelled: a request's own context (fasthttp ends it when
	// a shutdown begins) would take back choices that are only waiting for their turn.
	ctx context.Context

	many       sync.Pool // of *many: working memory of batches
	several    sync.Pool // of *several: working memory of lookups of several purposes
	candidates sync.Pool // of *admit.Candidate

	memory   *memory
	proxies  proxyWatch
	probes   []*probe // one for each of Options.Checks
	draining atomic.Bool
	conns    conns
	ln       atomic.Pointer[doorman] // nil: Serve was not called
	requests atomic.Uint64           // numbers of request ids
	idPrefix string                  // tells the request ids of one run from another's

	views   atomic.Pointer[map[*site.Site]*view] // replaced as a whole when a configuration changes
	viewsMu sync.Mutex                           // held while replacing
}

// ErrOptions means that a required option is missing.
var ErrOptions = errors.New("server: Ledger, Sites, Tokens, Seal, Links and PublicURL are required")

// New prepares a server; it listens nowhere until Serve.
func New(o Options) (*Server, error) {
	if o.Ledger == nil || o.Sites == nil || o.Tokens == nil || o.Seal == nil || o.Links == nil || o.PublicURL == "" {
		return nil, ErrOptions
	}
	public, err := PublicURL(o.PublicURL)
	if err != nil {
		return nil, err
	}
	origin, prefix := splitURL(public)
	o.PublicURL = public.String()
	o.setDefaults()
	s := &Server{opt: o, origin: origin, prefix: prefix, ctx: context.Background(), limits: newLimiter(), browsers: newBrowsers(), mails: newMailLimits(), steps: admit.Steps(), promptSteps: admit.PromptSteps(), bundles: widget.NewCache(), idPrefix: uuid.NewString()[:8]}
	s.codes = codeStates(Codes())
	s.metrics = newMetrics(s)
	if err := s.metrics.register(o.Metrics); err != nil {
		return nil, err
	}
	if err := s.docPages.build(Codes()); err != nil {
		return nil, err
	}
	if s.plain, err = pages.NewLook(widget.Theme{}); err != nil {
		return nil, err
	}
	if s.previewer, err = newPreviewer(); err != nil {
		return nil, err
	}
	s.views.Store(&map[*site.Site]*view{})
	s.memory, s.probes = newMemory(o.Memory), newProbes(o.Checks)
	// fasthttp keeps the buffers of a connection for its next request: not those that an unusual one has grown. This
	// is a setting of the whole process; no other part of it uses fasthttp.
	fasthttp.SetBodySizePoolLimit(keptBuffer, keptBuffer)
	s.app = s.newApp()
	s.route = s.app.Handler()
	s.http = s.newHTTP()
	return s, nil
}

// newApp is Fiber as a router only. Routing is strict: one resource has one spelling.
func (s *Server) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		CaseSensitive: true, StrictRouting: true, DisableStartupMessage: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error { s.unrouted(c, err); return nil },
	})
	table := s.routes()
	for i := range table {
		s.mount(app, &table[i])
	}
	s.mountOptions(app, table)
	return app
}

// Limits on what may arrive. A body over the cap of its route but under the hard cap is thrown away as it comes, and
// the connection lives on; over the hard cap it is closed after the answer.
const (
	maxBody      = 16 << 10 // DESIGN §8
	maxLargeBody = 4 << 20  // 10,000 subjects of 400 bytes
	hardCap      = 4 * maxBody
	maxHeader    = 16 << 10 // request line and header; a browser's largest sensible is 8 KiB
)

func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      s.serve,
		ErrorHandler:                 s.unreadable,
		HeaderReceived:               s.headerReceived,
		Concurrency:                  s.opt.MaxConnections,
		ReadTimeout:                  s.opt.ReadTimeout,
		IdleTimeout:                  s.opt.IdleTimeout,
		WriteTimeout:                 s.opt.WriteTimeout,
		MaxRequestBodySize:           prefetched,
		StreamRequestBody:            true, // handlers read, once they know from whom: see read
		ConnState:                    s.connState,
		ReadBufferSize:               maxHeader,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		Logger:                       quietLogger{s.opt.Log},
	}
}

// Serve answers on ln until Shutdown, then returns nil; answers under way may still be going out until
// Shutdown returns. After Shutdown it closes ln and returns nil.
func (s *Server) Serve(ln net.Listener) error {
	own := &doorman{ln, &s.conns}
	s.ln.Store(own)
	if s.draining.Load() { // after the store: Shutdown sees one of the two
		own.Close()
	}
	return s.http.Serve(own)
}

// cutOff is how long handlers may take to end once their connections are closed.
const cutOff = 300 * time.Millisecond

// ErrStillHandling means that handlers did not end in time.
var ErrStillHandling = errors.New("server: requests were still being handled when the time for them was over")

// Shutdown refuses new requests, closes every connection on which none is being handled, and lets those under way
// finish until ctx ends; then it closes the rest. It may come before, during or after Serve. ErrStillHandling: a
// handler runs on.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	// fasthttp forgets a shutdown that comes before it has its listener.
	if ln := s.ln.Load(); ln != nil {
		ln.Close()
	}
	s.conns.closeReading()
	defer context.AfterFunc(ctx, s.conns.closeAll)()
	done := make(chan error, 1)
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() { done <- s.http.ShutdownWithContext(last) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(cutOff):
		return ErrStillHandling
	}
}

// quietLogger passes fasthttp's own messages (which may quote a request) on without their text.
type quietLogger struct{ log *slog.Logger }

func (q quietLogger) Printf(format string, _ ...any) {
	q.log.Debug("connection ended badly", "what", format)
}

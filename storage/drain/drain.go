// Package drain ships what an edge has recorded from its ledger to the warehouse: proofs, prompts and
// wordings, each stream in its own order and at its own pace.
//
// # Guarantee
//
// Every entry reaches the warehouse at least once, and the warehouse's tables count it once. The range of a batch
// is durable in the ledger before its first byte is sent, so a retry (after an error, a crash, a swallowed answer)
// sends the same rows, and the search for a refused one goes on where a crash stopped it. A warehouse that is
// down means a backlog, never a loss: Run keeps trying.
//
// A row the warehouse refuses for good is found by halving its batch, noted in the ledger and passed by: one
// bad row holds up nothing behind it.
//
// # What it does not do
//
// It promises no order between streams (a prompt may arrive before its wording), and it cannot notice that
// the warehouse lost what it had acknowledged: ClickHouse does not fsync inserts. For that, shipped entries
// stay in the ledger for Options.Grace, and Rewind sends them again:
//
//	after a power cut or a restored backup of ClickHouse, d.Rewind(ctx, stream, ledger.First(stream))
//
// counts nothing twice; what was there stays, what was missing returns. Rewinding also brings back personal
// rows erased in the warehouse since: repeat those erasures.
//
// # Files
//
//	drain.go    Options, Run, Health
//	stream.go   one stream: range, send, confirm, again
//	batch.go    a range of the ledger decoded into rows
//	trim.go     shipped entries forgotten after their grace
//	rewind.go   sending again
//	metrics.go  backlog, freshness, rows, batches
//	backoff.go  how long to wait after a failure
//
// # Why
//
// One cursor per stream and one batch in flight: order makes the cursor a single number and the queue easy
// to reason about, and one connection already carries ten times the rate we are made for. Parallel ranges
// would need a set of ranges to be durable; worth it only when one edge records 100,000 proofs a second.
package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/prometheus/client_golang/prometheus"
)

// Ledger is what the drain needs of storage/ledger.
type Ledger interface {
	Next(s consent.Stream) uint64  // first seq not yet durable
	First(s consent.Stream) uint64 // oldest seq still held
	Wait(ctx context.Context, s consent.Stream, seq uint64) error
	Scan(s consent.Stream, first, end uint64, fn func(seq uint64, raw []byte) error) error
	Cursor(s consent.Stream) (consent.Cursor, error)
	SaveCursor(s consent.Stream, c consent.Cursor) error // durable before it returns
	SetAside(a consent.SetAside) error                   // durable before it returns
	SetAsides() ([]consent.SetAside, error)
	Trim(s consent.Stream, before uint64) error
}

// Warehouse is what the drain needs of storage/warehouse. Rows that are sent again, in the same batch or another,
// must be stored if they are not there and counted once. An error of a Send that implements
// interface{ Poison() bool } and says true means that the rows themselves are refused for good; every other
// error is retried.
type Warehouse interface {
	Migrate(ctx context.Context) error
	SendProofs(ctx context.Context, from consent.Place, proofs []*consent.Proof) error
	SendPrompts(ctx context.Context, from consent.Place, prompts []*consent.Prompt) error
	SendWordings(ctx context.Context, from consent.Place, pubs []*consent.Publication) error
}

// Options of New. Ledger and Warehouse are needed.
type Options struct {
	Ledger    Ledger
	Warehouse Warehouse

	// Linger is how long a batch that is not full waits for more rows. Default 200 ms: a fifth of the freshness
	// goal, and at most five inserts a second per table.
	Linger time.Duration

	// BatchRows is the most proofs or prompts in one insert. Default 50,000 (some 40 MB decoded), where a
	// larger batch no longer raises the rate. Wordings are documents: 200.
	BatchRows int

	// Grace is how long after it was recorded a shipped entry stays in the ledger. Default 24 h.
	Grace time.Duration

	// MinBackoff and MaxBackoff bound the wait after a failure. Defaults 100 ms and 10 s.
	MinBackoff, MaxBackoff time.Duration

	Clock   func() time.Time      // default time.Now
	Log     *slog.Logger          // default slog.Default()
	Metrics prometheus.Registerer // nil: no metrics
}

func (o *Options) setDefaults() {
	if o.Linger == 0 {
		o.Linger = 200 * time.Millisecond
	}
	if o.BatchRows == 0 {
		o.BatchRows = 50_000
	}
	if o.Grace == 0 {
		o.Grace = 24 * time.Hour
	}
	if o.MinBackoff == 0 {
		o.MinBackoff = 100 * time.Millisecond
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// wordingRows bounds a batch of wordings: a document can be 100 KB.
const wordingRows = 200

// Drain ships one ledger to one warehouse. Run it once.
type Drain struct {
	opt     Options
	streams []*stream
	metrics *metrics

	migrating sync.Mutex // one Migrate at a time
}

// ErrGap means that entries the warehouse has not confirmed are no longer in the ledger: they were trimmed, or
// the data directory is not whole.
var ErrGap = errors.New("drain: entries that were never shipped are missing from the ledger")

// New prepares a drain and registers its metrics.
func New(o Options) *Drain {
	o.setDefaults()
	d := &Drain{opt: o}
	for _, s := range consent.Streams() {
		d.streams = append(d.streams, newStream(d, s))
	}
	d.metrics = newMetrics(d)
	return d
}

// Run ships until ctx ends (nil) or the ledger fails (its error). It waits for a warehouse that is not there
// yet, and applies the schema once it is.
func (d *Drain) Run(ctx context.Context) error {
	if err := d.announceSetAsides(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, len(d.streams)+1)
	var wg sync.WaitGroup
	start := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				failures <- fmt.Errorf("%s: %w", what, err)
				cancel()
			}
		})
	}
	for _, s := range d.streams {
		start("draining "+s.name, s.run)
	}
	start("trimming the ledger", d.trimLoop)
	wg.Wait()
	close(failures)
	return <-failures // the first; nil when there is none
}

// announceSetAsides carries rows set aside before over a restart: the counter an alert rests on must not fall
// to zero.
func (d *Drain) announceSetAsides() error {
	all, err := d.opt.Ledger.SetAsides()
	if err != nil {
		return err
	}
	if len(all) > 0 {
		d.metrics.setAside.Add(float64(len(all)))
		d.opt.Log.Warn("rows refused by the warehouse are set aside in the ledger", "rows", len(all))
	}
	return nil
}

// migrate applies the schema; streams that failed call it before they try again, so that a warehouse that
// was replaced by an empty one gets its tables.
func (d *Drain) migrate(ctx context.Context) error {
	d.migrating.Lock()
	defer d.migrating.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.opt.Warehouse.Migrate(ctx)
}

// Backlog is how many durable entries of s the warehouse has not confirmed.
func (d *Drain) Backlog(s consent.Stream) uint64 {
	next, shipped := d.opt.Ledger.Next(s), d.streams[s].shipped.Load()
	if next < shipped {
		return 0
	}
	return next - shipped
}

// Health is nil while the warehouse takes what it is sent (or nothing was sent yet), else what is wrong, with
// the backlog: fit for an operator's eyes.
func (d *Drain) Health() error {
	var errs []error
	for _, s := range d.streams {
		if err := s.health(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

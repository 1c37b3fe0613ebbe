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
// What the warehouse has acknowledged and lost all the same (ClickHouse does not fsync inserts, disks die, backups are
// older than what they replace) is found by counting what it holds, whenever it was away and once an hour, and sent
// again as far as the ledger still has it: shipped entries stay there for Options.KeepShipped, and longer until they have
// been counted. What nobody has any more is counted and said, in Rows and in Gaps.
//
// Nothing is sent before the name of the edge is claimed, and no longer once another instance has it.
//
// # What it does not do
//
// It promises no order between streams (a prompt may arrive before its wording). It does not notice rows that were changed
// in place, nor personal parts that are missing of entries the ledger has let go of: those may have been erased. A
// personal part that somebody deletes with a statement of their own, while the ledger still holds it, counts as lost
// and returns: erasing is Erase of the ledger and of the warehouse.
//
// # Files
//
//	drain.go     Options, Run, Health
//	stream.go    one stream: range, send, confirm, again
//	batch.go     a range of the ledger decoded into rows
//	connect.go   before the first row: the schema and the name of the edge
//	audit.go     what the warehouse holds, compared with what was shipped
//	refill.go    sending again what it lost, or what it is told to
//	probe.go     is it there, is its clock right, is it still the same
//	complete.go  what is known to be missing: Gaps, Rows
//	trim.go      shipped entries forgotten once they are old enough
//	metrics.go   backlog, freshness, rows, batches, losses
//	backoff.go   how long to wait after a failure
//
// # Why
//
// One cursor per stream and one batch in flight: order makes the cursor a single number and the queue easy
// to reason about, and one connection already carries ten times the rate we are made for. Parallel ranges
// would need a set of ranges to be durable; worth it only when one edge records 100,000 proofs a second.
//
// What is sent again is not queued behind or before new rows but sent beside them, so that a repair of days does not hold
// up the last minute. Its ranges are not persisted: equal rows collapse in the warehouse whatever batch they come in, and
// what a crash interrupts the count at the next start finds again.
package drain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
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

	Edge() string
	Instance() uuid.UUID                            // of this ledger, whatever it was copied from
	Generation(s consent.Stream, seq uint64) uint32 // in which seq was written, or would be; never falls
	Suspend(reason error)                           // writes are refused until the next start
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

	// Claim takes or renews the name of an edge; it gives another who holds it. Release gives it up.
	Claim(ctx context.Context, c consent.Claim, at consent.Millis) (*consent.Holder, error)
	Release(ctx context.Context, c consent.Claim) error
	// Probe asks for a sign of life, within ctx whatever the server does.
	Probe(ctx context.Context, edge string) (*consent.Pulse, error)

	// Held counts the different seqs of r there are, by bucket. Highest is the seq after the highest. StreamWordings has no
	// seqs: Published says of each publication whether it is there.
	Held(ctx context.Context, s consent.Stream, r consent.Rows, without []uint64) (map[uint64]consent.Held, error)
	Highest(ctx context.Context, s consent.Stream, edge string, generation uint32) (uint64, error)
	Published(ctx context.Context) (has func(*consent.Publication) bool, err error)
	// ErasedHere lists the seqs of r whose personal part was erased in the warehouse.
	ErasedHere(ctx context.Context, r consent.Rows) (map[uint64]bool, error)
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

	// KeepShipped is how long after it was recorded a shipped entry stays in the ledger, to be sent again when the
	// warehouse loses it. Default 168 h.
	KeepShipped time.Duration

	// Predecessors are the instances of the earlier generations of the ledger: it may take the edge's name from them.
	Predecessors []uuid.UUID

	// Session is that of this process, never used before. Default: random. Replaces are those of the ones before it over
	// this very data directory, which are gone for certain; not of copies.
	Session  uuid.UUID
	Replaces []uuid.UUID

	// Lease is how long who holds the name has to be silent before another process with a copy of its ledger may go on
	// in its place. Default 10 s; a holder gives a sign of life four times in it.
	Lease time.Duration

	// AuditEvery is how often what the warehouse holds is counted while nothing seems wrong. Default 1 h.
	AuditEvery time.Duration

	// ProbeEvery and ProbeTimeout bound how long a warehouse that hangs goes unnoticed: at most their sum. Defaults 2 s
	// and 4 s.
	ProbeEvery, ProbeTimeout time.Duration

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
	if o.KeepShipped == 0 {
		o.KeepShipped = 7 * 24 * time.Hour
	}
	if o.Session == uuid.Nil {
		o.Session = uuid.New()
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.AuditEvery == 0 {
		o.AuditEvery = time.Hour
	}
	if o.ProbeEvery == 0 {
		o.ProbeEvery = 2 * time.Second
	}
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = 4 * time.Second
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

	connecting sync.Mutex    // one at a time makes the schema and claims the name
	connected  atomic.Bool   // that was done since the last failure
	lost       chan struct{} // a probe asks to connect
	due        chan bool     // an audit is to be made; true: of everything
	refused    atomic.Pointer[refusal]
	refusals   atomic.Int32 // in a row
	tenure     tenure

	auditing sync.Mutex // held by who compares and sends again
	sending  sync.Mutex // held while a batch is read and sent again
	pulse    pulse
	known    known
}

// ErrGap means that entries the warehouse has not confirmed are no longer in the ledger: they were trimmed, or
// the data directory is not whole.
var ErrGap = errors.New("drain: entries that were never shipped are missing from the ledger")

// New prepares a drain and registers its metrics.
func New(o Options) *Drain {
	o.setDefaults()
	d := &Drain{opt: o, lost: make(chan struct{}, 1), due: make(chan bool, 1), tenure: newTenure()}
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
	failures := make(chan error, len(d.streams)+4)
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
	start("comparing with the warehouse", d.auditLoop)
	start("watching the warehouse", d.probeLoop)
	start("connecting to the warehouse", d.connectLoop)
	wg.Wait()
	d.release()
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

// Backlog is how many durable entries of s the warehouse has not confirmed.
func (d *Drain) Backlog(s consent.Stream) uint64 {
	next, shipped := d.opt.Ledger.Next(s), d.streams[s].shipped.Load()
	if next < shipped {
		return 0
	}
	return next - shipped
}

// Health is nil while the warehouse answers and takes what it is sent, else what is wrong, with the backlog: fit for an
// operator's eyes. What it has lost is told by Rows.
func (d *Drain) Health() error {
	if r := d.refused.Load(); r != nil {
		return r
	}
	errs := []error{d.pulse.health()}
	for _, s := range d.streams {
		if err := s.health(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

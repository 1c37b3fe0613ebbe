// Package ledger is the local durable store of one edge: every proof, the state the proofs add up to, the
// hashes of the log and the queue towards the warehouse, in one Pebble database.
//
// # Guarantee
//
// When Append returns without error, the proof, the state it leads to and its place in the log are on disk
// (one fsync, shared by everything that waited together), and every later read of any kind sees them. No
// read ever returns something that a crash could still take back. Proofs of one edge have contiguous seqs,
// and a proof's seq is its index in the log.
//
// # What it does not do
//
// It does not survive the loss of its disk before the drain has shipped a proof; it holds no answer to
// questions over many subjects (the warehouse does); and it admits nothing: what is appended has been
// judged by server/admit.
//
// # How
//
// One goroutine, the sequencer, owns everything that has an order. Callers prepare what needs none (encoding,
// digest, leaf hash) and hand it over through a bounded queue. The sequencer gathers whatever waits into one
// Pebble batch and applies it; while that batch syncs the next ones gather; when nothing syncs nothing
// waits. A second goroutine waits for each sync and answers everybody in the batch.
//
// A batch is visible to readers a moment before it is durable. A reader that meets a standing newer than what
// is durable waits for that sync; it never answers from it early.
//
// # Files
//
//	keys.go       the key space, drawn as a table
//	log.go        the two logs, read
//	ledger.go     Options, Open, Close, failure
//	append.go     Append, AppendPrompt, Publish: the callers' side of the queue
//	sequencer.go  the sequencer and the syncer
//	order.go      writes of a group in the order of their keys
//	hot.go        states that were read lately
//	ids.go        which proof ids are certainly new
//	merge.go      how states are summed up
//	checkpoint.go the last checkpoint of each log
//	notes.go      small records beside the proofs, and contacts
//	seen.go       which subjects certainly have no state
//	tree.go       tiles of the log and its growing edge
//	read.go       state, proofs and wordings
//	ship.go       what the drain needs: scan, cursors, rows set aside, trimming
//	erase.go      a person forgotten; subjects.go, where that person's proofs are
//	direct.go      writes outside of the batches
//	recover.go    what Open finds on disk, and what has to agree; repair.go for what does not
//	head.go       what each batch says of the ledger; generation.go, the lives of its streams
//	watermark.go  how far was acknowledged, beside the store; closed.go, its files after a clean stop
//	counts.go     what the tables say they hold
//	clock.go      the hybrid logical clock
//	iterate.go    reading many keys
//	storefs.go    the file system of the store
//	events.go     what Pebble reports; scrub.go, looking for damage
//	absorb.go     what was recorded after the backup a ledger was restored from
//	check.go      every entry, looked through
//	space.go      the free-space guard
//	metrics.go    what operators watch
//
// # Why Pebble
//
// It commits groups with one fsync, shows its file operations to tests (vfs: crash clones, injected errors),
// makes checkpoints while it writes, and has carried CockroachDB for years. bbolt syncs twice per commit and
// has one writer; SQLite costs a SQL layer on the hottest path; Badger's value log needs collecting.
package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Errors that decide what a caller does. Each says which of STYLE's three kinds it is.
var (
	ErrConflict = errors.New("ledger: this proof id was used for another choice")         // refused
	ErrNotFound = errors.New("ledger: not found")                                         // refused
	ErrBusy     = errors.New("ledger: the queue is full; try again shortly")              // retry
	ErrNoSpace  = errors.New("ledger: the disk is nearly full; free space and try again") // retry
	ErrClosed   = errors.New("ledger: closed")                                            // retry, elsewhere or after a restart
	ErrFatal    = errors.New("ledger: a write was not confirmed by the disk; restart to recover")
	ErrLocked   = errors.New("ledger: another consentd holds this data directory")
	ErrLayout   = errors.New("ledger: this data directory was written by another version of consentd")
	ErrEdge     = errors.New("ledger: this data directory belongs to another edge")
	ErrDamaged  = errors.New("ledger: this data directory is not what was acknowledged from it") // see Repair, or restore a backup

	ErrSuspended = errors.New("ledger: nothing is recorded") // retry, after an operator has mended what is said with it
)

// Options of Open; the zero value of each field but Dir is usable.
type Options struct {
	Dir     string
	Edge    string                // name of this edge in every proof; default "e1". Fixed by the first Open of Dir.
	Clock   func() time.Time      // default time.Now
	Queue   int                   // proofs and prompts that may wait, default 8192; more are refused with ErrBusy
	Reserve uint64                // bytes of free disk below which nothing is admitted; 0: none
	Cache   int64                 // bytes of memory for what is read, default 256 MiB: 160 a subject keep lookups off the disk
	Log     *slog.Logger          // default slog.Default()
	Metrics prometheus.Registerer // nil: no metrics
	Repair  *Repair               // go on in a new generation, whatever is missing at the end; nil: refuse

	boot     [16]byte // of this run of the machine; tests alone set another
	fs       vfs.FS   // tests: a crashable or failing disk
	memTable uint64   // bytes; tests that open many ledgers make do with less
	still    bool     // tests: no compactions by themselves; one that runs while Open fails can end the program in Pebble
	noSync   bool     // tests: the negative control, which must lose proofs
}

func (o *Options) setDefaults() {
	if o.Edge == "" {
		o.Edge = "e1"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Queue == 0 {
		o.Queue = 8192
	}
	if o.Cache == 0 {
		o.Cache = 256 << 20
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.memTable == 0 {
		o.memTable = 64 << 20
	}
	if o.boot == [16]byte{} {
		o.boot = BootID()
	}
}

// hotBytes is the part of Cache that holds states; an eighth is for blocks of the store, a sixteenth for the
// filter of who has a state.
func (o *Options) hotBytes() int64 { return o.Cache - o.Cache/8 - o.Cache/16 }

// Ledger is an open store. All methods are safe for concurrent use.
type Ledger struct {
	opt  Options
	fs   *storeFS
	db   *pebble.DB
	lock *pebble.Lock

	readerOptions sstable.ReaderOptions // of the tables, for whoever reads them apart from db

	recycled int        // files of the write-ahead log that may wait to be written over
	trimming sync.Mutex // held while entries are forgotten, or written again without what was personal

	hot  *hotStates
	seen *seenSubjects

	queue    chan *request
	requests sync.Pool // of *request

	generations []Generation // oldest first; set by recovery
	tail        *Tail        // nil: all is vouched for; set by recovery
	watermark   watermark
	direct      direct
	time        clock
	latest      atomic.Int64 // consent.Millis: the latest time given out; never falls

	placed  atomic.Uint64          // the first proof that cannot be read yet; written by the sequencer before its batch is visible
	durable [streams]atomic.Uint64 // per stream, the first seq not yet on disk; written by the syncer
	grown   [streams]gate          // opened whenever durable moves
	loose   loose                  // the same for what has no seq
	prev    [streams]atomic.Uint64 // first entry still held per stream; written by Trim
	cursors [streams]atomic.Uint64 // what has been shipped: Cursor.Next; written by SaveCursor
	looking sync.Mutex             // held by the space guard while it looks
	full    atomic.Bool            // written by the space guard
	opened  atomic.Bool            // the store is open: see backgroundError
	damage  damage                 // of tables, found while reading
	failing atomic.Int32           // errors in a row of flushes and compactions

	suspended atomic.Pointer[error] // nil: writing
	free      atomic.Uint64         // bytes free, as last seen by the space guard
	metrics   *metrics

	closeMu   sync.RWMutex // held for reading while a request is handed over, so that Close misses none
	closed    bool         // under closeMu
	stop      chan struct{}
	stopGuard chan struct{}
	done      sync.WaitGroup

	failOnce sync.Once
	fatal    chan struct{} // closed by fail
	cause    error         // set before fatal is closed
}

// streams is the number of consent.Streams.
const streams = 3

// Open opens or creates the ledger in o.Dir and recovers what is there. It fails with ErrLocked when another
// process holds the directory, ErrEdge when it belongs to another edge, ErrLayout when it is of another layout,
// ErrDamaged when its records disagree and ErrClock when its clock is wrong; nothing has been written then. After an
// error of the disk it returns at once and leaves the store as a crash would.
func Open(o Options) (*Ledger, error) {
	o.setDefaults()
	if err := o.fs.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating data directory: %w", err)
	}
	lock, err := pebble.LockDirectory(o.Dir, o.fs)
	if err != nil {
		return nil, lockError(o.Dir, err)
	}
	l := newLedger(o, lock)
	seq, err := l.open()
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w. This is about %s: restore a backup with consentd restore, or go on with what is there with consentd repair", err, o.Dir)
	}
	if err != nil {
		return nil, err
	}
	l.metrics = newMetrics(o.Metrics, l)
	l.checkSpace()
	l.checkClock()
	l.done.Add(4)
	go seq.run()
	go l.guard()
	go l.warm()
	go l.scrubTables()
	return l, nil
}

func newLedger(o Options, lock *pebble.Lock) *Ledger {
	l := &Ledger{opt: o, lock: lock, queue: make(chan *request, o.Queue), stop: make(chan struct{}),
		stopGuard: make(chan struct{}), fatal: make(chan struct{})}
	l.fs = &storeFS{FS: o.fs, fail: l.fail}
	for i := range l.grown {
		l.grown[i].init()
	}
	l.loose.grown.init()
	l.requests.New = func() any { return &request{done: make(chan error, 1)} }
	l.hot, l.seen = newHotStates(o.hotBytes()), newSeenSubjects(min(o.Cache/16, mostSeen))
	return l
}

// open opens the store and recovers it.
func (l *Ledger) open() (seq *sequencer, err error) {
	err = l.unlessFatal(func() (err error) {
		seq, err = l.openStore()
		return err
	})
	if err != nil {
		return nil, err // seq may still be written to
	}
	return seq, nil
}

func (l *Ledger) openStore() (*sequencer, error) {
	f, err := inspect(&l.opt)
	if err == nil && f.fresh {
		err = f.prepare(&l.opt)
	}
	if err == nil {
		err = removeFile(l.opt.fs, l.opt.Dir, closedName) // before anything changes
	}
	if err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	cache := pebble.NewCache(l.opt.Cache / 8)
	defer cache.Unref()
	options := l.pebbleOptions(cache)
	options.ErrorIfNotExists = !f.fresh
	l.readerOptions = options.MakeReaderOptions()
	if l.db, err = pebble.Open(l.opt.Dir, options); err != nil {
		return nil, errors.Join(openError(err), l.lock.Close())
	}
	seq, err := l.recover(f)
	if err != nil {
		return nil, errors.Join(err, l.db.Close(), l.lock.Close())
	}
	l.opened.Store(true)
	return seq, nil
}

// openError tells damage from a disk that does not answer.
func openError(err error) error {
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return fmt.Errorf("%w: the file that names its list of tables is missing", ErrDamaged)
	}
	if pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrDamaged, corruption(err))
	}
	return fmt.Errorf("opening ledger: %w", err)
}

// lockError tells "held by another" from "cannot be locked". A held fcntl lock is a bare EAGAIN or EACCES
// (fcntl(2)); within one process Pebble says it in words.
func lockError(dir string, err error) error {
	if err == syscall.EAGAIN || err == syscall.EACCES || strings.Contains(err.Error(), "lock held") {
		return fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return fmt.Errorf("locking data directory: %w", err)
}

// pebbleOptions: the newest format of the pinned version (an old one can take WAL damage for its end), bloom
// filters because most writes ask for ids and subjects that are not there, small blocks because every read
// is a point read.
func (l *Ledger) pebbleOptions(cache *pebble.Cache) *pebble.Options {
	po := &pebble.Options{
		FS:                          l.fs,
		Lock:                        l.lock,
		Cache:                       cache,
		Merger:                      stateMerger,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLogger{l},
		EventListener:               l.events(),
		BlockPropertyCollectors:     []func() pebble.BlockPropertyCollector{newTallies},
		DisableAutomaticCompactions: l.opt.still,
		FlushDelayDeleteRange:       10 * time.Second, // trimming gives its space back although nothing else is written
		MemTableSize:                l.opt.memTable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		MaxOpenFiles:                4096,
	}
	l.recycled = po.MemTableStopWritesThreshold + 1 // as pebble.Open has it
	for i := range po.Levels {
		po.Levels[i].BlockSize = 4 << 10
		po.Levels[i].IndexBlockSize = 1 << 20 // one level: a point read touches one index block and one data block
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	return po
}

// Edge names this edge.
func (l *Ledger) Edge() string { return l.opt.Edge }

// Fatal is closed when a write failed in a way that leaves durability unknown. The program should stop and
// start again; recovery takes the same path as every start.
func (l *Ledger) Fatal() <-chan struct{} { return l.fatal }

// Err is nil, or the cause once Fatal is closed.
func (l *Ledger) Err() error {
	select {
	case <-l.fatal:
		return fmt.Errorf("%w: %w", ErrFatal, l.cause)
	default:
		return nil
	}
}

func (l *Ledger) fail(cause error) {
	l.failOnce.Do(func() {
		l.cause = cause
		close(l.fatal)
		l.opt.Log.Error("ledger: durability unknown, nothing more is admitted", "error", cause)
	})
}

// Close lets every accepted request finish, then closes the database. After a fatal error it returns at once
// and leaves the database as a crash would.
func (l *Ledger) Close() error {
	l.closeMu.Lock()
	if l.closed {
		l.closeMu.Unlock()
		return nil
	}
	l.closed = true
	l.closeMu.Unlock()
	close(l.stopGuard)
	close(l.stop)
	if l.waitDone() != nil {
		return l.Err()
	}
	l.hot.cache.Reset()
	err := l.unlessFatal(l.closeStore)
	if l.Err() != nil { // something of the store may still be at work
		return err
	}
	return errors.Join(err, l.lock.Close())
}

// unlessFatal runs do, and does not wait for it once the ledger has failed: then it may never return (see
// pebbleLogger).
func (l *Ledger) unlessFatal(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-l.fatal:
		return l.Err()
	}
}

// closeStore leaves a list of what the next Open has to find.
func (l *Ledger) closeStore() error {
	if err := errors.Join(l.db.Flush(), l.db.Close(), l.watermark.close()); err != nil {
		return fmt.Errorf("closing ledger: %w", err)
	}
	return writeClosed(l.opt.fs, l.opt.Dir)
}

// waitDone waits for the goroutines, or for a fatal error that may have stopped them for good.
func (l *Ledger) waitDone() error {
	finished := make(chan struct{})
	go func() { l.done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-l.fatal:
	}
	return l.Err()
}

// Checkpoint writes a consistent copy of the ledger to dir, which must not exist: a backup that Open opens.
// Files are hard-linked where the file system allows; writing goes on meanwhile.
func (l *Ledger) Checkpoint(dir string) error {
	if err := l.opt.fs.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("writing checkpoint: %w", err)
	}
	if err := l.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("writing checkpoint: %w", err)
	}
	return nil
}

// gate lets any number of goroutines wait for the next change of something.
type gate struct {
	mu sync.Mutex
	ch chan struct{} // closed by open; replaced at once
}

func (g *gate) init() { g.ch = make(chan struct{}) }

// wait gives a channel that is closed at the next change. Take it before reading what may change.
func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ch
}

func (g *gate) open() {
	g.mu.Lock()
	close(g.ch)
	g.ch = make(chan struct{})
	g.mu.Unlock()
}

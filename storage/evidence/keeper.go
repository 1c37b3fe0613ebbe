package evidence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Log is what is sealed: a log of the ledger.
type Log interface {
	Size() uint64                                // durable leaves
	Held() uint64                                // the first entry Entries still gives
	Hashes(size uint64) (tlog.HashReader, error) // of the tree over the first size leaves
	Tile(level int, n uint64, width int) ([]byte, error)
	Entries(first, end uint64, fn func(seq uint64, facts []byte) error) error
}

// Published lists what a site made public of one kind, with its place in the log of publications, oldest first;
// *ledger.Ledger does.
type Published interface {
	Publications(site string, kind consent.PublicationKind, fn func(seq uint64, p *consent.Publication) error) error
}

// Archive holds the entries of the log of proofs that the ledger no longer has; *warehouse.Warehouse is one. The log
// of one generation of an edge; copies may come twice, and the log's hashes say what belongs to it.
type Archive interface {
	Entries(ctx context.Context, edge string, generation uint32, first, end uint64, fn func(seq uint64, facts []byte) error) error
}

// Options of Open. Edge, Signers, Proofs, Published and Site are needed.
type Options struct {
	Edge    string
	Signers []Signer // of the edge's name; every one signs, the first is the newest

	// Generation of the logs, from 1: each has an origin of its own, so that a restored log contradicts nothing that was
	// signed before. Default 1.
	Generation uint32

	// GenerationOf is the one in which an entry of the log of proofs was written; default: Generation.
	GenerationOf func(seq uint64) uint32

	Proofs       Log
	Publications Log
	Published    Published
	Archive      Archive // nil: none

	// Disagrees is told when a far anchor, which answers late, remembers what the log does not hold: the error is the one
	// that Open returns for near anchors. Nothing is signed from then on, and nothing more should be recorded. nil: nobody.
	Disagrees func(error)

	// Near are the anchors on this machine: read at Open, and told of a checkpoint before anybody sees it. Far are
	// those over a network: asked as soon as they answer, and told every FarEvery (default 10 s).
	Near, Far []Anchor
	FarEvery  time.Duration

	// Patience is how long an edge whose near anchors agree waits for the far ones before it seals without their
	// word; default 10 s. An edge without any near checkpoint waits for them as long as it takes, unless Fresh.
	Patience time.Duration

	// Fresh says that the keys were made for this start: nothing can have been signed with them before, so there is
	// nothing to wait for.
	Fresh bool

	Every time.Duration // between seals while a log grows, default 1 s
	Now   func() consent.Millis
	Log   *slog.Logger // default slog.Default()
}

func (o *Options) setDefaults() {
	if o.FarEvery == 0 {
		o.FarEvery = 10 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Generation == 0 {
		o.Generation = 1
	}
	if o.GenerationOf == nil {
		o.GenerationOf = func(uint64) uint32 { return o.Generation }
	}
	if o.Disagrees == nil {
		o.Disagrees = func(error) {}
	}
	if o.Now == nil {
		o.Now = func() consent.Millis { return consent.ToMillis(time.Now()) }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// Errors of a Keeper.
var (
	ErrNotSettled = errors.New("evidence: nothing is sealed before the anchors of the log have been compared with it") // retry
	ErrNotFound   = errors.New("evidence: not found")
	ErrRestored   = errors.New("evidence: this proof was recorded before the edge was restored from a backup that did not hold it; its log is no longer here")
	ErrDisagrees  = errors.New("evidence: the log is not what was signed") // fatal: restore a backup, or consentd repair
	ErrArchive    = errors.New("evidence: what ClickHouse holds of the log is not what the log says; it has been changed there")
)

// Keeper seals the two logs of an edge and makes evidence from them. It is safe for concurrent use.
type Keeper struct {
	opt          Options
	name         string // of the edge's key
	proofs       *sealed
	publications *sealed
}

// sealed is one log with its checkpoints.
type sealed struct {
	k    *Keeper
	name string // of the log, which is its first origin
	log  Log

	last atomic.Pointer[sealing] // what is shown; nil: nothing yet

	mu       sync.Mutex     // covers what follows; held while sealing
	succeeds *Former        // the last that is known of an earlier generation
	settled  bool           // every far anchor has said what it remembers
	disagree error          // what a far anchor remembers is not what the log holds
	since    consent.Millis // when it was opened
	far      *sealing       // what the far anchors were last told
	problem  error          // of the last attempt
}

// sealing is a checkpoint as signed.
type sealing struct {
	Checkpoint
	note []byte
	by   int // how many of the edge's keys have signed it
}

// Names of the two logs, after the name of the edge's key.
const (
	logOfProofs       = "proofs"
	logOfPublications = "published"
)

// Open compares both logs with what the near anchors remember: ErrDisagrees when a log does not hold what was signed in
// its generation, or a later generation was signed. Nothing is signed before Run or Seal.
func Open(ctx context.Context, o Options) (*Keeper, error) {
	o.setDefaults()
	if len(o.Signers) == 0 {
		return nil, errors.New("evidence: a signing key is needed")
	}
	k := &Keeper{opt: o, name: o.Signers[0].Name()}
	k.proofs = &sealed{k: k, name: k.name + "/" + logOfProofs, log: o.Proofs}
	k.publications = &sealed{k: k, name: k.name + "/" + logOfPublications, log: o.Publications}
	for _, s := range k.logs() {
		if err := s.open(ctx); err != nil {
			return nil, fmt.Errorf("opening the log %s: %w", s.name, err)
		}
	}
	return k, nil
}

func (k *Keeper) logs() []*sealed { return []*sealed{k.proofs, k.publications} }

// Keys are the verifier keys of the edge, newest first.
func (k *Keeper) Keys() []Key {
	keys := make([]Key, len(k.opt.Signers))
	for i, s := range k.opt.Signers {
		keys[i] = s.Key
	}
	return keys
}

// Run seals while the logs grow, until ctx ends; then once more.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.opt.Every)
	defer tick.Stop()
	far := time.NewTicker(k.opt.FarEvery)
	defer far.Stop()
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { k.askFar(ctx) })
	for {
		select {
		case <-tick.C:
			k.sealAll(ctx)
		case <-far.C:
			k.tellFar(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
			defer cancel()
			k.sealAll(last)
			k.tellFar(last)
			return
		}
	}
}

// askFar asks the far anchors until every one has answered.
func (k *Keeper) askFar(ctx context.Context) {
	for wait := firstAsk; !k.settle(ctx); wait = min(2*wait, k.opt.FarEvery) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// firstAsk is how soon a far anchor is asked again, then twice as long, up to FarEvery: an embedded ClickHouse is
// ready a second or two after the ledger.
const firstAsk = 100 * time.Millisecond

// settle asks the far anchors once and reports whether all have answered.
func (k *Keeper) settle(ctx context.Context) bool {
	done := true
	for _, s := range k.logs() {
		if err := s.settle(ctx); err != nil {
			done = false
			k.opt.Log.Debug("an anchor does not answer yet", "log", s.name, "error", err)
		}
	}
	return done
}

// lastWords bounds what a stopping edge still tells its anchors: what they were not told they are at the next start.
const lastWords = time.Second / 2

// sealAll seals what has grown; what goes wrong is said once and again when it is over.
func (k *Keeper) sealAll(ctx context.Context) {
	for _, s := range k.logs() {
		_, err := s.seal(ctx, 0)
		s.report(err)
	}
}

func (k *Keeper) tellFar(ctx context.Context) {
	for _, s := range k.logs() {
		if err := s.tellFar(ctx); err != nil && ctx.Err() == nil {
			k.opt.Log.Debug("a checkpoint is not kept far away yet", "log", s.name, "error", err)
		}
	}
}

// Seal seals both logs now, if they have grown.
func (k *Keeper) Seal(ctx context.Context) error {
	var errs []error
	for _, s := range k.logs() {
		_, err := s.seal(ctx, 0)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Health is nil while the logs are sealed as they grow, else what keeps them from it.
func (k *Keeper) Health() error {
	var errs []error
	for _, s := range k.logs() {
		s.mu.Lock()
		if s.problem != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, s.problem))
		}
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}

// of finds the log of a stream.
func (k *Keeper) of(s consent.Stream) (*sealed, error) {
	switch s {
	case consent.StreamProofs:
		return k.proofs, nil
	case consent.StreamWordings:
		return k.publications, nil
	}
	return nil, fmt.Errorf("%w: %s are not logged", ErrNotFound, s)
}

// Checkpoint is the last one sealed of a log, signed; ErrNotSettled before the first.
func (k *Keeper) Checkpoint(log consent.Stream) (note []byte, c Checkpoint, err error) {
	s, err := k.of(log)
	if err != nil {
		return nil, c, err
	}
	last := s.last.Load()
	if last == nil {
		return nil, c, ErrNotSettled
	}
	return last.note, last.Checkpoint, nil
}

// report keeps what went wrong for Health, and logs it when it begins and when it ends.
func (s *sealed) report(err error) {
	s.mu.Lock()
	before := s.problem
	s.problem = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil && !errors.Is(err, ErrNotSettled):
		s.k.opt.Log.Error("a log is not sealed", "log", s.name, "error", err)
	case err == nil && before != nil:
		s.k.opt.Log.Info("a log is sealed again", "log", s.name)
	}
}

// open reads the near anchors.
func (s *sealed) open(ctx context.Context) error {
	s.since = s.k.opt.Now()
	s.settled = len(s.k.opt.Far) == 0 || s.k.opt.Fresh
	return s.ask(ctx, s.k.opt.Near)
}

// settle asks the far anchors, unless they have answered before.
func (s *sealed) settle(ctx context.Context) error {
	s.mu.Lock()
	settled := s.settled
	s.mu.Unlock()
	if settled {
		return nil
	}
	err := s.ask(ctx, s.k.opt.Far)
	if errors.Is(err, ErrDisagrees) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.settled, s.disagree = true, err
		s.k.opt.Disagrees(err)
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	return nil
}

// ask compares the log with what anchors remember.
func (s *sealed) ask(ctx context.Context, anchors []Anchor) error {
	for _, a := range anchors {
		notes, err := a.Checkpoints(ctx, s.name)
		if err != nil {
			return err
		}
		for _, n := range notes {
			if err := s.take(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// take takes one remembered note into account; one that this edge has not signed says nothing.
func (s *sealed) take(n []byte) error {
	c, err := OpenCheckpoint(n, s.k.Keys()...)
	if err != nil || s.generation(c.Origin) == 0 {
		s.k.opt.Log.Warn("an anchor keeps a checkpoint that no key of this edge has signed; it is passed over", "log", s.name, "error", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compare(c, n)
}

// compare holds one remembered checkpoint against the log.
func (s *sealed) compare(c *Checkpoint, n []byte) error {
	its, ours := s.generation(c.Origin), s.k.opt.Generation
	switch {
	case its > ours:
		return fmt.Errorf("%w: %s was signed in generation %d, and this ledger is of generation %d: it is an old copy", ErrDisagrees, s.name, its, ours)
	case its < ours:
		s.succeed(c)
		return nil
	}
	if c.Succeeds != nil {
		s.succeeds = c.Succeeds
	}
	ok, err := s.holds(c)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: the first %d entries of %s were signed at %v, and it holds %d that are not those", ErrDisagrees, c.Size, c.Origin, c.At, s.log.Size())
	}
	if last := s.last.Load(); last == nil || last.Size <= c.Size {
		s.last.Store(&sealing{*c, n, s.k.signed(n)})
	}
	return nil
}

// succeed remembers the last checkpoint of an earlier generation, to name it under the origin of this one.
func (s *sealed) succeed(c *Checkpoint) {
	if f := s.succeeds; f != nil {
		if its, known := s.generation(c.Origin), s.generation(f.Origin); its < known || its == known && c.Size <= f.Size {
			return
		}
	}
	s.succeeds = &Former{Origin: c.Origin, Size: c.Size, Root: c.Root}
}

// origin of the log in this generation.
func (s *sealed) origin() string {
	if s.k.opt.Generation == 1 {
		return s.name
	}
	return s.name + "/" + strconv.FormatUint(uint64(s.k.opt.Generation), 10)
}

// signed counts the keys that have signed a checkpoint: after a rotation one is missing.
func (k *Keeper) signed(note []byte) (n int) {
	for _, key := range k.Keys() {
		if _, err := OpenCheckpoint(note, key); err == nil {
			n++
		}
	}
	return n
}

// current reports whether l covers size entries, signed by every key.
func (s *sealed) current(l *sealing, size uint64) bool {
	return l != nil && l.Size >= size && l.by == len(s.k.opt.Signers)
}

// holds reports whether the log still begins with what c says. A root over the log as it is says more than any
// proof of consistency.
func (s *sealed) holds(c *Checkpoint) (bool, error) {
	if c.Size > s.log.Size() {
		return false, nil
	}
	root, err := s.root(c.Size)
	return root == c.Root, err
}

func (s *sealed) root(size uint64) (tlog.Hash, error) {
	hashes, err := s.log.Hashes(size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(int64(size), hashes)
}

// generation of an origin of this log; 0: not one of them.
func (s *sealed) generation(origin string) uint32 {
	if origin == s.name {
		return 1
	}
	rest, ok := strings.CutPrefix(origin, s.name+"/")
	n, err := strconv.ParseUint(rest, 10, 32)
	if !ok || err != nil || n < 2 || strconv.FormatUint(n, 10) != rest {
		return 0
	}
	return uint32(n)
}

// ready is nil when it is known well enough what was signed before. s.mu is held.
func (s *sealed) ready() error {
	if s.disagree != nil {
		return s.disagree
	}
	waited := time.Duration(s.k.opt.Now()-s.since) * time.Millisecond
	if s.settled || s.last.Load() != nil && waited > s.k.opt.Patience {
		return nil
	}
	return ErrNotSettled
}

// seal signs the log as it is, if it has grown since the last time, and gives the last checkpoint. needed is how
// many entries it has to cover at least.
func (s *sealed) seal(ctx context.Context, needed uint64) (*sealing, error) {
	if last := s.last.Load(); needed > 0 && s.current(last, needed) {
		return last, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, err
	}
	size, last := s.log.Size(), s.last.Load()
	if s.current(last, size) {
		return last, nil
	}
	root, err := s.root(size)
	if err != nil {
		return nil, fmt.Errorf("hashing the log: %w", err)
	}
	next := &sealing{Checkpoint: Checkpoint{Origin: s.origin(), Size: size, Root: root, At: s.k.opt.Now(), Succeeds: s.succeeds}, by: len(s.k.opt.Signers)}
	if next.note, err = next.Sign(s.k.opt.Signers...); err != nil {
		return nil, err
	}
	for _, a := range s.k.opt.Near {
		if err := a.KeepCheckpoint(ctx, s.name, next.Origin, next.Size, next.At, next.note); err != nil {
			return nil, err
		}
	}
	s.last.Store(next)
	return next, nil
}

// tellFar has the far anchors remember the last checkpoint, when it is new to them.
func (s *sealed) tellFar(ctx context.Context) error {
	s.mu.Lock()
	last, told, settled := s.last.Load(), s.far, s.settled
	s.mu.Unlock()
	if last == nil || last == told || !settled {
		return nil
	}
	for _, a := range s.k.opt.Far {
		if err := a.KeepCheckpoint(ctx, s.name, last.Origin, last.Size, last.At, last.note); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.far = last
	return nil
}

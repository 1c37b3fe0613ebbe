package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Recovery trusts no single record. The entries themselves, the head that the last batch wrote, what was trimmed, the
// ids that the tables count, the tiles of the log, the watermark outside the store and, after a clean stop, the list of
// its files: where two of them disagree, Open refuses and says which, and nothing is written. storage/evidence holds the
// logs against their checkpoints, and storage/drain against ClickHouse.

// Tail are proofs that are there and that nothing outside the store vouches for: the machine itself stopped before the
// ledger did, so the watermark may be older than what was acknowledged last. If the disk has kept what it had
// confirmed, none is missing behind End.
type Tail struct{ First, End uint64 }

// inspected is what a directory holds before the store in it is opened.
type inspected struct {
	fresh  bool // nothing: a ledger is to be made
	closed bool // the last stop was clean, and nothing has changed since
	mark   mark // the watermark, unless fresh
}

// inspect looks at the directory. Where it is not what the last run left, an error says so; o.Repair takes note of it
// instead.
func inspect(o *Options) (f inspected, err error) {
	names, err := o.fs.List(o.Dir)
	if err != nil {
		return f, fmt.Errorf("opening ledger: %w", err)
	}
	if f.fresh = unused(names); f.fresh {
		return f, nil
	}
	listed, closed, err := readClosed(o.fs, o.Dir)
	if err == nil && closed {
		err = checkClosed(o.fs, o.Dir, listed)
	}
	if err = o.tolerate(err); err != nil {
		return f, err
	}
	f.closed = closed
	if f.mark, err = readWatermark(o.fs, o.Dir); errors.Is(err, errNoMark) && o.Repair != nil && o.Repair.Copy {
		err = nil
	} else if errors.Is(err, errNoMark) {
		err = fmt.Errorf("%w: %w. Is it a copy of another ledger's?", ErrDamaged, err)
	}
	return f, o.tolerate(err)
}

// makingName is a file that stands in a directory from before its store is made until there is a watermark.
const makingName = "making"

// unused reports that nothing was ever acknowledged from a directory: it holds no store, or one whose making was cut
// short.
func unused(names []string) bool {
	if slices.Contains(names, watermarkName) {
		return false
	}
	return slices.Contains(names, makingName) || !slices.ContainsFunc(names, storeFile.MatchString) && !slices.Contains(names, closedName)
}

// prepare has a directory that was never used say so until it has a watermark, and removes what a start that was cut
// short has left in it.
func (f *inspected) prepare(o *Options) error {
	if err := replaceFile(o.fs, o.Dir, makingName, nil); err != nil {
		return fmt.Errorf("making a ledger: %w", err)
	}
	names, err := o.fs.List(o.Dir)
	for _, name := range names {
		if err == nil && storeFile.MatchString(name) {
			err = o.fs.Remove(o.fs.PathJoin(o.Dir, name))
		}
	}
	if err != nil {
		return fmt.Errorf("making a ledger: %w", err)
	}
	return nil
}

// tolerate passes over damage that a new generation makes harmless.
func (o *Options) tolerate(err error) error {
	if o.Repair == nil || !errors.Is(err, ErrDamaged) {
		return err
	}
	o.Repair.noted(err)
	return nil
}

// recover reads what is on disk and makes the sequencer that continues it. A batch is atomic, so there is
// nothing to repair: the head says where each stream goes on, the tree's edge is rebuilt, the clock starts where the
// last batch left it.
func (l *Ledger) recover(f inspected) (*sequencer, error) {
	if f.fresh {
		if err := l.initialise(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(l.checkMeta(), l.readDirect()); err != nil {
		return nil, err
	}
	h, err := l.recoverStreams()
	if err != nil {
		return nil, err
	}
	if !f.fresh {
		if err := l.opt.tolerate(l.checkMark(&f, h)); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(l.checkCount(h), l.checkSmall()); err != nil {
		return nil, err
	}
	if err := l.repair(&h); err != nil {
		return nil, err
	}
	if err := l.setClock(h.clock); err != nil {
		return nil, err
	}
	s, err := l.sequencer(h)
	if err != nil {
		return nil, err
	}
	g := l.current()
	err = l.watermark.create(l.opt.fs, l.opt.Dir, mark{generation: g.Number, instance: g.Instance, boot: l.opt.boot, direct: l.direct.count, head: h})
	if err == nil {
		err = removeFile(l.opt.fs, l.opt.Dir, makingName)
	}
	return s, err
}

// initialise makes a directory a ledger.
func (l *Ledger) initialise() error {
	first := Generation{Number: 1, Instance: uuid.New(), Began: consent.ToMillis(l.opt.Clock())}
	b := l.db.NewBatch()
	defer b.Close()
	b.Set(metaKey("layout"), []byte{layout}, nil)
	b.Set(metaKey("edge"), []byte(l.opt.Edge), nil)
	b.Set(metaKey("head"), head{}.append(nil), nil)
	b.Set(metaKey("generations"), appendGenerations(nil, []Generation{first}), nil)
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("making a ledger: %w", err)
	}
	return nil
}

func (l *Ledger) checkMeta() error {
	v, err := l.get(metaKey("layout"))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: it does not say which layout it has", ErrDamaged)
	}
	if err != nil {
		return err
	}
	if len(v) != 1 || v[0] != layout {
		return fmt.Errorf("%w: layout %v, this program reads %d", ErrLayout, v, layout)
	}
	edge, err := l.get(metaKey("edge"))
	if err != nil {
		return err
	}
	if string(edge) != l.opt.Edge {
		return fmt.Errorf("%w: it was written by %q, not %q", ErrEdge, edge, l.opt.Edge)
	}
	return l.readGenerations()
}

// recoverStreams holds the entries against the head and against what was trimmed.
func (l *Ledger) recoverStreams() (head, error) {
	h, err := l.readHead()
	if err != nil {
		return h, err
	}
	trimmed, err := l.readTrimmed()
	if err != nil {
		return h, err
	}
	for _, s := range consent.Streams() {
		if err := l.recoverStream(s, trimmed[s], h.next[s]); err != nil {
			return h, fmt.Errorf("recovering %s: %w", s, err)
		}
	}
	return h, nil
}

func (l *Ledger) recoverStream(stream consent.Stream, trimmed, next uint64) error {
	oldest, newest, err := l.ends(entryKey(nil, stream, 0), after([]byte{prefixEntry, byte(stream)}))
	if err != nil {
		return err
	}
	held, end := trimmed, trimmed
	if newest != nil {
		held, end = seqOf(oldest), seqOf(newest)+1
	}
	if held != trimmed || end != next {
		return fmt.Errorf("%w: entries %d to %d have to be there, and %d to %d are", ErrDamaged, trimmed, next, held, end)
	}
	c, err := l.Cursor(stream)
	if err != nil {
		return err
	}
	if c.Next < trimmed || c.Next > next {
		return fmt.Errorf("%w: %d were shipped, and entries %d to %d are there", ErrDamaged, c.Next, trimmed, next)
	}
	l.prev[stream].Store(trimmed)
	l.durable[stream].Store(next)
	if stream == consent.StreamProofs {
		l.placed.Store(next)
	}
	l.cursors[stream].Store(c.Next)
	return nil
}

// checkMark holds the store against the watermark: it must not end before what was acknowledged.
func (l *Ledger) checkMark(f *inspected, h head) error {
	g, m := l.current(), &f.mark
	if m.generation == 0 { // it is missing, and that is being repaired
		return nil
	}
	if m.instance != g.Instance || m.generation != g.Number {
		return fmt.Errorf("%w: its record of what was acknowledged is of another ledger (generation %d, not %d)", ErrDamaged, m.generation, g.Number)
	}
	for _, s := range consent.Streams() {
		if h.next[s] < m.head.next[s] {
			return fmt.Errorf("%w: %d %s were acknowledged, and it ends after %d", ErrDamaged, m.head.next[s], s, h.next[s])
		}
	}
	if h.batch < m.head.batch || l.direct.count < m.direct || h.clock < m.head.clock {
		return fmt.Errorf("%w: writes that were acknowledged are missing at its end (%d of %d)", ErrDamaged,
			m.head.batch+m.direct-h.batch-l.direct.count, m.head.batch+m.direct)
	}
	if proofs := consent.StreamProofs; !f.closed && m.boot != l.opt.boot {
		l.tail = &Tail{First: m.head.next[proofs], End: h.next[proofs]}
	}
	return nil
}

// sequencer continues after h.
func (l *Ledger) sequencer(h head) (*sequencer, error) {
	s := &sequencer{l: l, head: h, headKey: metaKey("head"), synced: make(chan *group, maxFlying), sync: make(chan *group, maxFlying)}
	s.ids = newRecentIDs(h.ids)
	var err error
	for _, log := range logs() {
		if s.trees[log], err = l.Log(log).frontier(h.next[log]); err != nil {
			return nil, fmt.Errorf("recovering the log of %s: %w", log, err)
		}
	}
	if s.subjects, err = l.recoverFilter(h.next[consent.StreamProofs]); err != nil {
		return nil, fmt.Errorf("recovering who the newest proofs are of: %w", err)
	}
	return s, nil
}

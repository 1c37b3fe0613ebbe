package ledger

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// recover reads what is on disk and makes the sequencer that continues it. A batch is atomic, so there is
// nothing to repair: the newest entries say where each stream goes on, the tree's edge is rebuilt, the clock
// starts where the last batch left it.
func (l *Ledger) recover() (*sequencer, error) {
	if err := l.checkMeta(); err != nil {
		return nil, err
	}
	s := &sequencer{l: l, timesKey: metaKey("times"), synced: make(chan *group, maxFlying), sync: make(chan *group, maxFlying)}
	t, err := l.times()
	if err != nil {
		return nil, fmt.Errorf("recovering the clock: %w", err)
	}
	l.clock.Store(int64(t.clock))
	s.ids = newRecentIDs(t.ids)
	for _, stream := range consent.Streams() {
		if err := l.recoverStream(s, stream); err != nil {
			return nil, fmt.Errorf("recovering %s: %w", stream, err)
		}
	}
	if err := l.adopt(s.next[consent.StreamWordings]); err != nil {
		return nil, fmt.Errorf("making the log of publications: %w", err)
	}
	for _, log := range logs() {
		if s.trees[log], err = l.Log(log).frontier(s.next[log]); err != nil {
			return nil, fmt.Errorf("recovering the log of %s: %w", log, err)
		}
	}
	return s, nil
}

// unlogged is the layout of a directory whose log has gaps: no program reads it.
const unlogged = 0xff

func (l *Ledger) layout() byte {
	if l.opt.Unlogged {
		return unlogged
	}
	return layout
}

func (l *Ledger) checkMeta() error {
	v, err := l.get(metaKey("layout"))
	if errors.Is(err, ErrNotFound) {
		b := l.db.NewBatch()
		b.Set(metaKey("layout"), []byte{l.layout()}, nil)
		b.Set(metaKey("edge"), []byte(l.opt.Edge), nil)
		return b.Commit(pebble.Sync)
	}
	if err != nil {
		return err
	}
	if l.opt.Unlogged {
		return fmt.Errorf("%w: without the log only a new directory is taken", ErrLayout)
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
	return nil
}

func (l *Ledger) recoverStream(s *sequencer, stream consent.Stream) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: entryKey(nil, stream, 0), UpperBound: after([]byte{prefixEntry, byte(stream)})})
	if err != nil {
		return err
	}
	if it.Last() {
		s.next[stream] = seqOf(it.Key()) + 1
	}
	if it.First() {
		l.prev[stream].Store(seqOf(it.Key()))
	}
	l.durable[stream].Store(s.next[stream])
	c, err := l.Cursor(stream)
	l.cursors[stream].Store(c.Next)
	return errors.Join(err, it.Close())
}

func (l *Ledger) times() (times, error) {
	v, err := l.get(metaKey("times"))
	if errors.Is(err, ErrNotFound) {
		return times{}, nil
	}
	if err != nil {
		return times{}, err
	}
	return parseTimes(v)
}

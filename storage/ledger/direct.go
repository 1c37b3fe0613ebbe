package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// direct is what is written outside of the sequencer's batches: cursors, rows set aside, what is trimmed or erased. It is
// counted, in the store and in the watermark, so that a lost one is noticed like a lost batch.
type direct struct {
	mu    sync.Mutex
	count uint64
}

// write sets one key outside of the batches, durably.
func (l *Ledger) write(key, value []byte) error {
	b := l.db.NewBatch()
	defer b.Close()
	if err := b.Set(key, value, nil); err != nil {
		return err
	}
	return l.writeDirect(b)
}

// writeDirect makes a batch of its own durable. The caller closes b.
func (l *Ledger) writeDirect(b *pebble.Batch) error {
	if err := l.Err(); err != nil {
		return err
	}
	l.direct.mu.Lock()
	defer l.direct.mu.Unlock()
	count := l.direct.count + 1
	if err := b.Set(metaKey("direct"), binary.BigEndian.AppendUint64(nil, count), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	l.direct.count = count
	if err := l.watermark.write(func(m *mark) { m.direct = count }); err != nil {
		l.fail(err)
		return l.Err()
	}
	return nil
}

func (l *Ledger) readDirect() error {
	v, err := l.get(metaKey("direct"))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && len(v) != 8 {
		err = fmt.Errorf("%w: of %d bytes", ErrDamaged, len(v))
	}
	if err != nil {
		return fmt.Errorf("counting what was written directly: %w", err)
	}
	l.direct.count = binary.BigEndian.Uint64(v)
	return nil
}

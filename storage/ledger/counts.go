package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/consentd/consentd/storage/consent"
)

// A store whose list of files is damaged at its end opens without the last of them, and without a word: a table drops
// out, and with it proofs and the states of their subjects. So each table says how many proof ids and publications it
// holds. Each of those is written once and never deleted: over all tables they add up to what the streams have given
// out, or something is missing.

// tally counts keys that are written once.
type tally struct{ ids, publications uint64 }

const (
	tallyName = "consentd.tally"
	tallySize = 16
)

func (t *tally) add(key []byte) {
	switch {
	case len(key) == 17 && key[0] == prefixID:
		t.ids++
	case len(key) == 10 && key[0] == prefixEntry && consent.Stream(key[1]) == consent.StreamWordings:
		t.publications++
	}
}

// tallies is a pebble.BlockPropertyCollector that keeps a tally for each table, and nothing for its blocks.
type tallies struct{ tally }

func newTallies() pebble.BlockPropertyCollector { return &tallies{} }

func (*tallies) Name() string { return tallyName }

func (c *tallies) AddPointKey(key pebble.InternalKey, _ []byte) error {
	if key.Kind() == pebble.InternalKeyKindSet || key.Kind() == pebble.InternalKeyKindSetWithDelete {
		c.add(key.UserKey)
	}
	return nil
}

func (*tallies) AddRangeKeys(sstable.Span) error                        { return nil }
func (*tallies) AddCollectedWithSuffixReplacement(_, _, _ []byte) error { return nil }
func (*tallies) SupportsSuffixReplacement() bool                        { return false }
func (*tallies) FinishDataBlock(b []byte) ([]byte, error)               { return b, nil }
func (*tallies) AddPrevDataBlockToIndexBlock()                          {}
func (*tallies) FinishIndexBlock(b []byte) ([]byte, error)              { return b, nil }

func (c *tallies) FinishTable(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, c.ids), c.publications), nil
}

// count adds up the tables. What is still in memory has to be flushed before.
func (l *Ledger) count() (sum tally, err error) {
	levels, err := l.db.SSTables(pebble.WithProperties())
	if err != nil {
		return sum, fmt.Errorf("counting what the tables hold: %w", readError(err))
	}
	for _, level := range levels {
		for i := range level {
			v := level[i].Properties.UserProperties[tallyName]
			if len(v) != 1+tallySize { // behind the number of the collector
				return sum, fmt.Errorf("%w: table %s does not say what it holds", ErrDamaged, level[i].FileNum)
			}
			sum.ids += binary.BigEndian.Uint64([]byte(v[1:]))
			sum.publications += binary.BigEndian.Uint64([]byte(v[9:]))
		}
	}
	return sum, nil
}

// checkCount holds the tables against the head.
func (l *Ledger) checkCount(h head) error {
	if err := l.db.Flush(); err != nil {
		return fmt.Errorf("writing what the last run left in its log: %w", readError(err))
	}
	sum, err := l.count()
	if err != nil {
		return err
	}
	if want := h.next[consent.StreamProofs]; sum.ids != want {
		return fmt.Errorf("%w: %d proofs were recorded, and the ids of %d are there", ErrDamaged, want, sum.ids)
	}
	if want := h.next[consent.StreamWordings]; sum.publications != want {
		return fmt.Errorf("%w: %d publications were recorded, and %d are there", ErrDamaged, want, sum.publications)
	}
	return nil
}

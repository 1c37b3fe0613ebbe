package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
)

// logged is the mark that publications are leaves of a log. A directory without it was written by a consentd that
// only shipped them.
const logged = "published"

// adopt makes the log of publications from what a directory of an earlier consentd holds: next publications, the
// oldest of which may have been trimmed from the stream. Those are put back from the index of wordings, in the
// order of their times: no checkpoint was ever signed over them, so any order will do.
func (l *Ledger) adopt(next uint64) error {
	if marked, err := l.has(metaKey(logged)); err != nil || marked {
		return err
	}
	b := l.db.NewBatch()
	if next > 0 {
		if err := l.adoptPublications(b, next); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	b.Set(metaKey(logged), []byte{1}, nil)
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	l.prev[consent.StreamWordings].Store(0)
	return nil
}

func (l *Ledger) adoptPublications(b *pebble.Batch, next uint64) error {
	held, err := l.heldPublications(next)
	if err != nil {
		return err
	}
	missing, err := l.unheldWordings(held)
	if err != nil {
		return err
	}
	gap := int(next) - len(held)
	if len(missing) == 0 && gap > 0 {
		return fmt.Errorf("%d of %d publications are missing", gap, next)
	}
	all := make([]*consent.Publication, 0, next)
	for i := range gap { // more were trimmed than are indexed only where one was published twice at once
		all = append(all, missing[min(i, len(missing)-1)])
	}
	return adoptLeaves(b, append(all, held...))
}

// heldPublications reads what is left of the stream.
func (l *Ledger) heldPublications(next uint64) (all []*consent.Publication, err error) {
	err = l.Scan(consent.StreamWordings, 0, next, func(_ uint64, raw []byte) error {
		p, err := consent.ParsePublication(raw)
		all = append(all, p)
		return err
	})
	return all, err
}

// unheldWordings reads from the index what the stream no longer holds.
func (l *Ledger) unheldWordings(held []*consent.Publication) ([]*consent.Publication, error) {
	prefix := []byte{prefixWording}
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	var all []*consent.Publication
	for valid := it.First(); valid; valid = it.Next() {
		p, err := consent.ParsePublication(it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if !slices.ContainsFunc(held, func(h *consent.Publication) bool { return h.Site == p.Site && h.Hash == p.Hash }) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *consent.Publication) int { return cmp.Compare(a.PublishedAt, b.PublishedAt) })
	return all, it.Close()
}

// adoptLeaves writes entries, index and tiles of a whole log.
func adoptLeaves(b *pebble.Batch, all []*consent.Publication) error {
	var t tree
	for i, p := range all {
		seq := uint64(i)
		b.Set(entryKey(nil, consent.StreamWordings, seq), consent.AppendPublication(nil, p), nil)
		b.Set(publishedKey(nil, p, seq), binary.BigEndian.AppendUint64(nil, seq), nil)
		err := t.push(leafOf(nil, p.AppendFacts(nil)), func(level int, n uint64, tile []byte) error {
			return b.Set(tileKey(nil, consent.StreamWordings, level, n), tile, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

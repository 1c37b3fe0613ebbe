package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// A Pebble iterator answers "no more" and "could not read" alike; only its Error tells them apart, and the next
// positioning call clears it. So nothing outside this file positions one.

// each calls fn for the keys of [lower, upper) in ascending order; key and value are valid only during the call. An
// error of fn ends it and is returned, and so is one of reading.
func (l *Ledger) each(lower, upper []byte, fn func(key, value []byte) error) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return readError(err)
	}
	return eachOf(it, fn)
}

// eachOf goes through a new iterator and closes it.
func eachOf(it *pebble.Iterator, fn func(key, value []byte) error) error {
	for valid := it.First(); valid; valid = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = fn(it.Key(), v)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return closed(it)
}

// closed ends an iterator that found nothing more, and says whether that is true.
func closed(it *pebble.Iterator) error {
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return readError(err)
	}
	return nil
}

// ends gives the first and the last key of [lower, upper); nil when there is none.
func (l *Ledger) ends(lower, upper []byte) (first, last []byte, err error) {
	for _, end := range []struct {
		key  *[]byte
		seek func(*pebble.Iterator) bool
	}{{&first, (*pebble.Iterator).First}, {&last, (*pebble.Iterator).Last}} {
		it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return nil, nil, readError(err)
		}
		if end.seek(it) {
			*end.key = append([]byte(nil), it.Key()...)
		}
		if err := closed(it); err != nil {
			return nil, nil, err
		}
	}
	return first, last, nil
}

// readError says that something could not be read: because it is damaged, or because the disk does not give it.
func readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %s", ErrDamaged, corruption(err))
	}
	return fmt.Errorf("reading ledger: %w", err)
}

// corruption is the text of Pebble's error without the line of what it carries for its own use.
func corruption(err error) string {
	return strings.TrimSuffix(err.Error(), "\n<corruption detail carrier>")
}

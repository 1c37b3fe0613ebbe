package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// ErrFull means that a ring has used up its numbers.
var ErrFull = errors.New("keyfile: the ring has no number left")

// Numbered reads the secrets named 0001, 0002 … by number, making 0001 when there is none. The highest number
// is the newest.
func (d *Dir) Numbered() (map[int][]byte, error) {
	ring, err := d.numbered()
	if err != nil || len(ring) > 0 {
		return ring, err
	}
	if _, err := d.GetOrCreate(numberName(1)); err != nil {
		return nil, err
	}
	return d.numbered()
}

func (d *Dir) numbered() (map[int][]byte, error) {
	names, err := d.Names()
	if err != nil {
		return nil, err
	}
	ring := make(map[int][]byte, len(names))
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 || name != numberName(n) {
			return nil, fmt.Errorf("%w: %s%s in %s should be named like 0001%s", ErrName, name, suffix, d.path, suffix)
		}
		ring[n], err = d.Get(name)
		if errors.Is(err, fs.ErrNotExist) { // removed since it was listed
			delete(ring, n)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// Add makes a new secret with the next number, at most limit.
func (d *Dir) Add(limit int) (int, error) {
	for {
		ring, err := d.Numbered()
		if err != nil {
			return 0, err
		}
		newest := 0
		for n := range ring {
			newest = max(newest, n)
		}
		if newest >= limit {
			return 0, fmt.Errorf("%w: %d", ErrFull, limit)
		}
		_, err = d.create(numberName(newest + 1))
		if !errors.Is(err, fs.ErrExist) {
			return newest + 1, err
		} // another process took that number: look again
	}
}

// RemoveNumber deletes one secret of the ring.
func (d *Dir) RemoveNumber(n int) error { return d.Remove(numberName(n)) }

func numberName(n int) string { return fmt.Sprintf("%04d", n) }

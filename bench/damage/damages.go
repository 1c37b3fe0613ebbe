package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/consentd/consentd/bench/witness"
)

// damage is one thing that can happen to a data directory.
type damage struct {
	name   string
	weight int
	folder bool // it happens to a folder
	// do does it to path; earlier is the same directory on an earlier day. errNothing: it would change nothing.
	do func(r *rand.Rand, v victim) (what string, err error)
}

// victim is what is damaged.
type victim struct {
	dir     string // the data directory
	rel     string // of the file or folder
	earlier string
	others  []string // files of the same kind
}

func (v victim) path() string { return filepath.Join(v.dir, v.rel) }

// errNothing means that the damage is none: another is drawn.
var errNothing = errors.New("damage: it would change nothing")

func damages() []damage {
	return []damage{
		{name: "bit flipped", weight: 8, do: edit(flip)},
		{name: "bytes zeroed", weight: 3, do: edit(fill(func(*rand.Rand) byte { return 0 }))},
		{name: "bytes overwritten", weight: 3, do: edit(fill(func(r *rand.Rand) byte { return byte(r.Uint32()) }))},
		{name: "tail zeroed", weight: 3, do: edit(zeroTail)},
		{name: "tail cut", weight: 4, do: edit(cut)},
		{name: "emptied", weight: 1, do: edit(func(*rand.Rand, []byte, int) ([]byte, string) { return nil, "" })},
		{name: "grown", weight: 1, do: edit(grow)},
		{name: "missing", weight: 3, do: remove},
		{name: "another's content", weight: 2, do: swap},
		{name: "of an earlier day", weight: 2, do: setBack},
		{name: "a folder instead", weight: 1, do: folderInstead},
		{name: "mode 0000", weight: 1, do: mode(0)},
		{name: "mode 0644", weight: 1, do: mode(0o644)},
		{name: "a stranger beside it", weight: 1, do: stranger},
		{name: "folder missing", weight: 2, folder: true, do: remove},
		{name: "folder emptied", weight: 2, folder: true, do: empty},
		{name: "folder of an earlier day", weight: 2, folder: true, do: setBack},
		{name: "folder mode 0000", weight: 1, folder: true, do: mode(0)},
	}
}

// draw picks one by weight.
func draw(r *rand.Rand) damage {
	all, sum := damages(), 0
	for _, d := range all {
		sum += d.weight
	}
	n := r.IntN(sum)
	for _, d := range all {
		if n -= d.weight; n < 0 {
			return d
		}
	}
	panic("damage: weights do not add up")
}

// edit damages the content of a file. change gets it and where its trailing zeros begin, which Pebble allocates ahead.
func edit(change func(r *rand.Rand, b []byte, used int) (changed []byte, what string)) func(*rand.Rand, victim) (string, error) {
	return func(r *rand.Rand, v victim) (string, error) {
		info, err := os.Stat(v.path())
		if err != nil {
			return "", err
		}
		before, err := os.ReadFile(v.path())
		if err != nil {
			return "", err
		}
		used := len(bytes.TrimRight(before, "\x00"))
		if used == 0 {
			return "", errNothing
		}
		after, what := change(r, bytes.Clone(before), used)
		if bytes.Equal(before, after) {
			return "", errNothing
		}
		return what, os.WriteFile(v.path(), after, info.Mode())
	}
}

func flip(r *rand.Rand, b []byte, used int) ([]byte, string) {
	at, bit := r.IntN(used), r.IntN(8)
	b[at] ^= 1 << bit
	return b, fmt.Sprintf("byte %d of %d, bit %d", at, used, bit)
}

// longest is the longest run of bytes that is overwritten: a sector's.
const longest = 512

func fill(with func(*rand.Rand) byte) func(*rand.Rand, []byte, int) ([]byte, string) {
	return func(r *rand.Rand, b []byte, used int) ([]byte, string) {
		at := r.IntN(used)
		n := min(1+r.IntN(longest), used-at)
		for i := range n {
			b[at+i] = with(r)
		}
		return b, fmt.Sprintf("%d bytes at %d of %d", n, at, used)
	}
}

// length of a tail: a few bytes as often as a great part of the file.
func length(r *rand.Rand, used int) int {
	if r.IntN(2) == 0 {
		return 1 + r.IntN(min(used, longest))
	}
	return 1 + r.IntN(used)
}

func zeroTail(r *rand.Rand, b []byte, used int) ([]byte, string) {
	n := length(r, used)
	clear(b[used-n : used])
	return b, fmt.Sprintf("the last %d of %d bytes", n, used)
}

func cut(r *rand.Rand, b []byte, used int) ([]byte, string) {
	n := length(r, used)
	return b[:used-n], fmt.Sprintf("the last %d of %d bytes", n, used)
}

func grow(r *rand.Rand, b []byte, used int) ([]byte, string) {
	n := 1 + r.IntN(longest)
	return append(b[:used:used], b[:min(n, used)]...), fmt.Sprintf("%d more bytes", n)
}

func remove(_ *rand.Rand, v victim) (string, error) { return "", os.RemoveAll(v.path()) }

func empty(_ *rand.Rand, v victim) (string, error) {
	if err := os.RemoveAll(v.path()); err != nil {
		return "", err
	}
	return "", os.Mkdir(v.path(), 0o700)
}

func swap(r *rand.Rand, v victim) (string, error) {
	other := v.others[r.IntN(len(v.others))]
	return "that of " + other, replace(v.path(), filepath.Join(v.dir, other))
}

func setBack(_ *rand.Rand, v victim) (string, error) {
	from := filepath.Join(v.earlier, v.rel)
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNothing
	}
	if err == nil && info.IsDir() {
		return "", witness.Copy(v.path(), from)
	}
	return "", errors.Join(err, replace(v.path(), from))
}

// replace gives a file the content of another.
func replace(path, from string) error {
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	then, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if bytes.Equal(now, then) {
		return errNothing
	}
	return os.WriteFile(path, then, 0o600)
}

func folderInstead(_ *rand.Rand, v victim) (string, error) {
	if err := os.Remove(v.path()); err != nil {
		return "", err
	}
	return "", os.Mkdir(v.path(), 0o700)
}

func mode(m fs.FileMode) func(*rand.Rand, victim) (string, error) {
	return func(_ *rand.Rand, v victim) (string, error) {
		info, err := os.Stat(v.path())
		if err == nil && info.Mode().Perm() == m {
			err = errNothing
		}
		return "", errors.Join(err, os.Chmod(v.path(), m))
	}
}

// stranger puts a file beside the victim that looks as if it belonged there: a copy of it with the next number.
func stranger(r *rand.Rand, v victim) (string, error) {
	b, err := os.ReadFile(v.path())
	if err != nil {
		return "", err
	}
	name := []byte(filepath.Base(v.rel))
	for i := len(name) - 1; i >= 0; i-- {
		if '0' <= name[i] && name[i] <= '8' {
			name[i]++
			break
		}
	}
	path := filepath.Join(filepath.Dir(v.path()), string(name))
	if _, err := os.Stat(path); err == nil {
		return "", errNothing
	}
	return string(name), os.WriteFile(path, b, 0o600)
}

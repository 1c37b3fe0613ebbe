package evidence

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Tile names one resource of C2SP tlog-tiles: hashes of a level, or a bundle of entries.
type Tile struct {
	Entries bool
	Level   int // of hashes
	N       uint64
	Width   int // 1 to 256
}

const (
	tileWidth = 256
	maxLevel  = 63 // the specification's; a log of 2^53 entries has 7
)

// ParseTile reads what follows "tile/" in a path: "0/x001/067.p/8", "entries/000".
func ParseTile(path string) (t Tile, ok bool) {
	level, rest, ok := strings.Cut(path, "/")
	if !ok {
		return t, false
	}
	if t.Entries = level == "entries"; !t.Entries {
		if t.Level, ok = parseDecimal(level, maxLevel); !ok {
			return t, false
		}
	}
	t.Width = tileWidth
	if rest, width, partial := strings.Cut(rest, ".p/"); partial {
		if t.Width, ok = parseDecimal(width, tileWidth-1); !ok || t.Width == 0 {
			return t, false
		}
		t.N, ok = parseTileIndex(rest)
		return t, ok
	}
	t.N, ok = parseTileIndex(rest)
	return t, ok
}

func parseDecimal(s string, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= most && strconv.Itoa(n) == s
}

// parseTileIndex reads groups of three digits, all but the last behind an x; there is one spelling of a number.
func parseTileIndex(s string) (n uint64, ok bool) {
	groups := strings.Split(s, "/")
	if len(groups) > 6 || len(groups) > 1 && groups[0] == "x000" {
		return 0, false
	}
	for i, g := range groups {
		digits, x := strings.CutPrefix(g, "x")
		if x == (i == len(groups)-1) || len(digits) != 3 {
			return 0, false
		}
		d, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return 0, false
		}
		n = n*1000 + d
	}
	return n, true
}

// Path is what ParseTile reads.
func (t Tile) Path() string {
	level := "entries"
	if !t.Entries {
		level = strconv.Itoa(t.Level)
	}
	index := fmt.Sprintf("%03d", t.N%1000)
	for n := t.N / 1000; n > 0; n /= 1000 {
		index = fmt.Sprintf("x%03d/%s", n%1000, index)
	}
	if t.Width < tileWidth {
		return fmt.Sprintf("%s/%s.p/%d", level, index, t.Width)
	}
	return level + "/" + index
}

// Tile reads a tile of a log as it is served: 32 bytes a hash, or entries, each after its length in two bytes.
// ErrNotFound when the last checkpoint does not reach so far.
func (k *Keeper) Tile(ctx context.Context, log consent.Stream, t Tile) ([]byte, error) {
	s, err := k.of(log)
	if err != nil {
		return nil, err
	}
	last := s.last.Load()
	if last == nil {
		return nil, ErrNotSettled
	}
	level := t.Level
	if t.Entries {
		level = 0
	}
	shift := 8 * level
	if shift >= 64 || t.Width < 1 || t.Width > tileWidth {
		return nil, ErrNotFound
	}
	have := last.Size >> shift
	if t.N > have/tileWidth || t.N*tileWidth+uint64(t.Width) > have {
		return nil, ErrNotFound
	}
	if t.Entries {
		return s.bundle(ctx, t)
	}
	return s.log.Tile(t.Level, t.N, t.Width)
}

// bundle gathers entries: from the ledger what it holds, from the archive the rest, checked against the log.
func (s *sealed) bundle(ctx context.Context, t Tile) ([]byte, error) {
	first, end := t.N*tileWidth, t.N*tileWidth+uint64(t.Width)
	entries := make([][]byte, t.Width)
	take := func(seq uint64, facts []byte) error {
		entries[seq-first] = append([]byte(nil), facts...)
		return nil
	}
	if held := s.log.Held(); first < held {
		if err := s.fetch(ctx, t, min(end, held), entries); err != nil {
			return nil, err
		}
	}
	if err := s.log.Entries(max(first, s.log.Held()), end, take); err != nil {
		return nil, err
	}
	var b []byte
	for i, e := range entries {
		if e == nil || len(e) > math.MaxUint16 {
			return nil, fmt.Errorf("%w: entry %d", ErrArchive, first+uint64(i))
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
	}
	return b, nil
}

// fetch reads entries up to end from the archive; only what hashes to its leaf is taken.
func (s *sealed) fetch(ctx context.Context, t Tile, end uint64, entries [][]byte) error {
	if s.k.opt.Archive == nil || s != s.k.proofs {
		return fmt.Errorf("%w: no longer held, and there is no archive", ErrNotFound)
	}
	leaves, err := s.log.Tile(0, t.N, t.Width)
	if err != nil {
		return err
	}
	first := t.N * tileWidth
	take := func(seq uint64, facts []byte) error {
		i := seq - first
		if leaf := tlog.RecordHash(facts); seq >= first && seq < end && tlog.Hash(leaves[i*tlog.HashSize:][:tlog.HashSize]) == leaf {
			entries[i] = append([]byte(nil), facts...)
		}
		return nil
	}
	for from := first; from < end; {
		generation, to := s.k.opt.GenerationOf(from), from+1
		for to < end && s.k.opt.GenerationOf(to) == generation {
			to++
		}
		if err := s.k.opt.Archive.Entries(ctx, s.k.opt.Edge, generation, from, to, take); err != nil {
			return err
		}
		from = to
	}
	return nil
}

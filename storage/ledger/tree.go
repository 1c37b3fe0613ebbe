package ledger

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A log is an RFC 6962 tree over the facts of all entries of a stream: one of the proofs, one of the
// publications. It is stored in tiles of height 8, as in C2SP tlog-tiles: the tile (level L, n) holds the 256
// hashes of tree level 8·L with indices from 256·n on.
//
// A level-0 tile is written when it is complete; until then its leaves are in the entries, which Trim keeps.
// Tiles of higher levels grow by one hash each time the tile below completes, and are written each time: at
// most one write per level in 256 proofs. So the tree costs 33 bytes and well under one write a proof.
//
// # Why tiles
//
// x/mod's StoredHashes would store two keys of 32 bytes per proof; tiles take a 300th of the writes and are
// what the public log serves.

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	hashSize   = sha256.Size
)

// tree is the growing edge of the log: per level, the hashes of the tile that is not complete yet.
type tree struct {
	size  uint64
	edges [][]byte // level → up to 255 × 32 bytes
}

// push appends a leaf and hands over every tile that has to be written.
func (t *tree) push(leaf [hashSize]byte, put func(level int, n uint64, tile []byte) error) error {
	t.size++
	hash, count := leaf, t.size // count: how many hashes tree level 8·level now has
	for level := 0; ; level++ {
		if level == len(t.edges) {
			t.edges = append(t.edges, make([]byte, 0, tileWidth*hashSize))
		}
		edge := append(t.edges[level], hash[:]...)
		complete := count%tileWidth == 0
		if level > 0 || complete {
			if err := put(level, (count-1)/tileWidth, edge); err != nil {
				return err
			}
		}
		if !complete {
			t.edges[level] = edge
			return nil
		}
		hash, count = subtree(edge), count/tileWidth
		t.edges[level] = edge[:0]
	}
}

// subtree is the root over a power of two of hashes: level by level, in a copy.
func subtree(hashes []byte) [hashSize]byte {
	var room [tileWidth * hashSize]byte
	b := room[:copy(room[:], hashes)]
	for len(b) > hashSize {
		for i := 0; i < len(b); i += 2 * hashSize {
			parent := nodeHash(b[i:i+hashSize], b[i+hashSize:i+2*hashSize])
			copy(b[i/2:], parent[:])
		}
		b = b[:len(b)/2]
	}
	return [hashSize]byte(b)
}

// nodeHash is SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1); x/mod's NodeHash does the same with more copies.
func nodeHash(left, right []byte) [hashSize]byte {
	var b [1 + 2*hashSize]byte
	b[0] = 0x01
	copy(b[1:], left)
	copy(b[1+hashSize:], right)
	return sha256.Sum256(b[:])
}

// storedHash finds a hash by x/mod's index: it is the subtree over a run of hashes in one tile.
func (g Log) storedHash(t *tree, index int64) (tlog.Hash, error) {
	level, n := tlog.SplitStoredHashIndex(index)
	within := level % tileHeight
	first := uint64(n) << within // index of its first hash at the tile's own level
	tile, err := g.tile(t, level/tileHeight, first/tileWidth)
	if err != nil {
		return tlog.Hash{}, err
	}
	from := int(first%tileWidth) * hashSize
	to := from + hashSize<<within
	if to > len(tile) {
		return tlog.Hash{}, fmt.Errorf("reading tree: hash %d is not in its tile", index)
	}
	return subtree(tile[from:to]), nil
}

// tile reads a stored tile, or the edge of t when n is the one still growing.
func (g Log) tile(t *tree, level int, n uint64) ([]byte, error) {
	if level < len(t.edges) && n == t.size>>(tileHeight*(level+1)) {
		return t.edges[level], nil
	}
	tile, err := g.l.get(tileKey(nil, g.stream, level, n))
	if err != nil {
		return nil, fmt.Errorf("reading tile %d/%d: %w", level, n, err)
	}
	return tile, nil
}

// frontier rebuilds the growing edge of the first size leaves: leaves from the entries, higher levels from
// their stored tiles. Recovery and readers use the same function.
func (g Log) frontier(size uint64) (tree, error) {
	t := tree{size: size}
	for level, count := 0, size; level == 0 || count > 0; level, count = level+1, count/tileWidth {
		edge := make([]byte, 0, tileWidth*hashSize)
		width := int(count % tileWidth)
		var err error
		if width > 0 {
			edge, err = g.edge(edge, level, count-uint64(width), width)
		}
		if err != nil {
			return tree{}, err
		}
		t.edges = append(t.edges, edge)
	}
	return t, nil
}

// edge reads the first width hashes of the tile whose first hash has index first.
func (g Log) edge(b []byte, level int, first uint64, width int) ([]byte, error) {
	if tile, err := g.l.get(tileKey(nil, g.stream, level, first/tileWidth)); err == nil && len(tile) >= width*hashSize {
		return append(b, tile[:width*hashSize]...), nil
	} else if level > 0 {
		return nil, fmt.Errorf("reading tile %d/%d: %d of %d hashes: %w", level, first/tileWidth, len(tile)/hashSize, width, err)
	}
	return g.leaves(b, first, first+uint64(width))
}

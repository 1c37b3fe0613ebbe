package ledger

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Log is one of the two logs of the edge, read: of proofs (consent.StreamProofs) or of publications
// (consent.StreamWordings). It is valid while the ledger is open.
type Log struct {
	l      *Ledger
	stream consent.Stream
}

// logs lists the streams whose entries are leaves.
func logs() []consent.Stream { return []consent.Stream{consent.StreamProofs, consent.StreamWordings} }

// Log reads the log of a stream.
func (l *Ledger) Log(s consent.Stream) Log { return Log{l, s} }

// Size is the number of durable leaves.
func (g Log) Size() uint64 { return g.l.Next(g.stream) }

// Held is the first entry whose facts Entries still gives; those before it were shipped and trimmed.
func (g Log) Held() uint64 { return g.l.First(g.stream) }

// Root computes the root hash of the first size leaves; size must not exceed what is durable.
func (g Log) Root(size uint64) (tlog.Hash, error) {
	hashes, err := g.Hashes(size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(int64(size), hashes)
}

// Hashes reads the hashes of a tree of size leaves, for x/mod's proofs. It stays valid while the ledger is
// open.
func (g Log) Hashes(size uint64) (tlog.HashReader, error) {
	if n := g.Size(); size > n {
		return nil, fmt.Errorf("reading tree: size %d is beyond the %d durable leaves", size, n)
	}
	t, err := g.frontier(size)
	if err != nil {
		return nil, err
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			h, err := g.storedHash(&t, x)
			if err != nil {
				return nil, err
			}
			hashes[i] = h
		}
		return hashes, nil
	}), nil
}

// Tile reads the first width (1 to 256) hashes of tile n of a level, 32 bytes each, as C2SP tlog-tiles numbers
// them. ErrNotFound: the log has not grown so far.
func (g Log) Tile(level int, n uint64, width int) ([]byte, error) {
	if level < 0 || level > maxTileLevel || width < 1 || width > tileWidth {
		return nil, ErrNotFound
	}
	have := g.Size() >> (tileHeight * level) // hashes of that level
	if n > have/tileWidth || n*tileWidth+uint64(width) > have {
		return nil, ErrNotFound
	}
	return g.edge(make([]byte, 0, width*hashSize), level, n*tileWidth, width)
}

// maxTileLevel: eight levels of tiles hold every log that 64 bits can count.
const maxTileLevel = 7

// Entries calls fn with the canonical facts of the entries [first, end) that are held, in order: what the leaves
// are made of. facts is valid only during the call.
func (g Log) Entries(first, end uint64, fn func(seq uint64, facts []byte) error) error {
	var facts []byte
	return g.l.Scan(g.stream, first, end, func(seq uint64, raw []byte) (err error) {
		if facts, err = appendEntryFacts(facts[:0], g.stream, raw); err != nil {
			return fmt.Errorf("reading %s %d: %w", g.stream, seq, err)
		}
		return fn(seq, facts)
	})
}

func appendEntryFacts(b []byte, s consent.Stream, raw []byte) ([]byte, error) {
	if s == consent.StreamProofs {
		p, err := consent.ParseProof(raw)
		if err != nil {
			return b, err
		}
		return p.AppendFacts(b), nil
	}
	p, err := consent.ParsePublication(raw)
	if err != nil {
		return b, err
	}
	return p.AppendFacts(b), nil
}

// leafOf is SHA-256(0x00 ‖ facts) (RFC 6962 §2.1).
func leafOf(room, facts []byte) [hashSize]byte {
	return sha256.Sum256(append(append(room[:0], leafPrefix), facts...))
}

// leaves appends the leaf hashes of the entries [first, end), computed from them.
func (g Log) leaves(b []byte, first, end uint64) ([]byte, error) {
	next := first
	var room [1024]byte
	err := g.Entries(first, end, func(seq uint64, facts []byte) error {
		leaf := leafOf(room[:0], facts)
		b, next = append(b, leaf[:]...), seq+1
		return nil
	})
	if err == nil && next != end {
		err = fmt.Errorf("reading leaves [%d, %d) of %s: the entries end at %d", first, end, g.stream, next)
	}
	return slices.Clip(b), err
}

package evidence_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// memory is a log whose hashes are all in memory, to reach sizes a test has no time to record.
type memory struct{ hashes []tlog.Hash }

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = m.hashes[x]
	}
	return out, nil
}

func (m *memory) push(t testing.TB, n uint64, leaf tlog.Hash) {
	t.Helper()
	stored, err := tlog.StoredHashesForRecordHash(int64(n), leaf, m)
	if err != nil {
		t.Fatal(err)
	}
	m.hashes = append(m.hashes, stored...)
}

func raw(path []tlog.Hash) [][]byte {
	out := make([][]byte, len(path))
	for i := range path {
		out[i] = path[i][:]
	}
	return out
}

// bothAgree holds x/mod's answer and transparency-dev's to the one expected.
func bothAgree(t *testing.T, what string, want bool, path []tlog.Hash, size uint64, root tlog.Hash, index uint64, leaf tlog.Hash) {
	t.Helper()
	ours := index < size && tlog.CheckRecord(path, int64(size), root, int64(index), leaf) == nil
	theirs := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], raw(path), root[:]) == nil
	if ours != want || theirs != want {
		t.Fatalf("%s: leaf %d of %d: ours %v, theirs %v, want %v", what, index, size, ours, theirs, want)
	}
}

// forged tries the changes an inclusion proof must not survive.
func forged(t *testing.T, r *rand.Rand, path []tlog.Hash, size uint64, root tlog.Hash, index uint64, leaf tlog.Hash) {
	t.Helper()
	flip := func(h tlog.Hash) tlog.Hash {
		h[r.IntN(len(h))] ^= 1 << r.IntN(8)
		return h
	}
	bothAgree(t, "another leaf", false, path, size, root, index, flip(leaf))
	bothAgree(t, "another root", false, path, size, flip(root), index, leaf)
	if size > 1 {
		other := slices.Clone(path)
		i := r.IntN(len(other))
		other[i] = flip(other[i])
		bothAgree(t, "another path", false, other, size, root, index, leaf)
		bothAgree(t, "a shorter path", false, path[:len(path)-1], size, root, index, leaf)
		bothAgree(t, "the place beside", false, path, size, root, index^1, leaf)
	}
	bothAgree(t, "a longer path", false, append(slices.Clone(path), leaf), size, root, index, leaf)
	bothAgree(t, "a place outside", false, path, size, root, size+index, leaf)
}

// TestInclusionOfEveryLeaf goes through every leaf of every tree up to 300 and of some up to 1,000, over the
// ledger's own tiles.
func TestInclusionOfEveryLeaf(t *testing.T) {
	e := openEdge(t, t.TempDir())
	const n = 1000
	leaves := make([]tlog.Hash, n)
	for i, r := range e.recordMany(n, nil) {
		leaves[i] = tlog.RecordHash(r.AppendFacts(nil))
	}
	r := rand.New(rand.NewPCG(1, 1))
	log := e.ledger.Log(consent.StreamProofs)
	for size := uint64(1); size <= n; size++ {
		if size > 300 && size%97 != 0 && size != 512 && size != 513 && size != n {
			continue
		}
		hashes, err := log.Hashes(size)
		if err != nil {
			t.Fatal(err)
		}
		root, err := log.Root(size)
		if err != nil {
			t.Fatal(err)
		}
		for index := range size {
			path, err := tlog.ProveRecord(int64(size), int64(index), hashes)
			if err != nil {
				t.Fatal(err)
			}
			bothAgree(t, "the proof", true, path, size, root, index, leaves[index])
			if index%37 == 0 {
				forged(t, r, path, size, root, index, leaves[index])
			}
		}
	}
}

// TestConsistencyOfCheckpoints holds every pair of sizes up to 130, and some beyond a tile, against both verifiers.
func TestConsistencyOfCheckpoints(t *testing.T) {
	e := openEdge(t, t.TempDir())
	e.recordMany(700, nil)
	log := e.ledger.Log(consent.StreamProofs)
	sizes := []uint64{255, 256, 257, 511, 512, 513, 700}
	for n := range uint64(131) {
		sizes = append(sizes, n)
	}
	roots := map[uint64]tlog.Hash{}
	for _, size := range sizes {
		root, err := log.Root(size)
		if err != nil {
			t.Fatal(err)
		}
		roots[size] = root
	}
	for _, size := range sizes {
		hashes, err := log.Hashes(size)
		if err != nil {
			t.Fatal(err)
		}
		for _, old := range sizes {
			if old < 1 || old > size {
				continue
			}
			p, err := tlog.ProveTree(int64(size), int64(old), hashes)
			if err != nil {
				t.Fatal(err)
			}
			a, b := roots[old], roots[size]
			ours := tlog.CheckTree(p, int64(size), b, int64(old), a)
			theirs := proof.VerifyConsistency(rfc6962.DefaultHasher, old, size, raw(p), a[:], b[:])
			if ours != nil || theirs != nil {
				t.Fatalf("%d → %d: %v, %v", old, size, ours, theirs)
			}
			if old < size {
				a[3] ^= 1
				if tlog.CheckTree(p, int64(size), b, int64(old), a) == nil || proof.VerifyConsistency(rfc6962.DefaultHasher, old, size, raw(p), a[:], b[:]) == nil {
					t.Fatalf("%d → %d: another past is accepted", old, size)
				}
			}
		}
	}
}

// TestInclusionAtAMillion proves ten thousand random leaves of a tree of a million.
func TestInclusionAtAMillion(t *testing.T) {
	const n, tries = 1_000_000, 10_000
	r := rand.New(rand.NewPCG(7, 7))
	m := &memory{hashes: make([]tlog.Hash, 0, tlog.StoredHashCount(n))}
	leaf := func(i uint64) tlog.Hash { return tlog.RecordHash(fmt.Appendf(nil, `{"n":%d}`, i)) }
	for i := range uint64(n) {
		m.push(t, i, leaf(i))
	}
	root, err := tlog.TreeHash(n, m)
	if err != nil {
		t.Fatal(err)
	}
	for range tries {
		index := r.Uint64N(n)
		path, err := tlog.ProveRecord(n, int64(index), m)
		if err != nil {
			t.Fatal(err)
		}
		bothAgree(t, "the proof", true, path, n, root, index, leaf(index))
		if index%50 == 0 {
			forged(t, r, path, n, root, index, leaf(index))
		}
	}
}

// TestTilesGiveAnyProof is a client of the public log: from tiles alone it computes inclusion and consistency.
func TestTilesGiveAnyProof(t *testing.T) {
	e := openEdge(t, t.TempDir())
	e.recordMany(300, nil)
	e.seal()
	_, early, err := e.Checkpoint(consent.StreamProofs)
	if err != nil {
		t.Fatal(err)
	}
	e.recordMany(400, nil)
	e.seal()
	_, late, err := e.Checkpoint(consent.StreamProofs)
	if err != nil {
		t.Fatal(err)
	}
	tiles := &client{e}
	hashes := tlog.TileHashReader(tlog.Tree{N: int64(late.Size), Hash: late.Root}, tiles)
	p, err := tlog.ProveTree(int64(late.Size), int64(early.Size), hashes)
	if err != nil || tlog.CheckTree(p, int64(late.Size), late.Root, int64(early.Size), early.Root) != nil {
		t.Fatalf("consistency from tiles: %v", err)
	}
	for _, index := range []uint64{0, 255, 256, 299, 512, 699} {
		entry := tiles.entry(t, index, late.Size)
		path, err := tlog.ProveRecord(int64(late.Size), int64(index), hashes)
		if err != nil || tlog.CheckRecord(path, int64(late.Size), late.Root, int64(index), tlog.RecordHash(entry)) != nil {
			t.Fatalf("entry %d from its bundle: %v", index, err)
		}
	}
}

// client fetches tiles as C2SP tlog-tiles names them.
type client struct{ e *edge }

func (c *client) Height() int { return 8 }

func (c *client) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, want := range tiles {
		t := evidence.Tile{Level: want.L, N: uint64(want.N), Width: want.W}
		parsed, ok := evidence.ParseTile(t.Path())
		if !ok || parsed != t {
			return nil, fmt.Errorf("%s reads as %+v", t.Path(), parsed)
		}
		b, err := c.e.Tile(context.Background(), consent.StreamProofs, parsed)
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

func (c *client) SaveTiles([]tlog.Tile, [][]byte) {}

// entry takes one entry out of its bundle.
func (c *client) entry(t *testing.T, index, size uint64) []byte {
	t.Helper()
	n := index / 256
	b, err := c.e.Tile(t.Context(), consent.StreamProofs, evidence.Tile{Entries: true, N: n, Width: int(min(256, size-n*256))})
	if err != nil {
		t.Fatal(err)
	}
	for range index % 256 {
		b = b[2+int(b[0])<<8+int(b[1]):]
	}
	return b[2:][:int(b[0])<<8+int(b[1])]
}

func TestTilePathsHaveOneSpelling(t *testing.T) {
	for _, row := range []struct {
		path string
		want evidence.Tile
	}{
		{"0/000", evidence.Tile{Width: 256}},
		{"0/067.p/8", evidence.Tile{N: 67, Width: 8}},
		{"1/x001/x234/067", evidence.Tile{Level: 1, N: 1234067, Width: 256}},
		{"entries/x001/000.p/255", evidence.Tile{Entries: true, N: 1000, Width: 255}},
		{"63/000.p/1", evidence.Tile{Level: 63, Width: 1}},
	} {
		got, ok := evidence.ParseTile(row.path)
		if !ok || got != row.want || got.Path() != row.path {
			t.Errorf("%s: %+v %v %s", row.path, got, ok, got.Path())
		}
	}
	for _, path := range []string{"", "0", "0/", "0/0", "0/00", "0/0000", "0/x000/001", "0/x001", "0/001/002", "0/x001/x002", "00/001", "64/001", "-1/001",
		"0/001.p/", "0/001.p/0", "0/001.p/256", "0/001.p/01", "0/001.p/1.p/1", "0/-01", "0/+01", "entries", "Entries/001", "0/x1/001", "0/x999/x999/x999/x999/x999/x999/999"} {
		if got, ok := evidence.ParseTile(path); ok {
			t.Errorf("%q reads as %+v", path, got)
		}
	}
}

func FuzzParseTile(f *testing.F) {
	f.Add("0/x001/067.p/8")
	f.Add("entries/000")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, ok := evidence.ParseTile(path); ok && tile.Path() != path {
			t.Errorf("%q is written %q", path, tile.Path())
		}
	})
}

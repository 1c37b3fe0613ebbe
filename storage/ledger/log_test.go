package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// rootOf computes the root of a log from its entries alone.
func rootOf(t *testing.T, g Log, size uint64) tlog.Hash {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	err := g.Entries(0, size, func(seq uint64, facts []byte) error {
		stored, err := tlog.StoredHashes(int64(seq), facts, reader)
		hashes = append(hashes, stored...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.TreeHash(int64(size), reader)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func wordingNo(t *testing.T, n int) *consent.Published {
	t.Helper()
	w, err := consent.Wording{V: 1, Site: "demo", Surface: consent.SurfaceBanner, Locale: "fr", Title: fmt.Sprint(n)}.Publish()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func announce(t *testing.T, l *Ledger, p *consent.Publication) {
	t.Helper()
	if err := l.Announce(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func wantRoot(t *testing.T, g Log, size uint64) {
	t.Helper()
	root, err := g.Root(size)
	if want := rootOf(t, g, size); err != nil || size > 0 && root != want {
		t.Fatalf("root of %d: %v %v, want %v", size, root, err, want)
	}
}

func TestPublicationsAreALogOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	for i := range 300 {
		mustAppend(t, l, proof(l, i, consent.MethodCustom, true))
		announce(t, l, wordingNo(t, i).Publication())
	}
	for _, size := range []uint64{0, 1, 255, 256, 257, 300} {
		wantRoot(t, l.Log(consent.StreamWordings), size)
		wantRoot(t, l.Log(consent.StreamProofs), size)
	}
	before, err := l.Log(consent.StreamWordings).Root(300)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, Options{Dir: dir})
	if root, err := l.Log(consent.StreamWordings).Root(300); err != nil || root != before {
		t.Errorf("opened again: %v %v, want %v", root, err, before)
	}
	announce(t, l, wordingNo(t, 300).Publication())
	wantRoot(t, l.Log(consent.StreamWordings), 301)
	if _, err := l.Log(consent.StreamWordings).Root(302); err == nil {
		t.Error("a root beyond what is durable")
	}
}

func TestWhatIsPublishedAgainIsLoggedOnlyWhenThatSaysSomething(t *testing.T) {
	l := open(t, Options{})
	bundle := func(js, locale string) *consent.Publication {
		p, err := consent.NewBundle("demo", locale, []byte(js), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	snapshot := func(scheme string) *consent.Publication {
		p, err := consent.NewSnapshot(wordingNo(t, 1), []byte("png"), consent.SnapshotAbout{Scheme: scheme})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, row := range []struct {
		name string
		p    *consent.Publication
		size uint64
	}{
		{"a wording", wordingNo(t, 1).Publication(), 1},
		{"the same wording", wordingNo(t, 1).Publication(), 1},
		{"another wording", wordingNo(t, 2).Publication(), 2},
		{"the first wording once more", wordingNo(t, 1).Publication(), 2},
		{"a configuration", consent.NewConfig("demo", []byte("a")), 3},
		{"the same, still in force", consent.NewConfig("demo", []byte("a")), 3},
		{"another", consent.NewConfig("demo", []byte("b")), 4},
		{"back to the first", consent.NewConfig("demo", []byte("a")), 5},
		{"another site's", consent.NewConfig("shop", []byte("a")), 6},
		{"a script", bundle("js", ""), 7},
		{"the same script", bundle("js", ""), 7},
		{"the same for one language", bundle("js", "fr"), 8},
		{"a picture", snapshot("dark"), 9},
		{"the same picture", snapshot("dark"), 9},
		{"the same picture of something else", snapshot("light"), 10},
	} {
		announce(t, l, row.p)
		if n := l.Log(consent.StreamWordings).Size(); n != row.size {
			t.Fatalf("%s: %d entries, want %d", row.name, n, row.size)
		}
	}
	var seqs []uint64
	err := l.Publications("demo", consent.PublishedConfig, func(seq uint64, p *consent.Publication) error {
		seqs = append(seqs, seq)
		return nil
	})
	if err != nil || fmt.Sprint(seqs) != "[2 3 4]" {
		t.Errorf("configurations of demo: %v %v", seqs, err)
	}
	if _, err := l.Wording("demo", consent.NewConfig("demo", []byte("a")).Hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("a configuration is found as a wording: %v", err)
	}
	if _, err := l.Publication(10); !errors.Is(err, ErrNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
}

func TestOnePublicationAnnouncedByManyAtOnceIsLoggedOnce(t *testing.T) {
	l := open(t, Options{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { announce(t, l, wordingNo(t, 1).Publication()) })
		wg.Go(func() { announce(t, l, consent.NewConfig("demo", []byte("a"))) })
	}
	wg.Wait()
	if n := l.Log(consent.StreamWordings).Size(); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

func TestTilesAreWhatTheHashesSay(t *testing.T) {
	l := open(t, Options{})
	const n = 600
	for i := range n {
		mustAppend(t, l, proof(l, i, consent.MethodCustom, true))
	}
	g := l.Log(consent.StreamProofs)
	hashes, err := g.Hashes(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		level int
		n     uint64
		width int
		ok    bool
	}{{0, 0, 256, true}, {0, 1, 256, true}, {0, 1, 3, true}, {0, 2, 88, true}, {0, 2, 1, true}, {0, 2, 89, false}, {0, 3, 1, false},
		{1, 0, 2, true}, {1, 0, 1, true}, {1, 0, 3, false}, {2, 0, 1, false}, {-1, 0, 1, false}, {8, 0, 1, false}, {0, 0, 0, false}, {0, 0, 257, false}, {0, 1 << 60, 1, false}} {
		got, err := g.Tile(row.level, row.n, row.width)
		if !row.ok {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v: %v, want ErrNotFound", row, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", row, err)
			continue
		}
		var want []byte
		for i := range row.width {
			h, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(row.level*tileHeight, int64(row.n)*tileWidth+int64(i))})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, h[0][:]...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%+v: not the hashes of the tree", row)
		}
	}
}

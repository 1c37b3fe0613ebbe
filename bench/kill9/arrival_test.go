package kill9

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// opened gives a migrated warehouse in a database of its own, and the address of it.
func opened(t *testing.T) (*warehouse.Warehouse, string) {
	t.Helper()
	url := kit.Database(t)
	w, err := warehouse.Open(warehouse.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, url
}

func send(t *testing.T, w *warehouse.Warehouse, proofs []*consent.Proof, first, end int) {
	t.Helper()
	if err := w.SendProofs(t.Context(), consent.Place{Edge: "e1", Generation: consent.FirstGeneration, Seq: uint64(first)}, proofs[first:end]); err != nil {
		t.Error(err)
	}
}

// remove takes rows of one table away again.
func remove(t *testing.T, url, from, where string) {
	t.Helper()
	o, err := clickhouse.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(t.Context(), "ALTER TABLE "+from+" DELETE WHERE "+where+" SETTINGS mutations_sync = 2"); err != nil {
		t.Fatal(err)
	}
}

func TestWhatNeverArrivesIsNamedSoon(t *testing.T) {
	w, url := opened(t)
	proofs := storagetest.NewGenerator(1).Proofs(1000)
	send(t, w, proofs, 0, 400)
	send(t, w, proofs, 500, 1000)
	remove(t, url, "consent_personal", "seq IN (7, 8, 998)")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := awaitTables(ctx, w, 1000, 200*time.Millisecond)
	const want = "of 1000 proofs consent_facts holds 900 and lacks seqs 400 to 499 (100 in all); consent_personal holds 897 and lacks seqs 7 to 8, 400 to 499, 998 (103 in all)"
	if !errors.Is(err, ErrMissing) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	send(t, w, proofs, 0, 1000)
	if err := awaitTables(ctx, w, 1000, 200*time.Millisecond); err != nil {
		t.Errorf("with all of them there: %v", err)
	}
}

func TestRowsThatKeepComingAreWaitedFor(t *testing.T) {
	const stall, pace = 20 * time.Second, time.Second // one send, however slow, is no stall
	w, _ := opened(t)
	proofs := storagetest.NewGenerator(1).Proofs(1000)
	arrived := make(chan error, 1)
	go func() { arrived <- awaitTables(t.Context(), w, 1000, stall) }()
	seq := 0
	start := time.Now()
	for n := 1; time.Since(start) < stall*5/4; n++ { // a pace, so that it takes longer than stall
		send(t, w, proofs, seq, seq+20)
		seq += 20
		select {
		case err := <-arrived:
			t.Fatalf("given up after %v with seq %d on its way: %v", time.Since(start), seq, err)
		case <-time.After(time.Until(start.Add(time.Duration(n) * pace))):
		}
	}
	send(t, w, proofs, seq, 1000)
	if err := <-arrived; err != nil {
		t.Error(err)
	}
}

func TestRangesAreShort(t *testing.T) {
	odd := []uint64{}
	for n := uint64(1); n < 40; n += 2 {
		odd = append(odd, n)
	}
	for _, c := range []struct {
		seqs []uint64
		want string
	}{
		{nil, "none"},
		{[]uint64{7}, "seqs 7 (1 in all)"},
		{[]uint64{1, 2, 3, 7, 9, 10}, "seqs 1 to 3, 7, 9 to 10 (6 in all)"},
		{odd, "seqs 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 10 more ranges (20 in all)"},
	} {
		if got := ranges(c.seqs); got != c.want {
			t.Errorf("%v: %q, want %q", c.seqs, got, c.want)
		}
	}
}

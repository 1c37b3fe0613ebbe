package warehouse_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

var kit *storagetest.Kit

func TestMain(m *testing.M) { storagetest.Main(m, func(k *storagetest.Kit) { kit = k }) }

// fresh gives the address of a database no other test uses.
var fresh = func(t testing.TB) string { return kit.Database(t) }

// open gives a migrated warehouse in a database of its own.
func open(t testing.TB) *warehouse.Warehouse {
	t.Helper()
	w := openAt(t, fresh(t))
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func openAt(t testing.TB, url string) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(warehouse.Options{URL: url, Timeout: 30 * time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// at is a place of an edge's first generation.
func at(edge string, seq uint64) consent.Place {
	return consent.Place{Edge: edge, Generation: consent.FirstGeneration, Seq: seq}
}

func sendProofs(t testing.TB, w *warehouse.Warehouse, first uint64, proofs []*consent.Proof) {
	t.Helper()
	if err := w.SendProofs(context.Background(), at(proofs[0].Edge, first), proofs); err != nil {
		t.Fatal(err)
	}
}

// optimize merges a table down to one part per partition.
func optimize(t testing.TB, w *warehouse.Warehouse, table string) {
	t.Helper()
	alter(t, w, "OPTIMIZE TABLE ", table, " FINAL")
}

// alter changes a table where it is stored.
func alter(t testing.TB, w *warehouse.Warehouse, before, table, after string) {
	t.Helper()
	if err := w.Alter(context.Background(), before, table, after); err != nil {
		t.Fatalf("%s%s%s: %v", before, table, after, err)
	}
}

func exec(t testing.TB, w *warehouse.Warehouse, sql string, args ...any) {
	t.Helper()
	if err := w.Conn().Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// count asks for one number.
func count(t testing.TB, w *warehouse.Warehouse, sql string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := w.Conn().QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

package warehouse_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

func TestEightEdgesMigrateAnEmptyServerAtOnce(t *testing.T) {
	url := fresh(t)
	const edges = 8
	errs := make([]error, edges)
	var wg sync.WaitGroup
	for i := range edges {
		w := openAt(t, url)
		wg.Go(func() { errs[i] = w.Migrate(t.Context()) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("edge %d: %v", i, err)
		}
	}
	w := openAt(t, url)
	g := storagetest.NewGenerator(1)
	sendProofs(t, w, 0, g.Proofs(10))
	if n := count(t, w, "SELECT count() FROM consents"); n != 10 {
		t.Errorf("the view shows %d of 10 proofs", n)
	}
}

func TestMigrateIsIdempotentAndNoticesForeignSchemas(t *testing.T) {
	w := open(t)
	before := count(t, w, "SELECT count() FROM schema_migrations")
	files, err := filepath.Glob("schema/*.sql")
	if err != nil || len(files) == 0 || before != uint64(len(files)) {
		t.Fatalf("%d files recorded, want %d, %v", before, len(files), err)
	}
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := count(t, w, "SELECT count() FROM schema_migrations"); after != before {
		t.Errorf("a second Migrate recorded %d files more", after-before)
	}
	exec(t, w, "INSERT INTO schema_migrations (version, name, sha256) VALUES (9000, '9000_newer.sql', 'x')")
	if err := w.Migrate(t.Context()); err != nil {
		t.Errorf("a file of a newer edge must be left alone: %v", err)
	}
	exec(t, w, "INSERT INTO schema_migrations (version, name, sha256) VALUES (1, '0001_x.sql', 'edited')")
	if err := w.Migrate(t.Context()); !errors.Is(err, warehouse.ErrSchema) {
		t.Errorf("an edited file must be refused, got %v", err)
	}
}

func TestMigrationFilesAreNumberedWithoutGaps(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, files := range map[string]fstest.MapFS{
		"a gap":            {"schema/0001_a.sql": file("A;"), "schema/0003_b.sql": file("B;")},
		"a number twice":   {"schema/0001_a.sql": file("A;"), "schema/0001_b.sql": file("B;")},
		"a name unlike it": {"schema/first.sql": file("A;")},
	} {
		if _, err := warehouse.ParseMigrations(files); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if all, err := warehouse.ParseMigrations(fstest.MapFS{"schema/0001_a.sql": file("-- no; statement\nA;\n\nB\n;")}); err != nil || len(all) != 1 {
		t.Errorf("got %v, %v", all, err)
	}
}

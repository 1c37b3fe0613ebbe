package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// placed is a batch of one log, as the drain sends it.
type placed struct {
	from    consent.Place
	proofs  []*consent.Proof
	prompts []*consent.Prompt
}

func (b placed) send(t testing.TB, w *warehouse.Warehouse) {
	t.Helper()
	if err := w.SendProofs(t.Context(), b.from, b.proofs); err != nil {
		t.Fatal(err)
	}
	if err := w.SendPrompts(t.Context(), b.from, b.prompts); err != nil {
		t.Fatal(err)
	}
}

// logsOf gives batches of two edges, each restored once: some of the ids in each, recorded after a delay of some
// seconds, or before the time they carry.
func logsOf(r *rand.Rand, site string, ids int) (all []placed) {
	delays := []int{0, 0, 0, 1, 29, 30, 31, 59, 61, 300, 3600, 90_000, -20, -40, -7200}
	g := storagetest.NewGenerator(r.Uint64())
	g.Site, g.Step = site, 7_000
	originals, prompts := g.Proofs(ids), g.Prompts(ids)
	for _, edge := range []string{"e1", "e2"} {
		for generation := range uint32(2) {
			b := placed{from: consent.Place{Edge: edge, Generation: generation + 1, Seq: 5}}
			for _, i := range r.Perm(ids)[:1+r.IntN(ids)] {
				p, q := *originals[i], *prompts[i]
				p.Edge, q.Edge = edge, edge
				p.RecordedAt = consent.IDTime(p.ID) + consent.Millis(1000*delays[r.IntN(len(delays))])
				q.ShownAt += consent.Millis(r.IntN(120_000))
				b.proofs, b.prompts = append(b.proofs, &p), append(b.prompts, &q)
			}
			all = append(all, b)
		}
	}
	return all
}

// first is where each id counts, by the definition.
func first(all []placed) map[uuid.UUID]string {
	at, where := map[uuid.UUID]consent.Millis{}, map[uuid.UUID]string{}
	for _, b := range all {
		for i, p := range b.proofs {
			here := fmt.Sprintf("%s %d %d", b.from.Edge, b.from.Generation, b.from.Seq+uint64(i))
			if was, ok := at[p.ID]; !ok || p.RecordedAt < was || p.RecordedAt == was && here < where[p.ID] {
				at[p.ID], where[p.ID] = p.RecordedAt, here
			}
		}
	}
	return where
}

func TestAnIDCountsOnceHoweverOftenAndWhereverItWasRecorded(t *testing.T) {
	w := open(t)
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 11))
		site := fmt.Sprintf("site%d", seed)
		all := logsOf(r, site, 40)
		order := r.Perm(len(all))
		for _, i := range append(order, r.IntN(len(all)), r.IntN(len(all))) { // and two of them again
			all[i].send(t, w)
		}
		if d := cmp.Diff(first(all), placesIn(t, w, "consents", site)); d != "" {
			t.Fatalf("seed %d, the view (-where they came first +shown):\n%s", seed, d)
		}
		checkCounts(t, w, site, all)
		stored := 0
		for _, b := range all {
			stored += len(b.proofs)
		}
		if n := count(t, w, "SELECT count() FROM consent_facts FINAL WHERE site = '"+site+"'"); n != uint64(stored) {
			t.Fatalf("seed %d: %d facts are stored, want all %d: each is a leaf", seed, n, stored)
		}
	}
}

// placesIn is where each id of a site stands in a table that has it once.
func placesIn(t *testing.T, w *warehouse.Warehouse, table, site string) map[uuid.UUID]string {
	t.Helper()
	rows, err := w.Conn().Query(t.Context(), "SELECT id, concat(edge, ' ', toString(generation), ' ', toString(seq)) FROM "+table+" WHERE site = '"+site+"'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[uuid.UUID]string{}
	for rows.Next() {
		var id uuid.UUID
		var place string
		if err := rows.Scan(&id, &place); err != nil {
			t.Fatal(err)
		}
		all[id] += place
	}
	return all
}

func checkCounts(t *testing.T, w *warehouse.Warehouse, site string, all []placed) {
	t.Helper()
	where, shown := first(all), map[uuid.UUID]bool{}
	for _, b := range all {
		for _, p := range b.prompts {
			shown[p.ID] = true
		}
	}
	for _, by := range [][]warehouse.Dimension{{}, {warehouse.ByPage}, {warehouse.ByDay, warehouse.ByCountry}} {
		q := warehouse.RatesQuery{Site: site, From: storagetest.Start.Time().Add(-24 * time.Hour), To: storagetest.Start.Time().Add(72 * time.Hour), By: by}
		r, err := w.Rates(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var answers, displays int
		for _, row := range r.Rows {
			answers, displays = answers+int(row.Granted+row.Denied), displays+int(*row.Prompts)
		}
		if answers != len(where) || displays != len(shown) {
			t.Fatalf("%s by %v: %d answers of %d ids, %d displays of %d", site, by, answers, len(where), displays, len(shown))
		}
	}
	for _, p := range all[0].proofs[:min(3, len(all[0].proofs))] {
		h, err := w.History(t.Context(), site, p.Personal.Subject, warehouse.Position{}, 10)
		if err != nil || len(h) != 1 || fmt.Sprintf("%s %d %d", h[0].Edge, h[0].Generation, h[0].Seq) != where[p.ID] {
			t.Fatalf("%s: history %+v, want the one at %s: %v", site, h, where[p.ID], err)
		}
	}
}

func TestTwoEdgesThatInsertAtTheSameMomentCountOnce(t *testing.T) {
	url := fresh(t)
	if err := openAt(t, url).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const batches, rows = 20, 50
	g := storagetest.NewGenerator(4)
	g.Step = 100
	var all [batches][]*consent.Proof
	for i := range all {
		all[i] = g.Proofs(rows)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 2*batches)
	for _, edge := range []string{"e1", "e2"} {
		w := openAt(t, url)
		wg.Go(func() {
			for i, proofs := range all {
				mine := make([]*consent.Proof, rows)
				for j, p := range proofs {
					c := *p
					c.Edge = edge
					mine[j] = &c
				}
				errs <- w.SendProofs(t.Context(), at(edge, uint64(i*rows)), mine)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	w := openAt(t, url)
	if n := count(t, w, "SELECT count() FROM consents"); n != batches*rows {
		t.Errorf("%d rows of %d ids", n, batches*rows)
	}
	if n := count(t, w, "SELECT countIf(edge = 'e1') FROM consents"); n != batches*rows {
		t.Errorf("%d of %d ids count where they came first", n, batches*rows)
	}
}

func TestALogThatIsAloneLooksForNoRepeats(t *testing.T) {
	w := open(t)
	proofs := storagetest.NewGenerator(1).Proofs(10)
	sendProofs(t, w, 0, proofs)
	exec(t, w, "TRUNCATE TABLE logs") // a server that lost its last writes
	sendProofs(t, w, 0, proofs)
	if n := count(t, w, "SELECT uniqExact(edge, generation) FROM logs"); n != 1 {
		t.Errorf("%d logs are noted, want the one that writes", n)
	}
}

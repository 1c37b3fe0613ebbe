package warehouse_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

func TestEntriesAreTheFactsInTheirOrder(t *testing.T) {
	w := open(t)
	proofs := odd()
	for i, p := range proofs {
		p.Site = []string{"shop", "other"}[i%2]
	}
	sendProofs(t, w, 100, proofs)
	sendProofs(t, w, 100, proofs[:2])
	elsewhere := storagetest.NewGenerator(9).Proof()
	elsewhere.Edge = "e2"
	sendProofs(t, w, 101, []*consent.Proof{elsewhere})
	got := map[uint64]string{}
	var order []uint64
	err := w.Entries(t.Context(), "e1", consent.FirstGeneration, 101, 104, func(seq uint64, facts []byte) error {
		got[seq] = string(facts)
		order = append(order, seq)
		return nil
	})
	if err != nil || !slices.IsSorted(order) {
		t.Fatal(order, err)
	}
	want := map[uint64]string{}
	for i := 1; i < 4; i++ {
		want[100+uint64(i)] = string(proofs[i].AppendFacts(nil))
	}
	if !maps.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestASeqOfAnotherGenerationIsAnotherEntry(t *testing.T) {
	w := open(t)
	g := storagetest.NewGenerator(1) // both are dated alike: nothing but the generation tells them apart
	proofs := g.Proofs(2)
	for i, p := range proofs {
		if err := w.SendProofs(t.Context(), consent.Place{Edge: "e1", Generation: uint32(i) + 1, Seq: 7}, []*consent.Proof{p}); err != nil {
			t.Fatal(err)
		}
	}
	optimize(t, w, "consent_facts")
	optimize(t, w, "consent_personal")
	for i, p := range proofs {
		var got []string
		err := w.Entries(t.Context(), "e1", uint32(i)+1, 0, 10, func(_ uint64, facts []byte) error {
			got = append(got, string(facts))
			return nil
		})
		if want := string(p.AppendFacts(nil)); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("generation %d: %q, want %q: %v", i+1, got, want, err)
		}
		r, err := w.Proof(t.Context(), p.Site, p.ID)
		if err != nil || r.Erased || r.Generation != uint32(i)+1 || r.Personal.Subject != p.Personal.Subject {
			t.Errorf("generation %d: %+v, %v", i+1, r, err)
		}
		page, err := w.History(t.Context(), p.Site, p.Personal.Subject, warehouse.Position{}, 10)
		if err != nil || len(page) != 1 || page[0].ID != p.ID {
			t.Errorf("generation %d: history %+v, %v", i+1, page, err)
		}
		if n := count(t, w, "SELECT count() FROM consents WHERE generation = {g:UInt32} AND subject = {key:String}", clickhouse.Named("g", uint32(i)+1),
			clickhouse.Named("key", p.Personal.Subject.String())); n != 1 {
			t.Errorf("generation %d: %d rows of the view", i+1, n)
		}
	}
}

func TestTheLastCheckpointOfEachOriginIsKept(t *testing.T) {
	w := open(t)
	keep := func(log, origin string, size uint64) {
		t.Helper()
		if err := w.KeepCheckpoint(t.Context(), log, origin, size, consent.Millis(1000+size), fmt.Appendf(nil, "%s %d\n", origin, size)); err != nil {
			t.Fatal(err)
		}
	}
	keep("e1/proofs", "e1/proofs", 5)
	keep("e1/proofs", "e1/proofs", 9)
	keep("e1/proofs", "e1/proofs/2", 7)
	keep("e1/published", "e1/published", 3)
	got, err := w.Checkpoints(t.Context(), "e1/proofs")
	if want := "e1/proofs 9\n,e1/proofs/2 7\n"; err != nil || len(got) != 2 || string(got[0])+","+string(got[1]) != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if none, err := w.Checkpoints(t.Context(), "e2/proofs"); err != nil || len(none) != 0 {
		t.Errorf("%q %v", none, err)
	}
}

func TestPublicationsAreKeptBesideTheWordings(t *testing.T) {
	w := open(t)
	config := func(at consent.Millis, doc string) *consent.Publication {
		p := consent.NewConfig("shop", []byte(doc))
		p.PublishedAt = at
		return p
	}
	pubs := append(storagetest.NewGenerator(1).Wordings(), config(1793484000000, "a"), config(1793484000001, "b"), config(1793484000002, "a"))
	for range 2 {
		if err := w.SendWordings(t.Context(), at("e1", 0), pubs); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, w, "SELECT count() FROM publications FINAL WHERE kind = 'config'"); n != 3 {
		t.Errorf("%d configurations, want 3", n)
	}
	if n := count(t, w, "SELECT count() FROM wordings FINAL"); n != 2 {
		t.Errorf("%d wordings, want 2", n)
	}
}

func TestErasingASubjectLeavesItsFacts(t *testing.T) {
	w := open(t)
	g := storagetest.NewGenerator(1)
	g.Step = 1
	proofs := g.Proofs(1200)
	for i, p := range proofs {
		if i%2 == 0 {
			p.Personal.Subject = consent.SubjectKey{7}
			p.Commitment = p.Personal.Commit()
		}
	}
	sendProofs(t, w, 0, proofs)
	sendProofs(t, w, 0, proofs) // copies go as well
	n, err := w.Erase(t.Context(), "shop", consent.SubjectKey{7})
	if err != nil || n != 600 {
		t.Fatalf("%d erased, want 600: %v", n, err)
	}
	if left := count(t, w, "SELECT count() FROM consent_personal WHERE subject = unhex('07000000000000000000000000000000')"); left != 0 {
		t.Errorf("%d rows left", left)
	}
	if others := count(t, w, "SELECT uniqExact(seq) FROM consent_personal"); others != 600 {
		t.Errorf("%d other people's rows, want 600", others)
	}
	r, err := w.Proof(t.Context(), "shop", proofs[0].ID)
	if err != nil || !r.Erased || string(r.AppendFacts(nil)) != string(proofs[0].AppendFacts(nil)) {
		t.Errorf("%+v %v", r, err)
	}
	if page, err := w.History(t.Context(), "shop", consent.SubjectKey{7}, warehouse.Position{}, 10); err != nil || len(page) != 0 {
		t.Errorf("%d proofs of nobody: %v", len(page), err)
	}
	if said := count(t, w, "SELECT count() FROM system.mutations WHERE table = 'consent_personal' AND positionCaseInsensitive(command, '07000000') > 0"); said != 0 {
		t.Error("a mutation names the subject")
	}
	if again, err := w.Erase(t.Context(), "shop", consent.SubjectKey{7}); err != nil || again != 0 {
		t.Errorf("erasing again: %d %v", again, err)
	}
}

func TestAnErasedProofIsSentWithoutAPersonalRow(t *testing.T) {
	w := open(t)
	proofs := storagetest.NewGenerator(1).Proofs(3)
	proofs[1].Erase()
	sendProofs(t, w, 0, proofs)
	if n := count(t, w, "SELECT count() FROM consent_personal"); n != 2 {
		t.Errorf("%d personal rows, want 2", n)
	}
	r, err := w.Proof(t.Context(), "shop", proofs[1].ID)
	if err != nil || !r.Erased {
		t.Errorf("%+v %v", r, err)
	}
}

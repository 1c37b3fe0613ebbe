package warehouse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// BenchmarkSendProofs measures rows/s through one connection: both tables.
func BenchmarkSendProofs(b *testing.B) {
	for _, n := range []int{2_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			w := open(b)
			g := storagetest.NewGenerator(1)
			proofs := g.Proofs(n)
			seq := uint64(0)
			for b.Loop() {
				sendProofs(b, w, seq, proofs)
				seq += uint64(n)
			}
			b.ReportMetric(float64(seq)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkBytesPerProof measures what a proof takes on disk, indexes included, after all merges.
func BenchmarkBytesPerProof(b *testing.B) {
	const batches, n = 40, 50_000
	for b.Loop() {
		w := open(b)
		g := storagetest.NewGenerator(1)
		for i := range uint64(batches) {
			sendProofs(b, w, i*n, g.Proofs(n))
		}
		for _, table := range []string{"consent_facts", "consent_personal", "consent_late"} {
			optimize(b, w, table)
		}
		s, err := w.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if s.Rows["consent_facts"] != batches*n || s.Rows["consent_personal"] != batches*n {
			b.Fatalf("rows %v, want %d", s.Rows, batches*n)
		}
		facts, personal := float64(s.Bytes["consent_facts"])/(batches*n), float64(s.Bytes["consent_personal"])/(batches*n)
		b.ReportMetric(facts, "facts-B/proof")
		b.ReportMetric(personal, "personal-B/proof")
		b.ReportMetric(facts+personal, "B/proof")
		b.ReportMetric(float64(s.Bytes["consent_late"])/(batches*n), "late-B/proof")
	}
}

// BenchmarkQuestions asks what analysts and auditors ask, of two million proofs in one part.
func BenchmarkQuestions(b *testing.B) {
	const batches, n = 40, 50_000
	w := open(b)
	g := storagetest.NewGenerator(1)
	var last []*consent.Proof
	for i := range uint64(batches) {
		last = g.Proofs(n)
		sendProofs(b, w, i*n, last)
	}
	for _, table := range []string{"consent_facts", "consent_personal", "consent_late"} {
		optimize(b, w, table)
	}
	day := warehouse.RatesQuery{Site: "shop", From: storagetest.Start.Time(), To: storagetest.Start.Time().Add(24 * time.Hour)}
	ask := func(name string, f func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	rates := func(by ...warehouse.Dimension) func() error {
		q := day
		q.By = by
		return func() error { _, err := w.Rates(b.Context(), q); return err }
	}
	ask("rates by day and purpose", rates(warehouse.ByDay, warehouse.ByPurpose))
	ask("rates by country", rates(warehouse.ByCountry))
	ask("rates by page", rates(warehouse.ByPage))
	p := last[n/2]
	ask("one proof by id", func() error { _, err := w.Proof(b.Context(), p.Site, p.ID); return err })
	ask("history of a subject", func() error {
		_, err := w.History(b.Context(), p.Site, p.Personal.Subject, warehouse.Position{}, 100)
		return err
	})
	view := fmt.Sprintf("SELECT count() FROM consents WHERE site = 'shop' AND recorded_at >= '%s' AND recorded_at < '%s'",
		p.RecordedAt.Time().Format("2006-01-02 15:04:05"), p.RecordedAt.Time().Add(time.Second).Format("2006-01-02 15:04:05"))
	ask("one second of the view", func() error { count(b, w, view); return nil })
}

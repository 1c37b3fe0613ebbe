package warehouse_test

import (
	"fmt"
	"testing"

	"github.com/consentd/consentd/storage/storagetest"
)

// BenchmarkSendProofs measures rows/s through one connection: both tables and the hourly roll-up.
func BenchmarkSendProofs(b *testing.B) {
	for _, n := range []int{2_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			w := open(b)
			g := storagetest.NewGenerator(1)
			proofs := g.Proofs(n)
			seq := uint64(0)
			for b.Loop() {
				sendProofs(b, w, fmt.Sprint("bench-", seq), seq, proofs)
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
			sendProofs(b, w, fmt.Sprint("size-", i), i*n, g.Proofs(n))
		}
		for _, table := range []string{"consent_facts", "consent_personal", "rates_hourly"} {
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
		b.ReportMetric(float64(s.Bytes["rates_hourly"])/(batches*n), "rollup-B/proof")
	}
}

package drain_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// aged is a warehouse that notes how old each proof was when it became queryable.
type aged struct {
	*warehouse.Warehouse
	mu   sync.Mutex
	ages []time.Duration
}

func (a *aged) SendProofs(ctx context.Context, from consent.Place, proofs []*consent.Proof) error {
	err := a.Warehouse.SendProofs(ctx, from, proofs)
	now := time.Now()
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range proofs {
			a.ages = append(a.ages, now.Sub(p.RecordedAt.Time()))
		}
	}
	return err
}

// BenchmarkFreshness records 10,000 proofs a second for ten seconds and reports how long after its time stamp
// each was queryable. Ledger, drain and engine share the machine.
func BenchmarkFreshness(b *testing.B) {
	const perSecond, seconds = 10_000, 10
	for b.Loop() {
		r := newRig(b)
		w := &aged{Warehouse: r.warehouse(nil)}
		o := r.options(w)
		o.Linger, o.Metrics = 0, nil // the default
		d := drain.New(o)
		stop := r.run(d)
		proofs := r.g.Proofs(perSecond * seconds)
		start := time.Now()
		for i := 0; i < len(proofs); i += perSecond / 20 {
			if early := time.Until(start.Add(time.Duration(i) * time.Second / perSecond)); early > 0 {
				time.Sleep(early)
			}
			r.appendProofs(proofs[i : i+perSecond/20])
		}
		took := time.Since(start).Seconds()
		r.shipped(d)
		stop()
		slices.Sort(w.ages)
		b.ReportMetric(float64(len(proofs))/took, "recorded/s")
		b.ReportMetric(w.ages[len(w.ages)/2].Seconds()*1000, "p50-ms")
		b.ReportMetric(w.ages[len(w.ages)*99/100].Seconds()*1000, "p99-ms")
		b.ReportMetric(w.ages[len(w.ages)-1].Seconds()*1000, "max-ms")
	}
}

// BenchmarkBacklog drains 300,000 proofs that waited for their warehouse.
func BenchmarkBacklog(b *testing.B) {
	const n = 300_000
	for b.Loop() {
		b.StopTimer()
		r := newRig(b)
		r.append(n)
		o := r.options(r.warehouse(nil))
		o.Metrics = nil
		d := drain.New(o)
		b.StartTimer()
		start := time.Now()
		stop := r.run(d)
		storagetest.Eventually(b, 5*time.Minute, "the backlog is gone", func() bool { return d.Backlog(consent.StreamProofs) == 0 })
		b.ReportMetric(n/time.Since(start).Seconds(), "rows/s")
		stop()
	}
}

package ledger

import (
	"errors"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what an operator watches of a ledger.
type metrics struct {
	batchRequests prometheus.Histogram
	batchBytes    prometheus.Counter
	commitSeconds prometheus.Histogram
	busy, noSpace prometheus.Counter
	scrubbed      prometheus.Counter
	damaged       prometheus.Gauge
}

// newMetrics registers with r, or with nobody when r is nil. A second ledger on one registry is a
// programming error and panics.
func newMetrics(r prometheus.Registerer, l *Ledger) *metrics {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_ledger_refused_total",
		Help: "Writes turned away before they were queued, by cause."}, []string{"cause"})
	m := &metrics{
		batchRequests: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "consentd_ledger_batch_requests",
			Help: "Writes answered by one fsync.", Buckets: prometheus.ExponentialBuckets(1, 2, 13)}),
		batchBytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_ledger_written_bytes_total",
			Help: "Bytes of all batches."}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "consentd_ledger_commit_seconds",
			Help: "From applying a batch to its sync.", Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16)}),
		scrubbed: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_ledger_scrubbed_bytes_total",
			Help: "Bytes of tables read through in search of damage."}),
		damaged: prometheus.NewGauge(prometheus.GaugeOpts{Name: "consentd_ledger_damaged_tables",
			Help: "Tables that the last search found damaged: above 0, restore a backup."}),
		busy:    refused.WithLabelValues("queue_full"),
		noSpace: refused.WithLabelValues("disk_full"),
	}
	r.MustRegister(refused, m.batchRequests, m.batchBytes, m.commitSeconds, m.scrubbed, m.damaged)
	gauge(r, "consentd_ledger_queue_length", "Writes waiting for the sequencer.", func() float64 { return float64(len(l.queue)) })
	gauge(r, "consentd_ledger_free_bytes", "Free disk space as last seen.", func() float64 { return float64(l.free.Load()) })
	gauge(r, "consentd_ledger_clock_skew_seconds", "How far the wall clock lies behind the last proof.", func() float64 { return l.Skew().Seconds() })
	for _, s := range consent.Streams() {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_ledger_entries",
			Help: "Durable length of each stream.", ConstLabels: prometheus.Labels{"stream": s.String()}},
			func() float64 { return float64(l.Next(s)) }))
	}
	return m
}

func gauge(r prometheus.Registerer, name, help string, f func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

func (m *metrics) committed(requests, bytes int, took time.Duration) {
	m.batchRequests.Observe(float64(requests))
	m.batchBytes.Add(float64(bytes))
	m.commitSeconds.Observe(took.Seconds())
}

func (m *metrics) refused(err error) {
	if errors.Is(err, ErrBusy) {
		m.busy.Inc()
	} else {
		m.noSpace.Inc()
	}
}

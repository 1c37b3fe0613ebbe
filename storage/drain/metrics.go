package drain

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what an operator watches: alert on a backlog that grows, on drain_up = 0 or drain_complete = 0 for some
// minutes, on lost rows, on an audit older than two hours, and on any row set aside.
type metrics struct {
	rows      *prometheus.CounterVec   // by stream
	batches   *prometheus.CounterVec   // by stream and result: sent, failed (retried), refused (halved)
	freshness *prometheus.HistogramVec // by stream, seconds
	setAside  prometheus.Counter
	refilled  *prometheus.CounterVec // by stream
}

func newMetrics(d *Drain) *metrics {
	m := &metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_drain_rows_total",
			Help: "Rows confirmed by the warehouse."}, []string{"stream"}),
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_drain_batches_total",
			Help: "Batches by outcome: sent, failed (to be retried), refused (to be halved)."}, []string{"stream", "result"}),
		freshness: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "consentd_drain_freshness_seconds",
			Help:    "Age of the oldest row of a batch when it became queryable.",
			Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 5, 10, 30, 60, 300, 3600, 86400}}, []string{"stream"}),
		setAside: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_drain_set_aside_total",
			Help: "Rows the warehouse refused for good, those set aside before this start included."}),
		refilled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_drain_refilled_rows_total",
			Help: "Rows sent again because the warehouse had lost some of them, or by consentd resend. Alert on any increase that was not asked for: something deletes rows."}, []string{"stream"}),
	}
	if r := d.opt.Metrics; r != nil {
		r.MustRegister(m.rows, m.batches, m.freshness, m.setAside, m.refilled, upGauge(d), completeGauge(d), auditGauge(d))
		for _, s := range d.streams {
			m.rows.WithLabelValues(s.name) // a series that starts at zero, not at the first row
			m.refilled.WithLabelValues(s.name)
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_drain_lost_rows",
				Help:        "Rows the warehouse had confirmed and lost, and the ledger no longer holds. Alert when above 0: restore them from a backup of ClickHouse.",
				ConstLabels: prometheus.Labels{"stream": s.name}},
				func() float64 { return float64(d.known.lostRows(s.id)) }))
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_drain_backlog_rows",
				Help:        "Durable rows the warehouse has not confirmed.",
				ConstLabels: prometheus.Labels{"stream": s.name}},
				func() float64 { return float64(d.Backlog(s.id)) }))
		}
	}
	return m
}

func upGauge(d *Drain) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_drain_up",
		Help: "1 while the warehouse takes what it is sent."},
		func() float64 {
			if d.Health() != nil {
				return 0
			}
			return 1
		})
}

func completeGauge(d *Drain) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_drain_complete",
		Help: "1 while the warehouse has every row of this edge that is older than a few seconds, as far as is known. Alert on 0 for 15 minutes."},
		func() float64 {
			if len(d.Gaps()) > 0 {
				return 0
			}
			return 1
		})
}

func auditGauge(d *Drain) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_drain_audit_age_seconds",
		Help: "Since what the warehouse holds was last compared with what was shipped; -1: not yet. Alert above 7200."},
		func() float64 {
			age, ok := d.known.age()
			if !ok {
				return -1
			}
			return age.Seconds()
		})
}

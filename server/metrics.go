package server

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

// metrics are all made and looked up before the first request: on the hot path there are only additions.
type metrics struct {
	requests *prometheus.CounterVec   // route, class
	seconds  *prometheus.HistogramVec // route
	problems *prometheus.CounterVec   // code, kind
	panics   prometheus.Counter
	replayed prometheus.Counter
	recorded *prometheus.CounterVec // via
	subjects prometheus.Counter
	links    prometheus.Counter
	ticked   prometheus.Counter
	mail     *prometheus.CounterVec // outcome
	gauges   []prometheus.Collector

	inFlight atomic.Int64
	unrouted *routeMetrics
	browser  prometheus.Counter // recorded, via browser
	api      prometheus.Counter // recorded, via api
	page     prometheus.Counter // recorded, via a page of ours
	mails    map[string]prometheus.Counter
}

// count counts a choice that was admitted.
func (m *metrics) count(via admit.Via, replayed bool) {
	switch {
	case replayed:
		m.replayed.Inc()
	case via == admit.Browser:
		m.browser.Inc()
	case via == admit.Hosted:
		m.page.Inc()
	default:
		m.api.Inc()
	}
}

// latencyBuckets in seconds: lookups take microseconds, records milliseconds, rates up to seconds.
func latencyBuckets() []float64 {
	return []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1, 5}
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_http_requests_total",
			Help: "Requests by route template and status class."}, []string{"route", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "consentd_http_request_seconds",
			Help: "Time from a request's header to its answer, by route template.", Buckets: latencyBuckets()}, []string{"route"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_http_problems_total",
			Help: "Problems answered, by code, status and kind (refused, retry, fatal)."}, []string{"code", "status", "kind"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_http_panics_total",
			Help: "Handlers that panicked; each is a bug and is logged with its stack."}),
		replayed: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_consents_replayed_total",
			Help: "Choices that were sent again and answered as the first time, with nothing written."}),
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_consents_recorded_total",
			Help: "Choices made durable, by way in."}, []string{"via"}),
		subjects: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_lookup_subjects_total",
			Help: "Subjects looked up in batches."}),
		links: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_links_subjects_total",
			Help: "Subjects that links were made for."}),
		ticked: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_forms_ticked_by_default_total",
			Help: "Purposes agreed to by a box the page had ticked beforehand, recorded as a no. Above zero, a page has to be mended."}),
		mail: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_confirmations_total",
			Help: "Confirmation mails asked for, by what became of them: queued, or held back by a limit."}, []string{"outcome"}),
		mails: map[string]prometheus.Counter{},
	}
	m.browser, m.api, m.page = m.recorded.WithLabelValues("browser"), m.recorded.WithLabelValues("api"), m.recorded.WithLabelValues("page")
	for _, outcome := range mailOutcomes() {
		m.mails[outcome] = m.mail.WithLabelValues(outcome)
	}
	m.unrouted = m.route(&route{method: "-", path: "-"})
	for key, state := range s.codes {
		state.count = m.problems.WithLabelValues(key.name, strconv.Itoa(key.status), string(state.Kind))
	}
	m.gauges = []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_http_in_flight",
			Help: "Requests being handled."}, func() float64 { return float64(m.inFlight.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_http_connections",
			Help: "Open connections."}, func() float64 { return float64(s.http.GetOpenConnectionsCount()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_http_held_bytes",
			Help: "Memory that large requests and answers under way hold."}, func() float64 { return float64(s.memory.held()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "consentd_http_connections_refused_total",
			Help: "Connections closed at once because as many as --memory holds were open."}, func() float64 { return float64(s.http.GetRejectedConnectionsCount()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_rate_limit_buckets",
			Help: "Networks whose rate is being watched."}, func() float64 { return float64(s.limits.size()) }),
	}
	return m
}

// collectors lists everything that register publishes.
func (m *metrics) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{m.requests, m.seconds, m.problems, m.panics, m.replayed, m.recorded, m.subjects, m.links, m.ticked, m.mail}, m.gauges...)
}

func (m *metrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range m.collectors() {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("publishing metrics: %w", err)
	}
	return nil
}

// routeMetrics are the counters of one route.
type routeMetrics struct {
	class   [6]prometheus.Counter // by status / 100
	seconds prometheus.Observer
}

func (m *metrics) route(r *route) *routeMetrics {
	label := r.method + " " + r.path
	rm := &routeMetrics{seconds: m.seconds.WithLabelValues(label)}
	for i := range rm.class {
		if i >= 2 {
			rm.class[i] = m.requests.WithLabelValues(label, strconv.Itoa(i)+"xx")
		}
	}
	return rm
}

func (rm *routeMetrics) observe(ctx *fasthttp.RequestCtx) {
	rm.class[ctx.Response.StatusCode()/100].Inc()
	rm.seconds.Observe(time.Since(ctx.Time()).Seconds())
}

// codeKey finds a code as it is answered.
type codeKey struct {
	name   string
	status int
}

// codeState is a code with its counter and the brake on its log lines.
type codeState struct {
	Code
	count prometheus.Counter
	often rate.Sometimes
}

func codeStates(codes []Code) map[codeKey]*codeState {
	m := make(map[codeKey]*codeState, len(codes))
	for _, c := range codes {
		m[codeKey{c.Name, c.Status}] = &codeState{Code: c, often: rate.Sometimes{Interval: time.Second}}
	}
	return m
}

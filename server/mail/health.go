package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/consentd/consentd/storage/consent"
)

// weather is how the mail server has been lately.
type weather struct {
	failures int            // in a row, since it was last talked to
	since    consent.Millis // when the first of them was
	changed  consent.Millis // when the last of them was
	until    consent.Millis // the queue rests so long
	why      string
	sent     consent.Millis // when a mail was taken last, in this run
	// refused are the mails refused for good since one was taken, or by the sender's name, with the codes; true: not
	// because of the address as far as is known. At most manyUnknown.
	refused map[uuid.UUID]bool
	said    string // codes of the last of them
}

// resting reports whether the queue rests at a moment.
func (q *Queue) resting(now consent.Millis) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.server.until > now
}

// feel learns from an attempt that began at a moment how the server is.
func (q *Queue) feel(ctx context.Context, it *item, f *failure, began consent.Millis) {
	switch {
	case f != nil && f.server:
		if ctx.Err() == nil { // otherwise it was us who hung up
			q.foul(f, began)
		}
	case f == nil:
		q.fair()
		q.mu.Lock()
		q.server.sent, q.server.refused, q.server.said = q.now(), nil, ""
		q.mu.Unlock()
	case f.said != "" || f.why == ReasonUTF8:
		q.fair()
		q.refusal(it, f)
	}
}

// refusal remembers that a mail was refused for good. The third in a row is told of in the log.
func (q *Queue) refusal(it *item, f *failure) {
	if f.blame == nobody && f.why != ReasonSender {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	w := &q.server
	before := w.refusing()
	if w.refused == nil {
		w.refused = map[uuid.UUID]bool{}
	}
	if _, known := w.refused[it.id]; known || len(w.refused) < manyUnknown {
		w.refused[it.id], w.said = f.blame != theirs, f.said
	}
	if !before && w.refusing() {
		q.opt.Log.Error("the mail server refuses every mail; they wait and are tried again", "server", q.Redacted(), "said", f.said, "why", f.why.Text())
	}
}

// refusing reports whether so many mails were refused, and none taken, that it is not because of them.
func (w *weather) refusing() bool {
	us := 0
	for _, ours := range w.refused {
		if ours {
			us++
		}
	}
	return us >= manyRefused || len(w.refused) >= manyUnknown
}

// foul has the queue rest. Attempts that began before the last failure was known are part of that one.
func (q *Queue) foul(f *failure, began consent.Millis) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, now := &q.server, q.now()
	if w.failures > 0 && began < w.changed {
		return
	}
	if w.failures == 0 {
		w.since = now
		q.opt.Log.Error("mails cannot be sent; they wait and are tried again", "server", q.Redacted(), "error", f.err)
	}
	w.why, w.changed = f.err.Error(), now
	w.until = now + consent.Millis(backoff(w.failures, q.opt.Pause, q.opt.PauseMax).Milliseconds())
	w.failures++
}

func (q *Queue) fair() {
	q.mu.Lock()
	rested := q.server.failures > 0
	q.server = weather{sent: q.server.sent, refused: q.server.refused, said: q.server.said}
	q.mu.Unlock()
	if rested {
		q.opt.Log.Info("mails can be sent again", "server", q.Redacted())
		q.nudge()
	}
}

// probe talks to the server without a mail, so that a wrong password is known before somebody signs up.
func (q *Queue) probe(ctx context.Context) {
	if q.address.host == "" {
		return
	}
	began := q.now()
	p := &postman{address: &q.address, opt: &q.opt}
	l, err := dial(ctx, p.address, p.opt)
	if err != nil {
		q.feel(ctx, nil, &failure{why: ReasonServer, server: true, err: err}, began)
		return
	}
	p.line = l
	p.rest()
	q.fair()
}

// patience is how long a mail may wait before somebody should look: the person has gone by then.
const patience = 15 * time.Minute

// Health says why mails wait; nil when none waits longer than it should.
func (q *Queue) Health() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := len(q.schedule.items)
	switch {
	case q.address == (address{}) && waiting > 0:
		return fmt.Errorf("%d confirmation mails wait, and no mail server is named (--smtp)", waiting)
	case q.server.failures > 0:
		return fmt.Errorf("mails cannot be sent since %s (%d wait): %s", q.server.since, waiting, q.server.why)
	}
	if q.server.refusing() {
		return fmt.Errorf("the mail server has refused the last %d mails for good and taken none since (%s, %d wait): %s", len(q.server.refused), q.server.said, waiting, ReasonPolicy.Text())
	}
	if it := q.stuck(); it != nil {
		return fmt.Errorf("a confirmation mail waits since %s: %s (%d wait)", it.created, it.why.Text(), waiting)
	}
	return nil
}

// stuck finds a mail that waits too long, and not because its own mailbox says so: a mailbox that is full for two
// days is none of the operator's business, one while nothing else gets through may be.
func (q *Queue) stuck() *item {
	late := q.now() - consent.Millis(patience.Milliseconds())
	for _, it := range q.schedule.items {
		if it.created < late && it.why != "" && (it.why != ReasonLater || q.server.sent < it.created) {
			return it
		}
	}
	return nil
}

type metrics struct {
	sent     prometheus.Counter
	repeated prometheus.Counter
	failures *prometheus.CounterVec
	dead     *prometheus.CounterVec
	gauges   []prometheus.Collector
}

func newMetrics(q *Queue) *metrics {
	return &metrics{
		sent: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_mail_sent_total",
			Help: "Confirmation mails the mail server has taken."}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{Name: "consentd_mail_repeated_total",
			Help: "Mails handed over once more because nobody knows whether the mail server had taken them: so many may have come twice."}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_mail_failures_total",
			Help: "Attempts that failed and are repeated, by why."}, []string{"why"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "consentd_mail_dead_total",
			Help: "Mails given up, by why; consentd mail lists them."}, []string{"why"}),
		gauges: []prometheus.Collector{
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_mail_waiting",
				Help: "Confirmation mails queued."}, func() float64 { return float64(q.Status().Waiting) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "consentd_mail_oldest_seconds",
				Help: "Age of the queued mail that was asked for first; 0 when none is."}, func() float64 { return q.Status().Oldest.Seconds() }),
		},
	}
}

func (m *metrics) failed(why Reason) { m.failures.WithLabelValues(string(why)).Inc() }

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range append([]prometheus.Collector{m.sent, m.repeated, m.failures, m.dead}, m.gauges...) {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("publishing metrics: %w", err)
	}
	return nil
}

// Status is what an operator asks first.
type Status struct {
	Server  string        // without its secrets; "": none is named
	Waiting int           // mails
	Oldest  time.Duration // age of the one asked for first; 0: none waits
	Wrong   string        // what Health says; "": nothing
}

// Status says how the queue is.
func (q *Queue) Status() Status {
	s := Status{Server: q.Redacted()}
	if err := q.Health(); err != nil {
		s.Wrong = err.Error()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.Waiting = len(q.schedule.items); s.Waiting > 0 {
		s.Oldest = max(0, time.Duration(q.now()-q.schedule.oldest())*time.Millisecond)
	}
	return s
}

package mail

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// failure is why an attempt did not end with the mail sent.
type failure struct {
	why     Reason
	said    string // codes of the server's answer; "": it gave none
	err     error  // for the log, where why is not enough; never with a person in it
	final   bool   // no later attempt will do better
	gone    bool   // there is nothing to send any more
	held    bool   // something on our side is missing, and may come back
	server  bool   // the server cannot be talked to, or our store not be written to: the whole queue rests
	unheard bool   // … and the mail had no part in it
	unsure  bool   // the mail was handed over whole, and no answer came
	blame   blame  // of a permanent refusal
	stale   bool   // the connection had been used before, and was at its end
}

// Run sends until ctx ends, and finishes what is under way within Options.Grace. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { q.tidy(ctx) })
	if q.address != (address{}) {
		all.Go(func() { q.probe(hard) })
		for range q.opt.Connections {
			all.Go(func() { q.worker(hard) })
		}
		q.watch(ctx)
	}
	<-ctx.Done()
	close(q.work)
	late := time.AfterFunc(q.opt.Grace, cancel)
	defer late.Stop()
	all.Wait()
	return nil
}

// watch hands out jobs as they come due.
func (q *Queue) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		it, wait := q.next()
		if it != nil {
			select {
			case q.work <- it:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-q.kick:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// long is how long to sleep with nothing on the schedule.
const long = time.Hour

// next holds the job that is due, or says how long until one is.
func (q *Queue) next() (*item, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.schedule.first()
	if it == nil {
		return nil, long
	}
	if wait := max(it.next, q.server.until) - q.now(); wait > 0 {
		return nil, time.Duration(wait) * time.Millisecond
	}
	q.schedule.take(it)
	return it, 0
}

func (q *Queue) courier() courier {
	if q.address.dir != "" {
		return pigeonhole{q.address.dir, q.opt.Wrote}
	}
	return &postman{address: &q.address, opt: &q.opt}
}

// idle is how long a connection is kept without a mail to send: bursts are seconds apart, servers end idle
// connections after minutes.
const idle = 5 * time.Second

func (q *Queue) worker(ctx context.Context) {
	c := q.courier()
	defer c.rest()
	quiet := time.NewTimer(idle)
	defer quiet.Stop()
	for {
		select {
		case it, open := <-q.work:
			if !open {
				return
			}
			q.attempt(ctx, c, it)
			quiet.Reset(idle)
		case <-quiet.C:
			c.rest()
		}
	}
}

// attempt takes a job from its note to its end, or back onto the schedule.
func (q *Queue) attempt(ctx context.Context, c courier, it *item) {
	began := q.now()
	if q.resting(began) { // another worker found the server gone while this one waited for work
		q.later(it, it.next, it.why)
		return
	}
	r, err := q.read(it)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		q.forget(it)
		return
	case err != nil:
		q.opt.Log.Error("reading a waiting mail; it is tried again later", "error", err)
		q.later(it, began+consent.Millis(q.opt.RetryMax.Milliseconds()), it.why)
		return
	}
	h := &handover{q: q, it: it, r: r}
	defer h.end()
	f := q.send(ctx, c, h)
	h.heard(f)
	q.judge(it, r, f)
	q.feel(ctx, it, f, began)
	q.settle(ctx, it, r, f)
}

// send hands over a job's mail, unless it was twice without an answer: before this process ended, then.
func (q *Queue) send(ctx context.Context, c courier, h *handover) *failure {
	if h.r.Unsure >= maxUnsure {
		return &failure{why: ReasonUnsure, final: true, held: true}
	}
	m, f := q.compose(h.r)
	if f == nil {
		f = c.deliver(ctx, m, h.begin)
	}
	return f
}

func (q *Queue) read(it *item) (*record, error) {
	value, err := q.opt.Store.Note(spaceWaiting, it.id[:])
	if err != nil {
		return nil, err
	}
	return parseRecord(it.id[:], value)
}

// maxUnsure is how often a mail is handed over without an answer before it is given up: each time may have
// delivered it. The second is noted before it is known to have failed; nobody gets three.
const maxUnsure = 2

// settle notes what became of an attempt.
func (q *Queue) settle(ctx context.Context, it *item, r *record, f *failure) {
	switch {
	case f == nil:
		q.metrics.sent.Inc()
		q.remove(ctx, it)
	case f.gone:
		q.remove(ctx, it)
	case f.unheard:
		q.metrics.failed(f.why)
		q.later(it, it.next, f.why)
	case f.final || f.unsure && r.Unsure >= maxUnsure:
		q.bury(ctx, it, r, f)
	default:
		q.metrics.failed(f.why)
		q.again(ctx, it, r, f)
	}
}

// again notes the failure and when to try next.
func (q *Queue) again(ctx context.Context, it *item, r *record, f *failure) {
	r.Why, r.Said = f.why, f.said
	if !f.held {
		r.Attempts++
	}
	wait := backoff(r.Attempts-1, q.opt.Retry, q.opt.RetryMax)
	if f.held {
		wait = backoff(0, q.opt.RetryMax, q.opt.RetryMax)
		q.opt.Log.Error("a mail cannot be written; it is tried again later", "site", r.Site, "form", r.Form, "why", f.why, "error", f.err)
	}
	r.Next = q.now() + consent.Millis(wait.Milliseconds())
	if err := q.opt.Store.SetNotes(ctx, ledger.Note{Space: spaceWaiting, Key: it.id[:], Value: r.encode()}); err != nil {
		q.opt.Log.Error("noting that a mail failed; after a restart it is tried at once", "error", err)
	}
	if q.forgotten(it) {
		q.remove(ctx, it)
		return
	}
	q.later(it, r.Next, f.why)
}

// remove deletes the note of a job that is done. While that fails the job is held: sent again it would be twice.
func (q *Queue) remove(ctx context.Context, it *item) {
	gone := []ledger.Note{{Space: spaceWaiting, Key: it.id[:]}}
	if q.forgotten(it) {
		gone = append(gone, ledger.Note{Space: spaceDead, Key: it.id[:]})
	}
	for n := 0; ; n++ {
		err := q.opt.Store.SetNotes(context.WithoutCancel(ctx), gone...)
		if err == nil {
			q.forget(it)
			return
		}
		if errors.Is(err, ledger.ErrFatal) || errors.Is(err, ledger.ErrClosed) || ctx.Err() != nil {
			q.opt.Log.Error("noting that a mail was sent; after a restart it is sent again, with the same Message-ID", "error", err)
			return
		}
		select {
		case <-time.After(backoff(n, 10*time.Millisecond, q.opt.PauseMax)):
		case <-ctx.Done():
		}
	}
}

// later puts a held job back on the schedule.
func (q *Queue) later(it *item, next consent.Millis, why Reason) {
	q.mu.Lock()
	it.why = why
	q.schedule.back(it, next)
	q.mu.Unlock()
	q.nudge()
}

// forget drops a held job from the schedule.
func (q *Queue) forget(it *item) {
	q.mu.Lock()
	q.schedule.drop(it)
	q.mu.Unlock()
}

// backoff is first, doubled n times, at most most; cut short at random by up to a half, so that what failed
// together is not tried together.
func backoff(n int, first, most time.Duration) time.Duration {
	d := most
	if n < 30 && first<<max(n, 0) < most {
		d = first << max(n, 0)
	}
	return d - rand.N(d/2+1)
}

package drain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

func TestWhateverTheNetworkDoesEveryProofIsCountedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		hurt func(r *rig, p *storagetest.Proxy)
		// felt waits until the failure has struck.
		felt func(r *rig, p *storagetest.Proxy) bool
	}{
		"connections are refused": {
			func(_ *rig, p *storagetest.Proxy) { p.Refuse() },
			func(r *rig, _ *storagetest.Proxy) bool {
				return r.metric("consentd_drain_up") == 0 && r.metric("consentd_drain_backlog_rows", "stream", "proofs") == 600
			},
		},
		"the link dies in the middle of the personal part": {
			func(_ *rig, p *storagetest.Proxy) { p.CutAfter(20_000) },
			func(_ *rig, p *storagetest.Proxy) bool { return p.Cuts() == 1 },
		},
		"the link dies in the middle of the facts": {
			// 600 proofs take some 60 KB of personal rows and 60 KB of facts.
			func(_ *rig, p *storagetest.Proxy) { p.CutAfter(90_000) },
			func(_ *rig, p *storagetest.Proxy) bool { return p.Cuts() == 1 },
		},
		"answers get lost": {
			func(_ *rig, p *storagetest.Proxy) { p.SwallowAnswersAfter(10_000) },
			func(r *rig, p *storagetest.Proxy) bool {
				return p.Swallowed() > 0 && r.count("SELECT count() FROM consent_personal") > 400
			},
		},
		"nothing moves any more": {
			func(_ *rig, p *storagetest.Proxy) { p.Stall() },
			func(r *rig, _ *storagetest.Proxy) bool {
				return r.metric("consentd_drain_backlog_rows", "stream", "proofs") == 600
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.migrate()
			proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
			d := drain.New(r.options(r.warehouse(proxy)))
			r.run(d)
			r.append(400)
			r.shipped(d)

			c.hurt(r, proxy)
			r.append(600)
			storagetest.Eventually(t, time.Minute, "the failure is felt", func() bool { return c.felt(r, proxy) })
			proxy.Heal(t)

			r.append(100)
			r.shipped(d)
			r.exact()
			if up := r.metric("consentd_drain_up"); up != 1 {
				t.Errorf("consentd_drain_up is %v after all is well", up)
			}
		})
	}
}

func TestAWarehouseThatIsDownForTheWholeRunGetsEverythingLater(t *testing.T) {
	r := newRig(t)
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	proxy.Refuse()
	d := drain.New(r.options(r.warehouse(proxy)))
	stop := r.run(d)
	r.append(800)
	storagetest.Eventually(t, time.Minute, "the outage is reported", func() bool { return d.Health() != nil })
	if n := d.Backlog(consent.StreamProofs); n != 800 {
		t.Errorf("backlog %d, want 800", n)
	}
	stop()
	proxy.Heal(t)
	o := r.options(r.warehouse(proxy))
	o.Metrics = nil // the registry has those of the first
	d = drain.New(o)
	r.run(d)
	r.shipped(d)
	r.exact()
}

func TestKillingTheEngineLosesNothingAndCountsNothingTwice(t *testing.T) {
	e := storagetest.OwnEngine(t)
	r := newRigAt(t, storagetest.FreshDatabase(t, e.URL()))
	d := drain.New(r.options(r.warehouse(nil)))
	r.run(d)
	var stop atomic.Bool
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for !stop.Load() {
			r.append(200)
		}
	}()
	for range 3 {
		before := r.metric("consentd_drain_rows_total", "stream", "proofs")
		storagetest.Eventually(t, time.Minute, "rows flow", func() bool {
			return r.metric("consentd_drain_rows_total", "stream", "proofs") > before+400
		})
		storagetest.KillEngine(t, e)
	}
	stop.Store(true)
	<-finished
	r.shipped(d)
	r.exact()
}

// errCrash is how a crashing ledger says that the program died here.
var errCrash = errors.New("crashed")

// crashing is a ledger whose program dies at a save of the proofs' cursor: the save does not happen.
type crashing struct {
	*ledger.Ledger
	saves int // the one that fails, counted from 1
	n     int
}

func (c *crashing) SaveCursor(s consent.Stream, cur consent.Cursor) error {
	if s == consent.StreamProofs {
		if c.n++; c.n >= c.saves {
			return errCrash
		}
	}
	return c.Ledger.SaveCursor(s, cur)
}

// forgetful is a ledger that does not keep ranges, only what has been confirmed: the negative control.
type forgetful struct{ drain.Ledger }

func (f forgetful) SaveCursor(s consent.Stream, c consent.Cursor) error {
	return f.Ledger.SaveCursor(s, consent.Cursor{Next: c.Next, End: c.Next})
}

// listing is a warehouse that lists the ranges of proofs it was sent.
type listing struct {
	*warehouse.Warehouse
	mu     sync.Mutex
	ranges []string
}

func (l *listing) SendProofs(ctx context.Context, from consent.Place, proofs []*consent.Proof) error {
	l.mu.Lock()
	l.ranges = append(l.ranges, fmt.Sprintf("%d-%d", from.Seq, from.Seq+uint64(len(proofs))-1))
	l.mu.Unlock()
	return l.Warehouse.SendProofs(ctx, from, proofs)
}

func TestABatchSentTwiceIsCountedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		wrap func(drain.Ledger) drain.Ledger
		sent string
	}{
		"a retry after a crash sends the same range":            {func(l drain.Ledger) drain.Ledger { return l }, "0-499 0-499 500-899"},
		"control: the range, kept nowhere, grows with the rest": {func(l drain.Ledger) drain.Ledger { return forgetful{l} }, "0-499 0-899"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.migrate()
			r.stopMerges()
			r.append(500)
			w := &listing{Warehouse: r.warehouse(nil)}
			o := r.options(w)
			o.Ledger = c.wrap(&crashing{Ledger: r.ledger, saves: 2}) // range saved, batch sent, cursor lost
			if err := drain.New(o).Run(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("Run: %v", err)
			}
			r.append(400)
			o.Ledger, o.Metrics = c.wrap(r.ledger), nil
			d := drain.New(o)
			r.run(d)
			r.shipped(d)
			if got := strings.Join(w.ranges, " "); got != c.sent {
				t.Errorf("sent were %s, want %s", got, c.sent)
			}
			if n := r.count("SELECT count() FROM consent_facts"); n != 1400 {
				t.Errorf("%d rows stored, want 1400: this test no longer tests duplicates", n)
			}
			r.exact()
		})
	}
}

func TestRefusedRowsAreSetAsideAndTheirNeighboursArrive(t *testing.T) {
	for name, c := range map[string]struct {
		table string
		bad   []int
	}{
		"one row in the middle":         {"consent_facts", []int{333}},
		"the first and the last":        {"consent_facts", []int{0, 999}},
		"three neighbours":              {"consent_facts", []int{500, 501, 502}},
		"a row its personal part fails": {"consent_personal", []int{77}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.migrate()
			const secret = "https://shop.example/secret"
			if c.table == "consent_facts" {
				r.exec("ALTER TABLE consent_facts ADD CONSTRAINT no_qq CHECK country != 'QQ'")
			} else {
				r.exec("ALTER TABLE consent_personal ADD CONSTRAINT no_secret CHECK page != '" + secret + "'")
			}
			proofs := r.g.Proofs(1000)
			ids := map[string]bool{}
			for _, i := range c.bad {
				ids[proofs[i].ID.String()] = true
				proofs[i].Country, proofs[i].Personal.Page = "QQ", secret
				proofs[i].Commitment = proofs[i].Personal.Commit()
			}
			r.appendProofs(proofs)
			var bad []uint64
			for seq, p := range r.proofs {
				if ids[p.ID.String()] {
					bad = append(bad, seq)
				}
			}
			d := drain.New(r.options(r.warehouse(nil)))
			r.run(d)
			r.shipped(d)
			r.append(50)
			r.shipped(d)
			asides, err := r.ledger.SetAsides()
			if err != nil || len(asides) != len(bad) {
				t.Fatalf("%d rows set aside, want %d, %v", len(asides), len(bad), err)
			}
			for _, a := range asides {
				if p := r.proofs[a.Seq]; p == nil || !ids[p.ID.String()] || a.Stream != consent.StreamProofs || !strings.Contains(a.Why, "VIOLATED_CONSTRAINT") {
					t.Errorf("set aside: %+v", a)
				}
			}
			r.exact(bad...)
			if got := r.metric("consentd_drain_set_aside_total"); got != float64(len(bad)) {
				t.Errorf("consentd_drain_set_aside_total is %v, want %d", got, len(bad))
			}
			if log := r.log.String(); strings.Contains(log, secret) || strings.Contains(log, "QQ") || strings.Count(log, "level=ERROR") != len(bad) {
				t.Errorf("the log has one error a row and nothing personal:\n%s", log)
			}
			if d.Health() != nil {
				t.Errorf("a refused row is no outage: %v", d.Health())
			}
			// A restart does not forget them.
			o := r.options(r.warehouse(nil))
			o.Metrics = nil
			r.run(drain.New(o))
			storagetest.Eventually(t, time.Minute, "the restart reports them", func() bool {
				return strings.Contains(r.log.String(), fmt.Sprintf("rows=%d", len(bad)))
			})
		})
	}
}

// damaged is a ledger that hands out broken bytes for one proof.
type damaged struct {
	*ledger.Ledger
	seq uint64
}

func (l damaged) Scan(s consent.Stream, first, end uint64, fn func(uint64, []byte) error) error {
	return l.Ledger.Scan(s, first, end, func(seq uint64, raw []byte) error {
		if s == consent.StreamProofs && seq == l.seq {
			raw = raw[:len(raw)-1]
		}
		return fn(seq, raw)
	})
}

func TestAnEntryThatCannotBeDecodedIsSetAside(t *testing.T) {
	for _, seq := range []uint64{0, 150, 299} {
		r := newRig(t)
		r.append(300)
		o := r.options(r.warehouse(nil))
		o.Ledger, o.BatchRows = damaged{r.ledger, seq}, 100
		d := drain.New(o)
		r.run(d)
		r.shipped(d)
		r.exact(seq)
		if a, err := r.ledger.SetAsides(); err != nil || len(a) != 1 || a[0].Seq != seq {
			t.Errorf("set aside: %+v, %v", a, err)
		}
	}
}

// gappy is a ledger that lost an entry nobody had shipped.
type gappy struct{ *ledger.Ledger }

func (l gappy) Scan(s consent.Stream, first, end uint64, fn func(uint64, []byte) error) error {
	return l.Ledger.Scan(s, first, end, func(seq uint64, raw []byte) error {
		if seq == 5 {
			return nil
		}
		return fn(seq, raw)
	})
}

func TestAGapEndsTheRun(t *testing.T) {
	r := newRig(t)
	r.append(10)
	o := r.options(r.warehouse(nil))
	o.Ledger = gappy{r.ledger}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := drain.New(o).Run(ctx); !errors.Is(err, drain.ErrGap) {
		t.Errorf("Run: %v", err)
	}
}

func TestAShutdownDoesNotWaitForAStalledWarehouse(t *testing.T) {
	r := newRig(t)
	r.migrate()
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	// Only the end of its context ends a batch: nothing else does within the minute Run gets.
	w := r.open(warehouse.Options{URL: storagetest.Through(t, r.url, proxy), Timeout: time.Hour, DialTimeout: time.Second, Log: quiet()})
	d := drain.New(r.options(w))
	stop := r.run(d)
	r.append(10)
	r.shipped(d)
	proxy.Stall()
	r.append(10)
	storagetest.Eventually(t, time.Minute, "a batch is on its way", func() bool {
		c, err := r.ledger.Cursor(consent.StreamProofs)
		return err == nil && c.End > c.Next
	})
	stop()
}

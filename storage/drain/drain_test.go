package drain_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/prometheus/client_golang/prometheus"
)

var kit *storagetest.Kit

func TestMain(m *testing.M) { storagetest.Main(m, func(k *storagetest.Kit) { kit = k }) }

// rig is a real ledger, a real warehouse, and what runs between them.
type rig struct {
	t       testing.TB
	ledger  *ledger.Ledger
	url     string // straight to the engine
	sql     driver.Conn
	metrics *prometheus.Registry
	log     storagetest.Log
	g       *storagetest.Generator

	mu     sync.Mutex
	proofs map[uint64]*consent.Proof // by seq, as acknowledged
}

func newRig(t testing.TB) *rig { return newRigAt(t, kit.Database(t)) }

func newRigAt(t testing.TB, url string) *rig {
	r := &rig{t: t, url: url, metrics: prometheus.NewRegistry(), g: storagetest.NewGenerator(1), proofs: map[uint64]*consent.Proof{}}
	var err error
	if r.ledger, err = ledger.Open(ledger.Options{Dir: t.TempDir(), Reserve: 1, Cache: 8 << 20, Log: quiet()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.ledger.Close() })
	opt, err := clickhouse.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	if r.sql, err = clickhouse.Open(opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.sql.Close() })
	return r
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// warehouse opens a client, straight or through a proxy.
func (r *rig) warehouse(p *storagetest.Proxy) *warehouse.Warehouse {
	r.t.Helper()
	o := warehouse.Options{URL: r.url, Timeout: 15 * time.Second, DialTimeout: 30 * time.Second, Log: quiet()}
	if p != nil { // which may be one that nothing moves through
		o.URL, o.DialTimeout = storagetest.Through(r.t, r.url, p), time.Second
	}
	return r.open(o)
}

func (r *rig) open(o warehouse.Options) *warehouse.Warehouse {
	r.t.Helper()
	w, err := warehouse.Open(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { w.Close() })
	return w
}

func (r *rig) migrate() {
	r.t.Helper()
	if err := r.warehouse(nil).Migrate(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) options(w drain.Warehouse) drain.Options {
	return drain.Options{Ledger: r.ledger, Warehouse: w, Linger: 20 * time.Millisecond,
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&r.log, nil)), Metrics: r.metrics}
}

// metricsAgain is a registry for another drain of the rig.
func (r *rig) metricsAgain() *prometheus.Registry {
	r.metrics = prometheus.NewRegistry()
	return r.metrics
}

// run runs d until the test or the returned function ends it; Run's error fails the test.
func (r *rig) run(d *drain.Drain) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			r.t.Error("Run goes on a minute after its context ended")
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// append records n proofs, in parallel like a server, and remembers those acknowledged.
func (r *rig) append(n int) {
	r.t.Helper()
	r.appendProofs(r.g.Proofs(n))
}

func (r *rig) appendProofs(proofs []*consent.Proof) {
	r.t.Helper()
	work := make(chan *consent.Proof)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for p := range work {
				p.Edge, p.RecordedAt = r.ledger.Edge(), r.ledger.Now()
				receipt, err := r.ledger.Append(context.Background(), p)
				if err != nil {
					r.t.Errorf("appending: %v", err)
					continue
				}
				r.mu.Lock()
				r.proofs[receipt.Seq] = p
				r.mu.Unlock()
			}
		})
	}
	for _, p := range proofs {
		work <- p
	}
	close(work)
	wg.Wait()
}

func (r *rig) exec(sql string) {
	r.t.Helper()
	if err := r.sql.Exec(context.Background(), sql); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

func (r *rig) count(sql string) uint64 {
	r.t.Helper()
	n, err := r.ask(sql)
	if err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (r *rig) ask(sql string) (n uint64, err error) {
	return n, r.sql.QueryRow(context.Background(), sql).Scan(&n)
}

// stopMerges keeps copies visible: what is stored twice stays twice.
func (r *rig) stopMerges() {
	for _, table := range []string{"consent_facts", "consent_personal"} {
		r.exec("SYSTEM STOP MERGES " + table)
	}
}

// shipped waits until the warehouse has confirmed everything durable.
func (r *rig) shipped(d *drain.Drain) {
	r.t.Helper()
	storagetest.Eventually(r.t, time.Minute, "everything shipped", func() bool {
		for _, s := range consent.Streams() {
			if d.Backlog(s) > 0 { // not the ledger's cursor: that can be read before its save has returned
				return false
			}
		}
		return d.Health() == nil
	})
}

// compared waits until what the warehouse holds was compared and what it lacked is there.
func (r *rig) compared(d *drain.Drain) {
	r.t.Helper()
	if err := d.Compare(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// whole waits until nothing is known to be missing.
func (r *rig) whole(d *drain.Drain) {
	r.t.Helper()
	storagetest.Eventually(r.t, time.Minute, "the warehouse has everything", func() bool { return len(d.Gaps()) == 0 && d.Health() == nil && d.Rows() == nil })
}

// exact holds the warehouse against what was acknowledged: every proof once in the view and once in the
// rates, but for those in missing.
func (r *rig) exact(missing ...uint64) {
	r.t.Helper()
	without := map[uint64]bool{}
	for _, seq := range missing {
		without[seq] = true
	}
	rows, err := r.sql.Query(context.Background(), "SELECT seq, toString(id), subject, erased FROM consents")
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	seen := map[uint64]bool{}
	for rows.Next() {
		var seq uint64
		var id, subject string
		var erased bool
		if err := rows.Scan(&seq, &id, &subject, &erased); err != nil {
			r.t.Fatal(err)
		}
		p := r.proofs[seq]
		switch {
		case seen[seq]:
			r.t.Errorf("seq %d is in the view twice", seq)
		case without[seq]:
			r.t.Errorf("seq %d was refused and is in the view", seq)
		case p == nil || p.ID.String() != id:
			r.t.Errorf("seq %d is %s in the warehouse, another proof in the ledger", seq, id)
		case erased || subject != p.Personal.Subject.String():
			r.t.Errorf("seq %d arrived without its personal part", seq)
		}
		seen[seq] = true
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	granted, denied := uint64(0), uint64(0)
	for seq, p := range r.proofs {
		if without[seq] {
			continue
		}
		if !seen[seq] {
			r.t.Errorf("seq %d is missing", seq)
		}
		if p.Decisions[1].Granted { // whoever grants anything in the generator grants this
			granted++
		} else {
			denied++
		}
	}
	q := warehouse.RatesQuery{Site: "shop", From: time.Now().Add(-24 * time.Hour), To: time.Now().Add(24 * time.Hour)}
	rates, err := r.warehouse(nil).Rates(context.Background(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	if got := rates.Rows[0]; got.Granted != granted || got.Denied != denied {
		r.t.Errorf("rates count %d granted and %d denied, want %d and %d", got.Granted, got.Denied, granted, denied)
	}
}

// metric reads one sample, summed over its labels unless they are given as name, value pairs.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			all := map[string]string{}
			for _, l := range m.GetLabel() {
				all[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i < len(labels); i += 2 {
				match = match && all[labels[i]] == labels[i+1]
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestEverythingRecordedBecomesQueryable(t *testing.T) {
	r := newRig(t)
	d := drain.New(r.options(r.warehouse(nil)))
	for _, w := range r.g.Published() {
		if err := r.ledger.Publish(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range r.g.Prompts(300) {
		p.Edge, p.ShownAt = r.ledger.Edge(), r.ledger.Now()
		if err := r.ledger.AppendPrompt(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	r.append(700)
	if got := r.metric("consentd_drain_backlog_rows", "stream", "proofs"); got != 700 {
		t.Errorf("backlog before the start is %v, want 700", got)
	}
	r.run(d)
	r.shipped(d)
	r.append(300)
	r.shipped(d)
	r.exact()
	if n := r.count("SELECT count() FROM prompts FINAL"); n != 300 {
		t.Errorf("%d prompts, want 300", n)
	}
	if n := r.count("SELECT count() FROM wordings FINAL"); n != 2 {
		t.Errorf("%d wordings, want 2", n)
	}
	for _, c := range []struct {
		want float64
		name string
		with []string
	}{
		{0, "consentd_drain_backlog_rows", nil},
		{1000, "consentd_drain_rows_total", []string{"stream", "proofs"}},
		{300, "consentd_drain_rows_total", []string{"stream", "prompts"}},
		{2, "consentd_drain_rows_total", []string{"stream", "wordings"}},
		{0, "consentd_drain_batches_total", []string{"result", "failed"}},
		{1, "consentd_drain_up", nil},
		{0, "consentd_drain_set_aside_total", nil},
	} {
		if got := r.metric(c.name, c.with...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.with, got, c.want)
		}
	}
	sent := r.metric("consentd_drain_batches_total", "result", "sent")
	if fresh := r.metric("consentd_drain_freshness_seconds"); fresh != sent || sent < 4 {
		t.Errorf("freshness was observed %v times over %v batches", fresh, sent)
	}
}

func TestABacklogGoesOutInFullBatches(t *testing.T) {
	r := newRig(t)
	o := r.options(r.warehouse(nil))
	o.BatchRows = 100
	r.append(1050)
	d := drain.New(o)
	r.run(d)
	r.shipped(d)
	r.exact()
	if got := r.metric("consentd_drain_batches_total", "stream", "proofs"); got != 11 {
		t.Errorf("1050 rows took %v batches of 100, want 11", got)
	}
}

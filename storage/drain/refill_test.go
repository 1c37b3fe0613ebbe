package drain_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// everything records some of each stream.
func (r *rig) everything(proofs, prompts int) {
	r.t.Helper()
	for _, w := range r.g.Published() {
		if err := r.ledger.Publish(r.t.Context(), w); err != nil {
			r.t.Fatal(err)
		}
	}
	for i, kind := range []consent.PublicationKind{consent.PublishedConfig, consent.PublishedBundle} {
		p := &consent.Publication{Kind: kind, Hash: storagetest.Hash(string(kind)), Site: "shop", Doc: []byte(`{"n":` + string(rune('0'+i)) + `}`)}
		if err := r.ledger.Announce(r.t.Context(), p); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, p := range r.g.Prompts(prompts) {
		p.Edge, p.ShownAt = r.ledger.Edge(), r.ledger.Now()
		if err := r.ledger.AppendPrompt(r.t.Context(), p); err != nil {
			r.t.Fatal(err)
		}
	}
	r.append(proofs)
}

// again starts another drain on the same ledger, as a restart does.
func (r *rig) again(change ...func(*drain.Options)) *drain.Drain {
	r.t.Helper()
	o := r.options(r.warehouse(nil))
	o.Metrics = nil
	for _, c := range change {
		c(&o)
	}
	d := drain.New(o)
	r.run(d)
	return d
}

// all holds every table against what was recorded.
func (r *rig) all(prompts uint64) {
	r.t.Helper()
	r.exact()
	for table, want := range map[string]uint64{"prompts": prompts, "wordings": 2, "publications": 2} {
		if n := r.count("SELECT count() FROM " + table + " FINAL"); n != want {
			r.t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
}

func TestWhatClickHouseHasLostReturnsByItself(t *testing.T) {
	for name, hurt := range map[string]func(r *rig){
		"control: nothing": func(*rig) {},
		"the database":     func(r *rig) { r.exec("DROP DATABASE " + r.database() + " SYNC") },
		"half of the facts": func(r *rig) {
			r.exec("ALTER TABLE consent_facts DELETE WHERE seq % 2 = 0 SETTINGS mutations_sync = 2")
		},
		"one fact":                 func(r *rig) { r.exec("ALTER TABLE consent_facts DELETE WHERE seq = 1234 SETTINGS mutations_sync = 2") },
		"a partition of the facts": func(r *rig) { r.exec("ALTER TABLE consent_facts DROP PARTITION " + time.Now().UTC().Format("200601")) },
		"all personal parts":       func(r *rig) { r.exec("TRUNCATE TABLE consent_personal") },
		"one personal part":        func(r *rig) { r.exec("ALTER TABLE consent_personal DELETE WHERE seq = 77 SETTINGS mutations_sync = 2") },
		"the prompts":              func(r *rig) { r.exec("TRUNCATE TABLE prompts") },
		"a prompt":                 func(r *rig) { r.exec("ALTER TABLE prompts DELETE WHERE seq = 30 SETTINGS mutations_sync = 2") },
		"the wordings":             func(r *rig) { r.exec("TRUNCATE TABLE wordings") },
		"a publication that is no text": func(r *rig) {
			r.exec("ALTER TABLE publications DELETE WHERE kind = 'bundle' SETTINGS mutations_sync = 2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			d := drain.New(r.options(r.warehouse(nil)))
			stop := r.run(d)
			r.everything(3000, 50)
			r.shipped(d)
			r.whole(d)
			stop()
			hurt(r)
			d = r.again()
			r.whole(d)
			r.all(50)
			log := r.log.String()
			if said := strings.Contains(log, "has lost rows it had confirmed"); said == strings.HasPrefix(name, "control") {
				t.Errorf("said of it: %v\n%s", said, log)
			}
		})
	}
}

func TestAnEngineThatIsReplacedByAnEmptyOneIsFilledAgainWithoutARestart(t *testing.T) {
	e := storagetest.OwnEngine(t)
	r := newRigAt(t, storagetest.FreshDatabase(t, e.URL()))
	o := r.options(r.warehouse(nil))
	o.ProbeEvery = 100 * time.Millisecond
	d := drain.New(o)
	r.run(d)
	r.everything(9758, 20)
	r.shipped(d)
	r.whole(d)
	r.exec("DROP DATABASE " + r.database() + " SYNC") // nothing is sent that could fail
	storagetest.Eventually(t, time.Minute, "it is noticed", func() bool { return r.metric("consentd_drain_complete") == 0 })
	r.whole(d)
	r.all(20)
	if n := r.metric("consentd_drain_refilled_rows_total", "stream", "proofs"); n != 9758 {
		t.Errorf("%v proofs were sent again, want 9758", n)
	}
}

func TestAnEngineThatWasKilledIsCompared(t *testing.T) {
	e := storagetest.OwnEngine(t)
	r := newRigAt(t, storagetest.FreshDatabase(t, e.URL()))
	o := r.options(r.warehouse(nil))
	o.ProbeEvery = 100 * time.Millisecond
	d := drain.New(o)
	r.run(d)
	r.append(500)
	r.shipped(d)
	r.whole(d)
	// As if a power cut had taken what was not synced: gone without a word, and the server starts again.
	r.exec("ALTER TABLE consent_facts DELETE WHERE seq >= 400 SETTINGS mutations_sync = 2")
	storagetest.KillEngine(t, e)
	storagetest.Eventually(t, time.Minute, "the rows are sent again", func() bool { return r.metric("consentd_drain_refilled_rows_total") > 0 })
	r.whole(d)
	r.exact()
}

// database of the rig.
func (r *rig) database() string {
	return r.url[strings.LastIndexByte(r.url, '/')+1:]
}

// slow is a warehouse that holds what is sent again until it is let go.
type slow struct {
	*warehouse.Warehouse
	below uint64 // seqs that are held
	on    atomic.Bool
	let   chan struct{}
}

func (s *slow) SendProofs(ctx context.Context, from consent.Place, proofs []*consent.Proof) error {
	if s.on.Load() && from.Seq < s.below {
		select {
		case <-s.let:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.Warehouse.SendProofs(ctx, from, proofs)
}

func TestNewRowsFlowWhileLostOnesAreSentAgain(t *testing.T) {
	r := newRig(t)
	w := &slow{Warehouse: r.warehouse(nil), below: 1000, let: make(chan struct{})}
	o := r.options(w)
	o.ProbeEvery = 50 * time.Millisecond
	d := drain.New(o)
	r.run(d)
	r.append(1000)
	r.shipped(d)
	r.whole(d)
	w.on.Store(true)
	r.exec("DROP DATABASE " + r.database() + " SYNC")
	storagetest.Eventually(t, time.Minute, "the loss is known", func() bool { return d.Rows() != nil })
	gaps := d.Gaps()
	if g, ok := consent.MergeGaps(gaps); !ok || g.Reason != consent.GapRefilling || g.Since == 0 || g.Before <= g.Since {
		t.Errorf("while lost rows are sent again the gaps are %+v", gaps)
	}
	r.append(500)
	storagetest.Eventually(t, time.Minute, "new rows arrive", func() bool {
		n, err := r.ask("SELECT count() FROM consent_facts WHERE seq >= 1000")
		return err == nil && n == 500
	})
	if d.Rows() == nil {
		t.Error("nothing is held back: this test tests nothing")
	}
	close(w.let)
	r.whole(d)
	r.exact()
}

// trimmed has the rig's ledger let go of all it may, and says from where it still holds proofs.
func (r *rig) trimmed(d *drain.Drain, ahead *atomic.Int64) uint64 {
	r.t.Helper()
	r.compared(d)
	var marks drain.Marks
	for range 2 {
		if err := d.TrimOnce(&marks); err != nil {
			r.t.Fatal(err)
		}
		ahead.Add(int64(8 * 24 * time.Hour))
	}
	first := r.ledger.First(consent.StreamProofs)
	if first == 0 {
		r.t.Fatal("nothing was trimmed")
	}
	return first
}

func TestWhatNobodyHasAnyMoreIsSaid(t *testing.T) {
	r := newRig(t)
	var ahead atomic.Int64
	o := r.options(r.warehouse(nil))
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	d := drain.New(o)
	stop := r.run(d)
	r.append(9000)
	r.shipped(d)
	first := r.trimmed(d, &ahead)
	ahead.Store(0)
	stop()
	r.exec("ALTER TABLE consent_facts DELETE WHERE seq >= 100 AND seq < 300 SETTINGS mutations_sync = 2")
	r.exec("ALTER TABLE consent_facts DELETE WHERE seq >= 8900 SETTINGS mutations_sync = 2")
	d = r.again(func(o *drain.Options) { o.Metrics = r.metricsAgain() })
	storagetest.Eventually(t, time.Minute, "what can be is there again", func() bool {
		n, err := r.ask("SELECT uniqExact(seq) FROM consent_facts")
		return err == nil && n == 8800
	})
	storagetest.Eventually(t, time.Minute, "the rest is known to be lost", func() bool {
		g, ok := consent.MergeGaps(d.Gaps())
		return ok && g.Reason == consent.GapLost && g.Since == 0 && g.Before > 0
	})
	if err := d.Rows(); err == nil || !strings.Contains(err.Error(), "lost 200 proofs") {
		t.Errorf("Rows: %v", err)
	}
	if d.Health() != nil {
		t.Errorf("what is lost is no outage: %v", d.Health())
	}
	if n := r.metric("consentd_drain_lost_rows", "stream", "proofs"); n != 200 {
		t.Errorf("consentd_drain_lost_rows is %v, want 200", n)
	}
	if r.metric("consentd_drain_complete") != 0 {
		t.Error("consentd_drain_complete is 1 with rows lost")
	}
	if first < 300 {
		t.Errorf("the ledger holds proofs from %d on: this test needs 300", first)
	}
}

func TestWhatWasErasedDoesNotReturn(t *testing.T) {
	for name, c := range map[string]struct {
		erase func(r *rig, key consent.SubjectKey)
		hurt  string
	}{
		"everywhere": {(*rig).eraseEverywhere, ""},
		"everywhere, and all personal parts are lost":                    {(*rig).eraseEverywhere, "TRUNCATE TABLE consent_personal"},
		"everywhere, and all facts are lost":                             {(*rig).eraseEverywhere, "TRUNCATE TABLE consent_facts"},
		"in ClickHouse by another edge":                                  {(*rig).eraseInWarehouse, ""},
		"in ClickHouse by another edge, and all personal parts are lost": {(*rig).eraseInWarehouse, "TRUNCATE TABLE consent_personal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			d := drain.New(r.options(r.warehouse(nil)))
			r.run(d)
			proofs := r.g.Proofs(400)
			key := proofs[0].Personal.Subject
			for i := 1; i < 5; i++ {
				proofs[i*50].Personal.Subject = key
				proofs[i*50].Commitment = proofs[i*50].Personal.Commit()
			}
			r.appendProofs(proofs)
			r.shipped(d)
			r.whole(d)
			c.erase(r, key)
			if c.hurt != "" {
				r.exec(c.hurt)
			}
			r.compared(d)
			r.whole(d)
			if n := r.count("SELECT count() FROM consent_personal FINAL WHERE subject = unhex('" + key.String() + "')"); n != 0 {
				t.Errorf("%d personal parts of the erased person are back", n)
			}
			if n := r.count("SELECT count() FROM consent_personal FINAL"); n != 395 {
				t.Errorf("%d personal parts of others, want 395", n)
			}
			if n := r.count("SELECT count() FROM consent_facts FINAL"); n != 400 {
				t.Errorf("%d facts, want 400", n)
			}
		})
	}
}

func (r *rig) eraseEverywhere(key consent.SubjectKey) {
	r.t.Helper()
	if _, err := r.ledger.Erase(r.t.Context(), "shop", key); err != nil {
		r.t.Fatal(err)
	}
	r.eraseInWarehouse(key)
}

func (r *rig) eraseInWarehouse(key consent.SubjectKey) {
	r.t.Helper()
	if n, err := r.warehouse(nil).Erase(r.t.Context(), "shop", key); err != nil || n != 5 {
		r.t.Fatal(n, err)
	}
}

func TestRowsThatAreDeletedAgainAndAgainAreNotSentForEver(t *testing.T) {
	r := newRig(t)
	d := drain.New(r.options(r.warehouse(nil)))
	r.run(d)
	r.append(300)
	r.shipped(d)
	r.whole(d)
	r.exec("ALTER TABLE consent_personal MODIFY TTL toDateTime(recorded_at) + INTERVAL 1 SECOND")
	r.exec("TRUNCATE TABLE consent_personal")
	storagetest.Eventually(t, time.Minute, "the rows are too old", func() bool {
		return r.count("SELECT count() FROM consent_facts WHERE recorded_at > now64(3) - 3") == 0
	})
	r.compared(d)
	if err := d.Rows(); err == nil || !strings.Contains(err.Error(), "300 rows were sent again and are still missing") {
		t.Errorf("Rows: %v", err)
	}
	if n := r.metric("consentd_drain_refilled_rows_total", "stream", "proofs"); n != 300 {
		t.Errorf("%v rows were sent again, want each once", n)
	}
	if _, any := consent.MergeGaps(d.Gaps()); !any {
		t.Error("an answer that lacks rows looks complete")
	}
}

func TestResendSendsAgainWhatIsThere(t *testing.T) {
	r := newRig(t)
	o := r.options(r.warehouse(nil))
	o.BatchRows = 100
	d := drain.New(o)
	r.run(d)
	r.append(650)
	r.shipped(d)
	r.whole(d)
	r.stopMerges()
	var told []drain.Resent
	err := d.Resend(t.Context(), []consent.Stream{consent.StreamProofs, consent.StreamPrompts}, 250, func(s drain.Resent) { told = append(told, s) })
	if err != nil || len(told) != 5 || told[3] != (drain.Resent{Stream: "proofs", Sent: 400, Of: 400}) || told[4] != (drain.Resent{Stream: "prompts"}) {
		t.Fatal(told, err)
	}
	if n := r.count("SELECT count() FROM consent_facts"); n != 1050 {
		t.Errorf("%d rows stored, want 1050", n)
	}
	r.exact()
}

// A clock that is ahead for a while must not keep the ledger from letting go of anything ever after.
func TestEntriesDatedInTheFutureAreTrimmed(t *testing.T) {
	r := newRig(t)
	var ahead atomic.Int64
	o := r.options(r.warehouse(nil))
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	d := drain.New(o)
	r.run(d)
	proofs := r.g.Proofs(9000)
	for _, p := range proofs {
		p.Edge, p.RecordedAt = r.ledger.Edge(), r.ledger.Now()+consent.Millis((400*24*time.Hour).Milliseconds())
		receipt, err := r.ledger.Append(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		r.proofs[receipt.Seq] = p
		if receipt.Seq%1000 == 0 && testing.Verbose() {
			t.Log(receipt.Seq)
		}
	}
	r.shipped(d)
	if first := r.trimmed(d, &ahead); first < 4000 {
		t.Errorf("proofs from %d on are held", first)
	}
}

func TestWhatWaitsToBeSentAgainIsNotTrimmed(t *testing.T) {
	r := newRig(t)
	var ahead atomic.Int64
	w := &slow{Warehouse: r.warehouse(nil), below: 9000, let: make(chan struct{})}
	o := r.options(w)
	o.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	o.ProbeEvery = 50 * time.Millisecond
	d := drain.New(o)
	r.run(d)
	r.append(9000)
	r.shipped(d)
	r.whole(d)
	w.on.Store(true)
	r.exec("DROP DATABASE " + r.database() + " SYNC")
	storagetest.Eventually(t, time.Minute, "the loss is known", func() bool { return d.Rows() != nil })
	var marks drain.Marks
	for range 3 {
		if err := d.TrimOnce(&marks); err != nil {
			t.Fatal(err)
		}
		ahead.Add(int64(8 * 24 * time.Hour))
	}
	if first := r.ledger.First(consent.StreamProofs); first != 0 {
		t.Errorf("entries before %d were let go of while they waited to be sent again", first)
	}
	ahead.Store(0)
	close(w.let)
	r.whole(d)
	r.exact()
}

// An erasure must not be overtaken by a batch that was read before it.
func TestAnErasureWaitsForWhatIsBeingSentAgain(t *testing.T) {
	r := newRig(t)
	w := &slow{Warehouse: r.warehouse(nil), below: 100, let: make(chan struct{})}
	d := drain.New(r.options(w))
	r.run(d)
	r.append(100)
	r.shipped(d)
	r.whole(d)
	w.on.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Resend(t.Context(), consent.Streams(), 0, func(drain.Resent) {}); err != nil {
			t.Error(err)
		}
	})
	storagetest.Eventually(t, time.Minute, "a batch is on its way", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		return errors.Is(d.Settle(ctx), context.DeadlineExceeded)
	})
	close(w.let)
	if err := d.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

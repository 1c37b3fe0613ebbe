package drain_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/google/uuid"
)

// lived is a ledger with generations of a test's choosing.
type lived struct {
	*ledger.Ledger
	instance   uuid.UUID
	generation uint32

	mu        sync.Mutex
	suspended error
}

func (l *lived) Instance() uuid.UUID                      { return l.instance }
func (l *lived) Generation(consent.Stream, uint64) uint32 { return l.generation }
func (l *lived) Suspend(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspended = reason
}

func (l *lived) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.suspended
}

// edge is another consentd on the same ClickHouse.
type edge struct {
	*rig
	ledger *lived
	drain  *drain.Drain
	stop   func()
}

func newEdge(t *testing.T, url string, generation uint32, predecessors ...uuid.UUID) *edge {
	r := newRigAt(t, url)
	e := &edge{rig: r, ledger: &lived{Ledger: r.ledger, instance: uuid.New(), generation: generation}}
	o := r.options(r.warehouse(nil))
	o.Ledger, o.Predecessors, o.ProbeEvery = e.ledger, predecessors, 100*time.Millisecond
	e.drain = drain.New(o)
	return e
}

func (e *edge) start() *edge {
	e.stop = e.run(e.drain)
	return e
}

func (e *edge) refused() {
	e.t.Helper()
	storagetest.Eventually(e.t, time.Minute, "the edge is refused, and records nothing more", func() bool {
		return errors.Is(e.drain.Health(), drain.ErrRefused) && errors.Is(e.ledger.reason(), drain.ErrRefused)
	})
}

func TestASecondEdgeIsRefusedTheName(t *testing.T) {
	url := kit.Database(t)
	first := newEdge(t, url, 1).start()
	first.append(200)
	first.shipped(first.drain)
	second := newEdge(t, url, 1)
	second.append(300)
	second.start()
	second.refused()
	why := second.drain.Health().Error()
	for _, part := range []string{`"e1"`, first.ledger.instance.String(), "first seen 20", "last seen 20", "consentd serve --edge OTHER", "consentd repair --data DIR"} {
		if !strings.Contains(why, part) {
			t.Errorf("the refusal does not say %q: %s", part, why)
		}
	}
	if n := strings.Count(second.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("it is said %d times:\n%s", n, second.log.String())
	}
	if g, ok := consent.MergeGaps(second.drain.Gaps()); !ok || g.Reason != consent.GapRefused {
		t.Errorf("gaps %+v", g)
	}
	first.append(100)
	first.shipped(first.drain)
	first.exact() // which names every row that is not the first's
}

func TestARestoredCopyTakesTheNameAndTheOlderIsRefused(t *testing.T) {
	url := kit.Database(t)
	old := newEdge(t, url, 1).start()
	old.append(200)
	old.shipped(old.drain)
	restored := newEdge(t, url, 2, old.ledger.instance).start()
	restored.append(100)
	restored.shipped(restored.drain)
	old.refused()
	old.append(50)
	other := newEdge(t, url, 2, old.ledger.instance).start() // the same backup, restored a second time
	other.refused()
	if n := restored.count("SELECT count() FROM consent_facts FINAL WHERE generation = 2"); n != 100 {
		t.Errorf("%d rows of generation 2, want 100", n)
	}
	if n := restored.count("SELECT count() FROM consent_facts FINAL WHERE generation = 1"); n != 200 {
		t.Errorf("%d rows of generation 1, want 200", n)
	}
	if err := restored.drain.Health(); err != nil || restored.ledger.reason() != nil {
		t.Errorf("the restored one: %v, %v", err, restored.ledger.reason())
	}
}

func TestAnOldCopyOfADataDirectoryIsRefused(t *testing.T) {
	url := kit.Database(t)
	first := newEdge(t, url, 1).start()
	first.append(500)
	first.shipped(first.drain)
	first.stop()
	copied := newEdge(t, url, 1)
	copied.ledger.instance = first.ledger.instance // as cp -r makes it
	copied.append(300)
	copied.start()
	copied.refused()
	if why := copied.drain.Health().Error(); !strings.Contains(why, "up to 499, the ledger has 300") || !strings.Contains(why, "consentd repair") {
		t.Error(why)
	}
	if n := first.count("SELECT count() FROM consent_facts"); n != 500 {
		t.Errorf("%d rows, want 500", n)
	}
}

func TestTwoEdgesThatClaimANameAtOnceNeverBothGetIt(t *testing.T) {
	r := newRig(t)
	r.migrate()
	w := r.warehouse(nil)
	won := 0
	for round := range 15 {
		name := "race" + uuid.NewString()
		var mu sync.Mutex
		var winners []uuid.UUID
		var wg sync.WaitGroup
		start := make(chan struct{})
		for range 4 {
			c := consent.Claim{Edge: name, Instance: uuid.New(), Generation: 1}
			wg.Go(func() {
				<-start
				holder, err := w.Claim(context.Background(), c, consent.ToMillis(time.Now()))
				if err != nil {
					t.Error(err)
				}
				if err == nil && holder == nil {
					mu.Lock()
					winners = append(winners, c.Instance)
					mu.Unlock()
				}
			})
		}
		close(start)
		wg.Wait()
		if len(winners) > 1 {
			t.Fatalf("round %d: %d hold one name", round, len(winners))
		}
		won += len(winners)
		// Whoever comes next sees one holder at most, and gets the name when nobody has it.
		holder, err := w.Claim(context.Background(), consent.Claim{Edge: name, Instance: uuid.New(), Generation: 1}, consent.ToMillis(time.Now()))
		if err != nil || (holder == nil) != (len(winners) == 0) || holder != nil && holder.Instance != winners[0] {
			t.Fatalf("round %d: %v won, then %+v %v", round, winners, holder, err)
		}
	}
	t.Logf("one of four won in %d of 15 rounds", won)
}

func TestOfTwoEdgesThatStartAtOnceOneShips(t *testing.T) {
	url := kit.Database(t)
	a, b := newEdge(t, url, 1), newEdge(t, url, 1)
	a.migrate()
	a.append(100)
	b.append(100)
	a.start()
	b.start()
	storagetest.Eventually(t, time.Minute, "one is refused and one ships", func() bool {
		one, other := a.drain.Backlog(consent.StreamProofs), b.drain.Backlog(consent.StreamProofs)
		return one == 0 && b.ledger.reason() != nil || other == 0 && a.ledger.reason() != nil
	})
	if n := a.count("SELECT count() FROM consent_facts FINAL"); n != 100 {
		t.Errorf("%d rows, want 100 of one of them", n)
	}
}

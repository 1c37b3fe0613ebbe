package drain_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
)

func TestOnlyShippedAndAgedEntriesAreTrimmed(t *testing.T) {
	r := newRig(t)
	var ahead atomic.Int64 // of the drain's clock
	o := r.options(r.warehouse(nil))
	o.Clock, o.KeepShipped = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, 24*time.Hour
	d := drain.New(o)
	stop := r.run(d)
	r.append(9000)
	r.shipped(d)
	r.compared(d)
	first := func() uint64 { return r.ledger.First(consent.StreamProofs) }
	var marks drain.Marks
	trim := func() {
		t.Helper()
		if err := d.TrimOnce(&marks); err != nil {
			t.Fatal(err)
		}
	}
	trim()
	ahead.Store(int64(23 * time.Hour))
	trim()
	if first() != 0 {
		t.Fatalf("trimmed up to %d within the grace period", first())
	}
	stop()
	r.append(5000) // recorded, not shipped
	ahead.Store(int64(25 * time.Hour))
	trim() // what was shipped long ago goes
	if first() == 0 || first() > 9000 {
		t.Fatalf("after the grace period entries from %d are held, want 1 to 9000", first())
	}

	o.Metrics = nil
	d = drain.New(o)
	r.run(d)
	r.shipped(d)
	r.compared(d)
	marks = drain.Marks{}
	was := first()
	trim() // shipped a moment ago, however old
	if first() != was {
		t.Errorf("entries were trimmed the moment they were shipped")
	}
	ahead.Add(int64(drain.Settle))
	trim()
	if next := r.ledger.Next(consent.StreamProofs); first() > next-drain.KeepProofs || first() <= was {
		t.Errorf("entries from %d of %d are held, want the last %d or a few more", first(), next, drain.KeepProofs)
	}
}

func TestARowSetAsideDoesNotStopTrimming(t *testing.T) {
	r := newRig(t)
	var ahead atomic.Int64
	o := r.options(r.warehouse(nil))
	o.Clock, o.KeepShipped = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, 24*time.Hour
	d := drain.New(o)
	r.run(d)
	r.append(9000)
	r.shipped(d)
	r.compared(d)
	if err := r.ledger.SetAside(consent.SetAside{Stream: consent.StreamProofs, Seq: 300, Why: "test"}); err != nil {
		t.Fatal(err)
	}
	var marks drain.Marks
	for range 3 {
		if err := d.TrimOnce(&marks); err != nil {
			t.Fatal(err)
		}
		ahead.Add(int64(25 * time.Hour))
	}
	if first := r.ledger.First(consent.StreamProofs); first <= 300 {
		t.Errorf("entries from %d are held", first)
	}
	if asides, err := r.ledger.SetAsides(); err != nil || len(asides) != 1 || len(asides[0].Entry) == 0 {
		t.Errorf("the row set aside: %+v %v", asides, err)
	}
}

package drain

import (
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// TestAnOutageOfTheWarehouseIsNoSilence: who could not be looked at could not show that it lives either.
func TestAnOutageOfTheWarehouseIsNoSilence(t *testing.T) {
	const lease = time.Hour
	h := &consent.Holder{Session: uuid.New(), Seen: 7}
	tn := newTenure()
	if s := tn.watch(h, lease); s != unknown {
		t.Fatal(s)
	}
	tn.silent, tn.looked = time.Now().Add(-2*lease), time.Now().Add(-2*lease) // as long as it was away
	if s := tn.watch(h, lease); s != unknown {
		t.Errorf("taken for %v after an outage", s)
	}
	tn.silent = time.Now().Add(-lease)
	if s := tn.watch(h, lease); s != gone {
		t.Errorf("silent for a lease while it was looked at: %v", s)
	}
	if s := tn.watch(&consent.Holder{Session: h.Session, Seen: 8}, lease); s != alive {
		t.Errorf("a sign of life: %v", s)
	}
}

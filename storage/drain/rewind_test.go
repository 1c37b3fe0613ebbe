package drain_test

import (
	"errors"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
)

func TestALostWarehouseIsFilledAgainByRewinding(t *testing.T) {
	r := newRig(t)
	o := r.options(r.warehouse(nil))
	o.BatchRows = 100
	d := drain.New(o)
	r.run(d)
	r.append(650)
	r.shipped(d)
	r.exact()
	for _, table := range []string{"consent_facts", "consent_personal"} {
		r.exec("DROP TABLE " + table + " SYNC") // the tables come back by Migrate, after the first failure
	}
	r.exec("TRUNCATE TABLE schema_migrations")

	if err := d.Rewind(t.Context(), consent.StreamProofs, r.ledger.First(consent.StreamProofs)); err != nil {
		t.Fatal(err)
	}
	r.shipped(d)
	r.exact()

	// Rewinding over rows that are there changes no count.
	if err := d.Rewind(t.Context(), consent.StreamProofs, 320); err != nil {
		t.Fatal(err)
	}
	r.append(50)
	r.shipped(d)
	r.exact()
	if err := d.Rewind(t.Context(), consent.StreamProofs, 100_000); !errors.Is(err, drain.ErrRewind) {
		t.Errorf("rewinding into the future: %v", err)
	}
}

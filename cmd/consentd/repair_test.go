package main

import (
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// dateAhead records the last proof of a stopped server again, on a machine whose clock is two years ahead.
func dateAhead(t *testing.T, data string) {
	t.Helper()
	ahead := func() time.Time { return time.Now().AddDate(2, 0, 0) }
	l, err := ledger.Open(ledger.Options{Dir: filepath.Join(data, "ledger"), Edge: "e1", Clock: ahead, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var p *consent.Proof
	next := l.Next(consent.StreamProofs)
	if err := l.Scan(consent.StreamProofs, next-1, next, func(_ uint64, raw []byte) (err error) {
		p, err = consent.ParseProof(raw)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p.ID, p.RecordedAt = uuid.Must(uuid.NewV7()), l.Now()
	if _, err := l.Append(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestALedgerThatWasDatedAheadIsDatedAnew by consentd repair --clock, which serve names, and by nothing less.
func TestALedgerThatWasDatedAheadIsDatedAnew(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	noEngine := filepath.Join(data, "none")
	p, edge := serve(t, data, sites, "--engine-lib", noEngine)
	bearer := tokenFor(t, data)
	mustChoose(t, edge, bearer, "c1")
	p.end(t)
	dateAhead(t, data)
	refused := func(when string) {
		t.Helper()
		_, _, err := command("serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", noEngine)
		if !errors.Is(err, ledger.ErrClock) || !contains(err.Error(), "consentd repair --clock") {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused("dated ahead")
	if out, errs, err := command("repair", "--data", data, "--clock"); !errors.Is(err, exitCode(1)) || !contains(out, "wrong: ", "consentd repair --clock") || !contains(errs, "nothing was changed", "--yes") {
		t.Errorf("without --yes: %s%s%v", out, errs, err)
	}
	refused("after a repair that only told")
	if _, _, err := command("repair", "--data", data, "--yes"); !errors.Is(err, ledger.ErrClock) || contains(err.Error(), "restore") {
		t.Errorf("without --clock: %v", err)
	}
	refused("after a repair of something else")
	if out, errs, err := command("repair", "--data", data, "--clock", "--yes"); err != nil || !contains(out, "clock: 1 persons were dated ahead", "goes on with 2 proofs, in generation ") {
		t.Fatalf("%s%s%v", out, errs, err)
	}
	_, edge = serve(t, data, sites, "--engine-lib", noEngine)
	lookup := edge + "/v1/sites/demo/lookup?purpose=analytics&external=c1"
	if code, body := get(t, lookup, bearer); code != http.StatusOK || !contains(body, `"status":"granted"`, time.Now().UTC().Format(`"2006-`)) {
		t.Errorf("where the person stands: %d %s", code, body)
	}
	mustChoose(t, edge, bearer, "c2")
}

package kill9

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// TestFiftyKillsLoseNothingAcknowledged is the promise on the real program and the real ClickHouse; `make kill9`
// does a thousand.
func TestFiftyKillsLoseNothingAcknowledged(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consentd")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/consentd/consentd/cmd/consentd").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	c, err := rig.New(binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r, err := Run(t.Context(), Options{Server: &Consentd{C: c}, Cycles: 50, Seed: seed, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, %d rows, %d refused", r.Acknowledged, r.Rows, r.Refused)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Acknowledged < 50*100 || r.Rows < r.Acknowledged {
		t.Errorf("%d acknowledged in 50 cycles: that was no load", r.Acknowledged)
	}
}

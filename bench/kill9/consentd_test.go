package kill9

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/storage/storagetest"
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
	t.Cleanup(func() { // the engine of a killed program may still write while its directory is removed
		f, err := os.Open(filepath.Join(c.Data(), "engine", "engine.lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		storagetest.Eventually(t, time.Minute, "the engine is gone too", func() bool {
			return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
		})
	})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r, err := Run(t.Context(), Options{Server: &Consentd{C: c}, Cycles: 50, Least: 100, Seed: seed, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, %d of them cut off and sent again (%d were on disk), %d rows, %d refused", r.Acknowledged, r.Resent, r.Kept,
		r.Rows, r.Refused)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Resent == 0 || r.Rows != r.Acknowledged {
		t.Errorf("%d choices were sent again, %d acknowledged, %d rows: after the retries nothing is unexplained", r.Resent, r.Acknowledged, r.Rows)
	}
	if r.Acknowledged < 50*100 || r.Rows < r.Acknowledged {
		t.Errorf("%d acknowledged in 50 cycles: that was no load", r.Acknowledged)
	}
}

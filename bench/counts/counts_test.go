package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestEveryProofIsCountedOnce leads each life with a few hundred choices; `go run ./bench/counts` with thousands.
func TestEveryProofIsCountedOnce(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consentd")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/consentd/consentd/cmd/consentd").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			if err := sc.run(&scene{binary: binary, dir: t.TempDir(), proofs: 300}, t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACountThatIsAnotherIsNoticed(t *testing.T) {
	counts := map[string]string{"rates of ads": "20", "rates of analytics": "40", "rows": "20"}
	if wrong := others(counts, "20"); len(wrong) != 1 || wrong[0] != "rates of analytics says 40" {
		t.Errorf("noticed %q", wrong)
	}
}

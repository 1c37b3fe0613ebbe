package evidence_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/evidence"
)

// byHand runs byhand.sh on a file.
func byHand(t *testing.T, file []byte, key string) (out string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "evidence.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := exec.Command("bash", "byhand.sh", path, key).CombinedOutput()
	return string(b), err
}

func TestAFewLinesOfShellCheckAFile(t *testing.T) {
	e, file, _ := example(t)
	out, err := byHand(t, file, e.key().String())
	if err != nil || !strings.Contains(out, "\nleaf ") || !strings.Contains(out, "signed by consentd/e1+") {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, bad := range map[string][]byte{
		"other facts": change(t, file, func(e *evidence.Evidence) {
			e.Proofs[0].Facts = strings.Replace(e.Proofs[0].Facts, `"ads":"denied"`, `"ads":"granted"`, 1)
		}),
		"another place": change(t, file, func(e *evidence.Evidence) { e.Proofs[0].Index-- }),
		"another text":  bytes.Replace(file, []byte("We ask first"), []byte("We ask later"), 1),
		"another root": change(t, file, func(e *evidence.Evidence) {
			e.Logs.Proofs.Checkpoint = strings.Replace(e.Logs.Proofs.Checkpoint, "\n9\n", "\n8\n", 1)
		}),
		"another moment": change(t, file, func(e *evidence.Evidence) {
			e.Logs.Proofs.Checkpoint = strings.Replace(e.Logs.Proofs.Checkpoint, "time 2026", "time 2025", 1)
		}),
		"a shortened path": change(t, file, func(e *evidence.Evidence) { p := &e.Proofs[0]; p.Inclusion = p.Inclusion[1:] }),
	} {
		if bytes.Equal(bad, file) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if out, err := byHand(t, bad, e.key().String()); err == nil {
			t.Errorf("%s: accepted\n%s", name, out)
		}
	}
	if out, err := byHand(t, file, signer(t, "consentd/e1", 5).Key.String()); err == nil {
		t.Errorf("another key: accepted\n%s", out)
	}
}

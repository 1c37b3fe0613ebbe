package backup

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAFileThatIsReadShortIsNoCopy: a backup of a part of a file would pass for whole, with a sum of its own.
func TestAFileThatIsReadShortIsNoCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(4, io.SeekStart); err != nil { // the same as a read that gave nothing
		t.Fatal(err)
	}
	if _, err := copyWhole(io.Discard, f); err == nil || !strings.Contains(err.Error(), "has 10 bytes and gave 6") {
		t.Errorf("a part was taken for the whole: %v", err)
	}
}

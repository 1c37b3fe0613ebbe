package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestWhatChangedSinceACleanStopIsRefused also where the store itself would open and miss nothing: a file of options that
// is gone or has other words in it, a log that nobody left.
func TestWhatChangedSinceACleanStopIsRefused(t *testing.T) {
	w := recorded(t, 20, true)
	options := ""
	names, err := w.disk.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "OPTIONS-") {
			options = name
		}
	}
	if options == "" {
		t.Fatalf("no file of options among %q", names)
	}
	for what, c := range map[string]struct {
		file string
		do   func(fs vfs.FS, path string) error
	}{
		options + " is missing": {options, func(fs vfs.FS, path string) error { return fs.Remove(path) }},
		options + " has":        {options, func(fs vfs.FS, path string) error { return rewrite(fs, path, string(contentOf(fs, path))+"\n") }},
		options + " has other content": {options, func(fs vfs.FS, path string) error {
			return rewrite(fs, path, strings.Replace(string(contentOf(fs, path)), "[Options]", "[options]", 1))
		}},
		"999999.log was not there": {"999999.log", func(fs vfs.FS, path string) error { return rewrite(fs, path, "") }},
	} {
		disk := w.clone()
		if err := c.do(disk, "data/"+c.file); err != nil {
			t.Fatal(err)
		}
		l, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk})
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			l.Close()
		}
	}
}

func rewrite(fs vfs.FS, path, content string) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(content))
	return errors.Join(err, f.Sync(), f.Close())
}

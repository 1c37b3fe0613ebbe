package main

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// TestTheDataDirectoryIsClosedToOthers: every file in it, ClickHouse's too, so that a copy of it is as private.
func TestTheDataDirectoryIsClosedToOthers(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	executeServe(t, data, t.TempDir())
	files := 0
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone since: the store and the engine come and go with files
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if files++; info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d files looked at, %v", files, err)
	}
}

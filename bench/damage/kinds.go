package main

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// left out of the damage: the embedded ClickHouse, which is a database of its own and off here, and copies.
var passedOver = []string{"engine", "backups"}

// kindOf names the kind of a file by its path below the data directory.
func kindOf(rel string) string {
	base := filepath.Base(rel)
	switch {
	case strings.HasPrefix(rel, "keys/"):
		return "key of " + strings.Split(rel, "/")[1]
	case strings.HasSuffix(base, ".sst"):
		return "table"
	case strings.HasPrefix(base, "MANIFEST-"):
		return "manifest"
	case strings.HasPrefix(base, "OPTIONS-"):
		return "options"
	case strings.HasPrefix(base, "marker."):
		return "marker"
	case strings.HasPrefix(rel, "ledger/") && strings.HasSuffix(base, ".log"):
		return "wal"
	case strings.HasPrefix(rel, "log/"):
		return "checkpoint"
	case base == "LOCK":
		return "lock"
	}
	return base
}

// tree is what a data directory holds.
type tree struct {
	kinds   []string            // sorted
	files   map[string][]string // by kind, paths below the directory
	folders []string
}

// look lists a data directory.
func look(dir string) (*tree, error) {
	t := &tree{files: map[string][]string{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		switch {
		case err != nil || rel == ".":
			return err
		case d.IsDir() && slices.Contains(passedOver, rel):
			return filepath.SkipDir
		case d.IsDir():
			t.folders = append(t.folders, rel)
		default:
			kind := kindOf(rel)
			t.files[kind] = append(t.files[kind], rel)
		}
		return nil
	})
	for kind := range t.files {
		t.kinds = append(t.kinds, kind)
	}
	slices.Sort(t.kinds)
	return t, err
}

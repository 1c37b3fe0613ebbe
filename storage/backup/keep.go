package backup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// List gives the complete backups in a directory, oldest first.
func List(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir) // sorted
	for _, e := range entries {
		if _, bad := time.Parse(stampLayout, e.Name()); bad != nil || !e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if _, bad := os.Stat(filepath.Join(path, ManifestName)); bad == nil {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// Prune removes the oldest complete backups until keep are left, and names them. What it does not know it leaves.
func Prune(dir string, keep int) (removed []string, err error) {
	all, err := List(dir)
	if err != nil || len(all) <= keep {
		return nil, err
	}
	var errs []error
	for _, path := range all[:len(all)-keep] {
		aside := filepath.Join(dir, partial+filepath.Base(path)) // cut short, what is left is no backup
		if err := os.Rename(path, aside); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, path)
		errs = append(errs, os.RemoveAll(aside))
	}
	return removed, errors.Join(errs...)
}

func removePartial(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), partial) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

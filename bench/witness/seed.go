package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/consentd/consentd/bench/rig"
)

// Seed is a data directory as it was left, and what had been acknowledged by then.
type Seed struct {
	Name    string
	Dir     string // a copy of data/
	Witness *Witness
}

// Keep copies the data directory of c, which must not run, to dir.
func Keep(name string, c *rig.Consentd, dir string, w *Witness) (*Seed, error) {
	return &Seed{Name: name, Dir: dir, Witness: w.Clone()}, Copy(dir, c.Data())
}

// Empty is a directory in which no program ever started, and a witness that has seen nothing but what like shows; it gets
// a token by Renew.
func Empty(name, dir string, like *Witness) (*Seed, error) {
	w := &Witness{Shown: like.Shown}
	return &Seed{Name: name, Dir: dir, Witness: w.Clone()}, os.MkdirAll(dir, 0o700)
}

// Lay makes c's data directory a fresh copy of the seed. c must not run.
func (s *Seed) Lay(c *rig.Consentd) error { return Copy(c.Data(), s.Dir) }

// Copy makes to a copy of the directory from: files, folders and their permissions. What was there is removed.
func Copy(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, info.Mode().Perm())
		case d.Type().IsRegular():
			return copyFile(target, path, info.Mode().Perm())
		}
		return fmt.Errorf("%s is neither a file nor a folder", path)
	})
}

func copyFile(to, from string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Grow starts c, posts n choices, and calls end, which stops or kills it. A nil w is made.
func Grow(ctx context.Context, c *rig.Consentd, w *Witness, n int, end func(*Witness) error) (*Witness, error) {
	if err := c.Start(ctx, rig.NoWarehouse); err != nil {
		return nil, err
	}
	process := c.Process
	defer process.Kill()
	if w == nil {
		var err error
		if w, err = New(ctx, c); err != nil {
			return nil, err
		}
	}
	if got := w.Post(ctx, c, n, 32, askLimit); got != n {
		return nil, fmt.Errorf("witness: %d of %d choices were acknowledged by an unharmed program:\n%s", got, n, c.Tail())
	}
	return w, end(w)
}

package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CopyTree copies a directory with everything in it; one that is not there is copied as nothing. What vanishes while it
// is being copied is left out. Only regular files and directories are copied.
func CopyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return privateDir(filepath.Join(to, name))
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return CopyFile(path, filepath.Join(to, name))
	})
}

// CopyFile copies a file, 0600 and on disk, unless it is not there; to must not be there.
func CopyFile(from, to string) error {
	r, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = copyWhole(w, r)
	return errors.Join(err, w.Chmod(0o600), w.Sync(), w.Close())
}

// copyWhole copies a file to its end, which is where the file system says it is: a failing disk may give nothing before.
func copyWhole(w io.Writer, r *os.File) (int64, error) {
	info, err := r.Stat()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, r)
	if err == nil && n < info.Size() {
		err = fmt.Errorf("reading %s: it has %d bytes and gave %d", r.Name(), info.Size(), n)
	}
	return n, err
}

// TreeSize is how many bytes the files below a directory have; 0 when it is not there.
func TreeSize(dir string) (n uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				n += uint64(info.Size())
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return n, err
}

// Seal gives every file and directory below dir its mode, 0600 or 0700, and puts it on disk: parts were written by others.
func Seal(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Chmod(mode), f.Sync(), f.Close())
	})
}

func writeFile(path string, content []byte) error {
	w, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return errors.Join(err, w.Chmod(0o600), w.Sync(), w.Close())
}

// privateDir makes a directory that others cannot enter, also when it was there.
func privateDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

package ledger

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// storeFS is the file system of the store, with two differences. While it is asked to, no file is written over: it is
// removed, and a new one made. And an error that Pebble has no answer to, of a write-ahead log or of syncing a
// directory, fails the ledger: Pebble panics, on goroutines of its own and with mutexes in a state that ends the program
// without a word that helps.
type storeFS struct {
	vfs.FS
	fresh atomic.Int32
	fail  func(error) // of the ledger
}

// Create makes a file.
func (f *storeFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return f.guarded(name, file, err)
}

// ReuseForWrite gives a file that held something else before.
func (f *storeFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if f.fresh.Load() == 0 {
		file, err := f.FS.ReuseForWrite(oldname, newname, category)
		return f.guarded(newname, file, err)
	}
	if err := f.FS.Remove(oldname); err != nil {
		return f.guarded(newname, nil, err)
	}
	return f.Create(newname, category)
}

// OpenDir gives a directory, to be synced.
func (f *storeFS) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &vitalFile{dir, f, name}, nil
}

// guarded makes a write-ahead log a vitalFile.
func (f *storeFS) guarded(name string, file vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return file, err
	}
	if f.orPark("making", name, err) != nil {
		return nil, err
	}
	return &vitalFile{file, f, name}, nil
}

// orPark returns when err is nil. Otherwise the ledger has failed, and it never does; see pebbleLogger.
func (f *storeFS) orPark(what, name string, err error) error {
	if err != nil {
		f.fail(fmt.Errorf("%s %s: %w", what, f.PathBase(name), err))
		select {}
	}
	return nil
}

// Unwrap gives the file system below.
func (f *storeFS) Unwrap() vfs.FS { return f.FS }

// vitalFile is a file whose errors fail the ledger.
type vitalFile struct {
	vfs.File
	fs   *storeFS
	name string
}

func (v *vitalFile) Write(p []byte) (int, error) {
	n, err := v.File.Write(p)
	return n, v.fs.orPark("writing", v.name, err)
}

func (v *vitalFile) Sync() error { return v.fs.orPark("syncing", v.name, v.File.Sync()) }

func (v *vitalFile) SyncData() error { return v.fs.orPark("syncing", v.name, v.File.SyncData()) }

func (v *vitalFile) SyncTo(length int64) (full bool, err error) {
	full, err = v.File.SyncTo(length)
	return full, v.fs.orPark("syncing", v.name, err)
}

func (v *vitalFile) Close() error { return v.fs.orPark("closing", v.name, v.File.Close()) }

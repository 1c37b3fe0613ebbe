package ledger

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// storeFS is the file system of the store, with three differences. While it is asked to, no file is written over: it is
// removed, and a new one made. An error that Pebble has no answer to, of a write-ahead log or of syncing a
// directory, fails the ledger: Pebble panics, on goroutines of its own and with mutexes in a state that ends the program
// without a word that helps. And a log or a list of tables that gives nothing more before its end is an error: Pebble
// takes it for the torn end of a crash, goes on with what it got, and removes the file.
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

// Open opens a file to be read.
func (f *storeFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err != nil || strings.HasSuffix(name, ".sst") { // tables are read by place, and carry sums
		return file, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &wholeFile{File: file, name: f.PathBase(name), size: info.Size()}, nil
}

// wholeFile is read from its begin to its end, and knows where that is.
type wholeFile struct {
	vfs.File
	name     string
	at, size int64
}

func (w *wholeFile) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	w.at += int64(n)
	if (err == io.EOF || n == 0 && len(p) > 0 && err == nil) && w.at < w.size {
		err = fmt.Errorf("reading %s: it has %d bytes and gave %d", w.name, w.size, w.at) // no EOF of any kind: see storeFS
	}
	return n, err
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

func (v *vitalFile) Stat() (vfs.FileInfo, error) {
	info, err := v.File.Stat()
	return info, v.fs.orPark("looking at", v.name, err)
}

func (v *vitalFile) Close() error { return v.fs.orPark("closing", v.name, v.File.Close()) }

package site

import (
	"log/slog"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long a directory has to be left alone before it is read: an editor that saves moves, writes
	// and renames within some milliseconds.
	quiet = 100 * time.Millisecond
	// rescan is how often it is read without notice, for file systems that give none (NFS, some containers).
	// Files that have not changed cost a read and a comparison.
	rescan = 10 * time.Second
)

// watcher calls changed, from one goroutine, some time after a directory has changed. It watches the directory
// and not its files: editors and configuration managers replace files, and a watch on a file dies with it.
type watcher struct {
	fs      *fsnotify.Watcher // nil: notices are not to be had, rescan alone does it
	changed func()
	log     *slog.Logger

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	started bool
}

func watch(dir string, log *slog.Logger, changed func()) (*watcher, error) {
	w := &watcher{changed: changed, log: log, stop: make(chan struct{}), stopped: make(chan struct{})}
	fs, err := fsnotify.NewWatcher()
	if err != nil { // a limit of the system, which the sites need not suffer from
		log.Warn("sites: changes are noticed every few seconds only", "every", rescan, "error", err)
		return w, nil
	}
	if err := fs.Add(dir); err != nil {
		fs.Close()
		return nil, err
	}
	w.fs = fs
	return w, nil
}

// start begins to call changed.
func (w *watcher) start() {
	w.started = true
	go w.run()
}

func (w *watcher) close() {
	w.once.Do(func() {
		close(w.stop)
		if w.started {
			<-w.stopped
		}
		if w.fs != nil {
			w.fs.Close()
		}
	})
}

func (w *watcher) run() {
	defer close(w.stopped)
	var events chan fsnotify.Event
	var errs chan error
	if w.fs != nil {
		events, errs = w.fs.Events, w.fs.Errors
	}
	settle := time.NewTimer(rescan)
	settle.Stop()
	every := time.NewTicker(rescan)
	defer every.Stop()
	for {
		select {
		case <-w.stop:
			return
		case e := <-events:
			if e.Op != fsnotify.Chmod { // indexers and backups touch those
				settle.Reset(quiet)
			}
		case err := <-errs: // an overflow: something changed, unknown what
			w.log.Warn("sites: notices were lost, reading the directory", "error", err)
			settle.Reset(quiet)
		case <-settle.C:
			w.changed()
		case <-every.C:
			w.changed()
		}
	}
}

package site

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Options opens a Registry.
type Options struct {
	Dir string // of YAML files, *.yaml or *.yml
	// Secret gives the 32 bytes or more that a site's subject keys are derived from; Secrets.Site does.
	Secret func(siteID string) ([]byte, error)
	Log    *slog.Logger // told of every problem once, and of every change; nil: silent
	// OnChange is called with the whole new set, sorted by id, each time it has changed after Open: before Get
	// answers from it, so that wordings can be published and bundles built first. Calls do not overlap. nil: none.
	OnChange func([]*Site)
}

// Registry is the sites of a directory, kept up to date. It is safe for concurrent use.
type Registry struct {
	o       Options
	current atomic.Pointer[set] // replaced as a whole; read by every request

	mu    sync.Mutex         // one load at a time; covers files
	files map[string]*loaded // by path

	watcher *watcher
}

// set is what a load found. It never changes.
type set struct {
	byID     map[string]*Site
	sorted   []*Site
	problems []Problem
}

// loaded is what is known of one file. It never changes.
type loaded struct {
	data     []byte // as read; nil when it could not be
	problems []Problem
	site     *Site // the last good version, also when data is broken; nil: there never was one
	at       place // where that version says its id
}

// Open loads the directory and watches it. A file with mistakes does not stop it: the other sites are served,
// and Problems says what is wrong. A directory that cannot be read does.
func Open(o Options) (*Registry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnChange == nil {
		o.OnChange = func([]*Site) {}
	}
	r := &Registry{o: o, files: map[string]*loaded{}}
	r.current.Store(&set{})
	w, err := watch(o.Dir, o.Log, r.Reload) // before the first load: what changes during it is seen
	if err != nil {
		return nil, err
	}
	r.watcher = w
	r.mu.Lock()
	err = r.load(func([]*Site) {})
	r.mu.Unlock()
	if err != nil {
		w.close()
		return nil, err
	}
	w.start()
	return r, nil
}

// Close ends the watch. Get goes on answering.
func (r *Registry) Close() error {
	r.watcher.close()
	return nil
}

// Get finds a site. It allocates nothing and takes no lock.
func (r *Registry) Get(id string) (*Site, bool) {
	s, ok := r.current.Load().byID[id]
	return s, ok
}

// All lists the sites, sorted by id.
func (r *Registry) All() []*Site { return slices.Clone(r.current.Load().sorted) }

// Problems lists what is wrong with the files as they are now, sorted by place.
func (r *Registry) Problems() []Problem { return slices.Clone(r.current.Load().problems) }

// Reload reads the directory now, instead of when a change is noticed.
func (r *Registry) Reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(r.o.OnChange); err != nil {
		old := r.current.Load()
		r.publish(&set{old.byID, old.sorted, []Problem{unreadable(r.o.Dir, err)}})
	}
}

// load reads the directory and swaps the set. It fails only when the directory cannot be listed. mu is held.
func (r *Registry) load(changed func([]*Site)) error {
	paths, err := siteFiles(r.o.Dir)
	if err != nil {
		return err
	}
	files := make(map[string]*loaded, len(paths))
	for _, path := range paths {
		files[path] = r.loadFile(path, r.files[path])
	}
	r.files = files
	next := r.gather(paths)
	if !maps.Equal(next.byID, r.current.Load().byID) {
		changed(slices.Clone(next.sorted))
	}
	r.publish(next)
	return nil
}

// loadFile reads one file: unchanged, it is what it was; broken, its last good version stays.
func (r *Registry) loadFile(path string, before *loaded) *loaded {
	if before == nil {
		before = new(loaded)
	}
	data, err := readFile(path)
	if err != nil {
		return &loaded{problems: []Problem{unreadable(path, err)}, site: before.site, at: before.at}
	}
	if before.data != nil && bytes.Equal(data, before.data) && !before.retry() {
		return before
	}
	c, problems := parse(path, data)
	next := &loaded{data: data, problems: problems, site: before.site, at: before.at}
	if hasErrors(problems) {
		return next
	}
	s, err := r.build(path, c)
	if err != nil {
		next.problems = append(problems, Problem{File: path, Severity: Error, Code: CodeSecret, Text: err.Error()})
		return next
	}
	s.Source = data
	next.site, next.at = s, c.at
	return next
}

// retry reports whether the same bytes may come to something better: a secret that can be read by now.
func (l *loaded) retry() bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Code == CodeSecret })
}

func (r *Registry) build(path string, c *config) (*Site, error) {
	secret, err := r.o.Secret(c.Site)
	if err != nil {
		return nil, err
	}
	return c.build(path, secret)
}

// gather makes a set of the files. Of two that claim one site, the one that serves it now keeps it, else the
// first by name.
func (r *Registry) gather(paths []string) *set {
	next := &set{byID: map[string]*Site{}}
	owners := map[string]owner{}
	for _, incumbents := range []bool{true, false} {
		for _, path := range paths {
			f := r.files[path]
			if f.site == nil || r.serves(f.site) != incumbents {
				continue
			}
			if first, taken := owners[f.site.ID]; taken {
				next.problems = append(next.problems, duplicate(f.site.ID, owner{path, f.at}, first))
				continue
			}
			owners[f.site.ID] = owner{path, f.at}
			next.byID[f.site.ID] = f.site
		}
	}
	for _, path := range paths {
		next.problems = append(next.problems, r.files[path].problems...)
	}
	sorted(next.problems)
	next.sorted = slices.SortedFunc(maps.Values(next.byID), func(a, b *Site) int { return strings.Compare(a.ID, b.ID) })
	return next
}

// serves reports whether the file of s serves the id of s now.
func (r *Registry) serves(s *Site) bool {
	now, ok := r.current.Load().byID[s.ID]
	return ok && now.File == s.File
}

// publish swaps the set and logs what is new in it.
func (r *Registry) publish(next *set) {
	before := r.current.Swap(next)
	for _, p := range next.problems {
		if slices.Contains(before.problems, p) {
			continue
		}
		level := slog.LevelError
		if p.Severity == Warning {
			level = slog.LevelWarn
		}
		r.o.Log.Log(context.Background(), level, "site configuration: "+p.Text, "file", p.File, "line", p.Line, "column", p.Column, "key", p.Key, "code", p.Code)
	}
	if !maps.Equal(before.byID, next.byID) {
		r.o.Log.Info("sites loaded", "sites", slices.Sorted(maps.Keys(next.byID)))
	}
}

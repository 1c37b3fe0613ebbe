package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/consentd/consentd/server"
	"github.com/consentd/consentd/server/camera"
	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/measure"
)

// photographer takes pictures of what sites publish: each wording, light and dark, on a phone and on a desk, as the
// current script and the pages of this server show it. A picture is kept under its hash, and the hash is logged with what it shows.
type photographer struct {
	n      *node
	mu     sync.Mutex    // one session at a time
	wanted chan struct{} // a publication may have changed something; holds one
}

// settle is how long after a publication pictures are taken: a site that is being edited changes several times a
// minute.
const settle = 10 * time.Second

// Sites whose pictures could not be taken are tried again, after a pause that doubles as long as any fails.
const firstAgain, lastAgain = 15 * time.Second, time.Hour

// openSnapshots starts the photographer, if there is a Chromium. It never holds up anything else.
func (n *node) openSnapshots() error {
	if n.flags.Snapshots == "off" {
		return nil
	}
	if _, err := measure.Find(); err != nil {
		n.log.Info("texts are not photographed", "why", err)
		return nil
	}
	n.work("photographing", func(ctx context.Context) error { n.photographer.run(ctx); return nil })
	n.photographer.want()
	return nil
}

// want asks for pictures of what has none yet.
func (p *photographer) want() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

func (p *photographer) run(ctx context.Context) {
	var again <-chan time.Time // nil: nothing failed
	pause := firstAgain
	for {
		select {
		case <-p.wanted:
		case <-again:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(settle):
		case <-ctx.Done():
			return
		}
		failed := false
		for _, st := range p.n.sites.All() {
			if _, err := p.shoot(ctx, st.ID); err != nil && ctx.Err() == nil {
				failed = true
				p.n.log.Warn("photographing texts", "site", st.ID, "error", err, "again_in", pause)
			}
		}
		if again = nil; failed {
			again = time.After(pause)
			pause = min(2*pause, lastAgain)
		} else {
			pause = firstAgain
		}
	}
}

// windows are what pictures are taken in, CSS pixels.
var windows = [...]struct {
	device        string
	width, height int64
}{{"desktop", 1280, 800}, {"phone", 375, 740}}

// shoot takes the pictures of a site that are not in the log yet, and says how many that were.
func (p *photographer) shoot(ctx context.Context, siteID string) (taken int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stage, looks, err := p.n.server.Load().Stage(siteID)
	if err != nil {
		return 0, err
	}
	missing, err := p.missing(siteID, looks)
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	path, err := measure.Find()
	if err != nil {
		return 0, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	desk := &http.Server{Handler: stage, ReadHeaderTimeout: 10 * time.Second}
	go desk.Serve(ln)
	defer desk.Close()
	c, err := camera.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	film := film{camera: c, base: "http://" + ln.Addr().String()}
	for _, m := range missing {
		if err := p.take(ctx, &film, m); err != nil {
			return taken, err
		}
		taken++
	}
	p.n.log.Info("texts photographed", "site", siteID, "pictures", taken)
	return taken, nil
}

// pose is one picture to take.
type pose struct {
	server.Look
	about  consent.SnapshotAbout
	window struct{ width, height int64 }
}

// missing lists what the log has no picture of.
func (p *photographer) missing(siteID string, looks []server.Look) (all []pose, err error) {
	type key struct{ wording, bundle, device, scheme string }
	known := map[key]bool{}
	err = p.n.ledger.Publications(siteID, consent.PublishedSnapshot, func(_ uint64, pub *consent.Publication) error {
		var a consent.SnapshotAbout
		if err := json.Unmarshal(pub.About, &a); err != nil {
			return err
		}
		known[key{a.Wording, a.Bundle, a.Device, a.Scheme}] = true
		return nil
	})
	for _, l := range looks {
		for _, w := range windows {
			for _, scheme := range []string{"light", "dark"} {
				if !known[key{l.Wording.Hash.String(), l.Bundle.String(), w.device, scheme}] {
					all = append(all, pose{Look: l, window: struct{ width, height int64 }{w.width, w.height},
						about: consent.SnapshotAbout{Bundle: l.Bundle.String(), Device: w.device, Page: l.Page, Scheme: scheme, Width: int(w.width)}})
				}
			}
		}
	}
	return all, err
}

// film remembers the pictures of the page before: the rows of a preference centre are several wordings on one.
type film struct {
	camera *camera.Camera
	base   string
	path   string
	shots  map[string]shot // by device and scheme
}

type shot struct {
	png    []byte
	height int64
}

func (f *film) expose(m pose) (shot, error) {
	if f.path != m.Path {
		f.path, f.shots = m.Path, map[string]shot{}
	}
	how := m.about.Device + m.about.Scheme
	if s, done := f.shots[how]; done {
		return s, nil
	}
	png, height, err := f.camera.Take(camera.Shot{URL: f.base + m.Path, Width: m.window.width, Height: m.window.height, Phone: m.about.Device == "phone",
		Scheme: m.about.Scheme, Ready: m.Ready})
	if err == nil {
		f.shots[how] = shot{png, height}
	}
	return f.shots[how], err
}

func (p *photographer) take(ctx context.Context, f *film, m pose) error {
	s, err := f.expose(m)
	if err != nil {
		return err
	}
	m.about.Height = int(s.height)
	pub, err := consent.NewSnapshot(m.Wording, s.png, m.about)
	if err != nil {
		return err
	}
	if err := keepPicture(p.n.flags.snapshots(), pub.Hash, s.png); err != nil {
		return err
	}
	return p.n.ledger.Announce(ctx, pub)
}

// keepPicture writes a picture under its hash: whole and on disk before it has its name.
func keepPicture(dir string, h consent.Hash, png []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("keeping a picture: %w", err)
	}
	_, err = f.Write(png)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, h.String()+".png"))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keeping a picture: %w", err)
	}
	return keyfile.SyncDir(dir)
}

// picture reads one; fs.ErrNotExist when there is none.
func (n *node) picture(h consent.Hash) ([]byte, error) {
	return os.ReadFile(filepath.Join(n.flags.snapshots(), h.String()+".png"))
}

// snapshotHandler lets the command ask a running server.
func (n *node) snapshotHandler(w http.ResponseWriter, r *http.Request) {
	taken, err := n.photographer.shoot(r.Context(), r.PathValue("site"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]int{"taken": taken})
}

type snapshotCmd struct {
	adminFlags
	Site string `help:"Id of the site." required:"" placeholder:"ID"`
}

func (c *snapshotCmd) Help() string {
	return `Has the running server photograph each text the site publishes (every surface and language, light and dark, on a
phone and on a desk) as its current script shows it, and the server's own pages: hosted forms, confirming, the
preference centre and unsubscribing, drawn for nobody in particular. Pictures lie in DATA/snapshots under their SHA-256, which the
log names with its time. What has a picture already is passed over. A server that finds a Chromium does this by
itself after each publication.

Example: consentd snapshot --site shop`
}

func (c *snapshotCmd) Run(ctx context.Context, s streams) error {
	body, err := c.ask(ctx, http.MethodPost, "/snapshot/"+url.PathEscape(c.Site), nil)
	if err != nil {
		return err
	}
	var answer struct{ Taken int }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	fmt.Fprintln(s.out, answer.Taken, "pictures taken")
	return nil
}

package server

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// view is one version of a site's configuration, prepared so that handlers only look things up. Its maps do
// not change once it is published.
type view struct {
	site    *site.Site
	rules   *admit.Rules
	shown   map[consent.Hash]*admit.Shown       // current wordings
	docs    map[consent.Hash]*consent.Published // current wordings
	asked   []asked                             // sorted by id
	all     []*asked                            // all of them
	devices []*asked                            // those a device decides on
	scripts *scripts                            // built when they are asked for
	hosted  func() (*hosted, error)             // prepares once, keeps the outcome

	older      sync.Map // consent.Hash → *admit.Shown: wordings of earlier configurations, once met
	superseded superseded

	published atomic.Bool
	publishMu sync.Mutex // held while publishing
	announced sync.Map   // Hash of each script that is in the log
}

// asked is a purpose a person decides on, ready to be answered about.
type asked struct {
	id      string
	key     string // as a JSON member: `"newsletter":`
	channel consent.Channel
	use     consent.Use
	rule    consent.Rule
}

// site finds a site by a name that may be a view into a request.
func (s *Server) site(id string) (*view, error) {
	st, ok := s.opt.Sites.Get(id)
	if !ok {
		return nil, refuse(404, codeUnknownSite, "")
	}
	if v := (*s.views.Load())[st]; v != nil {
		return v, nil
	}
	return s.prepare(st)[0], nil
}

// Prepare does ahead of the first request what would otherwise wait for it: it publishes the wordings of sites
// and builds their scripts. A registry calls it with a new set before it answers from it. The error joins what
// went wrong; each site that failed is tried again when it is asked for.
func (s *Server) Prepare(sites []*site.Site) error {
	var errs []error
	for _, v := range s.prepare(sites...) {
		if err := s.publish(v); err != nil {
			errs = append(errs, err)
			continue
		}
		b, _, err := v.scripts.pick("", "")
		if err == nil {
			err = s.announce(v, b)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// prepare gives the views of configurations, making those that are new, and forgets the ones that are gone.
func (s *Server) prepare(sites ...*site.Site) []*view {
	s.viewsMu.Lock()
	defer s.viewsMu.Unlock()
	old := *s.views.Load()
	views := make(map[*site.Site]*view, len(old)+len(sites))
	for _, st := range s.opt.Sites.All() {
		if v := old[st]; v != nil {
			views[st] = v
		}
	}
	made := make([]*view, 0, len(sites))
	for _, st := range sites {
		v := old[st]
		if v == nil {
			v = s.newView(st)
		}
		views[st] = v
		made = append(made, v)
	}
	s.views.Store(&views)
	return made
}

func (s *Server) newView(st *site.Site) *view {
	v := &view{site: st, rules: admit.NewRules(st.Site, st.AllowsOrigin),
		shown: make(map[consent.Hash]*admit.Shown), docs: make(map[consent.Hash]*consent.Published)}
	for _, w := range st.Published {
		v.shown[w.Hash], v.docs[w.Hash] = admit.NewShown(&w.Wording, w.Hash), w
	}
	for i, id := range v.rules.Asked {
		p, _ := st.Purpose(id)
		key := append(consent.AppendJSONString(nil, id), ':')
		v.asked = append(v.asked, asked{id: id, key: string(key), channel: p.Channel, use: p.Use,
			rule: consent.Rule{Lifetime: st.Lifetime(p), Inactive: p.Inactive, Superseded: func(h consent.Hash) bool { return s.outdated(v, i, h) }}})
	}
	for i := range v.asked {
		v.all = append(v.all, &v.asked[i])
		if p, _ := st.Purpose(v.asked[i].id); p.OnBanner() {
			v.devices = append(v.devices, &v.asked[i])
		}
	}
	v.scripts = newScripts(s.bundles, st)
	v.hosted = sync.OnceValues(func() (*hosted, error) { return newHosted(st) })
	return v
}

// publish makes the current wordings known to the ledger before anybody can answer them: a proof never names
// a text that is not kept.
func (s *Server) publish(v *view) error {
	if v.published.Load() {
		return nil
	}
	v.publishMu.Lock()
	defer v.publishMu.Unlock()
	if v.published.Load() {
		return nil
	}
	h, err := v.hosted()
	if err != nil {
		return err
	}
	for _, w := range append(h.wordings(), v.site.Published...) {
		if err := s.opt.Ledger.Publish(s.ctx, w); err != nil {
			return fmt.Errorf("publishing wording: %w", err)
		}
	}
	if err := s.announceConfig(v); err != nil {
		return err
	}
	v.published.Store(true)
	return nil
}

// findShown finds what hash stands for on this site, now or ever; nil: nothing. A tab opened before a change
// of configuration answers the old wording, and is right to.
func (s *Server) findShown(v *view, hash string) (*admit.Shown, error) {
	h, err := consent.ParseHash(hash)
	if err != nil {
		return nil, nil
	}
	if w := v.shown[h]; w != nil {
		return w, nil
	}
	if w, ok := v.older.Load(h); ok {
		return w.(*admit.Shown), nil
	}
	pub, err := s.opt.Ledger.Wording(v.site.ID, h)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := admit.ParseShown(pub)
	if err == nil {
		v.older.Store(h, w)
	}
	return w, err
}

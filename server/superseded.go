package server

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/consentd/consentd/storage/consent"
)

// superseded knows which wordings no longer cover what a view asks, of those that lookups have met. A lookup of a
// grant asks it each time, so that asking is one read of a map nobody writes to; meeting a wording for the first time
// makes a new map.
type superseded struct {
	met atomic.Pointer[map[consent.Hash][]bool] // by purpose, parallel to view.asked; nil: all are covered
	mu  sync.Mutex                              // held while met grows
}

// outdated tells whether a grant of the i-th purpose v asks, given under the wording h, no longer covers it. A wording
// that is not known here is not, nor is one that cannot be read just now: neither is remembered.
func (s *Server) outdated(v *view, i int, h consent.Hash) bool {
	if met := v.superseded.met.Load(); met != nil {
		if by, ok := (*met)[h]; ok {
			return by != nil && by[i]
		}
	}
	by, err := s.meet(v, h)
	return err == nil && by != nil && by[i]
}

func (s *Server) meet(v *view, h consent.Hash) ([]bool, error) {
	var by []bool
	if v.docs[h] == nil { // what is shown now covers what is asked now
		pub, err := s.opt.Ledger.Wording(v.site.ID, h)
		if err != nil {
			return nil, err
		}
		w, err := consent.ParseWording(pub.Doc)
		if err != nil {
			return nil, err
		}
		by = v.supersededBy(w)
	}
	v.superseded.mu.Lock()
	defer v.superseded.mu.Unlock()
	met := map[consent.Hash][]bool{h: by}
	if old := v.superseded.met.Load(); old != nil {
		maps.Copy(met, *old)
	}
	v.superseded.met.Store(&met)
	return by, nil
}

// supersededBy judges w for each purpose asked; nil: it covers them all.
func (v *view) supersededBy(w *consent.Wording) (by []bool) {
	for i := range v.asked {
		p, _ := v.site.Purpose(v.asked[i].id)
		if v.site.Superseded(w, p) {
			if by == nil {
				by = make([]bool, len(v.asked))
			}
			by[i] = true
		}
	}
	return by
}

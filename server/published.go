package server

import (
	"bytes"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// announceConfig logs the configuration that is in force from now on.
func (s *Server) announceConfig(v *view) error {
	if len(v.site.Source) == 0 {
		return nil
	}
	if err := s.opt.Ledger.Announce(s.ctx, consent.NewConfig(v.site.ID, v.site.Source)); err != nil {
		return fmt.Errorf("logging the configuration: %w", err)
	}
	return nil
}

// announce logs a script before anybody gets it: what ran in a visitor's browser has its time in the log.
func (s *Server) announce(v *view, b *widget.Bundle) error {
	if _, known := v.announced.Load(b.Hash); known {
		return nil
	}
	p, err := bundlePublication(v, b)
	if err != nil {
		return err
	}
	if err := s.opt.Ledger.Announce(s.ctx, p); err != nil {
		return fmt.Errorf("logging a script: %w", err)
	}
	v.announced.Store(b.Hash, struct{}{})
	s.announced.Store(b.Hash, struct{}{})
	return nil
}

// bundlePublication names the wordings whose hashes a script carries, and the language of a script that speaks one
// of several.
func bundlePublication(v *view, b *widget.Bundle) (*consent.Publication, error) {
	var carried []consent.Hash
	locales := map[string]bool{}
	for _, w := range v.site.Published {
		if bytes.Contains(b.JS, []byte(w.Hash.String())) {
			carried = append(carried, w.Hash)
			locales[w.Locale] = true
		}
	}
	locale := ""
	if len(locales) == 1 && len(v.site.Locales) > 1 {
		for locale = range locales {
		}
	}
	return consent.NewBundle(v.site.ID, locale, b.JS, carried)
}

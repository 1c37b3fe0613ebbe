package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
)

type sealCmd struct {
	dataFlags
	Rotate bool `help:"Make a new key, which seals from now on."`
}

func (c *sealCmd) Help() string {
	return `E-mail addresses and phone numbers are stored sealed (AES-256-GCM). Keys are added, never removed: what an old
one sealed may lie in ClickHouse or in a backup. A running server uses a new key within two seconds.

Example: consentd seal --rotate`
}

func (c *sealCmd) Run(s streams) error {
	keys, err := site.OpenSealKeys(c.seal())
	if err != nil {
		return err
	}
	if !c.Rotate {
		return fmt.Errorf("nothing to do; rotate the sealing keys with: consentd seal --rotate")
	}
	if err := keys.Rotate(); err != nil {
		return err
	}
	fmt.Fprintln(s.err, "a new key seals from now on")
	return nil
}

// sealer seals with the ring as it is on disk: another process may add keys.
type sealer struct{ keys *site.SealKeys }

func (s sealer) Seal(siteID string, kind consent.Kind, value string) []byte {
	return s.keys.Ring().Seal(siteID, kind, value)
}

func (s sealer) Open(siteID string, kind consent.Kind, sealed []byte) (string, error) {
	return s.keys.Ring().Open(siteID, kind, sealed)
}

// watch reads the ring again and again until ctx ends.
func (s sealer) watch(ctx context.Context, log *slog.Logger) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
			if err := s.keys.Reload(); err != nil {
				log.Error("reading the sealing keys again; those known stay in use", "error", err)
			}
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

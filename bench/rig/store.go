package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/storage/consent"
)

// Prefill starts the program once, so that its data directory is laid out and its wordings are published,
// stops it, and appends n subjects to its ledger. A directory that was filled with as many before is left as
// it is.
func (c *Consentd) Prefill(ctx context.Context, n uint64, shipped bool, progress func(done uint64)) error {
	mark := filepath.Join(c.Dir, fmt.Sprintf("filled-%d-%t", n, shipped))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := c.Start(ctx, NoWarehouse); err != nil {
		return err
	}
	shown, err := c.Banner(ctx)
	if stopped := c.Stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	dir, err := c.below("MANIFEST-*")
	if err != nil {
		return err
	}
	keyer, err := c.keyer()
	if err != nil {
		return err
	}
	if err := Fill(ctx, dir, Population{N: n, Shown: shown, Keyer: keyer}, shipped, progress); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

// keyer reads the site's secret, which the program made at its first start.
func (c *Consentd) keyer() (*consent.Keyer, error) {
	dir, err := c.below(Site + ".key")
	if err != nil {
		return nil, err
	}
	secrets, err := keyfile.Open(dir)
	if err != nil {
		return nil, err
	}
	secret, err := secrets.Get(Site)
	if err != nil {
		return nil, err
	}
	return consent.NewKeyer(secret)
}

// below finds the one folder in the data directory, at most two deep, that holds a file called like pattern.
// How the program names its folders is its own business.
func (c *Consentd) below(pattern string) (dir string, err error) {
	var found []string
	for _, depth := range []string{"", "*", filepath.Join("*", "*")} {
		match, err := filepath.Glob(filepath.Join(c.Data(), depth, pattern))
		if err != nil {
			return "", err
		}
		for _, m := range match {
			if d := filepath.Dir(m); len(found) == 0 || found[len(found)-1] != d {
				found = append(found, d)
			}
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("rig: %d folders below %s hold %s, want one", len(found), c.Data(), pattern)
	}
	return found[0], nil
}

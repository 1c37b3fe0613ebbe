package site

import (
	"fmt"
	"math"
	"sync/atomic"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/storage/consent"
)

// Secrets gives each site its secret, from which subject keys are derived. Losing a secret makes every stored
// subject key of the site unanswerable; who has it can test guesses of e-mail addresses against the keys.
type Secrets struct {
	dir *keyfile.Dir
}

// OpenSecrets opens a directory of site secrets: {site}.key each.
func OpenSecrets(dir string) (*Secrets, error) {
	d, err := keyfile.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Secrets{d}, nil
}

// Site gives the 32 bytes of a site, made on first use. It fits Options.Secret.
func (s *Secrets) Site(id string) ([]byte, error) {
	if !consent.ValidSiteID(id) {
		return nil, fmt.Errorf("reading the secret of a site: %.60q is no site id", id)
	}
	return s.dir.GetOrCreate(id)
}

// SealKeys is the ring of keys that seal identifiers wherever they are stored. The newest seals, all of them
// open; none is ever removed, for something sealed with it may exist in a warehouse or a backup.
type SealKeys struct {
	dir  *keyfile.Dir
	ring atomic.Pointer[consent.KeyRing]
}

// maxSealKeys: a sealed value carries the number of its key in one byte.
const maxSealKeys = math.MaxUint8

// OpenSealKeys opens a directory of sealing keys, 0001.key to 0255.key, making the first when there is none.
func OpenSealKeys(dir string) (*SealKeys, error) {
	d, err := keyfile.Open(dir)
	if err != nil {
		return nil, err
	}
	k := &SealKeys{dir: d}
	return k, k.Reload()
}

// Ring is the keys as last read.
func (k *SealKeys) Ring() *consent.KeyRing { return k.ring.Load() }

// Reload reads the directory again, for keys another process added.
func (k *SealKeys) Reload() error {
	files, err := k.dir.Numbered()
	if err != nil {
		return fmt.Errorf("reading sealing keys: %w", err)
	}
	keys := make(map[byte][]byte, len(files))
	for n, key := range files {
		if n > maxSealKeys {
			return fmt.Errorf("reading sealing keys: number %d; the highest is %d", n, maxSealKeys)
		}
		keys[byte(n)] = key
	}
	ring, err := consent.NewKeyRing(keys)
	if err != nil {
		return fmt.Errorf("reading sealing keys: %w", err)
	}
	k.ring.Store(ring)
	return nil
}

// Rotate adds a key, which seals from now on in this process. Others go on with the one before until they
// Reload, and cannot open what the new one sealed until then.
func (k *SealKeys) Rotate() error {
	if _, err := k.dir.Add(maxSealKeys); err != nil {
		return fmt.Errorf("rotating the sealing key: %w", err)
	}
	return k.Reload()
}

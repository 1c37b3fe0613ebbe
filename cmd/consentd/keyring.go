package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/storage/ledger"
)

// keyRegister holds the key files of a data directory against what the ledger knows of them: a fingerprint each. A key
// that is lost or replaced is then told by its name. A new one in its place, made without a word, would answer "never
// asked" for everybody, refuse every token and every link.
type keyRegister struct {
	dir    string // DATA/keys
	ledger *ledger.Ledger
}

// keySpace is the space of notes: key, path below DATA/keys without .key; value, the fingerprint.
const keySpace = "keys"

// keyFingerprint does not lead to the secret, which is random.
func keyFingerprint(secret []byte) string {
	sum := sha256.Sum256(append([]byte("consentd key file v1\x00"), secret...))
	return string(sum[:16])
}

// known reads the ledger's list.
func (k *keyRegister) known() (map[string]string, error) {
	all := map[string]string{}
	err := k.ledger.Notes(keySpace, nil, func(key, value []byte) error { all[string(key)] = string(value); return nil })
	return all, err
}

// check compares before anything makes a key, and notes what was let go of.
func (k *keyRegister) check(ctx context.Context) error {
	settled, err := k.compare()
	if err != nil {
		return err
	}
	return k.note(ctx, settled)
}

// look compares and changes nothing.
func (k *keyRegister) look() error {
	_, err := k.compare()
	return err
}

// compare names every key that is not what the ledger knows. settled is what was removed or replaced on purpose.
func (k *keyRegister) compare() (settled []ledger.Note, err error) {
	known, err := k.known()
	if err == nil {
		err = k.checkDir(len(known))
	}
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(known)) {
		note, err := k.checkOne(name, known[name])
		if err != nil {
			wrong = append(wrong, err)
		}
		if note != nil {
			settled = append(settled, *note)
		}
	}
	return settled, errors.Join(wrong...)
}

// note writes what is new of keys. One that is there is to be missed from now on, whatever was let go of before.
func (k *keyRegister) note(ctx context.Context, notes []ledger.Note) error {
	if len(notes) == 0 {
		return nil
	}
	if err := k.ledger.SetNotes(ctx, notes...); err != nil {
		return err
	}
	for _, n := range notes {
		if n.Value == nil {
			continue
		}
		d, base, err := k.file(string(n.Key))
		if err == nil {
			err = d.Recall(base)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file is the directory of a key, and its name there.
func (k *keyRegister) file(name string) (d *keyfile.Dir, base string, err error) {
	dir, base := filepath.Split(filepath.Join(k.dir, filepath.FromSlash(name)))
	d, err = keyfile.At(dir)
	return d, base, err
}

// checkDir tells the loss of all keys, also of a ledger that has not listed them yet.
func (k *keyRegister) checkDir(known int) error {
	_, err := os.Stat(k.dir)
	used := known > 0 || k.ledger.Next(0) > 0
	if errors.Is(err, fs.ErrNotExist) && used {
		return fmt.Errorf("%s is missing, and the ledger has %d proofs made with the keys in it: nobody in it can be looked up without them. Put it back from a backup, or: consentd restore", k.dir, k.ledger.Next(0))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// checkOne compares a file with its fingerprint. A note says what to write: the key was removed or replaced on purpose.
func (k *keyRegister) checkOne(name, fingerprint string) (*ledger.Note, error) {
	d, base, err := k.file(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.Path(), base+".key")
	let, err := d.LetGo(base)
	if err != nil {
		return nil, err
	}
	secret, err := d.Get(base)
	switch {
	case errors.Is(err, fs.ErrNotExist) && let:
		return &ledger.Note{Space: keySpace, Key: []byte(name)}, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key %s is missing. Put it back from a backup; or, if it was removed on purpose: consentd keys --forget %s", path, name)
	case err != nil:
		return nil, err
	case keyFingerprint(secret) == fingerprint:
		return nil, nil
	case let:
		return &ledger.Note{Space: keySpace, Key: []byte(name), Value: []byte(keyFingerprint(secret))}, nil
	}
	return nil, fmt.Errorf("the key %s is not the one this ledger was written with. Put the old one back from a backup; or, if it was replaced on purpose: consentd keys --forget %s", path, name)
}

// files lists the key files there are.
func (k *keyRegister) files() (names []string, err error) {
	err = filepath.WalkDir(k.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		name, ok := strings.CutSuffix(path, ".key")
		if !ok || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		rel, err := filepath.Rel(k.dir, name)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

// add lists files that are new: of a site, or of another process that rotated.
func (k *keyRegister) add(ctx context.Context) error {
	known, err := k.known()
	if err != nil {
		return err
	}
	names, err := k.files()
	if err != nil {
		return err
	}
	var notes []ledger.Note
	for _, name := range names {
		if _, ok := known[name]; ok {
			continue
		}
		d, base, err := k.file(name)
		if err != nil {
			return err
		}
		secret, err := d.Get(base)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, keyfile.ErrName) { // removed since, or no key of ours
			continue
		}
		if err != nil {
			return err
		}
		notes = append(notes, ledger.Note{Space: keySpace, Key: []byte(name), Value: []byte(keyFingerprint(secret))})
	}
	return k.note(ctx, notes)
}

// checkKeys comes before anything that makes keys.
func (n *node) checkKeys(ctx context.Context) error {
	n.keys = &keyRegister{dir: n.flags.keys(), ledger: n.ledger}
	return n.keys.check(ctx)
}

// registerKeys lists the keys that the start made, and goes on listing new ones.
func (n *node) registerKeys(ctx context.Context) error {
	if err := n.keys.add(ctx); err != nil && !errors.Is(err, ledger.ErrNoSpace) && !errors.Is(err, ledger.ErrSuspended) {
		return err
	}
	n.work("listing the keys", func(ctx context.Context) error {
		for tick := time.NewTicker(keysEvery); ; {
			select {
			case <-tick.C:
				if err := n.keys.add(ctx); err != nil && ctx.Err() == nil {
					n.log.Warn("listing new keys in the ledger; tried again", "error", err)
				}
			case <-ctx.Done():
				tick.Stop()
				return nil
			}
		}
	})
	return nil
}

// keysEvery is how soon a key that another process made is listed: what is lost before is not missed.
const keysEvery = 2 * time.Second

package token

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/consentd/consentd/server/keyfile"
)

// revocations is a directory with one empty file for each revoked id, named <jti>.<unix seconds>: the id, and
// until when it has to be remembered.
//
// # Why a file each
//
// Two processes can revoke at once without a lock and without losing either; one listing reads them all; and
// pruning is a removal. One shared file would need all three built.
type revocations string

// keepMargin is added to the longest life a token can have, so that a clock that ran ahead for a while has not
// made a revoked token good again.
const keepMargin = 30 * 24 * time.Hour

var revocationName = regexp.MustCompile(`^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([0-9]{1,12})$`)

func openRevocations(path string) (revocations, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making the directory of revocations: %w", err)
	}
	return revocations(path), nil
}

// add makes the revocation durable.
func (d revocations) add(jti string, now time.Time) error {
	name := jti + "." + strconv.FormatInt(now.Add(MaxTTL+keepMargin).Unix(), 10)
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing a revocation: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing a revocation: %w", err)
	}
	return keyfile.SyncDir(string(d))
}

// read lists the revoked ids, and removes those that no longer matter: every token they could mean has expired.
func (d revocations) read(now time.Time) (map[string]struct{}, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("listing revocations: %w", err)
	}
	ids := make(map[string]struct{}, len(entries))
	for _, e := range entries {
		m := revocationName.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, fmt.Errorf("listing revocations: %s does not belong in %s; remove it", e.Name(), d)
		}
		until, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("listing revocations: %w", err)
		}
		if until > now.Unix() {
			ids[m[1]] = struct{}{}
			continue
		}
		if err := os.Remove(filepath.Join(string(d), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("pruning revocations: %w", err)
		}
	}
	return ids, nil
}

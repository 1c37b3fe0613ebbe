package backup

import (
	"bufio"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// Fingerprint names a subject in a journal: HMAC-SHA-256 under the site's secret, 16 bytes, in hex. It is not the
// subject key, and does not lead to it.
func Fingerprint(secret []byte, key consent.SubjectKey) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("consentd erasure v1\x00"))
	mac.Write(key[:])
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// Journal is a file of erasures, one a line, appended to only. A restored backup brings back who was erased after it;
// the journal is what tells.
type Journal struct{ Path string }

// Note appends; it is on disk when Note returns. Lines are short: writers of several processes do not mix them.
func (j Journal) Note(all ...consent.Erasure) (err error) {
	var lines []byte
	for _, e := range all {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	f, err := os.OpenFile(j.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("noting an erasure: %w", err)
	}
	if torn, tornErr := endsTorn(f); tornErr != nil {
		err = tornErr
	} else if torn {
		lines = append([]byte{'\n'}, lines...)
	}
	if err == nil {
		_, err = f.Write(lines)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = syncDir(filepath.Dir(j.Path))
	}
	if err != nil {
		return fmt.Errorf("noting an erasure: %w", err)
	}
	return nil
}

// endsTorn: the last line was cut short by a crash; it was not acknowledged.
func endsTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return last[0] != '\n', err
}

// Read gives what is noted; none when there is no file. Of a line that is not whole nothing was acknowledged: it is
// passed over, and torn says so.
func (j Journal) Read() (all []consent.Erasure, torn int, err error) {
	f, err := os.Open(j.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading who was erased: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		var e consent.Erasure
		if len(line) > 1 {
			if json.Unmarshal(line, &e) == nil && e.Site != "" && e.Who != "" {
				all = append(all, e)
			} else {
				torn++
			}
		}
		if errors.Is(err, io.EOF) {
			return all, torn, nil
		}
		if err != nil {
			return all, torn, fmt.Errorf("reading who was erased: %w", err)
		}
	}
}

// Union is every erasure of lists once, the latest of a person.
func Union(lists ...[]consent.Erasure) (all []consent.Erasure) {
	type person struct{ site, who string }
	at := map[person]consent.Millis{}
	for _, e := range slices.Concat(lists...) {
		p := person{e.Site, e.Who}
		at[p] = max(at[p], e.At)
	}
	for p, t := range at {
		all = append(all, consent.Erasure{Site: p.site, Who: p.who, At: t})
	}
	slices.SortFunc(all, func(a, b consent.Erasure) int { return cmp.Compare(a.At, b.At) })
	return all
}

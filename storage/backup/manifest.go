package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ManifestName is the file that says what a backup holds.
const ManifestName = "manifest.json"

const (
	format  = "consentd-backup"
	version = 1
)

// Engine says how the rows that were shipped are in a backup.
type Engine string

// What there is to say.
const (
	EngineCopied   Engine = "copied"   // engine/ holds the embedded ClickHouse
	EngineExternal Engine = "external" // they are in another ClickHouse, which has backups of its own
	EngineAbsent   Engine = "absent"   // none was running
)

// Manifest is what a backup says of itself. The counts are lower bounds: writing went on meanwhile.
type Manifest struct {
	Format     string            `json:"format"`
	Version    int               `json:"version"`
	Program    string            `json:"program"` // version of consentd
	Edge       string            `json:"edge"`
	Instance   string            `json:"instance"` // of the ledger
	Generation uint32            `json:"generation"`
	Next       map[string]uint64 `json:"next"` // by stream, the first seq that may not be in it
	Taken      time.Time         `json:"taken"`
	Engine     Engine            `json:"engine"`
	Note       string            `json:"note,omitempty"`
	Files      []File            `json:"files"`
}

// File is a file of a backup.
type File struct {
	Path   string `json:"path"` // with slashes, below the backup
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// ErrNot means that a directory is no backup, or not a whole one.
var ErrNot = errors.New("backup: this is not a whole backup")

func (m *Manifest) write(dir string) error {
	doc, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, ManifestName), append(doc, '\n')); err != nil {
		return err
	}
	return syncDir(dir)
}

// Read gives the manifest of a backup, unverified.
func Read(path string) (*Manifest, error) {
	doc, err := os.ReadFile(filepath.Join(path, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s. Of a copy that an older consentd made, which is a ledger alone, the directory takes the place of DATA/ledger, and then: consentd repair --data DATA", ErrNot, path, ManifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(doc, &m); err != nil {
		return nil, fmt.Errorf("%w: reading its manifest: %w", ErrNot, err)
	}
	if m.Format != format || m.Version != version {
		return nil, fmt.Errorf("%w: it is of format %q version %d; this program reads %q version %d", ErrNot, m.Format, m.Version, format, version)
	}
	return &m, nil
}

// Verify reads a backup through and compares it with its manifest: ErrNot says what is missing, changed or too much.
func Verify(ctx context.Context, path string) (*Manifest, error) {
	m, err := Read(path)
	if err != nil {
		return nil, err
	}
	is, err := describe(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%w: reading it through: %w", ErrNot, err)
	}
	have := map[string]File{}
	for _, f := range is {
		have[f.Path] = f
	}
	var wrong []error
	for _, was := range m.Files {
		switch f, ok := have[was.Path]; {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s is missing", was.Path))
		case f != was:
			wrong = append(wrong, fmt.Errorf("%s is not what was written (%d bytes, were %d)", was.Path, f.Size, was.Size))
		}
		delete(have, was.Path)
	}
	for path := range have {
		wrong = append(wrong, fmt.Errorf("%s was not there", path))
	}
	if len(wrong) > 0 {
		return m, fmt.Errorf("%w: %w", ErrNot, errors.Join(wrong...))
	}
	return m, nil
}

// describe lists the files below dir, without the manifest.
func describe(ctx context.Context, dir string) (all []File, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == ManifestName {
			return err
		}
		f, err := describeFile(path)
		f.Path = filepath.ToSlash(name)
		all = append(all, f)
		return err
	})
	return all, err
}

func describeFile(path string) (f File, err error) {
	r, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer r.Close()
	sum := sha256.New()
	if f.Size, err = copyWhole(sum, r); err != nil {
		return f, err
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, nil
}

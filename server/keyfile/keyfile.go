// Package keyfile keeps secrets of 32 bytes in files: site secrets, sealing keys, token keys.
//
// It guarantees that a secret is either wholly on disk or absent (written aside, fsynced, then linked to its
// name, then the directory is fsynced), that two processes that create the same secret at once end up with the
// same one (linking to a name that exists fails), and that a secret others could read is refused rather than
// used: files are 0600, their directory 0700.
//
// It does not encrypt: who can read the directory as this user has the secrets. It never overwrites a secret.
//
// # Files
//
//	keyfile.go   Dir: named secrets
//	numbered.go  secrets named 0001, 0002 …: a ring whose highest number is the newest
//
// # Why text
//
// A file holds 64 hex digits and a line feed: it survives copy and paste, password managers and secret stores
// that only take text, and a truncated copy is noticed.
package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// Size is the length of every secret, in bytes.
const Size = 32

const (
	suffix   = ".key"
	fileMode = 0o600
	dirMode  = 0o700
)

// Errors of this package. A missing secret is fs.ErrNotExist.
var (
	ErrPermission = errors.New("keyfile: others can read this secret")
	ErrMalformed  = errors.New("keyfile: a secret file holds 64 hex digits (32 bytes) and nothing else")
	ErrName       = errors.New("keyfile: a name is made of a-z, 0-9 and -, at most 64 bytes")
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Dir is a directory of secrets. It holds no state of its own: several Dirs, also of several processes, may
// work on one directory at once.
type Dir struct {
	path string
}

// Open makes the directory (0700) when it is missing, and refuses one that others can enter.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, dirMode); err != nil {
		return nil, fmt.Errorf("making the directory of secrets: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of secrets: %w", err)
	}
	if err := private(info, path, dirMode); err != nil {
		return nil, err
	}
	return &Dir{path: path}, nil
}

// Path is the directory.
func (d *Dir) Path() string { return d.path }

// Get reads one secret.
func (d *Dir) Get(name string) ([]byte, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	if err := private(info, path, fileMode); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*Size+3)) // CR LF, and one byte more to notice a longer file
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	return parse(text, path)
}

func parse(text []byte, path string) ([]byte, error) {
	text = bytes.TrimRight(text, "\r\n")
	secret := make([]byte, Size)
	if len(text) != 2*Size {
		return nil, fmt.Errorf("%w: %s has %d", ErrMalformed, path, len(text))
	}
	if _, err := hex.Decode(secret, text); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, path)
	}
	return secret, nil
}

// GetOrCreate reads one secret, making a random one when it is missing. Whoever asks first, in this process or
// another, decides it for all.
func (d *Dir) GetOrCreate(name string) ([]byte, error) {
	secret, err := d.Get(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	secret, err = d.create(name)
	if !errors.Is(err, fs.ErrExist) {
		return secret, err
	}
	if err := SyncDir(d.path); err != nil { // another was first, and may not have come to this yet
		return nil, err
	}
	return d.Get(name)
}

// create makes a random secret; fs.ErrExist when the name is taken.
func (d *Dir) create(name string) ([]byte, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, Size)
	rand.Read(secret) // never returns an error (crypto/rand)
	aside, err := d.writeAside(secret)
	if err != nil {
		return nil, fmt.Errorf("writing a secret: %w", err)
	}
	defer os.Remove(aside)
	if err := os.Link(aside, path); err != nil { // unlike a rename, never replaces
		return nil, fmt.Errorf("naming a secret: %w", err)
	}
	if err := SyncDir(d.path); err != nil {
		return nil, err
	}
	return secret, nil
}

// writeAside gives the path of a complete, fsynced file that no reader looks at: its name starts with a dot.
func (d *Dir) writeAside(secret []byte) (path string, err error) {
	f, err := os.CreateTemp(d.path, ".new-*") // 0600
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(f, "%x\n", secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// At is a directory of secrets as it is, which may be missing: nothing is made.
func At(path string) (*Dir, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Dir{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the directory of secrets: %w", err)
	}
	if err := private(info, path, dirMode); err != nil {
		return nil, err
	}
	return &Dir{path: path}, nil
}

// removed ends the name of the file that says a secret was let go of on purpose.
const removed = ".removed"

// LetGo reports whether a secret was removed or replaced on purpose: by Remove or Forget.
func (d *Dir) LetGo(name string) (bool, error) {
	path, err := d.file(name)
	if err != nil {
		return false, err
	}
	_, err = os.Stat(strings.TrimSuffix(path, suffix) + removed)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Forget says that a secret was removed or replaced on purpose; one that is there stays.
func (d *Dir) Forget(name string) error {
	path, err := d.file(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(strings.TrimSuffix(path, suffix)+removed, os.O_CREATE|os.O_WRONLY, fileMode)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("noting that a secret is let go of: %w", err)
	}
	return SyncDir(d.path)
}

// Recall takes Forget back: the secret that is there now is one to be missed.
func (d *Dir) Recall(name string) error {
	path, err := d.file(name)
	if err != nil {
		return err
	}
	if err := os.Remove(strings.TrimSuffix(path, suffix) + removed); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Remove deletes a secret for good, and leaves word that it was on purpose.
func (d *Dir) Remove(name string) error {
	path, err := d.file(name)
	if err != nil {
		return err
	}
	if err := d.Forget(name); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing a secret: %w", err)
	}
	return SyncDir(d.path)
}

// Names lists the secrets, sorted.
func (d *Dir) Names() ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("listing secrets: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && namePattern.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *Dir) file(name string) (string, error) {
	if !namePattern.MatchString(name) {
		return "", fmt.Errorf("%w: %.80q", ErrName, name)
	}
	return filepath.Join(d.path, name+suffix), nil
}

// private refuses what group or others have any right to. Windows has no such bits to look at.
func private(info fs.FileInfo, path string, want fs.FileMode) error {
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s has mode %04o; run: chmod %o %s", ErrPermission, path, info.Mode().Perm(), want, path)
}

// SyncDir makes the names in a directory durable.
func SyncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing a directory: %w", err)
	}
	err = errors.Join(f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("syncing a directory: %w", err)
	}
	return nil
}

package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// Anchor is a place outside the ledger that remembers the last checkpoint of a log: *ledger.Ledger (which a backup
// takes along), a Directory, *warehouse.Warehouse. log is the name of the log, which is its first origin.
type Anchor interface {
	// Checkpoints gives the last note kept for a log, of each of its origins that is remembered.
	Checkpoints(ctx context.Context, log string) ([][]byte, error)
	// KeepCheckpoint remembers a note; origin, size and at are what it says. It is durable when it returns.
	KeepCheckpoint(ctx context.Context, log, origin string, size uint64, at consent.Millis, note []byte) error
}

// Directory keeps the last checkpoint of each log in a directory, as {last part of its name}.checkpoint: text that anybody
// can copy away.
type Directory struct{ Path string }

func (d Directory) path(log string) string {
	return filepath.Join(d.Path, log[strings.LastIndexByte(log, '/')+1:]+".checkpoint")
}

// Checkpoints reads the file.
func (d Directory) Checkpoints(_ context.Context, log string) ([][]byte, error) {
	note, err := os.ReadFile(d.path(log))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the last checkpoint: %w", err)
	}
	return [][]byte{note}, nil
}

// KeepCheckpoint replaces the file: the new one is on disk before it takes the old one's name.
func (d Directory) KeepCheckpoint(_ context.Context, log, _ string, _ uint64, _ consent.Millis, note []byte) error {
	if err := d.replace(d.path(log), note); err != nil {
		return fmt.Errorf("keeping the last checkpoint: %w", err)
	}
	return nil
}

func (d Directory) replace(path string, note []byte) error {
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	aside := path + ".new"
	w, err := os.OpenFile(aside, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(note)
	if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
		return err
	}
	if err := os.Rename(aside, path); err != nil {
		return err
	}
	names, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	return errors.Join(names.Sync(), names.Close())
}

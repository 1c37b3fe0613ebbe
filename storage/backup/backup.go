// Package backup writes copies of a data directory that are whole or not there, and reads them back.
//
// # Guarantee
//
// A directory with the name of a backup holds everything its manifest lists, on disk: it is written under another name,
// synced, and renamed when it is complete. Its files are 0600 and its directories 0700, whatever the umask, for keys
// and personal data lie in it. Verify reads every byte of it. It stays valid when the original changes.
//
// # What it does not do
//
// It does not know what it copies: who takes a backup says which Parts it has, and in which order they are taken so
// that they fit together. It encrypts nothing and copies nothing to another machine.
//
// # Files
//
//	backup.go    Take: parts, in order, and the manifest
//	manifest.go  Manifest, Verify
//	tree.go      copying directories and files
//	keep.go      List and Prune
//	journal.go   Journal: who was erased, outside of what a backup would bring back
package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Part is one thing that is copied.
type Part struct {
	Name  string                                      // of its directory in the backup
	Size  func() (uint64, error)                      // bytes it will need, about
	Write func(ctx context.Context, dir string) error // makes dir, which is not there; writing nothing is fine
}

// Options of Take.
type Options struct {
	Dir   string // where backups lie, one below it each; made 0700
	Parts []Part // in the order they are taken
	Now   time.Time
	Free  func() (free, reserve uint64, err error) // of the disk of Dir, in bytes
	Say   func(text string)                        // progress, a line each
}

// ErrNoSpace means that a backup would fill the disk; nothing was written.
var ErrNoSpace = errors.New("backup: the disk has no room for it")

// partial begins the name of a backup that is being written, or was when its process ended.
const partial = ".partial-"

// stampLayout is the name of a backup: when it was begun, in UTC. Names sort by age.
const stampLayout = "20060102T150405.000Z"

// Take writes a backup and gives its path. m is completed with its files. Two at once are for the caller to keep apart.
func Take(ctx context.Context, o Options, m Manifest) (path string, err error) {
	if err := privateDir(o.Dir); err != nil {
		return "", fmt.Errorf("making the directory of backups: %w", err)
	}
	if err := removePartial(o.Dir); err != nil {
		return "", fmt.Errorf("removing what an interrupted backup left: %w", err)
	}
	if err := o.room(); err != nil {
		return "", err
	}
	name := o.Now.UTC().Format(stampLayout)
	aside := filepath.Join(o.Dir, partial+name)
	if err := os.Mkdir(aside, 0o700); err != nil {
		return "", fmt.Errorf("writing a backup: %w", err)
	}
	path = filepath.Join(o.Dir, name)
	m.Format, m.Version, m.Taken = format, version, o.Now.UTC().Truncate(time.Millisecond)
	if err = o.write(ctx, aside, m); err == nil {
		err = errors.Join(os.Rename(aside, path), syncDir(o.Dir))
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("writing a backup: %w", err), os.RemoveAll(aside))
	}
	return path, nil
}

// room refuses a backup that would leave the disk less than what is kept free.
func (o *Options) room() error {
	var need uint64
	for _, p := range o.Parts {
		n, err := p.Size()
		if err != nil {
			return fmt.Errorf("measuring %s: %w", p.Name, err)
		}
		need += n
	}
	free, reserve, err := o.Free()
	if err != nil {
		return fmt.Errorf("asking how much of the disk is free: %w", err)
	}
	if need+reserve > free {
		return fmt.Errorf("%w: it needs about %d MiB, %d MiB are free and %d MiB of them stay free. Nothing was written; remove old backups (--backup-keep does), or free space",
			ErrNoSpace, need>>20, free>>20, reserve>>20)
	}
	return nil
}

func (o *Options) write(ctx context.Context, dir string, m Manifest) error {
	for _, p := range o.Parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Say("copying " + p.Name)
		if err := p.Write(ctx, filepath.Join(dir, p.Name)); err != nil {
			return fmt.Errorf("copying %s: %w", p.Name, err)
		}
	}
	o.Say("reading it through for the manifest")
	if err := Seal(dir); err != nil {
		return err
	}
	var err error
	if m.Files, err = describe(ctx, dir); err != nil {
		return err
	}
	return m.write(dir)
}

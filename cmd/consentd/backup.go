package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
)

// backupFlags say when a running server takes backups by itself.
type backupFlags struct {
	BackupEvery time.Duration `help:"Take a backup into DATA/backups this often, like 24h. Copy them to another disk: here they go with the disk." unset:"never by itself" env:"CONSENTD_BACKUP_EVERY" placeholder:"DURATION"`
	BackupKeep  int           `help:"How many complete backups stay in DATA/backups; older ones are removed after each new one." unset:"all of them" env:"CONSENTD_BACKUP_KEEP" placeholder:"N"`
}

func (d dataFlags) backups() string { return filepath.Join(d.Data, "backups") }
func (d dataFlags) keys() string    { return filepath.Join(d.Data, "keys") }
func (d dataFlags) copies() string  { return filepath.Join(d.engine(), "copies") }
func (d dataFlags) journal() backup.Journal {
	return backup.Journal{Path: filepath.Join(d.Data, "erasures", "journal.jsonl")}
}

type backupCmd struct {
	adminFlags
	Verify string `help:"Read a backup through instead, and compare it with its manifest. Exits 1 when it is not whole." placeholder:"PATH" type:"path"`
}

func (c *backupCmd) Help() string {
	return `Has the running server write a consistent copy of all that may not be lost into a new directory under DATA/backups,
while it goes on, and prints the path: the ledger, the keys, the checkpoints of the log, the pictures, who was erased,
and the embedded ClickHouse when that is in use. An external ClickHouse is to be backed up with its own tools. A
directory with that name is whole: manifest.json lists its files with their hashes.

Copy it to another disk, and keep it as secret as DATA: all keys are in it. consentd restore puts it back.

Examples: consentd backup
          consentd backup --verify data/backups/20261130T020000.000Z
          consentd serve --backup-every 24h --backup-keep 7`
}

func (c *backupCmd) Run(ctx context.Context, s streams) error {
	if c.Verify != "" {
		m, err := backup.Verify(ctx, c.Verify)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "whole: %d files, edge %s, generation %d, %d proofs, taken %s, ClickHouse %s\n", len(m.Files), m.Edge, m.Generation,
			m.Next[consent.StreamProofs.String()], m.Taken.Format(time.RFC3339), m.Engine)
		return nil
	}
	answer, err := c.open(ctx, http.MethodPost, "/backup", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var l backupLine
		if err := lines.Decode(&l); err != nil {
			return fmt.Errorf("the server's answer ends before the backup is whole (%w): look into its log", err)
		}
		switch {
		case l.Wrong != "":
			return errors.New(l.Wrong)
		case l.Path != "":
			fmt.Fprintln(s.out, l.Path)
			return nil
		}
		fmt.Fprintln(s.err, l.Text)
	}
}

// backupLine is a line of what POST /backup answers, as JSON, each as it happens. The last has Path or Wrong.
type backupLine struct {
	Text  string `json:"text,omitempty"`
	Path  string `json:"path,omitempty"`
	Wrong string `json:"wrong,omitempty"`
}

// backupHandler lets the command ask a running server.
func (n *node) backupHandler(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	say := func(l backupLine) {
		out.Encode(l) // whoever asked is gone if this fails, and the context with them
		flush.Flush()
	}
	path, err := n.backup(r.Context(), func(text string) { say(backupLine{Text: text}) })
	if err != nil {
		say(backupLine{Wrong: err.Error()})
		return
	}
	say(backupLine{Path: path})
}

// errBackingUp: two at once would only wait for each other's disk.
var errBackingUp = errors.New("a backup is being written already: wait for it, and run this again")

// backup writes one, and removes those that are not to be kept any longer.
func (n *node) backup(ctx context.Context, say func(text string)) (path string, err error) {
	if !n.backing.TryLock() {
		return "", errBackingUp
	}
	defer n.backing.Unlock()
	began := time.Now()
	if path, err = backup.Take(ctx, backup.Options{Dir: n.flags.backups(), Parts: n.backupParts(), Now: began, Free: n.freeDisk, Say: say}, n.manifest()); err != nil {
		n.log.Error("no backup was written", "error", err)
		return "", err
	}
	n.log.Info("backup written", "path", path, "took", time.Since(began).Round(time.Millisecond))
	if n.flags.BackupKeep > 0 {
		removed, err := backup.Prune(n.flags.backups(), n.flags.BackupKeep)
		if err != nil {
			n.log.Error("removing old backups", "error", err)
		}
		if len(removed) > 0 {
			n.log.Info("old backups removed", "paths", strings.Join(removed, " "))
		}
	}
	return path, nil
}

func (n *node) freeDisk() (free, reserve uint64, err error) {
	free, reserve = n.ledger.Free()
	return free, reserve, nil
}

// manifest is what a backup begun now says of itself.
func (n *node) manifest() backup.Manifest {
	all := n.ledger.Generations()
	m := backup.Manifest{Program: versionString(), Edge: n.ledger.Edge(), Instance: n.ledger.Instance().String(), Generation: all[len(all)-1].Number,
		Next: map[string]uint64{}, Engine: backup.EngineCopied}
	for _, s := range consent.Streams() {
		m.Next[s.String()] = n.ledger.Next(s)
	}
	switch {
	case n.flags.Clickhouse != "":
		m.Engine, m.Note = backup.EngineExternal, "the rows that were shipped are in another ClickHouse: back that up with its own tools"
	case n.engine == nil:
		m.Engine = backup.EngineAbsent
	}
	return m
}

// backupParts are taken in this order so that each fits those before it. What was signed of the log is in the ledger,
// which comes after; the keys that the ledger knows are there when they are copied; what the ledger says is shipped is in
// ClickHouse; and who was erased is noted last: what a copy still has of them is erased when it is restored.
func (n *node) backupParts() []backup.Part {
	tree := func(name, from string) backup.Part {
		return backup.Part{Name: name, Size: func() (uint64, error) { return backup.TreeSize(from) },
			Write: func(_ context.Context, dir string) error { return backup.CopyTree(from, dir) }}
	}
	parts := []backup.Part{
		tree("log", n.flags.logs()),
		{Name: "ledger", Size: n.ledgerCopySize, Write: func(_ context.Context, dir string) error { return n.ledger.Checkpoint(dir) }},
		tree("keys", n.flags.keys()),
		tree("snapshots", n.flags.snapshots()),
	}
	if n.engine != nil {
		parts = append(parts, backup.Part{Name: "engine", Write: n.copyEngine, Size: func() (uint64, error) {
			return backup.TreeSize(filepath.Join(n.flags.engine(), "data"))
		}})
	}
	return append(parts, tree("erasures", filepath.Dir(n.flags.journal().Path)))
}

// ledgerCopySize counts what is copied: tables are linked, since nothing ever changes them.
func (n *node) ledgerCopySize() (size uint64, err error) {
	entries, err := os.ReadDir(n.flags.ledger())
	for _, e := range entries {
		if info, gone := e.Info(); gone == nil && !strings.HasSuffix(e.Name(), ".sst") {
			size += uint64(info.Size())
		}
	}
	return size, err
}

// copyEngine has the embedded ClickHouse copy itself where it may, and moves that into place.
func (n *node) copyEngine(ctx context.Context, dir string) error {
	copies := n.engine.CopyDir()
	if err := os.RemoveAll(copies); err != nil { // of one that was interrupted
		return err
	}
	if err := os.Mkdir(copies, 0o700); err != nil {
		return err
	}
	made := filepath.Join(copies, "database")
	if err := n.warehouse.BackupTo(ctx, made); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// openBackups takes backups by itself, if it is to.
func (n *node) openBackups() error {
	every := n.flags.BackupEvery
	if every <= 0 {
		return nil
	}
	n.work("taking backups", func(ctx context.Context) error {
		for tick := time.NewTicker(every); ; {
			select {
			case <-tick.C:
				_, _ = n.backup(ctx, func(string) {}) // it has logged what went wrong, and the next one comes
			case <-ctx.Done():
				tick.Stop()
				return nil
			}
		}
	})
	return nil
}

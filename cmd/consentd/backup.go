package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

type backupCmd struct {
	adminFlags
}

func (c *backupCmd) Help() string {
	return `Example: consentd backup

The server writes a consistent copy of its ledger into a new directory under DATA/backups, while it goes on, and
this prints the path. It is a ledger: to restore, put it in the place of DATA/ledger. Copy it to another disk
together with DATA/keys; without the keys nobody in it can be looked up.`
}

func (c *backupCmd) Run(ctx context.Context, s streams) error {
	body, err := c.ask(ctx, http.MethodPost, "/backup", nil)
	if err != nil {
		return err
	}
	var answer struct{ Path string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	fmt.Fprintln(s.out, answer.Path)
	return nil
}

// backupHandler lets the command ask a running server.
func (n *node) backupHandler(w http.ResponseWriter, _ *http.Request) {
	path := filepath.Join(n.flags.Data, "backups", time.Now().UTC().Format("20060102T150405.000Z"))
	if err := n.ledger.Checkpoint(path); err != nil {
		n.log.Error("backup", "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	n.log.Info("backup written", "path", path)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]string{"path": path})
}

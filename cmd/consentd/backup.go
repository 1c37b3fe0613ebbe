package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

type backupCmd struct {
	Admin string `help:"Admin address of the running server." default:"127.0.0.1:9090" env:"CONSENTD_ADMIN" placeholder:"HOST:PORT"`
}

func (c *backupCmd) Help() string {
	return `Example: consentd backup

The server writes a consistent copy of its ledger into a new directory under DATA/backups, while it goes on, and
this prints the path. It is a ledger: to restore, put it in the place of DATA/ledger. Copy it to another disk
together with DATA/keys; without the keys nobody in it can be looked up.`
}

func (c *backupCmd) Run(ctx context.Context, s streams) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Admin+"/backup", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server at %s (is it running, is this its --admin address?): %w", c.Admin, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	var answer struct{ Path string }
	if res.StatusCode != http.StatusCreated || json.Unmarshal(body, &answer) != nil {
		return fmt.Errorf("the server answers %d: %s", res.StatusCode, strings.TrimSpace(string(body)))
	}
	fmt.Fprintln(s.out, answer.Path)
	return nil
}

// adminHandler is the server's admin handler and the backup beside it. A page in a browser on this machine
// must not be able to ask for backups until the disk is full.
func (n *node) adminHandler(front http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", front)
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, _ *http.Request) {
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
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

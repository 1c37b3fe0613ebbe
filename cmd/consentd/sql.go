package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/warehouse"
)

type sqlCmd struct {
	dataFlags
	warehouseFlags
	Format string `help:"table, tsv or jsonl." default:"table" enum:"table,tsv,jsonl"`
	Query  string `arg:"" help:"One statement that reads; tables: consents (a view over all, each proof once), consent_facts, consent_personal, consent_repeats (facts that do not count), wordings, prompts."`
}

func (c *sqlCmd) Help() string {
	return `Example: consentd sql "SELECT recorded_at, surface, method, decisions FROM consents ORDER BY recorded_at DESC LIMIT 10"

It asks the ClickHouse of --clickhouse, else the embedded one of a running server on --data, else starts the
embedded one for the time of the question.`
}

func (c *sqlCmd) Run(ctx context.Context, s streams) error {
	url, done, err := c.address(ctx)
	if err != nil {
		return err
	}
	defer done()
	w, err := warehouse.Open(warehouse.Options{URL: url, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return err
	}
	defer w.Close()
	return w.SQL(ctx, c.Query, c.Format, s.out)
}

// address finds the ClickHouse in use, and how to leave it as it was found.
func (c *sqlCmd) address(ctx context.Context) (url string, done func(), err error) {
	if c.Clickhouse != "" {
		return c.Clickhouse, func() {}, nil
	}
	conn, err := engine.Running(c.engine())
	if err == nil {
		return conn.ReaderURL(), func() {}, nil
	}
	if !errors.Is(err, engine.ErrNotRunning) {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	e, err := engine.Open(ctx, engine.Options{Dir: c.engine(), Lib: c.EngineLib, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return "", nil, fmt.Errorf("starting the embedded ClickHouse: %w", err)
	}
	return e.ReaderURL(), func() { e.Close() }, nil
}

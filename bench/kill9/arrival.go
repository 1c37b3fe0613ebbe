package kill9

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/storage/warehouse"
)

// ErrMissing means that ClickHouse lacks proofs and no more came; the error's text says which, in which table.
var ErrMissing = errors.New("rows are missing in ClickHouse")

// tables hold one row for each proof.
var tables = [...]string{"consent_facts", "consent_personal"}

// awaitTables waits until the tables hold n proofs, and agree on it. It ends with ErrMissing when nothing arrives for as long as
// stall, and with rig.ErrSlow when rows still come after shipLimit.
func awaitTables(ctx context.Context, w *warehouse.Warehouse, n uint64, stall time.Duration) error {
	limit := time.Now().Add(shipLimit)
	moved, before := time.Now(), [len(tables)]uint64{}
	for {
		now, err := counts(ctx, w)
		switch {
		case err != nil:
			return err
		case now[0] >= n && now[1] == now[0]: // more than n: Compare says which is there twice
			return nil
		case now != before:
			moved, before = time.Now(), now
		case time.Since(moved) > stall:
			return missing(ctx, w, n, now, stall)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%w: %v hold %d rows of %d proofs after %v", rig.ErrSlow, tables, now, n, shipLimit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(250*time.Millisecond, stall/4)):
		}
	}
}

func counts(ctx context.Context, w *warehouse.Warehouse) (all [len(tables)]uint64, err error) {
	for i, table := range tables {
		n, err := numbers(ctx, w, "SELECT count() FROM "+table+" FINAL")
		if err != nil {
			return all, err
		}
		all[i] = n[0]
	}
	return all, nil
}

// missing says which of the seqs below n each table lacks.
func missing(ctx context.Context, w *warehouse.Warehouse, n uint64, held [len(tables)]uint64, stall time.Duration) error {
	var all []string
	for i, table := range tables {
		seqs, err := numbers(ctx, w, fmt.Sprintf("SELECT number FROM numbers(%d) WHERE number NOT IN (SELECT seq FROM %s) ORDER BY number", n, table))
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("%s holds %d and lacks %s", table, held[i], ranges(seqs)))
	}
	return fmt.Errorf("%w, and none came for %v: of %d proofs %s", ErrMissing, stall, n, strings.Join(all, "; "))
}

// numbers asks for a column of them.
func numbers(ctx context.Context, w *warehouse.Warehouse, query string) (all []uint64, err error) {
	var out bytes.Buffer
	if err := w.SQL(ctx, query, "tsv", &skipLine{out: &out}); err != nil {
		return nil, err
	}
	for line := range strings.Lines(out.String()) {
		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading numbers of ClickHouse: %w", err)
		}
		all = append(all, n)
	}
	return all, nil
}

// rangesShown bounds the list: what a crash takes is one batch or a few.
const rangesShown = 10

// ranges puts ascending seqs into words: "seqs 1 to 2, 7 (3 in all)".
func ranges(seqs []uint64) string {
	if len(seqs) == 0 {
		return "none"
	}
	var all []string
	for i := 0; i < len(seqs); {
		j := i + 1
		for j < len(seqs) && seqs[j] == seqs[j-1]+1 {
			j++
		}
		if text := strconv.FormatUint(seqs[i], 10); j == i+1 {
			all = append(all, text)
		} else {
			all = append(all, fmt.Sprintf("%s to %d", text, seqs[j-1]))
		}
		i = j
	}
	text := "seqs " + strings.Join(all[:min(len(all), rangesShown)], ", ")
	if more := len(all) - rangesShown; more > 0 {
		text += fmt.Sprintf(" and %d more ranges", more)
	}
	return fmt.Sprintf("%s (%d in all)", text, len(seqs))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// errCounts means that a count is another than it has to be.
var errCounts = errors.New("a proof is not counted once")

// queries are the counts that have to be those of distinct ids. The facts hold a row for each log an id stands in; those
// that do not count are named beside them.
var queries = []string{
	"SELECT count() FROM consent_facts FINAL WHERE (edge, generation, seq) NOT IN (SELECT edge, generation, seq FROM consent_repeats)",
	"SELECT uniqExact(id) FROM consent_facts",
	"SELECT count() FROM consents",
	"SELECT uniqExact(id) FROM consents",
}

// tally asks every reader how many proofs there are.
func tally(ctx context.Context, c *rig.Consentd, w *witness.Witness, more ...string) (map[string]string, error) {
	counts := map[string]string{}
	for _, q := range queries {
		var out strings.Builder
		if err := c.Command(ctx, &out, append([]string{"sql", "--data", c.Data(), "--format", "tsv", q}, more...)...); err != nil {
			return nil, err
		}
		_, n, _ := strings.Cut(strings.TrimSpace(out.String()), "\n") // the first line names the column
		counts[q] = n
	}
	var rates struct {
		Rows []struct {
			Purpose         string
			Granted, Denied uint64
		}
	}
	if err := w.Ask(ctx, c, http.MethodGet, "/rates?by=purpose", nil, &rates); err != nil {
		return nil, err
	}
	for _, purpose := range w.Shown.Purposes {
		counts["rates of "+purpose] = "0"
	}
	for _, r := range rates.Rows {
		counts["rates of "+r.Purpose] = fmt.Sprint(r.Granted + r.Denied)
	}
	return counts, nil
}

// arriveLimit is how long everything may take to be counted. Open hours are folded within seconds.
const arriveLimit = 2 * time.Minute

// expect waits until every reader counts n. One that counts more, or stands still below it, is an error.
func expect(ctx context.Context, c *rig.Consentd, w *witness.Witness, n int, when string, more ...string) error {
	ctx, cancel := context.WithTimeout(ctx, arriveLimit)
	defer cancel()
	var wrong []string
	for {
		counts, err := tally(ctx, c, w, more...)
		if err == nil {
			if wrong = others(counts, fmt.Sprint(n)); len(wrong) == 0 {
				return nil
			}
		} else if ctx.Err() == nil {
			wrong = []string{err.Error()} // ClickHouse may still be starting
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s there are %d proofs, but %s", errCounts, when, n, strings.Join(wrong, "; "))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func others(counts map[string]string, want string) (wrong []string) {
	for what, n := range counts {
		if n != want {
			wrong = append(wrong, what+" says "+n)
		}
	}
	return wrong
}

// known is nil when c answers everything w was promised.
func known(ctx context.Context, c *rig.Consentd, w *witness.Witness, when string) error {
	if f := w.Check(ctx, c); !f.Clean() {
		return fmt.Errorf("%s: %s", when, f)
	}
	return nil
}

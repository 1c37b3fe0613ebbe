package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/consentd/consentd/storage/consent"
)

// MaxBatch is the most rows one Send takes: some 80 MB decoded.
const MaxBatch = 100_000

// SendProofs stores proofs[i] at from, i further on: a batch is of one edge, which every proof names as its own, and of
// one generation. The personal part comes first, then the facts, each in one synchronous insert. It returns nil once
// both are queryable, and what of them repeats an id is known not to count. A proof that was erased in the ledger has
// no personal part to store.
//
// After an error the outcome is unknown, and sending again, in the same batch or another, is safe. When the
// error is a RowsError (interface Poison() bool), the rows are refused for good.
//
// # Why the personal part first
//
// Every question starts from the facts: a proof appears whole, in the moment its facts do. The other way round it would
// look erased in between, and a proof whose personal part is refused would be in the rates all the same.
func (w *Warehouse) SendProofs(ctx context.Context, from consent.Place, proofs []*consent.Proof) error {
	if len(proofs) == 0 {
		return nil
	}
	if err := w.enter(ctx, from); err != nil {
		return err
	}
	facts := make(chan columns, 1)
	go func() { facts <- factsColumns(from, proofs) }() // while the server works on the other part
	if err := w.send(ctx, "consent_personal", personalInto, kept(proofs), func() columns { return personalColumns(from, proofs) }); err != nil {
		return err
	}
	if err := w.send(ctx, "consent_facts", factsInto, len(proofs), func() columns { return <-facts }); err != nil {
		return err
	}
	late := lateRows(proofs)
	if err := w.send(ctx, "consent_late", lateInto, len(late), func() columns { return lateColumns(from, proofs, late) }); err != nil {
		return err
	}
	b := batchOf(from, proofs, func(p *consent.Proof) consent.Millis { return p.RecordedAt })
	return w.bounded(ctx, func(ctx context.Context) error {
		return w.nameRepeats(ctx, b, "consent_repeats", consentRepeatsInto, repeatedProofs, int64(nearID.Seconds()))
	})
}

// SendPrompts stores prompts[i] at from, i further on; see SendProofs.
func (w *Warehouse) SendPrompts(ctx context.Context, from consent.Place, prompts []*consent.Prompt) error {
	if len(prompts) == 0 {
		return nil
	}
	if err := w.enter(ctx, from); err != nil {
		return err
	}
	if err := w.send(ctx, "prompts", promptsInto, len(prompts), func() columns { return promptsColumns(from, prompts) }); err != nil {
		return err
	}
	b := batchOf(from, prompts, func(p *consent.Prompt) consent.Millis { return p.ShownAt })
	return w.bounded(ctx, func(ctx context.Context) error {
		return w.nameRepeats(ctx, b, "prompt_repeats", promptRepeatsInto, repeatedPrompts, promptAgain.Milliseconds())
	})
}

// SendWordings stores what was published. A wording hash of a site that is known already keeps its first
// publication; what else was published is kept once for each time. Where they stand in the log of an edge is not kept.
func (w *Warehouse) SendWordings(ctx context.Context, _ consent.Place, pubs []*consent.Publication) error {
	wordings, others := byKind(pubs)
	if err := w.send(ctx, "publications", publicationsInto, len(others), func() columns { return publicationsColumns(others) }); err != nil {
		return err
	}
	return w.send(ctx, "wordings", wordingsInto, len(wordings), func() columns { return wordingsColumns(wordings) })
}

// freshToken names one insert. No other ever has its name, so the server takes it for no duplicate.
func freshToken() string { return rand.Text() }

// insertSettings of one insert.
func insertSettings(token string) clickhouse.Settings {
	return clickhouse.Settings{
		"async_insert":                    0,
		"insert_deduplication_token":      token,
		"max_partitions_per_insert_block": 0, // a backlog may span any number of months
	}
}

// send runs one insert.
func (w *Warehouse) send(ctx context.Context, table, into string, rows int, build func() columns) error {
	if rows == 0 {
		return nil
	}
	if rows > MaxBatch {
		return fmt.Errorf("sending to %s: %d rows in one batch, at most %d", table, rows, MaxBatch)
	}
	return w.bounded(ctx, func(ctx context.Context) error {
		if err := w.insert(ctx, into, build); err != nil {
			return classify(table, err)
		}
		return nil
	})
}

// bounded runs f in a goroutine of its own: the driver looks at ctx only while it waits for the answer,
// and a stalled server must not hold up a shutdown. The goroutine ends within Options.Timeout.
func (w *Warehouse) bounded(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- f(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("sending to ClickHouse: %w", ctx.Err())
	}
}

func (w *Warehouse) insert(ctx context.Context, into string, build func() columns) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings(w.token())))
	batch, err := w.conn.PrepareBatch(ctx, into)
	if err != nil {
		return err
	}
	defer batch.Close()
	for i, column := range build() {
		if err := appendColumn(batch.Column(i), column); err != nil {
			return err
		}
	}
	return batch.Send()
}

// appendColumn takes arrays row by row: the driver's column call goes through reflection for them.
func appendColumn(c driver.BatchColumn, column any) error {
	lists, ok := column.([][]string)
	if !ok {
		return c.Append(column)
	}
	for _, l := range lists {
		if err := c.AppendRow(l); err != nil {
			return err
		}
	}
	return nil
}

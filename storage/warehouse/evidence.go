package warehouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
)

const publicationsInto = `INSERT INTO publications (site, kind, published_at, hash, surface, locale, about, doc)`

func publicationsColumns(pubs []*consent.Publication) columns {
	n := len(pubs)
	site, kind, surface, locale := newWords(n), newWords(n), newWords(n), newWords(n)
	at, hash, about, doc := make([]int64, n), make([]string, n), make([]string, n), make([]string, n)
	for i, p := range pubs {
		site.add(p.Site)
		kind.add(string(p.Kind))
		surface.add(p.Surface)
		locale.add(p.Locale)
		at[i], hash[i], about[i], doc[i] = int64(p.PublishedAt), p.Hash.String(), string(p.About), string(p.Doc)
	}
	return columns{site.rows, kind.rows, at, hash, surface.rows, locale.rows, about, doc}
}

// byKind parts wordings from everything else.
func byKind(pubs []*consent.Publication) (wordings, others []*consent.Publication) {
	for _, p := range pubs {
		if p.Kind == consent.PublishedWording {
			wordings = append(wordings, p)
		} else {
			others = append(others, p)
		}
	}
	return wordings, others
}

// KeepCheckpoint stores the last checkpoint of a log under an origin; size and at are what it says.
func (w *Warehouse) KeepCheckpoint(ctx context.Context, log, origin string, size uint64, at consent.Millis, note []byte) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	err := w.conn.Exec(ctx, `INSERT INTO checkpoints (log, origin, size, note, sealed_at) VALUES
		({log:String}, {origin:String}, {size:UInt64}, {note:String}, fromUnixTimestamp64Milli({at:Int64}, 'UTC'))`,
		clickhouse.Named("log", log), clickhouse.Named("origin", origin), clickhouse.Named("size", size), clickhouse.Named("note", string(note)),
		clickhouse.Named("at", int64(at)))
	if err != nil {
		return fmt.Errorf("keeping a checkpoint: %w", err)
	}
	return nil
}

// Checkpoints gives the last checkpoint of a log under each of its origins.
func (w *Warehouse) Checkpoints(ctx context.Context, log string) (notes [][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, "SELECT argMax(note, (sealed_at, size)) FROM checkpoints WHERE log = {log:String} GROUP BY origin ORDER BY origin",
		clickhouse.Named("log", log))
	if err != nil {
		return nil, fmt.Errorf("asking for checkpoints: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var note string
		if err := rows.Scan(&note); err != nil {
			return nil, fmt.Errorf("reading checkpoints: %w", err)
		}
		notes = append(notes, []byte(note))
	}
	return notes, rows.Err()
}

// Entries calls fn with the canonical facts of the proofs [first, end) of one generation of an edge's log. A log that
// was restored is in pieces: each range of it was written in a generation, and is asked for under that. What is held
// more than once (copies not merged yet) fn is called with each time.
func (w *Warehouse) Entries(ctx context.Context, edge string, generation uint32, first, end uint64, fn func(seq uint64, facts []byte) error) error {
	query := `SELECT ` + proofColumns + `, toUInt8(0), ` + personalColumnsOf + `
		FROM (SELECT * FROM consent_facts WHERE edge = {edge:String} AND generation = {generation:UInt32} AND seq >= {first:UInt64} AND seq < {end:UInt64}) AS f
		LEFT JOIN (SELECT * FROM consent_personal WHERE 0) AS p ON f.site = p.site AND f.seq = p.seq
		ORDER BY f.seq`
	all, err := w.recorded(ctx, query, clickhouse.Named("edge", edge), clickhouse.Named("generation", generation),
		clickhouse.Named("first", first), clickhouse.Named("end", end))
	if err != nil {
		return err
	}
	var facts []byte
	for i := range all {
		facts = all[i].AppendFacts(facts[:0])
		if err := fn(all[i].Seq, facts); err != nil {
			return err
		}
	}
	return nil
}

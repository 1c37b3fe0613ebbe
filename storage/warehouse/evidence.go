package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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

// eraseChunk is how many proofs one mutation names.
const eraseChunk = 500

// Erase removes the personal part of every proof of a subject, on the server's disk too, and says how many proofs
// that were. It returns when the server has rewritten what held them; the files before that stay until the server
// clears them (old_parts_lifetime, eight minutes). What the ledger still holds has to be erased there first, and to
// have been shipped since: the drain sends what it read before.
//
// # Why by place and not by subject
//
// A mutation is kept in words beside the table, and the server may log it: it must not name whom it forgets.
func (w *Warehouse) Erase(ctx context.Context, site string, key consent.SubjectKey) (int, error) {
	places, err := w.places(ctx, site, key)
	if err != nil {
		return 0, err
	}
	if err := w.noteErased(ctx, places); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(places, eraseChunk) {
		if err := w.erase(ctx, site, chunk); err != nil {
			return 0, fmt.Errorf("erasing: %w", err)
		}
	}
	return len(places), nil
}

// noteErased keeps the places, before anything is erased there: see ErasedHere.
func (w *Warehouse) noteErased(ctx context.Context, places []Position) error {
	edges, generations, seqs, at := newWords(len(places)), make([]uint32, len(places)), make([]uint64, len(places)), make([]int64, len(places))
	for i, p := range places {
		edges.add(p.Edge)
		generations[i], seqs[i], at[i] = p.Generation, p.Seq, time.Now().UnixMilli()
	}
	for first := 0; first < len(places); first += MaxBatch {
		end := min(first+MaxBatch, len(places))
		err := w.send(ctx, "erasures", "INSERT INTO erasures (edge, generation, seq, erased_at)", end-first, func() columns {
			return columns{edges.rows[first:end], generations[first:end], seqs[first:end], at[first:end]}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Warehouse) places(ctx context.Context, site string, key consent.SubjectKey) ([]Position, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, `SELECT DISTINCT toUnixTimestamp64Milli(recorded_at), edge, generation, seq FROM consent_personal
		WHERE site = {site:String} AND subject = unhex({key:String})`, clickhouse.Named("site", site), clickhouse.Named("key", key.String()))
	if err != nil {
		return nil, fmt.Errorf("asking what to erase: %w", err)
	}
	defer rows.Close()
	var all []Position
	for rows.Next() {
		var at int64
		var p Position
		if err := rows.Scan(&at, &p.Edge, &p.Generation, &p.Seq); err != nil {
			return nil, fmt.Errorf("reading what to erase: %w", err)
		}
		p.At = consent.Millis(at)
		all = append(all, p)
	}
	return all, rows.Err()
}

func (w *Warehouse) erase(ctx context.Context, site string, places []Position) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	var list strings.Builder
	for i, p := range places {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, "(fromUnixTimestamp64Milli(%d, 'UTC'), %s, %d, %d)", p.At, quoted(p.Edge), p.Generation, p.Seq)
	}
	return w.alter(ctx, "ALTER TABLE ", "consent_personal",
		" DELETE WHERE site = "+quoted(site)+" AND (recorded_at, edge, generation, seq) IN ("+list.String()+") SETTINGS mutations_sync = 2")
}

// quoted writes a string literal; statements that become mutations take no parameters.
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

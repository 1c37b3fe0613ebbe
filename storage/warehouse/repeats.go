package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// A browser that was not answered, or a balancer, sends a proof again, maybe to another edge; a restored edge takes one
// again that its backup lacks. Then several rows have one id. Whoever inserts a row looks for the others of its id
// afterwards, before it reports success, and names all but the first in consent_repeats. Of two that insert at the same
// moment, the one that looks last sees both. A row that is not the first never becomes it, whatever comes later and in
// whatever order: so no name is ever taken back, and naming it again changes nothing. Between the two inserts, some
// milliseconds, a reader counts a repeat.

// nearID is how far the time of recording may lie from the time in the id for a proof to be looked for there. Most
// browsers answer at once, and have clocks that agree; whatever lies farther is also in consent_late.
const nearID = 30 * time.Second

// promptAgain is how far apart two displays of one id may be recorded and still be told for the same. The widget sends
// a display once more at most, at once, and balancers that repeat a request do so within their timeout; the ids carry
// no time by which a later one could be found.
const promptAgain = 5 * time.Minute

// idSays is the time an id carries, within what a DateTime holds; 0 for one that carries none. SQL says
// UUIDv7ToDateTime.
func idSays(id uuid.UUID) consent.Millis {
	if id.Version() != 7 {
		return 0
	}
	return min(consent.IDTime(id), consent.ToMillis(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
}

const lateInto = `INSERT INTO consent_late (site, said, id, recorded_at, edge, generation, seq)`

// lateRows are the indexes of the proofs that are not near the time of their ids.
func lateRows(proofs []*consent.Proof) (late []int) {
	for i, p := range proofs {
		if off := p.RecordedAt - idSays(p.ID); max(off, -off) > consent.Millis(nearID.Milliseconds()) {
			late = append(late, i)
		}
	}
	return late
}

func lateColumns(from consent.Place, proofs []*consent.Proof, late []int) columns {
	n := len(late)
	site, places := newWords(n), newPlaces(from, n)
	said, at, ids := make([]int64, n), make([]int64, n), make([]uuid.UUID, n)
	for i, row := range late {
		p := proofs[row]
		said[i], at[i], ids[i] = int64(idSays(p.ID)), int64(p.RecordedAt), p.ID
		site.add(p.Site)
		places.add(row)
	}
	return columns{site.rows, said, ids, at, places.edge, places.generation, places.seq}
}

// enter notes whose rows are about to come, once for each log and connection to a server.
func (w *Warehouse) enter(ctx context.Context, from consent.Place) error {
	from.Seq = 0
	if _, known := w.entered.Load(from); known {
		return nil
	}
	err := w.send(ctx, "logs", "INSERT INTO logs (edge, generation)", 1, func() columns {
		return columns{[]any{from.Edge}, []uint32{from.Generation}}
	})
	if err == nil {
		w.entered.Store(from, nil)
	}
	return err
}

// alone reports that all rows are of this one log, whose ids differ: then nothing can be a repeat. It is asked after
// an insert: a log that enters later looks at what was inserted before. A note that is gone (a server that lost its
// last writes) is written again, and nothing relied on until then.
func (w *Warehouse) alone(ctx context.Context, from consent.Place) (bool, error) {
	var mine, all uint64
	err := w.conn.QueryRow(ctx, "SELECT uniqExactIf(edge, edge = {edge:String} AND generation = {generation:UInt32}), uniqExact(edge, generation) FROM logs",
		clickhouse.Named("edge", from.Edge), clickhouse.Named("generation", from.Generation)).Scan(&mine, &all)
	if err != nil {
		return false, fmt.Errorf("asking whose logs there are: %w", serverError(err))
	}
	if mine == 0 {
		from.Seq = 0
		w.entered.Delete(from)
		return false, w.enter(ctx, from)
	}
	return all == 1, nil
}

// batch is what the rows of one insert have in common.
type batch struct {
	from        consent.Place
	rows        int
	first, last consent.Millis // of their times
}

func batchOf[T any](from consent.Place, rows []T, at func(T) consent.Millis) batch {
	b := batch{from: from, rows: len(rows), first: at(rows[0]), last: at(rows[0])}
	for _, r := range rows {
		b.first, b.last = min(b.first, at(r)), max(b.last, at(r))
	}
	return b
}

// placesOf gives, of rows that hold all places of some ids, those that do not count.
const placesOf = `SELECT site, id, toUnixTimestamp64Milli(place.1) AS at, place.2 AS edge, place.3 AS generation, place.4 AS seq FROM
	(SELECT site, id, arrayJoin(arraySlice(arraySort(groupUniqArray((at, toString(edge), generation, seq))), 2)) AS place FROM (`

// repeatedProofs finds the places of the ids of a batch: those near the time of the id in the facts, the others among
// the late.
const repeatedProofs = `WITH batch AS (SELECT site, id, UUIDv7ToDateTime(id, 'UTC') AS said FROM consent_facts
		WHERE recorded_at >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND recorded_at <= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
			AND edge = {edge:String} AND generation = {generation:UInt32} AND seq >= {seq:UInt64} AND seq < {seq:UInt64} + {rows:UInt64})
	` + placesOf + `
		SELECT site, id, recorded_at AS at, edge, generation, seq FROM consent_facts
			WHERE (site, toStartOfMinute(recorded_at)) IN (SELECT site, arrayJoin([toStartOfMinute(said - {near:Int64}), toStartOfMinute(said + {near:Int64})]) FROM batch)
				AND id IN (SELECT id FROM batch)
		UNION ALL SELECT site, id, recorded_at AS at, edge, generation, seq FROM consent_late
			WHERE (site, said) IN (SELECT site, said FROM batch) AND id IN (SELECT id FROM batch)
	) GROUP BY site, id HAVING count() > 1)`

const repeatedPrompts = `WITH batch AS (SELECT id FROM prompts
		WHERE shown_at >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND shown_at <= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
			AND edge = {edge:String} AND generation = {generation:UInt32} AND seq >= {seq:UInt64} AND seq < {seq:UInt64} + {rows:UInt64})
	` + placesOf + `
		SELECT site, id, shown_at AS at, edge, generation, seq FROM prompts
			WHERE shown_at >= fromUnixTimestamp64Milli({first:Int64} - {near:Int64}, 'UTC') AND shown_at <= fromUnixTimestamp64Milli({last:Int64} + {near:Int64}, 'UTC')
				AND id IN (SELECT id FROM batch)
	) GROUP BY site, id HAVING count() > 1)`

const (
	consentRepeatsInto = `INSERT INTO consent_repeats (site, recorded_at, edge, generation, seq, id)`
	promptRepeatsInto  = `INSERT INTO prompt_repeats (site, shown_at, edge, generation, seq, id)`
)

// repeat is a row that does not count.
type repeat struct {
	site string
	id   uuid.UUID
	Position
}

func repeatsColumns(all []repeat) columns {
	n := len(all)
	site, edge := newWords(n), newWords(n)
	at, generation, seq, ids := make([]int64, n), make([]uint32, n), make([]uint64, n), make([]uuid.UUID, n)
	for i, r := range all {
		at[i], generation[i], seq[i], ids[i] = int64(r.At), r.Generation, r.Seq, r.id
		site.add(r.site)
		edge.add(r.Edge)
	}
	return columns{site.rows, at, edge.rows, generation, seq, ids}
}

// nameRepeats names what does not count of the ids of a batch, which has just been inserted.
func (w *Warehouse) nameRepeats(ctx context.Context, b batch, table, into, query string, near int64) error {
	alone, err := w.alone(ctx, b.from)
	if err != nil || alone {
		return err
	}
	all, err := w.repeats(ctx, query, clickhouse.Named("first", int64(b.first)), clickhouse.Named("last", int64(b.last)),
		clickhouse.Named("edge", b.from.Edge), clickhouse.Named("generation", b.from.Generation), clickhouse.Named("seq", b.from.Seq),
		clickhouse.Named("rows", uint64(b.rows)), clickhouse.Named("near", near))
	if err != nil {
		return fmt.Errorf("looking for repeats of what went to %s: %w", table, serverError(err))
	}
	return w.send(ctx, table, into, len(all), func() columns { return repeatsColumns(all) })
}

func (w *Warehouse) repeats(ctx context.Context, query string, args ...any) ([]repeat, error) {
	rows, err := w.conn.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []repeat
	for rows.Next() {
		var r repeat
		var at int64
		if err := rows.Scan(&r.site, &r.id, &at, &r.Edge, &r.Generation, &r.Seq); err != nil {
			return nil, err
		}
		r.At = consent.Millis(at)
		all = append(all, r)
	}
	return all, rows.Err()
}

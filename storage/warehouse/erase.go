package warehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
)

// Erase removes the personal part of every proof of a subject, on the server's disk too, and says how many proofs
// that were. It returns when the server has rewritten what held them; the files before that stay until the server
// clears them (old_parts_lifetime, eight minutes). What the ledger still holds has to be erased there first, and to
// have been shipped since: the drain sends what it read before.
//
// One mutation names all rows of the person, however many; it goes on in the server when ctx ends, and the next call
// waits for it before it looks what is left. It takes as long as rewriting the parts that hold a row of the person.
//
// # Why by place and not by subject
//
// A mutation is kept in words beside the table, and the server may log it: it must not name whom it forgets. A subquery
// on a table of places would not do: each part would ask it again, and replicas refuse it.
func (w *Warehouse) Erase(ctx context.Context, site string, key consent.SubjectKey) (int, error) {
	return w.EraseUntil(ctx, site, key, consent.Millis(clampMillis(math.MaxInt64)))
}

// EraseUntil is Erase of what was recorded until then: an erasure that is done again leaves what the person said since.
func (w *Warehouse) EraseUntil(ctx context.Context, site string, key consent.SubjectKey, until consent.Millis) (int, error) {
	if err := w.awaitErasures(ctx); err != nil { // of a call before this one, which was interrupted
		return 0, err
	}
	places, err := w.places(ctx, site, key, until)
	if err != nil || len(places) == 0 {
		return 0, err
	}
	if err := w.noteErased(ctx, places); err != nil { // first: who holds one of them must not send it again
		return 0, err
	}
	if err := w.alter(withLongStatements(ctx), "ALTER TABLE ", "consent_personal", erasing(site, places)); err != nil {
		return 0, fmt.Errorf("erasing: %w", err)
	}
	return len(places), w.awaitErasures(ctx)
}

func (w *Warehouse) places(ctx context.Context, site string, key consent.SubjectKey, until consent.Millis) ([]Position, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, "SELECT DISTINCT toUnixTimestamp64Milli(recorded_at), edge, generation, seq FROM consent_personal WHERE "+ofSubject+
		" AND recorded_at <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')", clickhouse.Named("until", int64(until)),
		clickhouse.Named("site", site), clickhouse.Named("key", key.String()))
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

// erasureMark is in the words of every mutation that erases, and in no other's.
const erasureMark = "an erasure by consentd"

// erasing is what an ALTER TABLE says to delete places. A place is named by edge, generation and seq; the range of
// times leaves out whole months, and with them their parts.
func erasing(site string, places []Position) string {
	byLog := map[consent.Place][]Position{}
	first, last := places[0].At, places[0].At
	for _, p := range places {
		log := consent.Place{Edge: p.Edge, Generation: p.Generation}
		byLog[log] = append(byLog[log], p)
		first, last = min(first, p.At), max(last, p.At)
	}
	var logs []string
	for log, in := range byLog {
		logs = append(logs, fmt.Sprintf("(edge = %s AND generation = %d AND seq IN (%s))", quoted(log.Edge), log.Generation, seqs(in)))
	}
	slices.Sort(logs)
	return fmt.Sprintf(" DELETE WHERE '%s' != '' AND site = %s AND recorded_at >= fromUnixTimestamp64Milli(%d, 'UTC') AND recorded_at <= fromUnixTimestamp64Milli(%d, 'UTC') AND (%s)",
		erasureMark, quoted(site), first, last, strings.Join(logs, " OR "))
}

func seqs(places []Position) string {
	slices.SortFunc(places, func(a, b Position) int { return cmp.Compare(a.Seq, b.Seq) })
	var list []byte
	for i, p := range places {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendUint(list, p.Seq, 10)
	}
	return string(list)
}

// withLongStatements lets a statement name a million rows; the server's default is 256 KiB.
func withLongStatements(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_query_size": 64 << 20, "mutations_sync": 0}))
}

// errRewriting means that the server has tried to rewrite a part and could not; it tries again by itself.
var errRewriting = errors.New("the server cannot rewrite what holds the rows; latest_fail_reason in its system.mutations says why")

// erasurePause is how long a look at the server's mutations is put off, at first and at most.
const erasurePause, erasurePauseMost = 20 * time.Millisecond, 500 * time.Millisecond

// awaitErasures waits until no mutation that erases is under way, on any server.
func (w *Warehouse) awaitErasures(ctx context.Context) error {
	for pause := erasurePause; ; pause = min(2*pause, erasurePauseMost) {
		running, failing, err := w.erasures(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("asking whether rows are erased: %w", err)
		case running == 0:
			return nil
		case failing > 0:
			return fmt.Errorf("erasing: %w", errRewriting)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("erasing: the server goes on with it: %w", ctx.Err())
		}
	}
}

// erasures counts the mutations under way, and those of them whose last try failed. Why is not asked: it may quote rows.
func (w *Warehouse) erasures(ctx context.Context) (running, failing uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	err = w.conn.QueryRow(ctx, "SELECT count(), countIf(latest_fail_reason != '') FROM "+w.target.onEvery("system.mutations")+`
		WHERE database = {database:String} AND NOT is_done AND NOT is_killed AND position(command, {mark:String}) > 0`,
		clickhouse.Named("database", w.target.Database), clickhouse.Named("mark", erasureMark)).Scan(&running, &failing)
	return running, failing, err
}

// quoted writes a string literal; statements that become mutations take no parameters.
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

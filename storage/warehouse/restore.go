package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/consentd/consentd/storage/consent"
)

// What a restored ledger asks: what was recorded under its name that its backup does not have, and who was erased.

// Life is one generation of an edge, as the warehouse knows it.
type Life struct {
	Generation uint32
	Next       uint64         // the seq after the highest proof it has of it
	Newest     consent.Millis // when that was recorded; 0: it has none
}

// Lives lists the generations of an edge that the warehouse knows of, oldest first: those with proofs, and those that
// claimed the name. A server without our tables knows none.
func (w *Warehouse) Lives(ctx context.Context, edge string) (all []Life, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, `SELECT generation, max(next), max(newest) FROM (
			SELECT generation, max(seq) + 1 AS next, toUnixTimestamp64Milli(max(recorded_at)) AS newest FROM consent_facts WHERE edge = {edge:String} GROUP BY generation
			UNION ALL SELECT DISTINCT generation, toUInt64(0), toInt64(0) FROM edges WHERE edge = {edge:String})
		GROUP BY generation ORDER BY generation`, clickhouse.Named("edge", edge))
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, asked("which generations of this edge it has", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l Life
		var newest int64
		if err := rows.Scan(&l.Generation, &l.Next, &newest); err != nil {
			return nil, asked("which generations of this edge it has", err)
		}
		l.Newest = consent.Millis(newest)
		all = append(all, l)
	}
	if err := rows.Err(); err != nil && !missing(err) {
		return nil, asked("which generations of this edge it has", err)
	}
	return all, nil
}

// recordedPage is how many seqs RecordedIn reads at once: some 20 MB.
const recordedPage = 20_000

// RecordedIn calls fn with the proofs of r in the order of their seqs, as many at once as one question gives, each
// proof once. Two may have one place: a copy of a ledger was put to work beside it, or after it. Those whose personal part
// was erased come without it.
func (w *Warehouse) RecordedIn(ctx context.Context, r consent.Rows, fn func([]Recorded) error) error {
	const query = `SELECT ` + proofColumns + `, p.kept, ` + personalColumnsOf + `
		FROM (SELECT * FROM consent_facts` + ofRows + ` LIMIT 1 BY seq, id) AS f
		LEFT JOIN (SELECT *, toUInt8(1) AS kept FROM consent_personal` + ofRows + ` LIMIT 1 BY seq, recorded_at) AS p ON f.site = p.site AND f.seq = p.seq AND f.recorded_at = p.recorded_at
		ORDER BY f.seq`
	for first := r.First; first < r.End; first = min(first+recordedPage, r.End) {
		page := r
		page.First, page.End = first, min(first+recordedPage, r.End)
		all, err := w.recorded(ctx, query, named(page)...)
		if err == nil && len(all) > 0 {
			err = fn(all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Supersede takes the name of an edge from every instance that holds it in a generation before one: an operator has put
// a ledger in their place. One of them that still runs finds that out when it next looks, and stops recording.
func (w *Warehouse) Supersede(ctx context.Context, edge string, generation uint32) (was []consent.Holder, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	all, err := claims(ctx, w.conn, edge)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range all {
		c := &all[i]
		if !c.holds || c.Generation >= generation {
			continue
		}
		c.holds = false
		if err := w.write(ctx, edge, c); err != nil {
			return was, err
		}
		was = append(was, c.Holder)
	}
	return was, nil
}

// NoteErasedSubjects remembers who was erased. It returns when they are in the table.
func (w *Warehouse) NoteErasedSubjects(ctx context.Context, all []consent.Erasure) error {
	site, who, at := newWords(len(all)), make([]string, len(all)), make([]int64, len(all))
	for i, e := range all {
		site.add(e.Site)
		who[i], at[i] = e.Who, int64(e.At)
	}
	return w.send(ctx, "erased_subjects", "INSERT INTO erased_subjects (site, who, erased_at)", len(all), func() columns { return columns{site.rows, who, at} })
}

// ErasedSubjects lists who was erased, of all sites; nobody on a server without our tables.
func (w *Warehouse) ErasedSubjects(ctx context.Context) (all []consent.Erasure, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	rows, err := w.conn.Query(ctx, "SELECT site, who, toUnixTimestamp64Milli(max(erased_at)) FROM erased_subjects GROUP BY site, who")
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, asked("who was erased", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e consent.Erasure
		var at int64
		if err := rows.Scan(&e.Site, &e.Who, &at); err != nil {
			return nil, asked("who was erased", err)
		}
		e.At = consent.Millis(at)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil && !missing(err) {
		return nil, asked("who was erased", err)
	}
	return all, nil
}

// SubjectsBefore calls fn with every subject of a site of whom something is held, and when the oldest of it was recorded.
func (w *Warehouse) SubjectsBefore(ctx context.Context, site string, fn func(key consent.SubjectKey, oldest consent.Millis) error) error {
	rows, err := w.conn.Query(ctx, "SELECT subject, toUnixTimestamp64Milli(min(recorded_at)) FROM consent_personal WHERE site = {site:String} GROUP BY subject",
		clickhouse.Named("site", site))
	if err != nil {
		return asked("for the subjects of a site", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var oldest int64
		if err := rows.Scan(&key, &oldest); err != nil {
			return asked("for the subjects of a site", err)
		}
		var k consent.SubjectKey
		copy(k[:], key)
		if err := fn(k, consent.Millis(oldest)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return asked("for the subjects of a site", err)
	}
	return nil
}

// BackupTo has the server copy the database into a directory of its own machine, which must not be there and which its
// configuration allows: its tables as they are at one moment each, and what makes them. It returns when the copy is
// whole, however long that takes; ended early, the server goes on with it.
func (w *Warehouse) BackupTo(ctx context.Context, dir string) error {
	return w.long(ctx, "BACKUP DATABASE "+w.target.Database+" TO File("+quoted(dir)+") ASYNC", "BACKUP_CREATED")
}

// RestoreFrom has the server take over a copy that BackupTo made. The database must hold none of its tables.
func (w *Warehouse) RestoreFrom(ctx context.Context, dir string) error {
	return w.long(ctx, "RESTORE DATABASE "+w.target.Database+" FROM File("+quoted(dir)+") ASYNC", "RESTORED")
}

// backupPause is how long a look at a backup under way is put off.
const backupPause = 100 * time.Millisecond

func (w *Warehouse) long(ctx context.Context, statement, good string) error {
	var id, status string
	if err := w.conn.QueryRow(ctx, statement).Scan(&id, &status); err != nil {
		return asked("for a copy of the database", err)
	}
	for {
		var why string
		if err := w.conn.QueryRow(ctx, "SELECT toString(status), error FROM system.backups WHERE id = {id:String}", clickhouse.Named("id", id)).Scan(&status, &why); err != nil {
			return asked("how the copy of the database is doing", err)
		}
		switch {
		case status == good:
			return nil
		case strings.HasSuffix(status, "FAILED"), strings.HasSuffix(status, "CANCELLED"):
			return errors.New("ClickHouse could not copy its database: " + why)
		}
		select {
		case <-time.After(backupPause):
		case <-ctx.Done():
			return fmt.Errorf("copying the database: the server goes on with it: %w", ctx.Err())
		}
	}
}

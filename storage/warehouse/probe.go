package warehouse

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/consentd/consentd/storage/consent"
)

// probeRows is how much of a table one Probe reads: a granule.
const probeRows = 8192

// Probe asks for a sign of life through a connection of its own, within ctx whatever the server does: its clock, who
// holds the name of an edge, the newest rows of what is written to, and some rows from anywhere, so that damage to a file shows
// without anybody asking for what is in it. It writes nothing. A server without our tables has an empty pulse: it is yet
// to be migrated, or took the place of one that was.
func (w *Warehouse) Probe(ctx context.Context, edge string) (*consent.Pulse, error) {
	type answer struct {
		pulse *consent.Pulse
		err   error
	}
	done := make(chan answer, 1)
	go func() { // the driver looks at ctx only while it waits for some of the answers
		p, err := w.probe(ctx, edge)
		done <- answer{p, err}
	}()
	select {
	case a := <-done:
		if missing(a.err) {
			return &consent.Pulse{}, nil
		}
		return a.pulse, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("it does not answer: %w", ctx.Err())
	}
}

// missing reports whether the database or a table is not there.
func missing(err error) bool {
	ex, ok := errors.AsType[*clickhouse.Exception](err)
	return ok && (ex.Code == 60 || ex.Code == 81)
}

func (w *Warehouse) probe(ctx context.Context, edge string) (*consent.Pulse, error) {
	o := w.options(w.target.Addrs, w.target.Database)
	o.MaxOpenConns, o.MaxIdleConns = 1, 1
	if until, ok := ctx.Deadline(); ok {
		o.DialTimeout, o.ReadTimeout = min(o.DialTimeout, time.Until(until)), min(o.ReadTimeout, time.Until(until))
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		return nil, fmt.Errorf("opening warehouse: %w", err)
	}
	defer conn.Close()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1, "max_block_size": probeRows}))
	var p consent.Pulse
	var now int64
	var up uint32
	if err := conn.QueryRow(ctx, "SELECT toUnixTimestamp64Milli(now64(3)), toUInt32(uptime())").Scan(&now, &up); err != nil {
		return nil, asked("for a sign of life", err)
	}
	p.Now, p.Up = consent.Millis(now), time.Now().Add(-time.Duration(up)*time.Second)
	all, err := claims(ctx, conn, edge)
	if err != nil {
		return nil, err
	}
	p.Claims = holders(all)
	return &p, w.touch(ctx, conn)
}

// part is a file of a table.
type part struct {
	table, name string
	rows        uint64
}

// touch reads the newest part of each table, and one that chance picks.
func (w *Warehouse) touch(ctx context.Context, conn driver.Conn) error {
	for _, q := range []string{
		"SELECT table, argMax(name, modification_time), argMax(rows, modification_time) FROM %s WHERE %s GROUP BY table",
		"SELECT table, name, rows FROM %s WHERE %s ORDER BY rand() LIMIT 1",
	} {
		parts, err := w.parts(ctx, conn, q)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := w.read(ctx, conn, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Warehouse) parts(ctx context.Context, conn driver.Conn, query string) (all []part, err error) {
	tables := "'consent_facts', 'consent_personal', 'prompts'"
	if w.target.Cluster != "" {
		tables = "'consent_facts_local', 'consent_personal_local', 'prompts_local'"
	}
	rows, err := conn.Query(ctx, fmt.Sprintf(query, w.target.everywhere("system.parts"), "active AND database = {database:String} AND table IN ("+tables+")"),
		clickhouse.Named("database", w.target.Database))
	if err != nil {
		return nil, asked("for the parts of the tables", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p part
		if err := rows.Scan(&p.table, &p.name, &p.rows); err != nil {
			return nil, asked("for the parts of the tables", err)
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// read reads some rows of a part; one that was merged away meanwhile has none.
func (w *Warehouse) read(ctx context.Context, conn driver.Conn, p part) error {
	from := uint64(0)
	if p.rows > probeRows {
		from = rand.Uint64N(p.rows - probeRows + 1)
	}
	query := fmt.Sprintf("SELECT sum(cityHash64(*)) FROM (SELECT * FROM %s WHERE _part = {part:String} AND _part_offset >= %d AND _part_offset < %d)",
		w.target.everywhere(w.target.Database+"."+p.table), from, from+probeRows)
	var sum uint64
	if err := conn.QueryRow(ctx, query, clickhouse.Named("part", p.name)).Scan(&sum); err != nil {
		return asked("for the newest rows of "+p.table, err)
	}
	return nil
}

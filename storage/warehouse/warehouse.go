// Package warehouse keeps every proof, prompt and wording in ClickHouse, where analysts and auditors ask.
//
// # Guarantee
//
// What is sent is stored, and counted exactly once, however often it is sent and in whatever batches: tables collapse
// equal sort keys, which end in the row's place (edge, generation, seq). A proof or prompt is its id: recorded by
// several edges, or again after a restore, it is stored each time and counts once (repeats.go).
//
// # What it does not do
//
// It never retries and keeps no queue (storage/drain does both); it answers no "may I?" (the ledger does: a
// point lookup here costs milliseconds); and it is no safer than its server, which does not fsync inserts:
// the drain keeps shipped rows for a while so that they can be sent again.
//
// # Files
//
//	warehouse.go  Options, Open, Ping, Stats, Close
//	url.go        clickhouse:// addresses
//	migrate.go    the numbered schema/*.sql, applied at start
//	cluster.go    the same schema spread over the shards of a cluster
//	send.go       SendProofs, SendPrompts, SendWordings: one insert per table
//	repeats.go    which rows do not count, because their id was recorded before
//	columns.go    rows turned into columns
//	edges.go      Claim: who may send under the name of an edge
//	held.go       what is held of what was sent, to be compared with what was shipped
//	probe.go      Probe: a sign of life that reads the tables
//	errors.go     which server errors blame the rows
//	rates.go      Rates: granted, denied and prompts by dimension
//	history.go    History and Proof: the proofs of a subject, one proof by id
//	evidence.go   publications, checkpoints, entries of the log
//	erase.go      Erase: the personal rows of one person
//	restore.go    what a restored ledger asks; copies of the database
//	sql.go        SQL: a read-only statement, for people
//	format.go     what SQL prints
//
// # Why
//
//   - clickhouse-go: the vendor's client, and the one that sends a batch as columns over the native
//     protocol and knows several addresses. This package is its sole importer.
//   - No insert is ever dropped as a duplicate. ClickHouse can do that for a batch whose token or content it has
//     seen, but it notes a batch in its deduplication log apart from the batch's part: killed in between, it has
//     been seen to hold the note without the part, to report the resend as success, and to miss the rows for
//     good. So every insert carries a token of its own, and exactly once rests on keys alone. The
//     price is that a resend lies in the tables twice until a merge. Switching the feature off instead takes
//     another setting before and since ClickHouse 26.2 (insert_deduplicate, deduplicate_insert), the second an
//     error to older servers and on by default in newer ones; a fresh token means the same to all of them,
//     also where the operator gave tables a window or replicated them.
//   - Rates are counted from the facts, FINAL, at every question. Roll-ups of a bitmap of seqs for each combination of
//     dimensions held half as many rows as there are proofs, were thirty times slower to ask, and wrong where a seq of
//     an edge was used twice. Closed hours could be counted once and kept when a site outgrows this.
//   - Repeats are named when they arrive, in a table of their own, rather than told apart at every question: grouping
//     by id costs memory in proportion to the range, and the sort key cannot begin with the id, which has no order
//     that serves a question. A row of the facts is never taken away for it: it is a leaf of its edge's log.
//   - Decisions as one LowCardinality text, the canonical JSON of the proof: a site has few combinations, so
//     a row costs one byte; Map and Array columns cost more to send, to store and to group by, and the view
//     consents hands out a Map all the same. To be looked at again when a site has thousands of combinations.
package warehouse

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Options of Open. Only URL is needed.
type Options struct {
	// URL is clickhouse://user:password@host:9000[,host2:9000…]/database, see ParseURL for its parameters.
	// Secret. Several addresses are several doors to one set of tables (replicas, or servers of a cluster); the first
	// that answers is used.
	URL string

	// Timeout bounds one insert or query, from connecting to the last byte. Default 60 s.
	Timeout time.Duration

	// DialTimeout bounds one attempt to connect to one address, and the wait for a free connection. Default 5 s.
	DialTimeout time.Duration

	// MaxConns bounds the connections. Default 8: three streams of the drain, the rest for questions.
	MaxConns int

	Log *slog.Logger // default slog.Default()
}

// Warehouse is a client of one ClickHouse database. All methods are safe for concurrent use.
type Warehouse struct {
	opt    Options
	target *Target
	conn   driver.Conn
	token  func() string // of one insert; tests alone replace freshToken

	entered sync.Map // consent.Place without seq → nil: noted in the table logs
}

// Open parses the URL; it does not need a server to be up.
func Open(o Options) (*Warehouse, error) {
	t, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.MaxConns == 0 {
		o.MaxConns = 8
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w := &Warehouse{opt: o, target: t, token: freshToken}
	if w.conn, err = w.connect(t.Addrs, t.Database); err != nil {
		return nil, err
	}
	return w, nil
}

// connect makes a pool on one database; nothing is dialled before the first use.
func (w *Warehouse) connect(addrs []string, database string) (driver.Conn, error) {
	conn, err := clickhouse.Open(w.options(addrs, database))
	if err != nil {
		return nil, fmt.Errorf("opening warehouse: %w", err)
	}
	return conn, nil
}

func (w *Warehouse) options(addrs []string, database string) *clickhouse.Options {
	return &clickhouse.Options{
		Addr:             addrs,
		Auth:             clickhouse.Auth{Database: database, Username: w.target.User, Password: w.target.Password},
		TLS:              w.target.TLS,
		DialTimeout:      w.opt.DialTimeout,
		ReadTimeout:      w.opt.Timeout,
		MaxOpenConns:     w.opt.MaxConns,
		MaxIdleConns:     w.opt.MaxConns,
		ConnMaxLifetime:  time.Hour,
		ConnOpenStrategy: clickhouse.ConnOpenInOrder,
		Compression:      w.target.compression(),
		Settings:         w.target.settings(),
	}
}

// Ping asks the server for a sign of life.
func (w *Warehouse) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.DialTimeout)
	defer cancel()
	if err := w.conn.Ping(ctx); err != nil {
		return fmt.Errorf("pinging warehouse: %w", err)
	}
	return nil
}

// Stats is what the warehouse holds.
type Stats struct {
	Version string            // of the server
	Rows    map[string]uint64 // by table, as stored: copies not merged away yet are counted
	Bytes   map[string]uint64 // by table, on disk, indexes included
}

// Stats reads the server version and the size of each table.
func (w *Warehouse) Stats(ctx context.Context) (*Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	s := &Stats{Rows: map[string]uint64{}, Bytes: map[string]uint64{}}
	if err := w.conn.QueryRow(ctx, "SELECT version()").Scan(&s.Version); err != nil {
		return nil, fmt.Errorf("reading server version: %w", err)
	}
	rows, err := w.conn.Query(ctx, "SELECT name, ifNull(total_rows, 0), ifNull(total_bytes, 0) FROM "+w.target.everywhere("system.tables")+
		" WHERE database = {database:String} AND engine LIKE '%MergeTree'", clickhouse.Named("database", w.target.Database))
	if err != nil {
		return nil, fmt.Errorf("reading table sizes: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n, b uint64
		if err := rows.Scan(&name, &n, &b); err != nil {
			return nil, fmt.Errorf("reading table sizes: %w", err)
		}
		name = strings.TrimSuffix(name, localSuffix)
		s.Rows[name] += n
		s.Bytes[name] += b
	}
	return s, rows.Err()
}

// Close ends all connections.
func (w *Warehouse) Close() error { return w.conn.Close() }

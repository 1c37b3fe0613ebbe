package warehouse

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// ErrSchema means that the database was migrated by files that differ from ours: another program, or a
// released file that was edited.
var ErrSchema = errors.New("warehouse: the database has another schema")

// Migration is one numbered file.
type migration struct {
	version    uint32
	name       string
	statements []string
	sum        string // SHA-256 of the file, hex
}

// role is what a server is to the schema, and the table in which it notes the files it has had.
type role struct {
	noted      string
	statements func(s string) (string, error) // what it makes of a statement of a file; "" skips it
}

// alone is the server that holds everything.
var alone = role{"schema_migrations", func(s string) (string, error) { return s, nil }}

// Migrate creates the database and brings its tables to the newest schema. It may be called at every start,
// and by several edges at the same moment: there is no lock to take, so every statement is idempotent, and an
// edge that finds a file already recorded skips it. Files with a number this program does not know (a newer
// edge was here) are left alone.
func (w *Warehouse) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	all, err := migrations(schemaFiles)
	if err != nil {
		return err
	}
	if w.target.Cluster != "" {
		return w.migrateCluster(ctx, all)
	}
	if err := w.createDatabase(ctx, w.conn, w.target.Addrs); err != nil {
		return err
	}
	if err := w.checkEngine(ctx, w.conn, "MergeTree", "it holds the tables of a cluster: add ?cluster=NAME"); err != nil {
		return err
	}
	return w.migrate(ctx, w.conn, all, alone)
}

// createDatabase goes through a connection of its own: the server refuses a connection to a database that
// does not exist. A user who may not create databases is fine when it is there.
func (w *Warehouse) createDatabase(ctx context.Context, conn driver.Conn, addrs []string) error {
	if w.target.Database == "default" || conn.Ping(ctx) == nil {
		return nil
	}
	without, err := w.connect(addrs, "")
	if err != nil {
		return err
	}
	defer without.Close()
	if err := without.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+w.target.Database); err != nil { // name checked by ParseURL
		return fmt.Errorf("creating database %s: %w", w.target.Database, err)
	}
	return nil
}

// checkEngine looks whether a table that is there is of the kind this program would make.
func (w *Warehouse) checkEngine(ctx context.Context, conn driver.Conn, kind, otherwise string) error {
	rows, err := conn.Query(ctx, "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'consent_facts'")
	if err != nil {
		return fmt.Errorf("looking at the tables: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var engine string
		if err := rows.Scan(&engine); err != nil {
			return fmt.Errorf("looking at the tables: %w", err)
		}
		if !strings.HasSuffix(engine, kind) {
			return fmt.Errorf("%w: in database %s, consent_facts is of engine %s; %s", ErrSchema, w.target.Database, engine, otherwise)
		}
	}
	return rows.Err()
}

// migrate brings the tables of one server to the newest schema.
func (w *Warehouse) migrate(ctx context.Context, conn driver.Conn, all []migration, r role) error {
	if err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+r.noted+` (version UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
		ENGINE = ReplacingMergeTree ORDER BY version`); err != nil {
		return fmt.Errorf("creating %s: %w", r.noted, err)
	}
	applied, err := applied(ctx, conn, r.noted)
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.noted, err)
	}
	for _, m := range all {
		if sum, ok := applied[m.version]; ok {
			if sum != m.sum {
				return fmt.Errorf("%w: %s was applied with other content", ErrSchema, m.name)
			}
			continue
		}
		if err := apply(ctx, conn, m, r); err != nil {
			return fmt.Errorf("applying %s: %w", m.name, err)
		}
		w.opt.Log.Info("warehouse schema applied", "file", m.name)
	}
	return nil
}

func applied(ctx context.Context, conn driver.Conn, noted string) (map[uint32]string, error) {
	rows, err := conn.Query(ctx, "SELECT version, sha256 FROM "+noted+" FINAL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	applied := map[uint32]string{}
	for rows.Next() {
		var v uint32
		var sum string
		if err := rows.Scan(&v, &sum); err != nil {
			return nil, err
		}
		applied[v] = sum
	}
	return applied, rows.Err()
}

func apply(ctx context.Context, conn driver.Conn, m migration, r role) error {
	for _, s := range m.statements {
		s, err := r.statements(s)
		if err != nil {
			return err
		}
		if s == "" {
			continue
		}
		if err := conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return conn.Exec(ctx, "INSERT INTO "+r.noted+" (version, name, sha256) VALUES ({version:UInt32}, {name:String}, {sum:String})",
		clickhouse.Named("version", m.version), clickhouse.Named("name", m.name), clickhouse.Named("sum", m.sum))
}

var migrationName = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)

// migrations reads the files in the order of their numbers, which have no gaps.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "schema/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, path := range names {
		name := strings.TrimPrefix(path, "schema/")
		m := migrationName.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("warehouse: %s is not named 0001_words.sql", name)
		}
		version, _ := strconv.Atoi(m[1])
		if version != i+1 {
			return nil, fmt.Errorf("warehouse: %s comes where %04d is due", name, i+1)
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(b)
		all = append(all, migration{uint32(version), name, statements(string(b)), hex.EncodeToString(sum[:])})
	}
	return all, nil
}

// statements splits a file at semicolons, without comment lines. No string of a schema file holds a
// semicolon.
func statements(sql string) []string {
	var clean strings.Builder
	for line := range strings.Lines(sql) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			clean.WriteString(line)
		}
	}
	var all []string
	for s := range strings.SplitSeq(clean.String(), ";") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}

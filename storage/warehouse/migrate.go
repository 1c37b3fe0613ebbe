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

const migrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32,
    name       String,
    sha256     String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree ORDER BY version`

// Migrate creates the database and brings its tables to the newest schema. It may be called at every start,
// and by several edges at the same moment: there is no lock to take, so every statement is idempotent, and an
// edge that finds a file already recorded skips it. Files with a number this program does not know (a newer
// edge was here) are left alone.
func (w *Warehouse) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	if err := w.createDatabase(ctx); err != nil {
		return fmt.Errorf("creating database %s: %w", w.target.Database, err)
	}
	if err := w.conn.Exec(ctx, migrationsTable); err != nil {
		return fmt.Errorf("creating schema_migrations: %w", err)
	}
	all, err := migrations(schemaFiles)
	if err != nil {
		return err
	}
	applied, err := w.applied(ctx)
	if err != nil {
		return fmt.Errorf("reading schema_migrations: %w", err)
	}
	for _, m := range all {
		if sum, ok := applied[m.version]; ok {
			if sum != m.sum {
				return fmt.Errorf("%w: %s was applied with other content", ErrSchema, m.name)
			}
			continue
		}
		if err := w.apply(ctx, m); err != nil {
			return fmt.Errorf("applying %s: %w", m.name, err)
		}
	}
	return nil
}

// createDatabase goes through a connection of its own: the server refuses a connection to a database that
// does not exist. A user who may not create databases is fine when it is there.
func (w *Warehouse) createDatabase(ctx context.Context) error {
	if w.target.Database == "default" || w.Ping(ctx) == nil {
		return nil
	}
	conn, err := w.connect("")
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+w.target.Database) // name checked by ParseURL
}

func (w *Warehouse) applied(ctx context.Context) (map[uint32]string, error) {
	rows, err := w.conn.Query(ctx, "SELECT version, sha256 FROM schema_migrations FINAL")
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

func (w *Warehouse) apply(ctx context.Context, m migration) error {
	for _, s := range m.statements {
		if err := w.conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	w.opt.Log.Info("warehouse schema applied", "file", m.name)
	return w.conn.Exec(ctx, "INSERT INTO schema_migrations (version, name, sha256) VALUES ({version:UInt32}, {name:String}, {sum:String})",
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

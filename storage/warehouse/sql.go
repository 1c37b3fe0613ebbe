package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ErrFormat means that a name is no output format.
var ErrFormat = errors.New("warehouse: a format is table, tsv or jsonl")

// SQL runs one statement that reads and prints its rows: as "table" for eyes, "tsv" for tools (a header line,
// then rows, escaped like ClickHouse's TabSeparatedWithNames), "jsonl" for programs (an object per line).
//
// The server runs it with readonly = 2: whatever writes, creates or drops is refused, whoever the user is. It ends
// with ctx; the time is not bounded otherwise.
func (w *Warehouse) SQL(ctx context.Context, query, format string, out io.Writer) error {
	p, err := newPrinter(format, out)
	if err != nil {
		return err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"readonly": 2}))
	rows, err := w.conn.Query(ctx, query)
	if err != nil {
		return fmt.Errorf("running SQL: %w", err)
	}
	defer rows.Close()
	if err := printRows(rows, p); err != nil {
		return fmt.Errorf("running SQL: %w", err)
	}
	return nil
}

func printRows(rows driver.Rows, p printer) error {
	types := rows.ColumnTypes()
	if err := p.header(rows.Columns()); err != nil {
		return err
	}
	dest := make([]any, len(types))
	for rows.Next() {
		for i, t := range types {
			dest[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		values := make([]value, len(types))
		for i, t := range types {
			values[i] = value{reflect.ValueOf(dest[i]).Elem(), t.DatabaseTypeName()}
		}
		if err := p.row(values); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), p.end())
}

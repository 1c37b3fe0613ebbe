package warehouse

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Conn lets tests ask the server directly.
func (w *Warehouse) Conn() driver.Conn { return w.conn }

// Alter lets tests change a table where it is stored.
func (w *Warehouse) Alter(ctx context.Context, before, table, after string) error {
	return w.alter(ctx, before, table, after)
}

// Token makes every insert carry what f gives instead of a token of its own.
func (w *Warehouse) Token(f func() string) { w.token = f }

// ParseMigrations reads schema files.
var ParseMigrations = migrations

// PoisonName is the table of codes that blame the rows.
var PoisonName = poison

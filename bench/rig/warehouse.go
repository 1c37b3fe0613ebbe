package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/engine"
	"github.com/consentd/consentd/storage/warehouse"
)

// ErrSlow means that what was awaited did not come within its limit.
var ErrSlow = errors.New("rig: did not happen in time")

// EngineURL is the address of the embedded ClickHouse of a running program, for another to ship to.
func (c *Consentd) EngineURL() (string, error) {
	dir, err := c.below("connection.json")
	if err != nil {
		return "", err
	}
	conn, err := engine.Running(dir)
	return conn.URL(), err
}

// Warehouse connects to the embedded ClickHouse of a running program, to see what has arrived there without
// asking the program. The caller closes it.
func (c *Consentd) Warehouse() (*warehouse.Warehouse, error) {
	url, err := c.EngineURL()
	if err != nil {
		return nil, err
	}
	return warehouse.Open(warehouse.Options{URL: url})
}

// Arrived is how many proofs are queryable in full: rows of consent_facts or of consent_personal, whichever
// has fewer. Rows sent twice and not merged yet count twice.
func Arrived(ctx context.Context, w *warehouse.Warehouse) (uint64, error) {
	s, err := w.Stats(ctx)
	if err != nil {
		return 0, err
	}
	return min(s.Rows["consent_facts"], s.Rows["consent_personal"]), nil
}

// AwaitArrived asks every pause until n proofs are queryable, calling seen with each answer.
func AwaitArrived(ctx context.Context, w *warehouse.Warehouse, n uint64, pause, limit time.Duration, seen func(at time.Time, arrived uint64)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		got, err := Arrived(ctx, w)
		if err != nil {
			return err
		}
		seen(time.Now(), got)
		if got >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d proofs in ClickHouse after %v", ErrSlow, got, n, limit)
		case <-time.After(pause):
		}
	}
}

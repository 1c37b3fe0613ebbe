package warehouse

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/consentd/consentd/storage/consent"
)

// Claim takes the name of an edge for a process, or renews it; at is the edge's time. nil means that the name is c's;
// otherwise it gives who holds it: another ledger, or another process with a copy of the same one, which has c's instance
// and generation. Whether that one still runs shows in its Seen, which moves on.
//
// # Why no two can hold it
//
// ClickHouse has no transactions. So each writes that it holds the name, and only then looks: whoever sees nobody else has
// it. Of two that write at once, one looks after both have written, and sees the other; it takes back what it
// wrote and is refused. When both see each other both are refused, and try again after waits that differ. It holds for a
// single server, and for a cluster, where the rows of a name lie on one shard; on replicas of a shard a server must be
// asked that has what the other wrote (insert_quorum, select_sequential_consistency).
//
// A ledger that was restored from another's backup may take over from it: the older generation is not in its way, and
// finds the name held by a newer one when it next looks.
func (w *Warehouse) Claim(ctx context.Context, c consent.Claim, at consent.Millis) (*consent.Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	all, err := claims(ctx, w.conn, c.Edge)
	if err != nil {
		return nil, err
	}
	if rival := rivalOf(c, all); rival != nil {
		return rival, nil
	}
	own := claim{Holder: consent.Holder{Instance: c.Instance, Generation: c.Generation, Since: at}}
	for _, one := range all {
		if one.sameLedger(c) {
			own = one
		}
	}
	held := own.holds
	own.holds, own.Seen, own.Session = true, max(at, own.Seen+1), c.Session // a clock that stands still is no sign of death
	if err := w.write(ctx, c.Edge, &own); err != nil {
		return nil, err
	}
	if all, err = claims(ctx, w.conn, c.Edge); err != nil {
		return nil, err
	}
	rival := rivalOf(c, all)
	if rival != nil && !held && rival.Instance != c.Instance { // a copy's claim stands in the row of our own
		own.holds = false
		err = w.write(ctx, c.Edge, &own)
	}
	return rival, err
}

// Release gives up the name, as a process does that stops in good order: the next one need not wait.
func (w *Warehouse) Release(ctx context.Context, c consent.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	all, err := claims(ctx, w.conn, c.Edge)
	if err != nil {
		return err
	}
	for i := range all {
		if own := &all[i]; own.sameLedger(c) && own.Session == c.Session && own.holds {
			own.holds = false
			return w.write(ctx, c.Edge, own)
		}
	}
	return nil
}

// claim is a row of edges.
type claim struct {
	consent.Holder
	holds   bool
	version uint64
}

// sameLedger: of c's ledger, or of a copy of it.
func (o *claim) sameLedger(c consent.Claim) bool {
	return o.Instance == c.Instance && o.Generation == c.Generation
}

// rivalOf gives the holder c has to respect.
func rivalOf(c consent.Claim, all []claim) *consent.Holder {
	for i := range all {
		other := &all[i]
		if !other.holds {
			continue
		}
		over := other.Generation < c.Generation && slices.Contains(c.Predecessors, other.Instance)
		copied := other.sameLedger(c) && other.Session != c.Session && !slices.Contains(c.Replaces, other.Session)
		if other.Instance != c.Instance && !over || copied {
			return &other.Holder
		}
	}
	return nil
}

// claims reads what was written of a name, the newest of each instance and generation.
func claims(ctx context.Context, conn driver.Conn, edge string) (all []claim, err error) {
	rows, err := conn.Query(ctx, `SELECT instance, generation, argMax(session, version), argMax(holds, version), toUnixTimestamp64Milli(argMax(since, version)),
		toUnixTimestamp64Milli(argMax(seen, version)), max(version) FROM edges WHERE edge = {edge:String} GROUP BY instance, generation
		ORDER BY generation DESC, instance`, clickhouse.Named("edge", edge))
	if err != nil {
		return nil, asked("who holds the name of this edge", err)
	}
	defer rows.Close()
	for rows.Next() {
		var one claim
		var holds uint8
		var since, seen int64
		if err := rows.Scan(&one.Instance, &one.Generation, &one.Session, &holds, &since, &seen, &one.version); err != nil {
			return nil, asked("who holds the name of this edge", err)
		}
		one.holds, one.Since, one.Seen = holds == 1, consent.Millis(since), consent.Millis(seen)
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, asked("who holds the name of this edge", err)
	}
	return all, nil
}

// write replaces the row of a claim, whatever a clock says.
func (w *Warehouse) write(ctx context.Context, edge string, c *claim) error {
	c.version = max(c.version+1, uint64(time.Now().UnixNano()))
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings(w.token())))
	holds := uint8(0)
	if c.holds {
		holds = 1
	}
	err := w.conn.Exec(ctx, `INSERT INTO edges (edge, instance, generation, session, holds, since, seen, version) VALUES ({edge:String}, {instance:UUID},
		{generation:UInt32}, {session:UUID}, {holds:UInt8}, fromUnixTimestamp64Milli({since:Int64}, 'UTC'), fromUnixTimestamp64Milli({seen:Int64}, 'UTC'), {version:UInt64})`,
		clickhouse.Named("edge", edge), clickhouse.Named("instance", c.Instance.String()), clickhouse.Named("generation", c.Generation), clickhouse.Named("session", c.Session.String()),
		clickhouse.Named("holds", holds), clickhouse.Named("since", int64(c.Since)), clickhouse.Named("seen", int64(c.Seen)), clickhouse.Named("version", c.version))
	if err != nil {
		return classify("edges", err)
	}
	return nil
}

// holders are those of all that hold a name.
func holders(all []claim) (holding []consent.Holder) {
	for _, one := range all {
		if one.holds {
			holding = append(holding, one.Holder)
		}
	}
	return holding
}

// asked wraps an error of a question: an exception keeps its code and loses its text.
func asked(what string, err error) error { return classifyAs("asking "+what, err) }

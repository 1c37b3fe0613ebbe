package warehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// A cluster keeps each table X of the schema as X_local on every shard, and as X, a Distributed table over those, on
// every server that knows the cluster and on those of the address. So whatever reads or writes X does not know the
// difference; only what changes tables does.
//
// Statements go to each server by itself, with the user and password of the address, and the host and port that
// system.clusters has for it: ON CLUSTER would need a Keeper, which a cluster without replicas has not. A replica that
// does not answer is left to the next start, as long as another of its shard does.
//
// Tables are Replicated… where the servers have the macros shard and replica; then a Keeper is needed. A server with a
// ZooKeeper has taken these statements; replicas at work have not been seen, the engine of the tests cannot be one.

// ErrCluster means that the cluster of the address cannot be used as it is; the error around it says why.
var ErrCluster = errors.New("warehouse: the cluster cannot be used")

const localSuffix = "_local"

// shardBy says which shard a row goes to. Equal rows must meet, to collapse, and a person's rows lie together. The
// facts have nothing of a person in them.
var shardBy = map[string]string{
	"consent_facts":    "sipHash64(edge, generation, seq)",
	"consent_personal": "sipHash64(subject)",
	"wordings":         "sipHash64(site, hash)",
	"prompts":          "sipHash64(edge, generation, seq)",
	"consent_repeats":  "sipHash64(site, id)",
	"prompt_repeats":   "sipHash64(site, id)",
	"consent_late":     "sipHash64(site, id)",
	"logs":             "sipHash64(edge, generation)",
	"publications":     "sipHash64(site, hash)",
	"checkpoints":      "sipHash64(log, origin)",
	"edges":            "sipHash64(edge)", // one shard, so that what one writes the other sees
	"erasures":         "sipHash64(edge, seq)",
	"erased_subjects":  "sipHash64(site, who)",
}

var (
	tableCreated = regexp.MustCompile(`^(CREATE TABLE IF NOT EXISTS (\w+))`)
	tableEngine  = regexp.MustCompile(`\nENGINE = (\w*MergeTree)(?:\((\w+)\))?`)
	tableIndex   = regexp.MustCompile(`,\n *INDEX [^\n]*[^\n,]`)
	tableAltered = regexp.MustCompile(`^(ALTER TABLE \w+)( \w+ (\w+))`)
	viewCreated  = regexp.MustCompile(`^CREATE VIEW `)
)

// settings of every connection: an insert is acknowledged when the shards have it, and a subquery over a Distributed
// table asks all shards.
func (t *Target) settings() clickhouse.Settings {
	if t.Cluster == "" {
		return nil
	}
	return clickhouse.Settings{"distributed_foreground_insert": 1, "distributed_product_mode": "global"}
}

// everywhere is a table of one server, or of one replica of each shard.
func (t *Target) everywhere(table string) string {
	if t.Cluster == "" {
		return table
	}
	return "cluster('" + t.Cluster + "', " + table + ")"
}

// onEvery is a table of one server, or of every replica of every shard.
func (t *Target) onEvery(table string) string {
	if t.Cluster == "" {
		return table
	}
	return "clusterAllReplicas('" + t.Cluster + "', " + table + ")"
}

// shardRole makes of the schema what a shard holds.
func shardRole(replicated bool) role {
	return role{"schema_migrations" + localSuffix, func(s string) (string, error) {
		switch {
		case tableCreated.MatchString(s):
			s = tableCreated.ReplaceAllString(s, "${1}"+localSuffix)
			if replicated {
				s = tableEngine.ReplaceAllStringFunc(s, replicatedEngine)
			}
			return s, nil
		case tableAltered.MatchString(s):
			return tableAltered.ReplaceAllString(s, "${1}"+localSuffix+"${2}"), nil
		case viewCreated.MatchString(s):
			return "", nil
		}
		return "", fmt.Errorf("%w: nothing is known of the statement %.60q", ErrCluster, s)
	}}
}

// replicatedEngine is an engine with its replicated form in place of it.
func replicatedEngine(s string) string {
	m := tableEngine.FindStringSubmatch(s)
	arguments := "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
	if m[2] != "" {
		arguments += ", " + m[2]
	}
	return "\nENGINE = Replicated" + m[1] + "(" + arguments + ")"
}

// doorRole makes of the schema what a server has that is asked: the tables of all shards under the names of the
// schema. They have neither data nor indexes of their own.
func (t *Target) doorRole() role {
	return role{"schema_migrations_distributed", func(s string) (string, error) {
		switch {
		case tableCreated.MatchString(s):
			table := tableCreated.FindStringSubmatch(s)[2]
			key, known := shardBy[table]
			columns := tableEngine.FindStringIndex(s)
			if !known || columns == nil {
				return "", fmt.Errorf("%w: nothing is known of the table %s", ErrCluster, table)
			}
			return fmt.Sprintf("%s\nENGINE = Distributed('%s', '%s', '%s%s', %s)", tableIndex.ReplaceAllString(s[:columns[0]], ""),
				t.Cluster, t.Database, table, localSuffix, key), nil
		case tableAltered.MatchString(s):
			if tableAltered.FindStringSubmatch(s)[3] == "INDEX" {
				return "", nil
			}
			return s, nil
		}
		return s, nil
	}}
}

// shards asks the server who belongs to the cluster: the addresses of each shard's replicas.
func (w *Warehouse) shards(ctx context.Context, conn driver.Conn) ([][]string, error) {
	rows, err := conn.Query(ctx, "SELECT shard_num, host_name, port FROM system.clusters WHERE cluster = {cluster:String} ORDER BY shard_num, replica_num",
		clickhouse.Named("cluster", w.target.Cluster))
	if err != nil {
		return nil, fmt.Errorf("asking for the cluster: %w", err)
	}
	defer rows.Close()
	var all [][]string
	for rows.Next() {
		var number uint32
		var host string
		var port uint16
		if err := rows.Scan(&number, &host, &port); err != nil {
			return nil, fmt.Errorf("asking for the cluster: %w", err)
		}
		for uint32(len(all)) < number { // they count from 1
			all = append(all, nil)
		}
		all[number-1] = append(all[number-1], net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("asking for the cluster: %w", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the server knows no cluster %q (remote_servers of its configuration)", ErrCluster, w.target.Cluster)
	}
	return all, nil
}

// on calls fn with a connection to one server.
func (w *Warehouse) on(addr, database string, fn func(driver.Conn) error) error {
	conn, err := w.connect([]string{addr}, database)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := fn(conn); err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return nil
}

// answered reports whether an error is a server's answer, or ours about what it said, rather than its silence.
func answered(err error) bool {
	_, ok := errors.AsType[*clickhouse.Exception](err)
	return ok || errors.Is(err, ErrCluster) || errors.Is(err, ErrSchema)
}

// onAll calls fn for each of addrs. One that does not answer is passed over when another does.
func (w *Warehouse) onAll(addrs []string, fn func(addr string) error) error {
	var silent []error
	for _, addr := range addrs {
		err := fn(addr)
		if err != nil && answered(err) {
			return err
		}
		if err != nil {
			silent = append(silent, err)
		}
	}
	if len(silent) == len(addrs) {
		return errors.Join(silent...)
	}
	for _, err := range silent {
		w.opt.Log.Warn("a server of the cluster does not answer: it gets its tables at the next start", "err", err)
	}
	return nil
}

// migrateCluster brings the shards to the newest schema, then the servers that are asked: those of the address, and
// those of the shards that know the cluster themselves.
func (w *Warehouse) migrateCluster(ctx context.Context, all []migration) error {
	asking, err := w.connect(w.target.Addrs, "") // the database may still be to come
	if err != nil {
		return err
	}
	defer asking.Close()
	shards, err := w.shards(ctx, asking)
	if err != nil {
		return err
	}
	doors := slices.Clone(w.target.Addrs)
	for _, replicas := range shards {
		err := w.onAll(replicas, func(addr string) error {
			knows, err := w.migrateShard(ctx, addr, len(replicas), all)
			if knows && !slices.Contains(doors, addr) {
				doors = append(doors, addr)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("making the tables of a shard: %w", err)
		}
	}
	if err := w.onAll(doors, func(addr string) error { return w.migrateDoor(ctx, addr, all) }); err != nil {
		return fmt.Errorf("making the tables over all shards: %w", err)
	}
	return nil
}

func (w *Warehouse) migrateShard(ctx context.Context, addr string, replicas int, all []migration) (knows bool, err error) {
	err = w.on(addr, w.target.Database, func(conn driver.Conn) error {
		if err := w.createDatabase(ctx, conn, []string{addr}); err != nil {
			return err
		}
		var macros uint64
		err := conn.QueryRow(ctx, `SELECT (SELECT count() FROM system.macros WHERE macro IN ('shard', 'replica')),
			(SELECT count() > 0 FROM system.clusters WHERE cluster = {cluster:String})`, clickhouse.Named("cluster", w.target.Cluster)).Scan(&macros, &knows)
		if err != nil {
			return err
		}
		if replicas > 1 && macros < 2 {
			return fmt.Errorf("%w: a shard of %q has %d replicas, and the macros shard and replica, by which they find each other, are not in the server's configuration",
				ErrCluster, w.target.Cluster, replicas)
		}
		return w.migrate(ctx, conn, all, shardRole(macros == 2))
	})
	return knows, err
}

func (w *Warehouse) migrateDoor(ctx context.Context, addr string, all []migration) error {
	return w.on(addr, w.target.Database, func(conn driver.Conn) error {
		if err := w.createDatabase(ctx, conn, []string{addr}); err != nil {
			return err
		}
		if err := w.checkEngine(ctx, conn, "Distributed", "it holds the tables of a single server: name another database"); err != nil {
			return err
		}
		return w.migrate(ctx, conn, all, w.target.doorRole())
	})
}

// alter runs a statement that changes the table whose name stands between before and after: on one replica of each
// shard, where there are shards; replicas tell each other.
func (w *Warehouse) alter(ctx context.Context, before, table, after string) error {
	if w.target.Cluster == "" {
		return w.conn.Exec(ctx, before+table+after)
	}
	shards, err := w.shards(ctx, w.conn)
	if err != nil {
		return err
	}
	for _, replicas := range shards {
		for _, addr := range replicas {
			err = w.on(addr, w.target.Database, func(conn driver.Conn) error { return conn.Exec(ctx, before+table+localSuffix+after) })
			if err == nil || answered(err) {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package storagetest

import (
	"fmt"
	"net"
	"testing"

	"github.com/consentd/consentd/storage/engine"
)

// Cluster is a ClickHouse cluster named "pair" of two shards, and a server beside them that knows it.
type Cluster struct {
	Door *engine.Engine
	Link *Proxy // through which everybody reaches the second shard
}

// The user all servers of a cluster have.
const clusterUser, clusterPassword = "everywhere", "open-sesame"

// NewCluster starts its three servers. The server beside them knows "twins", too: one shard of two replicas.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	user := fmt.Sprintf("<%s><password>%s</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></%[1]s>",
		clusterUser, clusterPassword)
	first, second := ownEngine(t, engine.Options{ExtraUsers: user}), ownEngine(t, engine.Options{ExtraUsers: user})
	c := &Cluster{Link: NewProxy(t, second.Addr())}
	one, two := replica(t, first.Addr()), replica(t, c.Link.Addr())
	c.Door = ownEngine(t, engine.Options{ExtraUsers: user, ExtraConfig: "<remote_servers>" +
		"<pair><shard>" + one + "</shard><shard>" + two + "</shard></pair>" +
		"<twins><shard>" + one + two + "</shard></twins></remote_servers>"})
	return c
}

func replica(t testing.TB, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("<replica><host>%s</host><port>%s</port><user>%s</user><password>%s</password></replica>", host, port, clusterUser, clusterPassword)
}

// Database gives the address of a database on the cluster that no other test uses. It does not exist yet.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	return FreshDatabase(t, "clickhouse://"+clusterUser+":"+clusterPassword+"@"+c.Door.Addr()+"/?cluster=pair")
}

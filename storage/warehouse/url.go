package warehouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// ErrURL means that a warehouse address cannot be used; the error around it says why. It never carries
// the password.
var ErrURL = errors.New("warehouse: the address is clickhouse://user:password@host:9000/database?secure=true")

// Target is a parsed address.
type Target struct {
	Addrs          []string // host:port, in the order they are tried
	User, Password string
	Database       string
	TLS            *tls.Config // nil: plain TCP
	Cluster        string      // name of a cluster of the server's configuration; "" is a single server
}

// Native ports of ClickHouse.
const (
	portPlain  = "9000"
	portSecure = "9440"
)

// databaseName is what may follow the slash: it is written into CREATE DATABASE, where nothing can be bound. The name
// of a cluster is written into CREATE TABLE.
var (
	databaseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
	clusterName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)
)

// ParseURL reads clickhouse://[user[:password]@]host[:port][,host[:port]…][/database][?parameters].
//
// Defaults: user "default" without password, port 9000 (9440 with TLS), database "default". Parameters:
// secure=true (TLS), skip_verify=true (any certificate; for tests), tls_server_name=NAME, cluster=NAME (tables spread
// over the shards of a cluster, see cluster.go).
func ParseURL(s string) (*Target, error) {
	rest, ok := strings.CutPrefix(s, "clickhouse://")
	if !ok {
		return nil, fmt.Errorf("%w: it starts with clickhouse:// (the native protocol)", ErrURL)
	}
	hosts, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		hosts, tail = rest[:i], rest[i:]
	}
	userinfo := ""
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		userinfo, hosts = hosts[:i+1], hosts[i+1:]
	}
	// net/url takes one host only; errors of it would quote the password.
	u, err := url.Parse("clickhouse://" + userinfo + "host" + tail)
	if err != nil {
		return nil, fmt.Errorf("%w: user, password and database are percent-encoded", ErrURL)
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf("%w: it has a fragment (#); write %%23 in a password", ErrURL)
	}
	t := &Target{User: u.User.Username(), Database: strings.TrimPrefix(u.Path, "/")}
	t.Password, _ = u.User.Password()
	if t.User == "" {
		t.User = "default"
	}
	if t.Database == "" {
		t.Database = "default"
	}
	if !databaseName.MatchString(t.Database) {
		return nil, fmt.Errorf("%w: database %q is not letters, digits and _", ErrURL, t.Database)
	}
	if err := t.parameters(u.RawQuery); err != nil {
		return nil, err
	}
	return t, t.hosts(hosts)
}

func (t *Target) parameters(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return fmt.Errorf("%w: its parameters are not percent-encoded", ErrURL)
	}
	var secure, skip bool
	name := q.Get("tls_server_name")
	for key := range q {
		switch key {
		case "secure":
			secure, err = strconv.ParseBool(q.Get(key))
		case "skip_verify":
			skip, err = strconv.ParseBool(q.Get(key))
		case "tls_server_name":
		case "cluster":
			if t.Cluster = q.Get(key); !clusterName.MatchString(t.Cluster) {
				return fmt.Errorf("%w: cluster %q is not letters, digits, _ and -", ErrURL, t.Cluster)
			}
		default:
			return fmt.Errorf("%w: unknown parameter %q (secure, skip_verify, tls_server_name, cluster)", ErrURL, key)
		}
		if err != nil {
			return fmt.Errorf("%w: %s is true or false", ErrURL, key)
		}
	}
	if !secure && (skip || name != "") {
		return fmt.Errorf("%w: skip_verify and tls_server_name need secure=true", ErrURL)
	}
	if secure {
		t.TLS = &tls.Config{InsecureSkipVerify: skip, ServerName: name, MinVersion: tls.VersionTLS12}
	}
	return nil
}

func (t *Target) hosts(list string) error {
	port := portPlain
	if t.TLS != nil {
		port = portSecure
	}
	for addr := range strings.SplitSeq(list, ",") {
		u, err := url.Parse("clickhouse://" + addr)
		if err != nil || u.Hostname() == "" || u.User != nil {
			return fmt.Errorf("%w: %q is no host or host:port", ErrURL, addr)
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%w: port %q of %q is not 1 to 65535", ErrURL, p, addr)
		}
		t.Addrs = append(t.Addrs, net.JoinHostPort(u.Hostname(), p))
	}
	return nil
}

// compression: LZ4 pays on a network; on loopback it costs more than the bytes it saves. Hashes, salts
// and ids, two thirds of a batch, do not compress anyway.
func (t *Target) compression() *clickhouse.Compression {
	for _, a := range t.Addrs {
		host, _, _ := net.SplitHostPort(a)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
		}
	}
	return &clickhouse.Compression{Method: clickhouse.CompressionNone}
}

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrNotRunning means that no engine answers for the folder asked about, whatever its files say.
var ErrNotRunning = errors.New("no embedded ClickHouse is running for this folder")

const connectionFile = "connection.json"

// runningTimeout is patient with an engine under load; it answers in some milliseconds otherwise.
const runningTimeout = 5 * time.Second

// Connection says how to reach a running engine. It is a secret: it has both passwords.
type Connection struct {
	Addr           string `json:"addr"` // 127.0.0.1:port
	User           string `json:"user"`
	Password       string `json:"password"`
	Reader         string `json:"reader"` // may read, not change
	ReaderPassword string `json:"reader_password"`
	PID            int    `json:"pid"` // of the engine process
}

// URL is the address with the user who may do everything, as clickhouse-go takes it.
func (c Connection) URL() string { return dsn(c.Addr, c.User, c.Password) }

// ReaderURL is the address with the user who may only read.
func (c Connection) ReaderURL() string { return dsn(c.Addr, c.Reader, c.ReaderPassword) }

func dsn(addr, user, password string) string {
	u := url.URL{Scheme: "clickhouse", User: url.UserPassword(user, password), Host: addr, Path: "/default"}
	return u.String()
}

// Running returns the connection of the engine that runs on dir, in whatever process. The file an engine
// left behind when it was killed does not count: the port must answer a query. Else [ErrNotRunning].
func Running(dir string) (Connection, error) {
	var conn Connection
	content, err := os.ReadFile(filepath.Join(dir, connectionFile))
	if errors.Is(err, os.ErrNotExist) {
		return conn, ErrNotRunning
	}
	if err != nil {
		return conn, fmt.Errorf("reading the engine's connection: %w", err)
	}
	if err := json.Unmarshal(content, &conn); err != nil {
		return Connection{}, fmt.Errorf("%w: %s: %v", ErrNotRunning, connectionFile, err)
	}
	if err := probe(context.Background(), runningTimeout, conn.Addr, conn.Reader, conn.ReaderPassword); err != nil {
		return Connection{}, fmt.Errorf("%w: %v", ErrNotRunning, err)
	}
	return conn, nil
}

func writeConnection(dir string, conn Connection) error {
	content, err := json.MarshalIndent(conn, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(filepath.Join(dir, connectionFile), append(content, '\n'))
}

func removeConnection(dir string) error {
	err := os.Remove(filepath.Join(dir, connectionFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

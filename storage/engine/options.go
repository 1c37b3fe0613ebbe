package engine

import (
	"errors"
	"log/slog"
	"path/filepath"
)

// defaultMemoryBytes holds for a site of some million proofs: idle takes a tenth of it, merges and a
// rate query over 10 M rows stay under 1 GiB.
const defaultMemoryBytes = 2 << 30

// Options say how to run the engine. Only Dir is needed.
type Options struct {
	// Dir holds the data, the configuration, the log and connection.json. It is created with mode 0700.
	// Losing it loses everything that was shipped and that the ledger no longer holds.
	Dir string

	// Lib is the path of libchdb.so; empty means: look where [Find] looks.
	Lib string

	// MemoryBytes bounds what the engine allocates, in bytes; queries over it fail. 0 means 2 GiB. The
	// engine itself lowers any bound to half of the machine's memory.
	MemoryBytes uint64

	// ExtraConfig is XML put inside the server configuration as it is, such as <remote_servers> for
	// Distributed tables. Usually empty.
	ExtraConfig string

	// ExtraUsers is XML put inside the <users> of the server, such as one that other servers log in as. Usually empty.
	ExtraUsers string

	// Log receives starts, deaths and restarts. What ClickHouse itself has to say is in engine.log in Dir, at
	// most 8 MB of it: it may quote queries, so it stays beside the data. Nil means slog.Default().
	Log *slog.Logger

	// pickPort is where a test says which ports come first; nil means one the system has free.
	pickPort func() (int, error)
}

// withDefaults fills what was left empty and makes Dir absolute, because the child has another
// working directory.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("engine: Options.Dir is empty")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, err
	}
	o.Dir = dir
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.pickPort == nil {
		o.pickPort = freePort
	}
	return o, nil
}

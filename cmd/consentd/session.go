package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// sessions is DATA/sessions.json: which processes have run over this data directory. Whoever holds its lock knows that
// those are gone, and need not wait for them (see storage/drain, tenure.go). That is true of this directory alone, so the
// file also says where it lay: a copy has another inode, a clone of a disk is read in another run of a machine.
type sessions struct {
	Boot   uuid.UUID   `json:"boot"`   // of the machine's run
	Device uint64      `json:"device"` // of the ledger's lock
	Inode  uint64      `json:"inode"`
	IDs    []uuid.UUID `json:"ids"` // the newest last
}

// maxSessions bounds the list: so many starts in a row that never reached ClickHouse are remembered.
const maxSessions = 32

// nextSession names this process, and those before it that are gone for certain. It is called by who holds the ledger's
// lock. Without the file, or where it cannot be written, nobody is certain, and a start may have to wait.
func (n *node) nextSession() (session uuid.UUID, gone []uuid.UUID) {
	path := filepath.Join(n.flags.Data, "sessions.json")
	session = uuid.New()
	here, err := sessionsHere(n.flags.ledger())
	if err == nil {
		var was sessions
		if doc, err := os.ReadFile(path); err == nil && json.Unmarshal(doc, &was) == nil &&
			was.Boot == here.Boot && was.Device == here.Device && was.Inode == here.Inode {
			gone = was.IDs
		}
		here.IDs = append(append(here.IDs, gone[max(0, len(gone)-maxSessions+1):]...), session)
		err = writeJSON(path, here)
	}
	if err != nil {
		n.log.Warn("the next start may have to wait for this process", "error", err)
	}
	return session, gone
}

func sessionsHere(ledgerDir string) (s sessions, err error) {
	var lock syscall.Stat_t
	if err := syscall.Stat(filepath.Join(ledgerDir, "LOCK"), &lock); err != nil {
		return s, &os.PathError{Op: "stat", Path: ledgerDir, Err: err}
	}
	return sessions{Boot: ledger.BootID(), Device: uint64(lock.Dev), Inode: lock.Ino}, nil
}

// decideWait bounds how long a start waits to know whether it may record: a ClickHouse that hangs is found out within 6 s,
// and a holder of the name that was killed is silent for 10 s.
const decideWait = 20 * time.Second

// decideRecording waits until it is known that no other process runs on a copy of this data directory. The embedded
// ClickHouse is copied with it, and knows of nobody.
func (n *node) decideRecording(ctx context.Context) error {
	if n.drain == nil || n.flags.Clickhouse == "" {
		return nil
	}
	told, late := time.After(2*time.Second), time.After(decideWait)
	for {
		select {
		case <-n.drain.Decided():
			return nil
		case <-told:
			n.log.Info("waiting: the name of this edge is held in ClickHouse; if its holder shows no sign of life this start goes on", "edge", n.flags.Edge, "at most", decideWait)
		case <-late:
			n.log.Warn("whether another process runs on a copy of this data directory is not known: going on without knowing")
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

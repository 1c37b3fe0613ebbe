package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrInUse means that another engine holds the data folder, in this process or another.
var ErrInUse = errors.New("the folder is in use by another embedded ClickHouse")

const lockFile = "engine.lock"

// orphanWait is how long a new parent waits for the child of a killed one to be gone. The child notices
// within milliseconds; the kernel may need a moment to take its memory back, and its files may still be syncing.
const orphanWait = 30 * time.Second

// acquire locks o.Dir. The lock belongs to the open file, which the child inherits: it is free when parent
// and child are both gone, so nobody opens data that a dying child may still write.
func acquire(ctx context.Context, o Options) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(o.Dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	began, said := time.Now(), false
	for {
		err := tryLock(f)
		if err == nil {
			break
		}
		owner, waited := lockOwner(f), time.Since(began)
		switch {
		case owner == 0 || processAlive(owner):
			err = fmt.Errorf("%s: %w (process %d): %v", o.Dir, ErrInUse, owner, err)
		case ctx.Err() != nil:
			err = fmt.Errorf("%s: waiting for the embedded ClickHouse of process %d, which is gone: %w", o.Dir, owner, ctx.Err())
		case waited > orphanWait:
			err = fmt.Errorf("%s: %w (that of process %d, which is gone, does not end): %v", o.Dir, ErrInUse, owner, err)
		default:
			if !said && waited > time.Second {
				said = true
				o.Log.Info("embedded ClickHouse: waiting for that of a killed process to end", "process", owner, "at_most", orphanWait)
			}
			time.Sleep(20 * time.Millisecond)
			continue
		}
		f.Close()
		return nil, err
	}
	if err := writeOwner(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

// lockOwner returns the process that took the lock, 0 if the file does not say yet.
func lockOwner(f *os.File) int {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}

//go:build darwin || linux

package engine

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks without waiting.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func processAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

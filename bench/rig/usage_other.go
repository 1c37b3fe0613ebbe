//go:build !linux

package rig

import (
	"runtime"
	"syscall"
	"time"
)

// Sample reads what this process has used; other systems have no /proc, so the server's part reads 0 and the
// table says nothing of it.
func Sample(int) (Usage, error) {
	u := Usage{At: time.Now(), Cores: runtime.NumCPU()}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return u, err
	}
	u.Generator = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	return u, nil
}

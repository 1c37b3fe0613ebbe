package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// userHZ is the unit of /proc/*/stat as user space sees it: 100 on every Linux platform (times(2)).
const userHZ = 100

// Sample reads what this process, the process pid and its descendants have used so far.
func Sample(pid int) (Usage, error) {
	u := Usage{At: time.Now(), Cores: runtime.NumCPU()}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return u, err
	}
	u.Generator = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	var err error
	if u.Server, err = ofProcess(pid); err != nil {
		return u, err
	}
	for _, child := range descendants(pid) {
		if d, err := ofProcess(child); err == nil { // else it ended meanwhile
			u.Engine += d
		}
	}
	u.Busy, u.Stolen, err = ofMachine()
	return u, err
}

// ofProcess is utime + stime, fields 14 and 15 of /proc/pid/stat (proc(5)).
func ofProcess(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), ") ") // the name may hold anything
	f := strings.Fields(rest)                                                         // from field 3 on
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("rig: /proc/%d/stat reads %q", pid, b)
	}
	return ticks(f[11]) + ticks(f[12]), nil
}

func ticks(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64) // the kernel writes numbers
	return time.Duration(n) * time.Second / userHZ
}

func descendants(pid int) []int {
	var all []int
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, _ := os.ReadFile(list) // a thread that ended has no children
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

// ofMachine reads the first line of /proc/stat: user nice system idle iowait irq softirq steal (proc(5)).
func ofMachine() (busy, stolen time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0, 0, fmt.Errorf("rig: /proc/stat begins with %q", line)
	}
	for _, i := range []int{1, 2, 3, 6, 7} {
		busy += ticks(f[i])
	}
	return busy, ticks(f[8]), nil
}

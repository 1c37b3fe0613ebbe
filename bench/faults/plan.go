package main

import (
	"slices"
	"strconv"
)

// fault is one way a call fails.
type fault struct {
	name   string
	inject string   // strace's words
	calls  []string // the only calls it can happen to; nil: all
}

var (
	transfers = []string{"read", "pread64", "write", "pwrite64"}
	growing   = []string{"write", "pwrite64", "fsync", "fdatasync", "openat", "fallocate", "mkdirat", "linkat", "renameat", "renameat2"}
)

// faults are the kinds. A transfer of no byte is the shortest there is: at a read the end of the file.
func faults() []fault {
	return []fault{
		{name: "EIO", inject: "error=EIO"},
		{name: "ENOSPC", inject: "error=ENOSPC", calls: growing},
		{name: "EINTR", inject: "error=EINTR"},
		{name: "short", inject: "retval=0", calls: transfers},
	}
}

// sites are the calls a program makes on its files, as they occur on Linux; which of them a phase makes is counted first.
func sites() []string {
	return []string{"read", "pread64", "write", "pwrite64", "fsync", "fdatasync", "sync_file_range", "openat", "renameat", "renameat2",
		"linkat", "unlinkat", "ftruncate", "fallocate", "mkdirat", "getdents64", "newfstatat", "fstat", "fstatfs", "statfs", "fcntl"}
}

// ladder are the counts that are tried, until one is beyond what the phase does.
func ladder(dense bool) []string {
	rungs := []string{"1", "1+"}
	for n := 2; n <= 256; {
		rungs = append(rungs, strconv.Itoa(n))
		if n++; !dense {
			n = n * 3 / 2
		}
	}
	return rungs
}

// happens reports whether the fault can happen to a call.
func (f fault) happens(call string) bool { return f.calls == nil || slices.Contains(f.calls, call) }

// counts are the rungs that mean something: no call is interrupted for ever.
func (f fault) counts(rungs []string) []string {
	if f.name != "EINTR" {
		return rungs
	}
	return slices.DeleteFunc(slices.Clone(rungs), func(when string) bool { return when == "1+" })
}

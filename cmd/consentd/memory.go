package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

// Bounds of --memory, in MiB: below the first a few large requests fill it, above the second it is a mistake.
const (
	leastMemory = 64
	mostMemory  = 1 << 20
)

// base is what the parts besides requests take of the heap, in bytes: the ledger's tables and blocks, sites, scripts.
// --cache lies outside of the heap.
const base = 256 << 20

// mostCache is what the library behind the cache of states can address, in MiB.
const mostCache = 1 << 19

// cacheBytes is --cache in bytes. 0 is the least there can be; to the ledger it would mean its default.
func (f *nodeFlags) cacheBytes() (int64, error) {
	if f.Cache < 0 || f.Cache > mostCache {
		return 0, fmt.Errorf("--cache %d: it is 0 to %d MiB", f.Cache, mostCache)
	}
	return max(f.Cache<<20, 1), nil
}

// boundMemory has the runtime collect more eagerly as the heap comes near what --memory allows, rather than let it
// grow to twice what is in use. GOMEMLIMIT in the environment has the last word.
func (n *node) boundMemory() error {
	if n.flags.Memory < leastMemory || n.flags.Memory > mostMemory {
		return errors.New("--memory: between 64 and 1048576 MiB")
	}
	if n.flags.IdleTimeout < 0 {
		return errors.New("--idle-timeout: a duration like 120s")
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n.flags.Memory<<20 + base)
	}
	return nil
}

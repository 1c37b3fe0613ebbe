package main

import (
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestACacheOfAnySizeWorksOrIsRefused by its name: none at all, one beyond --memory, one beyond the machine.
func TestACacheOfAnySizeWorksOrIsRefused(t *testing.T) {
	sites := siteFile(t, origin)
	for _, wrong := range []string{"-1", "-9223372036854775808", "524289", "8796093022208", "9223372036854775807", "9223372036854775808", "1.5", "x", ""} {
		_, _, err := command("serve", "--data", t.TempDir(), "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", "/none", "--cache="+wrong)
		if err == nil || !contains(err.Error(), "--cache") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for _, args := range []string{"--cache 0", "--cache 1", "--cache 4096 --memory 64", "--cache 524288"} {
		data := t.TempDir()
		p, edge := serve(t, data, sites, append([]string{"--engine-lib", filepath.Join(data, "none")}, strings.Fields(args)...)...)
		bearer := tokenFor(t, data)
		for i := range 3 {
			mustChoose(t, edge, bearer, "c"+strconv.Itoa(i))
		}
		p.end(t)
	}
}

// TestNoCacheIsNotTheDefaultCache: the ledger takes 0 for "not said". Nor is one that is none any other.
func TestNoCacheIsNotTheDefaultCache(t *testing.T) {
	for mib, want := range map[int64]int64{0: 1, 1: 1 << 20, mostCache: 1 << 39} {
		if got, err := (&nodeFlags{Cache: mib}).cacheBytes(); got != want || err != nil {
			t.Errorf("%d MiB: %d bytes (%v)", mib, got, err)
		}
	}
	for _, mib := range []int64{-1, math.MinInt64, mostCache + 1, 1 << 43, math.MaxInt64} {
		if got, err := (&nodeFlags{Cache: mib}).cacheBytes(); err == nil {
			t.Errorf("%d MiB: %d bytes", mib, got)
		}
	}
}

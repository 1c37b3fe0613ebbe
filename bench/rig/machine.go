package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine describes what the figures were measured on: processor, cores, kernel, Go.
func Machine(ctx context.Context) string {
	return fmt.Sprintf("%s, %d cores, %s, %s", processor(), runtime.NumCPU(), kernel(ctx), runtime.Version())
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // absent elsewhere than on Linux
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return runtime.GOARCH
}

func kernel(ctx context.Context) string {
	if out, err := exec.CommandContext(ctx, "uname", "-sr").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return runtime.GOOS
}

// Commit names the revision of the working directory, with a + when files differ from it.
func Commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Verdicts.
const (
	noticed  = "noticed"
	survived = "survived"
	broken   = "broken"
	stale    = "stale"
	failing  = "failing"
)

// limit is how long the tests of one guard may take. Without a guard some wait for what never comes: that is noticed, too.
const limit = 3 * time.Minute

// errStale means that an entry of the list no longer describes the code.
var errStale = errors.New("the text is not in the file exactly once")

// mutated is the file of a guard without the guard.
func (g guard) mutated(root string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, g.file))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStale, err)
	}
	if n := bytes.Count(b, []byte(g.text)); n != 1 {
		return nil, fmt.Errorf("%w: %d times in %s: %q", errStale, n, g.file, g.text)
	}
	return bytes.Replace(b, []byte(g.text), []byte(g.with), 1), nil
}

// remove runs the guard's tests without the guard. dir is a folder for the overlay.
func (g guard) remove(ctx context.Context, root, dir string) (verdict, why string) {
	b, err := g.mutated(root)
	if err != nil {
		return stale, err.Error()
	}
	file, overlay := filepath.Join(dir, filepath.Base(g.file)), filepath.Join(dir, "overlay.json")
	doc, _ := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, g.file): file}}) // strings
	if err := errors.Join(os.WriteFile(file, b, 0o600), os.WriteFile(overlay, doc, 0o600)); err != nil {
		return broken, err.Error()
	}
	out, err := g.test(ctx, root, overlay)
	switch {
	case ran(out, "[build failed]"), ran(out, "[setup failed]"), ran(out, "no tests to run"):
		return broken, tail(out)
	case err == nil:
		return survived, "these tests pass without it: " + g.tests
	case ran(out, "--- FAIL"), ran(out, "panic:"), ran(out, "fatal error:"):
		return noticed, ""
	}
	return broken, tail(out)
}

// hold runs the guard's tests as they are.
func (g guard) hold(ctx context.Context, root string) (why string) {
	out, err := g.test(ctx, root, "")
	if err != nil || ran(out, "no tests to run") {
		return tail(out)
	}
	return ""
}

// test runs the guard's tests. The overlay goes into the environment, so that tests which call go see it too.
func (g guard) test(ctx context.Context, root, overlay string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-vet=off", "-timeout", limit.String(), "-run", "^("+g.tests+")$", g.pkg)
	cmd.Dir = root
	cmd.Env = os.Environ()
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	return cmd.CombinedOutput()
}

func ran(out []byte, mark string) bool { return bytes.Contains(out, []byte(mark)) }

func tail(out []byte) string { return strings.TrimSpace(string(out[max(0, len(out)-800):])) }

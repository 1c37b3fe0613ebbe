package storagetest

import (
	"testing"
	"time"
)

// Eventually waits until ok returns true, asking every few milliseconds, and fails the test after limit with
// what.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

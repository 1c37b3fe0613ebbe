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

// Dwindles waits until left returns 0, and fails the test with what once limit passes without it changing: how long
// all of it takes is the disk's business, not the test's.
func Dwindles(t testing.TB, limit time.Duration, what string, left func() int) {
	t.Helper()
	last, deadline := -1, time.Now()
	for n := left(); n > 0; n = left() {
		if n != last {
			last, deadline = n, time.Now().Add(limit)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no change within %v, %d left: %s", limit, n, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

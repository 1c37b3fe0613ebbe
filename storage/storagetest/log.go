package storagetest

import (
	"bytes"
	"sync"
)

// Log is what a program prints, to be read while it prints: the zero value is empty.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds b.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String is everything written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

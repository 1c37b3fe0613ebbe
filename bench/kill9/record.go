package kill9

import (
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// Record is everything that was acknowledged: the id of each seq. It is safe for concurrent use.
type Record struct {
	mu       sync.Mutex
	ids      []uuid.UUID // by seq; zero where nothing was acknowledged
	n        uint64
	problems []Problem
}

// Problem is one place where the promise was broken. Problems of a kind are the same sentence with other numbers.
type Problem struct{ Kind, Text string }

// NewRecord is empty.
func NewRecord() *Record { return &Record{} }

// maxSeq bounds what a wild answer can make Record allocate: a thousand cycles stay far below it.
const maxSeq = 1 << 28

// Acknowledge notes that the choice id was given seq.
func (r *Record) Acknowledge(id uuid.UUID, seq uint64) {
	if seq >= maxSeq {
		r.problem("choice %s was acknowledged as seq %d, which nothing counted up to", id, seq)
		return
	}
	r.mu.Lock()
	for uint64(len(r.ids)) <= seq {
		r.ids = append(r.ids, uuid.Nil)
	}
	before := r.ids[seq]
	r.ids[seq] = id
	r.n++
	r.mu.Unlock()
	if before != uuid.Nil {
		r.problem("seq %d was given to choice %s and again to choice %s", seq, before, id)
	}
}

// Len is how many were acknowledged.
func (r *Record) Len() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// of is the id that was acknowledged under seq; zero: none.
func (r *Record) of(seq uint64) uuid.UUID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= uint64(len(r.ids)) {
		return uuid.Nil
	}
	return r.ids[seq]
}

func (r *Record) problem(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, Problem{Kind: format, Text: fmt.Sprintf(format, args...)})
}

// Problems lists where the promise was broken.
func (r *Record) Problems() []Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Problem(nil), r.problems...)
}

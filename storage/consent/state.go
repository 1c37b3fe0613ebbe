package consent

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

// Standing is where one purpose of one subject stands, and the proof that put it there.
type Standing struct {
	Purpose string
	Status  Status // granted, denied, withdrawn or pending; expiry is judged when it is read
	Event
}

// Event is the proof a standing comes from.
type Event struct {
	At      Millis
	Edge    string
	Seq     uint64
	Grade   Grade
	Proof   uuid.UUID
	Wording Hash
}

// newer reports whether e comes after o in the one order of events: (time, edge, seq).
func (e Event) newer(o Event) bool {
	if e.At != o.At {
		return e.At > o.At
	}
	if e.Edge != o.Edge {
		return e.Edge > o.Edge
	}
	return e.Seq > o.Seq
}

// State is where every purpose a subject was ever asked for stands, sorted by purpose.
type State []Standing

// Apply folds one proof in. The result does not depend on the order in which proofs arrive, except that
// "denied" reads "withdrawn" only when the grant it ends was seen first. A later event wins; at the same
// millisecond a withdrawal wins (DESIGN §5).
func (s State) Apply(p *Proof, seq uint64) State {
	ev := Event{At: p.RecordedAt, Edge: p.Edge, Seq: seq, Grade: p.Grade, Proof: p.ID, Wording: p.Wording}
	for _, d := range p.Decisions {
		s = s.apply(d, p.Method, ev)
	}
	return s
}

func (s State) apply(d Choice, m Method, ev Event) State {
	i, found := slices.BinarySearchFunc(s, d.Purpose, func(st Standing, id string) int { return cmp.Compare(st.Purpose, id) })
	if !found {
		return slices.Insert(s, i, Standing{Purpose: d.Purpose, Status: decided(d, m, StatusUnknown), Event: ev})
	}
	old := &s[i]
	next := decided(d, m, old.Status)
	if !supersedes(next, ev, old) {
		return s
	}
	old.Status, old.Event = next, ev
	return s
}

// decided is the status a choice leads to from the status before it.
func decided(d Choice, m Method, before Status) Status {
	switch {
	case d.Granted:
		return StatusGranted
	case m == MethodWithdraw, before == StatusGranted, before == StatusPending, before == StatusWithdrawn:
		return StatusWithdrawn
	}
	return StatusDenied
}

func supersedes(next Status, ev Event, old *Standing) bool {
	if ev.At == old.At && (next == StatusWithdrawn) != (old.Status == StatusWithdrawn) {
		return next == StatusWithdrawn
	}
	return ev.newer(old.Event)
}

// Standing finds one purpose.
func (s State) Standing(purpose string) (Standing, bool) {
	i, found := slices.BinarySearchFunc(s, purpose, func(st Standing, id string) int { return cmp.Compare(st.Purpose, id) })
	if !found {
		return Standing{}, false
	}
	return s[i], true
}

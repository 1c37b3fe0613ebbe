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

// State is where every purpose a subject was ever asked for stands, sorted by purpose.
//
// States merge: the result depends on which proofs went in, not on their order or grouping. So a proof can be
// written without reading what was there, and edges can exchange states.
type State []Standing

// StateOf is the state a single proof leads to.
func StateOf(p *Proof, seq uint64) State {
	ev := Event{At: p.RecordedAt, Edge: p.Edge, Seq: seq, Grade: p.Grade, Proof: p.ID, Wording: p.Wording}
	s := make(State, len(p.Decisions))
	for i, d := range p.Decisions {
		s[i] = Standing{Purpose: d.Purpose, Status: decided(d, p.Method), Event: ev}
	}
	return s
}

// decided is the status a choice has by itself. A no is withdrawn only when it says so; merge finds out whether
// it took a yes back.
func decided(d Choice, m Method) Status {
	switch {
	case d.Granted:
		return StatusGranted
	case m == MethodWithdraw:
		return StatusWithdrawn
	}
	return StatusDenied
}

// contactEntry is the line of a State that holds the last contact; no purpose is called so.
const contactEntry = "@"

// Contact is a moment at which a person was in touch with the site of their own accord: with a proof, whose edge
// and seq it then has, or as the site reported it.
type Contact struct {
	At   Millis
	Edge string
	Seq  uint64
}

// ContactState is the state a reported contact leads to. Merged, the latest contact stays.
func ContactState(at Millis) State {
	return State{{Purpose: contactEntry, Event: Event{At: at}}}
}

// Contact is the last one known.
func (s State) Contact() (c Contact, ok bool) {
	st, ok := s.Standing(contactEntry)
	return Contact{At: st.At, Edge: st.Edge, Seq: st.Seq}, ok
}

// Apply folds one proof in.
func (s State) Apply(p *Proof, seq uint64) State { return s.Merge(StateOf(p, seq)) }

// Merge joins two states of one subject. Per purpose the later event wins, by (time, edge, seq); at the same
// millisecond a no wins over a yes (DESIGN §5). A no that has a yes on either side of the merge is a
// withdrawal.
func (s State) Merge(o State) State {
	merged := make(State, 0, len(s)+len(o))
	for len(s) > 0 && len(o) > 0 {
		switch c := cmp.Compare(s[0].Purpose, o[0].Purpose); {
		case c < 0:
			merged, s = append(merged, s[0]), s[1:]
		case c > 0:
			merged, o = append(merged, o[0]), o[1:]
		default:
			merged, s, o = append(merged, merge(s[0], o[0])), s[1:], o[1:]
		}
	}
	return append(append(merged, s...), o...)
}

func merge(a, b Standing) Standing {
	w := a
	if b.wins(a) {
		w = b
	}
	if w.refused() && (a.Status != StatusDenied || b.Status != StatusDenied) {
		w.Status = StatusWithdrawn
	}
	return w
}

// refused: the person said no.
func (s Standing) refused() bool { return s.Status == StatusDenied || s.Status == StatusWithdrawn }

// wins is the one order of standings: time, then no over yes, then edge and seq.
func (s Standing) wins(o Standing) bool {
	switch {
	case s.At != o.At:
		return s.At > o.At
	case s.refused() != o.refused():
		return s.refused()
	case s.Edge != o.Edge:
		return s.Edge > o.Edge
	}
	return s.Seq > o.Seq
}

// Standing finds one purpose.
func (s State) Standing(purpose string) (Standing, bool) {
	i, found := slices.BinarySearchFunc(s, purpose, func(st Standing, id string) int { return cmp.Compare(st.Purpose, id) })
	if !found {
		return Standing{}, false
	}
	return s[i], true
}

package consent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// State is what the proofs of one subject add up to: one entry for each purpose ever decided, sorted by Purpose.
//
// States merge: the result depends on which proofs went in, not on their order or grouping. So a proof can be
// written without reading what was there, and edges can exchange states.
//
// # Firm and soft
//
// Anybody can type anybody's address into a form. So what a form says about a person is firm only where it cannot
// harm: a yes to a form without double opt-in. A request to be confirmed and a no are soft: kept in an entry of
// their own, which speaks only where nothing firm does (see State.Standing). They never take a consent back and
// never lower one. What the person proves to have said (a device's own choice, a confirmation, the preference
// centre, unsubscribing) and what the site's own programs say is firm.
type State []Entry

// Entry is one line of a State: the last thing said, and the proof that said it.
type Entry struct {
	Purpose string // the purpose's id for what is firm, with "?" behind it for what is soft; "@" for the last contact
	Status  Status // granted, denied, withdrawn, pending; unknown for the contact
	Event
}

// What no purpose id holds (ValidPurposeID) marks the entries that are no purpose.
const (
	softMark     = "?"
	contactEntry = "@"
)

// Moment is the time of an event, as a hybrid logical clock gives it (Kulkarni et al. 2014): the time in
// milliseconds, and a counter that tells apart what an edge dated with the same one, as it does for as long as its
// wall clock stands still or was set back. Later moments of one edge are always greater.
type Moment struct {
	At      Millis
	Logical uint32
}

// Compare is below zero when m is before o, above when it is after.
func (m Moment) Compare(o Moment) int {
	return cmp.Or(cmp.Compare(m.At, o.At), cmp.Compare(m.Logical, o.Logical))
}

// Event is the proof an entry comes from.
type Event struct {
	Moment
	Edge    string
	Seq     uint64
	Grade   Grade
	Proof   uuid.UUID
	Wording Hash
}

// Contact is a moment at which a person was in touch with the site of their own accord: with a firm proof, whose
// edge and seq it then has, or as the site reported it.
type Contact struct {
	At   Millis // 0: never
	Edge string // "": reported
	Seq  uint64
}

// StateOf is the state a single proof leads to.
func StateOf(p *Proof, seq uint64) State {
	ev := Event{Moment: p.Moment(), Edge: p.Edge, Seq: seq, Grade: p.Grade, Proof: p.ID, Wording: p.Wording}
	s := make(State, len(p.Decisions), len(p.Decisions)+1)
	firm, soft := false, false
	for i, d := range p.Decisions {
		s[i] = Entry{Purpose: d.Purpose, Status: decided(d, p.Method), Event: ev}
		if p.soft(d) {
			s[i].Purpose += softMark
			soft = true
		} else {
			firm = true
		}
	}
	contact := firm && p.Personal.Kind != KindDevice // a device is not reached over any channel
	if contact {
		s = append(s, Entry{Purpose: contactEntry, Event: ev})
	}
	if contact || soft {
		slices.SortFunc(s, func(a, b Entry) int { return cmp.Compare(a.Purpose, b.Purpose) })
	}
	return s
}

// soft: d is only what somebody typed into a form. A device that sends one speaks for itself.
func (p *Proof) soft(d Choice) bool {
	return p.Method == MethodRequest ||
		!d.Granted && p.Personal.Kind != KindDevice && strings.HasPrefix(p.Surface, surfaceFormPrefix)
}

// decided is the status a choice has by itself. A no is withdrawn only when it says so; merge finds out whether
// it took a yes back.
func decided(d Choice, m Method) Status {
	switch {
	case d.Granted && m == MethodRequest:
		return StatusPending
	case d.Granted:
		return StatusGranted
	case m == MethodWithdraw:
		return StatusWithdrawn
	}
	return StatusDenied
}

// ContactState is the state a reported contact leads to. Merged, the latest contact stays.
func ContactState(at Millis) State {
	return State{{Purpose: contactEntry, Event: Event{Moment: Moment{At: at}}}}
}

// Apply folds one proof in.
func (s State) Apply(p *Proof, seq uint64) State { return s.Merge(StateOf(p, seq)) }

// Merge joins two states of one subject. Per purpose the later event wins, by (moment, edge, seq); at the same
// moment, which only two edges can name, a no wins over a yes (DESIGN §5). A no that has a yes on either side of the merge is a
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

func merge(a, b Entry) Entry {
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
func (e Entry) refused() bool { return e.Status == StatusDenied || e.Status == StatusWithdrawn }

// wins is the one order of entries: moment, then no over yes, then edge and seq.
func (e Entry) wins(o Entry) bool {
	switch later := e.Compare(o.Moment); {
	case later != 0:
		return later > 0
	case e.refused() != o.refused():
		return e.refused()
	case e.Edge != o.Edge:
		return e.Edge > o.Edge
	}
	return e.Seq > o.Seq
}

// entry finds a line; the zero Entry when there is none.
func (s State) entry(name string) Entry {
	i, found := slices.BinarySearchFunc(s, name, func(e Entry, name string) int { return cmp.Compare(e.Purpose, name) })
	if !found {
		return Entry{}
	}
	return s[i]
}

// Contact is the last one known; the zero Contact: none.
func (s State) Contact() Contact {
	e := s.entry(contactEntry)
	return Contact{At: e.At, Edge: e.Edge, Seq: e.Seq}
}

// NoLaterThan dates what lies after now as now, in the order it had, and reports whether anything did: a clock once
// ran ahead.
func (s State) NoLaterThan(now Millis) (changed bool) {
	var late []Moment
	for _, e := range s {
		if e.At > now && !slices.Contains(late, e.Moment) {
			late = append(late, e.Moment)
		}
	}
	slices.SortFunc(late, Moment.Compare)
	for i := range s {
		if k := slices.Index(late, s[i].Moment); k >= 0 {
			s[i].Moment = Moment{At: now, Logical: uint32(k + 1)}
		}
	}
	return len(late) > 0
}

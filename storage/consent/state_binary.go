package consent

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// A state is stored in the manner of binary.go:
//
//	state   1 │ n │ n × event │ m │ m × (purpose │ status 1 │ event index)
//	event   at │ logical │ edge │ seq │ grade 1 │ proof 0 or 16 │ wording 0 or 32
//
// A state names each event once: a banner decides on all purposes in one proof, and ten million states are
// a third smaller for it. Bits of the grade's byte say when proof or wording are left out because they are zero: a
// reported contact has neither, what a program says mostly no wording.

// AppendState appends the binary form of s.
func AppendState(b []byte, s State) []byte {
	b = append(b, binaryVersion)
	var room [8]Event
	events := room[:0]
	index := func(e Event) int {
		for i := range events {
			if events[i] == e {
				return i
			}
		}
		events = append(events, e)
		return len(events) - 1
	}
	for i := range s {
		index(s[i].Event)
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		b = appendEvent(b, &events[i])
	}
	b = binary.AppendUvarint(b, uint64(len(s)))
	for i := range s {
		b = appendString(b, s[i].Purpose)
		b = append(b, byte(s[i].Status))
		b = binary.AppendUvarint(b, uint64(index(s[i].Event)))
	}
	return b
}

// ParseState reads what AppendState wrote.
func ParseState(b []byte) (State, error) {
	d := decoder{b: b}
	d.version()
	events := make([]Event, d.count(minEvent))
	for i := range events {
		d.event(&events[i], "")
	}
	s := make(State, d.count(3))
	for i := range s {
		s[i].Purpose = d.string()
		s[i].Status = Status(d.byte())
		k := d.uvarint()
		if k >= uint64(len(events)) {
			return nil, ErrBinary
		}
		s[i].Event = events[k]
	}
	return s, d.end()
}

// MergeStates appends the binary form of the merge of two binary states.
func MergeStates(dst, a, b []byte) ([]byte, error) {
	s, err := ParseState(a)
	if err != nil {
		return dst, err
	}
	o, err := ParseState(b)
	if err != nil {
		return dst, err
	}
	return AppendState(dst, s.Merge(o)), nil
}

// FindStanding is State.Standing on a binary state, of which it decodes no more than it needs. edge is the name the
// caller expects to find, mostly its own: when it does, nothing is allocated.
func FindStanding(b []byte, purpose, edge string, now Millis) (st Standing, ok bool, err error) {
	d := decoder{b: b}
	d.version()
	n := d.count(minEvent)
	events := d
	for range n {
		d.skipEvent()
	}
	firm, soft, contact := d.lines(purpose, uint64(n))
	if d.err != nil {
		return Standing{}, false, d.err
	}
	from, who := firm, theFirm
	if firm.status == StatusUnknown || soft.status != StatusUnknown { // rare: most were only ever asked by a banner
		who = speaks(events.head(firm), events.head(soft), now)
	}
	switch who {
	case nobody:
		return Standing{}, false, nil
	case theSoft:
		from = soft
	}
	st.Purpose, st.Status = purpose, who.says(from.status)
	d = events.from(from)
	d.event(&st.Event, edge)
	switch contact.event {
	case 0:
	case from.event:
		st.Contact = Contact{st.At, st.Edge, st.Seq}
	default:
		d = events.from(contact)
		st.Contact = d.contact(edge)
	}
	return st, true, nil
}

// line is where an entry was met in a binary state.
type line struct {
	status Status
	event  uint64 // its event, counted from 1; 0: the entry was not met
}

// lines reads the entries that bear on purpose out of those of a state with n events.
func (d *decoder) lines(purpose string, n uint64) (firm, soft, contact line) {
	last := contactEntry[0]
	if purpose != "" {
		last = max(last, purpose[0])
	}
	for range d.count(3) {
		name := d.bytes()
		met := line{status: Status(d.byte())}
		k := d.uvarint()
		if k >= n || len(name) == 0 {
			d.fail()
			return line{}, line{}, line{}
		}
		met.event = k + 1
		switch {
		case string(name) == purpose:
			firm = met
		case name[0] > last:
			return firm, soft, contact // sorted: what follows is about others
		case len(name) == len(purpose)+1 && name[len(purpose)] == softMark[0] && string(name[:len(purpose)]) == purpose:
			soft = met
		case string(name) == contactEntry:
			contact = met
		}
	}
	return firm, soft, contact
}

// from is the encoding from a line's event on; d stands at the first event.
func (d decoder) from(l line) decoder {
	for range l.event - 1 {
		d.skipEvent()
	}
	return d
}

// head is what the entry of a line is judged by.
func (d decoder) head(l line) head {
	if l.event == 0 {
		return head{}
	}
	d = d.from(l)
	return head{l.status, d.moment()}
}

// What the byte of an event's grade also says.
const (
	noProof   = 0x80
	noWording = 0x40
)

const minEvent = 5 // time, its logical part, edge, seq, grade

func appendEvent(b []byte, e *Event) []byte {
	b = binary.AppendUvarint(b, uint64(e.At))
	b = binary.AppendUvarint(b, uint64(e.Logical))
	b = appendString(b, e.Edge)
	b = binary.AppendUvarint(b, e.Seq)
	at := len(b)
	b = append(b, byte(e.Grade))
	if e.Proof == uuid.Nil {
		b[at] |= noProof
	} else {
		b = append(b, e.Proof[:]...)
	}
	if e.Wording.IsZero() {
		b[at] |= noWording
	} else {
		b = append(b, e.Wording[:]...)
	}
	return b
}

func (d *decoder) moment() Moment {
	return Moment{Millis(d.uvarint()), uint32(d.uvarint())}
}

func (d *decoder) eventHead() (at Moment, edge []byte, seq uint64) {
	return d.moment(), d.bytes(), d.uvarint()
}

func (d *decoder) skipEvent() {
	d.eventHead()
	grade := d.byte()
	size := 16 + 32
	if grade&noProof != 0 {
		size -= 16
	}
	if grade&noWording != 0 {
		size -= 32
	}
	d.take(size)
}

// event reads into the zero Event e.
func (d *decoder) event(e *Event, expected string) {
	at, edge, seq := d.eventHead()
	grade := d.byte()
	e.Moment, e.Edge, e.Seq, e.Grade = at, known(edge, expected), seq, Grade(grade&^(noProof|noWording))
	if grade&noProof == 0 {
		copy(e.Proof[:], d.take(16))
	}
	if grade&noWording == 0 {
		copy(e.Wording[:], d.take(32))
	}
}

// contact reads the part of an event that a contact is.
func (d *decoder) contact(expected string) Contact {
	at, edge, seq := d.eventHead()
	return Contact{At: at.At, Edge: known(edge, expected), Seq: seq}
}

// known gives b as a string, without a copy when it is the expected one.
func known(b []byte, expected string) string {
	if string(b) == expected {
		return expected
	}
	return string(b)
}

package consent

import "time"

// Standing is where one purpose of one subject stands at a moment, and the proof that put it there.
type Standing struct {
	Purpose string
	Status  Status // granted, denied, withdrawn or pending; expiry is judged by a Rule
	Event
	Contact Contact // the subject's last
}

// ConfirmWithin is how long a request waits for its confirmation. Later it counts as never made: a mailbox that did
// not answer has not agreed to anything.
const ConfirmWithin = 48 * time.Hour

// Standing tells where one purpose stands at now; false: never asked.
//
// What is firm speaks, except that a person who said no and has asked again since is pending. Where nothing is firm,
// a request is pending for ConfirmWithin, and a form's no is a no.
func (s State) Standing(purpose string, now Millis) (Standing, bool) {
	firm, soft := s.entry(purpose), s.entry(purpose+softMark)
	from, who := firm, speaks(firm.head(), soft.head(), now)
	switch who {
	case nobody:
		return Standing{}, false
	case theSoft:
		from = soft
	}
	return Standing{Purpose: purpose, Status: who.says(from.Status), Event: from.Event, Contact: s.Contact()}, true
}

// head is what an entry is judged by; StatusUnknown: there is none.
type head struct {
	status Status
	at     Moment
}

func (e *Entry) head() head { return head{e.Status, e.Moment} }

type speaker byte

const (
	nobody speaker = iota
	theFirm
	theSoft
)

// says is how the entry of who reads. A form's no is a denial, also after a request: a yes that was never confirmed
// cannot be withdrawn.
func (who speaker) says(s Status) Status {
	if who == theSoft && s == StatusWithdrawn {
		return StatusDenied
	}
	return s
}

// speaks decides between the two entries of a purpose.
func speaks(firm, soft head, now Millis) speaker {
	pending := soft.status == StatusPending && now < soft.at.At+Millis(ConfirmWithin.Milliseconds())
	switch {
	case firm.status == StatusUnknown && (pending || soft.status == StatusDenied || soft.status == StatusWithdrawn):
		return theSoft
	case firm.status == StatusUnknown:
		return nobody
	case pending && soft.at.Compare(firm.at) > 0 && (firm.status == StatusDenied || firm.status == StatusWithdrawn):
		return theSoft
	}
	return theFirm
}

package consent

import (
	"time"

	"github.com/google/uuid"
)

// Answer is what a lookup says of one purpose of one subject.
type Answer struct {
	Status  Status
	Grade   Grade
	Reason  Reason
	Since   Millis    // when the standing began; 0: never
	Proof   uuid.UUID // the proof behind it; zero: none
	Allowed bool      // the one field a sender has to obey
}

// NeverAsked is the answer for a subject or purpose without any proof.
func NeverAsked() Answer { return Answer{Status: StatusUnknown, Reason: ReasonNeverAsked} }

// Answer judges a standing at now: a grant older than lifetime is expired (lifetime 0: never expires).
func (s Standing) Answer(now Millis, lifetime time.Duration) Answer {
	a := Answer{Status: s.Status, Grade: s.Grade, Since: s.At, Proof: s.Proof}
	switch s.Status {
	case StatusGranted:
		a.Reason, a.Allowed = ReasonGranted, true
		if lifetime > 0 && now >= s.At+Millis(lifetime.Milliseconds()) {
			a.Status, a.Reason, a.Allowed = StatusExpired, ReasonExpired, false
		}
	case StatusDenied:
		a.Reason = ReasonDenied
	case StatusWithdrawn:
		a.Reason = ReasonWithdrawn
	case StatusPending:
		a.Reason = ReasonAwaitingConfirmation
	default:
		return NeverAsked()
	}
	return a
}

// AppendJSON appends {"status","allowed","grade","reason","since","proof"}; since and proof are left out when
// there is no proof.
func (a Answer) AppendJSON(b []byte) []byte {
	b = append(b, `{"status":"`...)
	b = append(b, a.Status.String()...)
	if a.Allowed {
		b = append(b, `","allowed":true,"grade":"`...)
	} else {
		b = append(b, `","allowed":false,"grade":"`...)
	}
	b = append(b, a.Grade.String()...)
	b = append(b, `","reason":"`...)
	b = append(b, a.Reason...)
	b = append(b, '"')
	if a.Proof != uuid.Nil {
		b = append(b, `,"since":`...)
		b = AppendMillis(b, a.Since)
		b = append(b, `,"proof":"`...)
		b = AppendUUID(b, a.Proof)
		b = append(b, '"')
	}
	return append(b, '}')
}

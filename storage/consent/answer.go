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

// Rule is how long a grant of one purpose holds, and under which wordings. The zero Rule: for ever, under all.
type Rule struct {
	Lifetime   time.Duration   // since the grant; 0: no end
	Inactive   time.Duration   // since the person's last contact, which a grant is too; 0: no end
	Superseded func(Hash) bool // the wording of a grant no longer covers what is asked; nil: it always does
}

// Answer judges a standing at now.
func (s Standing) Answer(now Millis, r *Rule) Answer {
	a := Answer{Status: s.Status, Grade: s.Grade, Since: s.At, Proof: s.Proof}
	switch s.Status {
	case StatusGranted:
		a.Reason = r.judge(&s, now)
		if a.Allowed = a.Reason == ReasonGranted; !a.Allowed {
			a.Status = StatusExpired
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

// judge says whether a grant still holds, or why it no longer does.
func (r *Rule) judge(s *Standing, now Millis) Reason {
	switch {
	case over(s.At, r.Lifetime, now), over(max(s.At, s.Contact.At), r.Inactive, now):
		return ReasonExpired
	case r.Superseded != nil && !s.Wording.IsZero() && r.Superseded(s.Wording):
		return ReasonWordingSuperseded
	}
	return ReasonGranted
}

// over: d has passed since at; never, for 0.
func over(at Millis, d time.Duration, now Millis) bool {
	return d > 0 && now >= at+Millis(d.Milliseconds())
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

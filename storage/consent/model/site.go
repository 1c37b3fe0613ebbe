package model

import "time"

// Identifier is what a subject is known by (rule f).
type Identifier string

// The identifiers, in the words of rule f; the values are those of the HTTP contract.
const (
	Address Identifier = "email"
	Number  Identifier = "phone"
	Account Identifier = "external"
	Device  Identifier = "device"
)

// Subject is one identifier of somebody. Two identifiers of one person are two subjects.
type Subject struct {
	Kind  Identifier
	Value string
}

// Channel is how a purpose reaches somebody; it never changes for a purpose's id (rule k).
type Channel string

// The channels.
const (
	Web   Channel = "web"
	Push  Channel = "push"
	Email Channel = "email"
	SMS   Channel = "sms"
	Phone Channel = "phone"
	Post  Channel = "post"
)

// Basis is a legal basis of GDPR art. 6(1).
type Basis string

// The bases the rules speak of.
const (
	Consent            Basis = "consent"
	Contract           Basis = "contract"
	LegalObligation    Basis = "legal_obligation"
	LegitimateInterest Basis = "legitimate_interest"
)

// Exemption is why prospecting needs no consent ("Asking").
type Exemption string

// The exemptions.
const (
	Customer     Exemption = "customer"
	Professional Exemption = "professional" // e-mail only
)

// Send is the use every message has; naming it in a question changes nothing.
const Send = "send"

// Site is what a site declares, as it stands when the question is asked.
type Site struct {
	Purposes []Purpose
	Forms    []Form
	// Banner holds the banner's revisions.
	Banner []Revision
	// Mail says that the site can send mail at all.
	Mail bool
	// ConfirmRegrants is the site option of rule g.
	ConfirmRegrants bool
}

// Purpose is one thing that consent is asked for.
type Purpose struct {
	ID      string
	Channel Channel
	// Basis is the one in force now; acts say for themselves under which they were said.
	Basis Basis
	// Use is empty for a message itself, else the further use this purpose decides.
	Use string
	// With names the messages whose use it decides.
	With      []string
	Exemption Exemption
	// Removed purposes cannot be asked about; a stop still reaches them, and holds when they return.
	Removed bool
	// Lifetime runs from the yes, Inactivity from it or a later contact; zero is no limit.
	Lifetime, Inactivity time.Duration
	Revisions            []Revision
}

// Form is a form for sign-ups.
type Form struct {
	ID          string
	DoubleOptIn bool
	Revisions   []Revision
}

// Revision is a revision in force from a time on, until one with a higher number is.
type Revision struct {
	Number int
	From   time.Time
}

func (s Site) purpose(id string) (Purpose, bool) {
	for _, p := range s.Purposes {
		if p.ID == id {
			return p, true
		}
	}
	return Purpose{}, false
}

func (s Site) form(id string) Form {
	for _, f := range s.Forms {
		if f.ID == id {
			return f
		}
	}
	return Form{ID: id}
}

// inForce is the revision in force at a time. None (number 0) supersedes nothing.
func inForce(revisions []Revision, now time.Time) Revision {
	var best Revision
	for _, r := range revisions {
		if !r.From.After(now) && (r.Number > best.Number || r.Number == best.Number && r.From.Before(best.From)) {
			best = r
		}
	}
	return best
}

// with gives the site its acts of publishing have made: what is published is known on every edge.
func (s Site) with(acts []Act) Site {
	s.Purposes = append([]Purpose(nil), s.Purposes...)
	s.Forms = append([]Form(nil), s.Forms...)
	for _, a := range acts {
		if a.Kind == Publish {
			s.publish(a.Thing, Revision{Number: a.Revision, From: a.Start})
		}
	}
	return s
}

// publish adds a revision to the banner, a form ("form:…") or a purpose.
func (s *Site) publish(thing string, r Revision) {
	add := func(to []Revision) []Revision { return append(append([]Revision(nil), to...), r) }
	if thing == Banner {
		s.Banner = add(s.Banner)
	}
	for i := range s.Forms {
		if thing == FormSurface(s.Forms[i].ID) {
			s.Forms[i].Revisions = add(s.Forms[i].Revisions)
		}
	}
	for i := range s.Purposes {
		if thing == s.Purposes[i].ID {
			s.Purposes[i].Revisions = add(s.Purposes[i].Revisions)
		}
	}
}

package model

import "time"

// Outcome is what an edge does with one choice of an act.
type Outcome string

// The outcomes.
const (
	// Recorded: it stands on record. Whether it counts is the answer's business.
	Recorded Outcome = "recorded"
	// Requested: a mail asks to confirm it; pending until then.
	Requested Outcome = "requested"
	// Nothing: nothing is written, and the person who typed it is told nothing of that.
	Nothing Outcome = "nothing"
	// Refused: see the code.
	Refused Outcome = "refused"
)

// The codes of a refused item.
const (
	WithdrawalStands = "withdrawal_stands"
	ErasedStands     = "erased_stands"
	WrongIdentifier  = "wrong_identifier"
	// Required is a field error: a form lacks the identifier its purposes need. The whole form is sent back.
	Required = "required"
	// InFuture: `at` is later than the arrival.
	InFuture = "at_in_future"
	// LinkOlder: the link is older than a stop; the page says so and asks afresh.
	LinkOlder = "link_older"
	// LinkExpired: more than 48 h since the request.
	LinkExpired = "link_expired"
)

// pendingFor is how long a request waits (rule d).
const pendingFor = 48 * time.Hour

// Item is what becomes of one choice.
type Item struct {
	Purpose string
	Who     Subject
	Outcome Outcome
	Code    string
	yes     bool
	basis   Basis
	// mail is the mail that is counted against a limit; what of it is sent with others is one mail.
	mail what
}

// Verdict is what an edge does with an act.
type Verdict struct {
	// Replay: the id is known on this edge; nothing is written.
	Replay bool
	Items  []Item
	// Mail says that one mail goes out, which asks to confirm the items Requested.
	Mail bool
}

// Admit is the courtesy at the door: what the edge of the act does with it, knowing the acts before it in its own
// log (Edge, Seq). Acts of other edges, and what comes later, change nothing.
func Admit(site Site, acts []Act, act Act) Verdict {
	return reader{site: site.with(acts)}.admit(acts, act)
}

func (r reader) admit(acts []Act, act Act) Verdict {
	var before []Act
	for _, a := range acts {
		if a.Edge != act.Edge || a.Seq >= act.Seq {
			continue
		}
		if a.ID == act.ID {
			return Verdict{Replay: true}
		}
		before = append(before, a)
	}
	var v Verdict
	for _, log := range logs(before) {
		v.Items = r.items(act, r.readLog(log))
	}
	if len(before) == 0 {
		v.Items = r.items(act, nil)
	}
	for _, i := range v.Items {
		v.Mail = v.Mail || i.Outcome == Requested
		v.Mail = v.Mail || i.mail != ""
	}
	return v
}

// items judges each choice by what the edge has on record before the act.
func (r reader) items(a Act, known []word) []Item {
	var out []Item
	for _, c := range r.named(a) {
		out = append(out, r.item(a, c, known))
	}
	if a.Kind == Submit && r.lacksField(a) {
		for i := range out {
			out[i].Outcome, out[i].Code, out[i].mail = Refused, Required, ""
		}
	}
	return out
}

// named is the act's choices: a STOP or a complaint without a purpose names every purpose of its channel, removed
// ones too.
func (r reader) named(a Act) []Choice {
	if a.Kind != Stop && a.Kind != Complain || len(a.Choices) > 0 {
		return a.Choices
	}
	var out []Choice
	for _, p := range r.site.Purposes {
		if p.Channel == a.Channel {
			out = append(out, Choice{Purpose: p.ID, Basis: p.Basis})
		}
	}
	return out
}

// lacksField says whether a form lacks an identifier: the e-mail under double opt-in, the number for a ticked SMS.
func (r reader) lacksField(a Act) bool {
	if _, ok := subject(a.Who, Address); !ok && r.site.form(a.Form).DoubleOptIn && !r.without['d'] {
		return true
	}
	for _, c := range a.Choices {
		if _, ok := r.ruleF(c.Purpose, a.Who); !ok && c.Yes {
			return true
		}
	}
	return false
}

func (r reader) item(a Act, c Choice, known []word) Item {
	i := Item{Purpose: c.Purpose, Outcome: Recorded, yes: c.Yes, basis: c.Basis}
	who, ok := r.ruleF(c.Purpose, a.Who)
	if !ok && a.Kind == Submit {
		i.Outcome = Nothing // an unticked box for a number nobody gave
		return i
	}
	if !ok {
		i.Outcome, i.Code = Refused, WrongIdentifier
		return i
	}
	i.Who = who
	switch {
	case !a.Unaware && a.fromProgram() && startOf(a.At, a.Precision).After(a.Arrived):
		i.Outcome, i.Code = Refused, InFuture
	case a.Kind == Confirm:
		i.Outcome, i.Code = r.confirmed(a, i, known)
	case a.Kind == OptOut && !r.aChange(a, i, known):
		i.Outcome = Nothing
	case a.speaker(who) == Typed:
		return r.ruleD(a, i, known)
	case c.Yes && a.speaker(who) == Program:
		return r.programYes(a, i, known)
	}
	return i
}

// confirmed judges the button behind a link: in time, and the link no older than a stop.
func (r reader) confirmed(a Act, i Item, known []word) (Outcome, string) {
	if !a.Arrived.Before(a.RequestAt.Add(pendingFor)) {
		return Refused, LinkExpired
	}
	if a.Unaware || r.without['d'] {
		return Recorded, ""
	}
	for _, stop := range r.ruleA(r.about(known, i.Who, i.Purpose)) {
		if i.yes && !a.RequestAt.After(stop.at) {
			return Refused, LinkOlder
		}
	}
	return Recorded, ""
}

// programYes refuses what lifts nothing where a stop stands, and may ask the person instead (rules b, g, h).
func (r reader) programYes(a Act, i Item, known []word) Item {
	if a.Unaware {
		return i
	}
	file := r.about(known, i.Who, i.Purpose)
	left := r.standing(append(file, r.spoken(a, i)))
	if len(left) == 0 {
		return i
	}
	i.Outcome, i.Code = Refused, WithdrawalStands
	if has(left, erased) {
		i.Code = ErasedStands
	}
	if r.ruleG(a, i, known, left) {
		i.Outcome, i.mail = Requested, mailRegrant
	}
	return i
}

func has(words []word, w what) bool {
	for _, x := range words {
		if x.what == w {
			return true
		}
	}
	return false
}

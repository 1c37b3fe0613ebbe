package model

import "time"

// Kind is what happened.
type Kind string

// The kinds of acts. Fields that a kind does not name are ignored; all have ID, Edge, Seq and Arrived.
const (
	// Choose: a choice on the banner, in the preference centre, or with a signed token. Own for every identifier
	// of Who, except those that a token does not hold (Signed). Who, Choices, Wait, Surface, Wording, Signed.
	Choose Kind = "choose"
	// Submit: a form. Typed. Who, Form, Choices (a box each, ticked or not), Wording.
	Submit Kind = "submit"
	// Confirm: the button behind a confirmation link, which holds Who, Choices and Wording of the request and its
	// time, RequestAt. Own for the address.
	Confirm Kind = "confirm"
	// OneClick: the one-click unsubscribe of RFC 8058. Who, Choices (all no, removed purposes or not).
	OneClick Kind = "one_click"
	// Assert: a program says yes or no through the API. Who, Choices, At, Precision, Source, Evidence, Scope, Batch.
	Assert Kind = "assert"
	// Import: rows of a file. Fields as Assert; always a batch.
	Import Kind = "import"
	// OptOut: a tool reports an opt-out. Who, Choices (all no), Tool, At and Precision if it has a date.
	OptOut Kind = "opt_out"
	// Mirror: consentd told a tool of a grant. Who, Choices (all yes), Tool.
	Mirror Kind = "mirror"
	// Object: an objection. Who, Choices (all no), Speaker, At, Precision.
	Object Kind = "object"
	// Complain: a spam complaint. Who, Choices or else Channel, Speaker, At, Precision.
	Complain Kind = "complain"
	// Stop: the word STOP in reply. Fields as Complain.
	Stop Kind = "stop"
	// Oppose: "never contact me", for every identifier of Who. Speaker, At, Precision.
	Oppose Kind = "oppose"
	// Erase: for every identifier of Who. Speaker, At, Precision.
	Erase Kind = "erase"
	// Move: the address Who[0] is now To. Own: both mailboxes took part.
	Move Kind = "move"
	// Report: a program reports a contact that came from the person. Who, At, Precision.
	Report Kind = "report"
	// Signal: the browser's global privacy control, for the purposes of Choices (all no). Who.
	Signal Kind = "signal"
	// Bounce: a message came back. Who, Choices.
	Bounce Kind = "bounce"
	// Publish: Thing ("banner", "form:…" or a purpose's id) has Revision from Start on.
	Publish Kind = "publish"
	// Requalify: a campaign for Who and the purposes of Choices, from Start to Deadline.
	Requalify Kind = "requalify"
)

// Speaker is who speaks, in the words of "Speakers".
type Speaker string

// The speakers.
const (
	Own     Speaker = "own"
	Typed   Speaker = "typed"
	Program Speaker = "program"
)

// Grade is how strong the evidence of a yes is.
type Grade string

// The grades, strongest first.
const (
	Verified Grade = "verified"
	Proven   Grade = "proven"
	Imported Grade = "imported"
	Asserted Grade = "asserted"
)

// Precision is how exactly a program knows its `at`.
type Precision string

// The precisions.
const (
	Exact  Precision = "millisecond"
	Second Precision = "second"
	Day    Precision = "day" // in UTC
)

// The surfaces that the rules tell apart; a form is FormSurface of its id.
const (
	Banner      = "banner"
	Preferences = "preferences"
	API         = "api"
)

// FormSurface is the surface of a form.
func FormSurface(id string) string { return "form:" + id }

// Choice is one purpose of an act: yes or no, and the basis under which it was offered.
type Choice struct {
	Purpose string
	Yes     bool
	Basis   Basis
}

// Wording is what of a shown wording the rules look at.
type Wording struct {
	// Revision is that of the surface.
	Revision int
	// Purposes holds the revision of each purpose shown; a missing one is 0.
	Purposes map[string]int
}

// Act is one thing that happened, as one edge recorded it. Times are whole milliseconds, in UTC.
type Act struct {
	Kind Kind
	// ID is the proof id. The same id on the same edge is one act; on another edge, a replay.
	ID string
	// Edge and Seq are its place in that edge's log.
	Edge string
	Seq  int
	// Arrived is the edge's logical time: when its clock steps back, this stands still.
	Arrived time.Time
	// Wait is how long a device kept it before it could be sent.
	Wait time.Duration

	// At is when a program says it happened; zero is undated.
	At        time.Time
	Precision Precision
	// Source and Evidence say that the program named them.
	Source, Evidence bool
	// Scope says that its token has `regrant`, Batch that the item came with others.
	Scope, Batch bool

	Who     []Subject
	Signed  []Identifier
	Choices []Choice
	// Channel is what a STOP or a complaint without a purpose stops.
	Channel Channel
	// Speaker is Own or Program where the kind leaves it open; empty is Own.
	Speaker Speaker

	Surface   string
	Form      string
	Wording   *Wording
	RequestAt time.Time
	Tool      string
	To        Subject
	// Grade replaces the grade that the kind implies, for a choice of another banner, read in a browser.
	Grade Grade

	Thing           string
	Revision        int
	Start, Deadline time.Time

	// Unaware says that the edge knew nothing of what was before (a race, a restored disk): its door let it pass.
	Unaware bool
}

// subject is the identifier of a kind among those of the act.
func subject(who []Subject, kind Identifier) (Subject, bool) {
	for _, s := range who {
		if s.Kind == kind {
			return s, true
		}
	}
	return Subject{}, false
}

// speaker says who speaks for an identifier of the act: what is sent beside a token is typed.
func (a Act) speaker(who Subject) Speaker {
	switch a.Kind {
	case Submit:
		return Typed
	case Assert, Import, OptOut, Mirror, Report, Bounce, Publish, Requalify:
		return Program
	case Confirm:
		if who.Kind != Address {
			return Typed // rule f: the mailed link proves the mailbox, not the number
		}
	case Object, Complain, Stop, Oppose, Erase:
		if a.Speaker == Program {
			return Program
		}
	case Choose:
		if len(a.Signed) > 0 && !contains(a.Signed, who.Kind) {
			return Typed
		}
	}
	return Own
}

// grade is how strong a yes of the act is.
func (a Act) grade(who Subject) Grade {
	switch {
	case a.Grade != "":
		return a.Grade
	case a.Kind == Import:
		return Imported
	case a.Kind == Assert:
		return Asserted
	case a.Kind == Confirm && who.Kind == Address:
		return Verified
	}
	return Proven
}

// dated says whether a program's word has a time of its own that counts (rule c: with source and evidence).
func (a Act) dated() bool { return !a.At.IsZero() && a.Source && a.Evidence }

func contains[T comparable](list []T, x T) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

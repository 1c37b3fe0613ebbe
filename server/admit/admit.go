// Package admit judges a choice before it is recorded: an ordered list of named steps over a Candidate, each
// of which may refuse it with a reason code and the JSON pointer of what is wrong.
//
// It guarantees that a proof it lets through names a surface, a method, a wording and decisions that agree
// with each other and with what the site asks, and that two spellings of one choice become the same proof.
//
// It does no I/O and keeps no clock: whoever calls it looks up the wording, takes the time from the ledger and
// checks tokens. Refusals of one candidate are collected, so that a client hears of all of them at once,
// except at a gate: a candidate stopped there is not looked at any further.
//
// # Files
//
//	admit.go      Candidate, Refusal, the steps in their order, Run
//	steps.go      the steps about who and how: origin, id, subject, surface, method
//	form.go       the step about forms: what gives a program away, and the device it was sent from
//	shown.go      the steps about what was shown: wording, locale, decisions, page, prompt
//	wording.go    a wording that a page shows on its own form, before it is published
//	rules.go      Rules: what a site asks, prepared once per configuration
//	device.go     the coarse kind of device behind a user agent
//	page.go       page URLs, reduced to what may be kept
package admit

import (
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Via says how a candidate came in.
type Via byte

// The ways in.
const (
	Browser Via = iota // a page of the site: the origin vouches for it
	API                // a token with scope record: the caller vouches for it
	Hosted             // a page this server drew: the origin vouches, and Page is ours
)

// Candidate is a choice, or a prompt, as a client sent it. Strings must not be views into a network buffer:
// some of them end up in the proof.
type Candidate struct {
	Rules  *Rules
	Via    Via
	Origin string // header Origin; not looked at for API
	Own    string // this server's own origin, Hosted only
	GPC    bool   // header Sec-GPC: 1, what a signal is proven by
	Now    consent.Millis

	ID        string
	Subject   RawSubject
	Surface   string
	Method    string
	Decisions []consent.Choice // in the order sent, no purpose twice
	Wording   string
	Locale    string
	Page      string
	Prompt    string
	Device    string  // of a form, or of an account: the device it was sent from
	Trap      string  // of a form: the field no person sees
	Took      int     // of a form: milliseconds from display to sending
	Timed     bool    // Took was said
	Person    *Person // what a subject of KindPerson stands for, found by the caller; nil: nothing

	Shown *Shown // what Wording names, found by the caller; nil: no such wording on this site

	refusals []Refusal
	parsed   parsed
}

// RawSubject is the subject as sent; Kind "" means that none was.
type RawSubject struct {
	Kind  consent.Kind
	Value string
}

// KindPerson is a subject named by a token: the account that is logged in, without its id going through a page.
const KindPerson consent.Kind = "person"

// Person is the subject such a token stands for.
type Person struct {
	Key  consent.SubjectKey
	Kind consent.Kind
}

// parsed is what the steps found out; a proof is made of it once all have passed.
type parsed struct {
	id        uuid.UUID
	subject   consent.Subject
	surface   string
	method    consent.Method
	locale    string
	decisions []consent.Choice
	page      string
	prompt    uuid.UUID
	device    consent.Subject // Kind "": none
	ticked    []string        // purposes whose box was ticked before the person came: recorded as a no
	optIn     bool            // a yes that waits for the mail to be answered
}

// Refusal is one reason why a candidate is refused. Code is stable; Detail is for a person to read.
type Refusal struct {
	Pointer string // RFC 6901, into the body that was sent
	Code    string
	Detail  string
}

// Step is one named check.
type Step struct {
	Name  string
	Gate  bool // a refusal here ends admission
	check func(*Candidate)
}

// Steps lists the admission of a choice in its order.
func Steps() []Step {
	return []Step{
		{"origin", true, (*Candidate).checkOrigin},
		{"id", false, (*Candidate).checkID},
		{"subject", false, (*Candidate).checkSubject},
		{"surface", false, (*Candidate).checkSurface},
		{"form", false, (*Candidate).checkForm},
		{"method", false, (*Candidate).checkMethod},
		{"wording", false, (*Candidate).checkWording},
		{"locale", false, (*Candidate).checkLocale},
		{"decisions", false, (*Candidate).checkDecisions},
		{"page", false, (*Candidate).checkPage},
		{"prompt", false, (*Candidate).checkPrompt},
	}
}

// PromptSteps lists the admission of a prompt in its order.
func PromptSteps() []Step {
	return []Step{
		{"origin", true, (*Candidate).checkOrigin},
		{"prompt", false, (*Candidate).checkPromptID},
		{"surface", false, (*Candidate).checkSurface},
		{"wording", false, (*Candidate).checkWording},
		{"locale", false, (*Candidate).checkLocale},
		{"page", false, (*Candidate).checkPage},
	}
}

// Gates runs the gates among steps: what can be judged before the body is read. nil: go on.
func (c *Candidate) Gates(steps []Step) []Refusal {
	return c.run(steps, true)
}

// Run runs the steps that are not gates and returns every refusal; nil: admitted.
func (c *Candidate) Run(steps []Step) []Refusal {
	return c.run(steps, false)
}

func (c *Candidate) run(steps []Step, gate bool) []Refusal {
	for i := range steps {
		if steps[i].Gate != gate {
			continue
		}
		steps[i].check(c)
		if gate && len(c.refusals) > 0 {
			break
		}
	}
	return c.refusals
}

// Reset makes c fit for the next candidate. What a proof took over stays the proof's.
func (c *Candidate) Reset() { *c = Candidate{} }

func (c *Candidate) refuse(pointer, code, detail string) {
	c.refusals = append(c.refusals, Refusal{Pointer: pointer, Code: code, Detail: detail})
}

// Facts writes what an admitted choice says into p: everything but edge, time, country, device class and
// the personal part besides subject and page.
func (c *Candidate) Facts(p *consent.Proof) {
	p.ID, p.Site = c.parsed.id, c.Rules.Site.ID
	p.RecordedAt = c.Now
	p.Surface, p.Method, p.Locale = c.parsed.surface, c.parsed.method, c.parsed.locale
	p.Decisions, p.Prompt = c.parsed.decisions, c.parsed.prompt
	p.Grade = consent.GradeAsserted
	switch {
	case c.Via == API:
	case p.Surface == consent.SurfaceImport:
		p.Grade = consent.GradeImported
	case p.Surface != consent.SurfaceSignal || c.GPC:
		p.Grade = consent.GradeProven
	}
	if c.Shown != nil {
		p.Wording = c.Shown.Hash
	}
	p.Personal.Kind, p.Personal.Page = c.parsed.subject.Kind, c.parsed.page
	if c.Person != nil {
		p.Personal.Kind = c.Person.Kind
	}
	if c.parsed.optIn {
		p.Method = consent.MethodRequest
	}
}

// PromptFacts writes what an admitted prompt says into p.
func (c *Candidate) PromptFacts(p *consent.Prompt) {
	p.ID, p.Site, p.ShownAt = c.parsed.prompt, c.Rules.Site.ID, c.Now
	p.Surface, p.Locale, p.Page = c.parsed.surface, c.parsed.locale, c.parsed.page
	if c.Shown != nil {
		p.Wording = c.Shown.Hash
	}
}

// Who is the subject of an admitted choice, normalised.
func (c *Candidate) Who() consent.Subject { return c.parsed.subject }

// From is the device an admitted choice was sent from, beside its subject; ok is false when none was named.
func (c *Candidate) From() (device consent.Subject, ok bool) {
	return c.parsed.device, c.parsed.device.Kind != ""
}

// Ticked lists the purposes of an admitted choice whose boxes were ticked before the person came: silence is no
// consent (GDPR recital 32), so they are recorded as a no.
func (c *Candidate) Ticked() []string { return c.parsed.ticked }

// OptIn reports that an admitted choice agrees to something on a form with double opt-in: it is a request until
// the mail to its address is answered.
func (c *Candidate) OptIn() bool { return c.parsed.optIn }

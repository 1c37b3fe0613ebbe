package model

import "time"

// Status is what a lookup answers.
type Status string

// The statuses (DESIGN: Words).
const (
	Granted   Status = "granted"
	Denied    Status = "denied"    // a no, without a yes before it on record
	Withdrawn Status = "withdrawn" // a no after a yes
	Pending   Status = "pending"
	Expired   Status = "expired"
	Unknown   Status = "unknown"
)

// Reason says why.
type Reason string

// The reasons, and the codes of a question that cannot be answered.
const (
	IsGranted            Reason = "granted"
	IsDenied             Reason = "denied"
	IsWithdrawn          Reason = "withdrawn"
	AwaitingConfirmation Reason = "awaiting_confirmation"
	IsExpired            Reason = "expired"
	WordingSuperseded    Reason = "wording_superseded"
	NotRequalified       Reason = "not_requalified"
	NeverAsked           Reason = "never_asked"
	IsErased             Reason = "erased"
	IsObjected           Reason = "objected"
	IsOpposed            Reason = "opposed"
	IsMoved              Reason = "moved"
	BasisContract        Reason = "basis_contract"
	BasisLegal           Reason = "basis_legal"
	Legitimate           Reason = "legitimate_interest"
	BelowMinGrade        Reason = "below_min_grade"

	UnknownPurpose  Reason = "unknown_purpose"
	UnknownUse      Reason = "unknown_use"
	PurposeRequired Reason = "purpose_required"
	NeedsIdentifier Reason = "wrong_identifier"
)

// Question is one message to one person.
type Question struct {
	Who     []Subject
	Purpose string
	// Use is the further uses; "send" may be named and changes nothing.
	Use []string
	// Channel alone asks purpose by purpose.
	Channel Channel
	// Basis is the one the request states, for contract and legal obligation.
	Basis Basis
	// Exemption is the one the request states, for prospecting under legitimate interest.
	Exemption Exemption
	MinGrade  Grade
}

// Decision answers one purpose.
type Decision struct {
	Purpose string
	Allowed bool
	Status  Status
	Reason  Reason
	// Grade is that of the yes that answers.
	Grade Grade
	// Rule is the letter of the rule that decided; 0 is "Asking".
	Rule rune
}

// Reply answers a question: the message itself, and each further use.
type Reply struct {
	Decision
	Uses map[string]Decision
	// List answers a channel purpose by purpose; Allowed says nothing in it.
	List []Decision
}

// Record is a history that was read once, for many questions.
type Record struct {
	reader reader
	words  []word
}

// Read reads a history: what was recorded, in any order.
func Read(site Site, acts []Act) Record { return readWithout(site, acts, nil) }

func readWithout(site Site, acts []Act, without map[rune]bool) Record {
	r := reader{site: site.with(acts), without: without}
	return Record{reader: r, words: r.read(acts)}
}

// Answer answers one question from the whole history.
func Answer(site Site, acts []Act, q Question, now time.Time) Reply {
	return Read(site, acts).Answer(q, now)
}

// Answer answers one question.
//
//	One message, one purpose: {"purpose":"newsletter","use":["track_open"]}. `allowed` always and only answers the
//	message itself (`send` may be named and changes nothing). `uses` answers each further use in the shape of a
//	decision, and none is allowed where the message is not; it is decided by the purpose of the same channel and use
//	that names this one in `with`, else by the only one there is; none or several: `unknown_use`. A refused pixel does
//	not stop the letter. `channel` alone lists purpose by purpose, without `allowed`; `channel` with `use` over
//	several lists: `purpose_required`.
func (x Record) Answer(q Question, now time.Time) Reply {
	if q.Purpose == "" {
		return x.list(q, now)
	}
	p, ok := x.reader.site.purpose(q.Purpose)
	if !ok || p.Removed {
		return Reply{Decision: Decision{Purpose: q.Purpose, Status: Unknown, Reason: UnknownPurpose}}
	}
	a := Reply{Decision: x.decide(p, q, now), Uses: map[string]Decision{}}
	for _, use := range q.Use {
		if use == Send {
			continue
		}
		d := Decision{Status: Unknown, Reason: UnknownUse}
		if of, ok := x.reader.site.use(p, use); ok {
			d = x.decide(of, q, now)
		}
		d.Allowed = d.Allowed && a.Allowed
		a.Uses[use] = d
	}
	return a
}

func (x Record) list(q Question, now time.Time) Reply {
	var lists []Purpose
	for _, p := range x.reader.site.Purposes {
		if p.Channel == q.Channel && !p.Removed {
			lists = append(lists, p)
		}
	}
	if len(q.Use) > 0 {
		return x.onlyList(lists, q, now)
	}
	var a Reply
	for _, p := range lists {
		d := x.decide(p, q, now)
		d.Allowed = false
		a.List = append(a.List, d)
	}
	return a
}

// onlyList answers a channel with uses, which needs no purpose where there is only one list.
func (x Record) onlyList(purposes []Purpose, q Question, now time.Time) Reply {
	var messages []Purpose
	for _, p := range purposes {
		if p.Use == "" {
			messages = append(messages, p)
		}
	}
	if len(messages) != 1 {
		return Reply{Decision: Decision{Status: Unknown, Reason: PurposeRequired}}
	}
	q.Purpose = messages[0].ID
	return x.Answer(q, now)
}

// use is the purpose that decides a further use of a message.
func (s Site) use(message Purpose, use string) (Purpose, bool) {
	var named, all []Purpose
	for _, p := range s.Purposes {
		if p.Channel != message.Channel || p.Use != use || p.Removed {
			continue
		}
		all = append(all, p)
		if contains(p.With, message.ID) {
			named = append(named, p)
		}
	}
	if len(named) > 0 {
		all = named
	}
	if len(all) != 1 {
		return Purpose{}, false
	}
	return all[0], true
}

// decide answers one purpose by its basis.
//
//	Contract and legal obligation are allowed only when the request states that `basis`; no stop touches them.
//	Legitimate interest is allowed unless a stop stands (post stays opt-out). `min_grade` applies to consent.
func (x Record) decide(p Purpose, q Question, now time.Time) Decision {
	d := Decision{Purpose: p.ID, Status: Unknown}
	who, ok := x.reader.ruleF(p.ID, q.Who)
	if !ok {
		d.Reason, d.Rule = NeedsIdentifier, 'f'
		return d
	}
	switch p.Basis {
	case Contract:
		d.Allowed, d.Reason = q.Basis == Contract, BasisContract
	case LegalObligation:
		d.Allowed, d.Reason = q.Basis == LegalObligation, BasisLegal
	case LegitimateInterest:
		return x.reader.interest(x.reader.about(x.words, who, p.ID), p, q)
	default:
		return x.reader.consent(x.reader.about(x.words, who, p.ID), p, q, now)
	}
	return d
}

// about is the file of a purpose of a subject: what is on record about it, once erasures have emptied it.
func (r reader) about(words []word, who Subject, purpose string) []word {
	var file []word
	for _, w := range words {
		if w.who == who && (w.purpose == purpose || w.purpose == "") {
			file = append(file, w)
		}
	}
	return r.ruleH(file)
}

// interest answers a purpose under legitimate interest.
func (r reader) interest(file []word, p Purpose, q Question) Decision {
	if stops := r.standing(file); len(stops) > 0 {
		return r.stopped(file, p, stops)
	}
	return Decision{Purpose: p.ID, Status: Unknown, Reason: Legitimate, Allowed: p.Exemption == "" || q.Exemption == p.Exemption}
}

// consent answers a purpose under consent: a yes in force, else what waits, else what stopped it, else how the last
// yes ended, else what speaks where nothing else does.
func (r reader) consent(file []word, p Purpose, q Question, now time.Time) Decision {
	if yeses := r.inForce(file, p, now); len(yeses) > 0 {
		return r.granted(r.ruleE(yeses), p, q)
	}
	d := Decision{Purpose: p.ID, Status: Unknown, Reason: NeverAsked}
	stops := r.ruleA(file)
	switch ended := r.counting(file, p); {
	case r.pending(file, now):
		d.Status, d.Reason, d.Rule = Pending, AwaitingConfirmation, 'd'
	case len(r.standing(file)) > 0:
		return r.stopped(file, p, r.standing(file))
	case len(ended) > 0:
		d.Status = Expired
		d.Reason, d.Rule = r.ending(r.ruleE(ended), p, file, now)
	case len(stops) > 0:
		return r.stopped(file, p, stops) // lifted by what is no consent (rule j)
	case len(onRecord(file)) == 0 && has(file, soft):
		d.Status, d.Reason, d.Rule = Denied, IsDenied, 'd'
	}
	return d
}

func (r reader) granted(y word, p Purpose, q Question) Decision {
	d := Decision{Purpose: p.ID, Allowed: true, Status: Granted, Reason: IsGranted, Grade: y.grade, Rule: 'e'}
	if y.undated {
		d.Rule = 'c'
	}
	if q.MinGrade != "" && rank(y.grade) > rank(q.MinGrade) {
		d.Allowed, d.Reason, d.Rule = false, BelowMinGrade, 0
	}
	return d
}

// counting is the yeses that would answer, had they not ended: under the purpose's basis, later than every stop,
// where none stands.
func (r reader) counting(file []word, p Purpose) []word {
	if len(r.standing(file)) > 0 {
		return nil
	}
	var out []word
	for _, y := range r.ruleC(file) {
		if r.ruleJ(y, p.Basis) && laterThanAll(y, r.ruleA(file)) {
			out = append(out, y)
		}
	}
	return out
}

// inForce is the yeses that count and have not ended.
func (r reader) inForce(file []word, p Purpose, now time.Time) []word {
	var out []word
	for _, y := range r.counting(file, p) {
		if why, _ := r.ending(y, p, file, now); why == "" {
			out = append(out, y)
		}
	}
	return out
}

// ending says how a yes ended, and by which rule; "" when it did not.
func (r reader) ending(y word, p Purpose, file []word, now time.Time) (Reason, rune) {
	if r.expired(y, p, file, now) {
		return IsExpired, 'e'
	}
	return r.ruleK(y, p, file, now), 'k'
}

// pending says whether the newest request still waits: later than every stop, not answered, and not 48 h old.
func (r reader) pending(file []word, now time.Time) bool {
	var newest *word
	for i, w := range file {
		if w.what == asked && (newest == nil || w.at.After(newest.at)) {
			newest = &file[i]
		}
	}
	if newest == nil || !now.Before(newest.at.Add(pendingFor)) || !laterThanAll(*newest, r.ruleA(file)) {
		return false
	}
	for _, y := range file {
		if y.what == yes && (y.voice == own || y.voice == typed) && !y.at.Before(newest.at) {
			return false
		}
	}
	return true
}

// stopped answers by the strongest of some stops: firm before ordinary, what holds for every purpose first, then the
// newest.
func (r reader) stopped(file []word, p Purpose, stops []word) Decision {
	s := stops[0]
	for _, other := range stops[1:] {
		if a, b := strength(other), strength(s); a > b || a == b && other.at.After(s.at) {
			s = other
		}
	}
	d := Decision{Purpose: p.ID, Status: Denied, Rule: 'a'}
	for _, y := range onRecord(file) {
		if r.ruleJ(y, p.Basis) && !y.at.After(s.at) {
			d.Status = Withdrawn
		}
	}
	switch s.what {
	case opposed:
		d.Reason = IsOpposed
	case erased:
		d.Status, d.Reason, d.Rule = Unknown, IsErased, 'h'
	case movedOut:
		d.Status, d.Reason, d.Rule = Unknown, IsMoved, 'i'
	case objected:
		d.Reason = IsObjected
	default:
		d.Reason = Reason(d.Status)
	}
	return d
}

func strength(stop word) int {
	for i, w := range []what{no, objected, movedOut, erased, opposed} {
		if stop.what == w {
			return i
		}
	}
	return -1
}

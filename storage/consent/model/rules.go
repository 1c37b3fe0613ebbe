package model

import "time"

// ruleA is every stop of a file (what is on record about one purpose of one subject), lifted or not.
//
//	a. A no needs no evidence. Own and program no's are ordinary. Firm are: an objection (a no under legitimate
//	interest), a spam complaint, an opposition ("never contact me": every purpose), an erasure, having moved away. A
//	stop stands until a later yes lifts it: an ordinary one an own yes or a regrant, a firm one an own yes to that
//	purpose; lifted stays lifted when that yes ends. A yes counts only if it is later than every stop, and none
//	stands. A bounce is no stop. STOP or a complaint without a purpose stops its channel; one click stops what its
//	link names, removed purposes or not. A tool's undated opt-out counts only as a change from the last mirrored
//	grant.
func (r reader) ruleA(file []word) []word {
	if r.without['a'] {
		return nil
	}
	var stops []word
	for _, w := range file {
		switch w.what {
		case no, objected, opposed, erased:
			stops = append(stops, w)
		case movedOut:
			if !movedBack(file, w) {
				stops = append(stops, w)
			}
		}
	}
	return stops
}

// isFirm tells the firm stops of rule a from the ordinary ones.
func (w word) isFirm() bool { return w.what != no }

// standing is every stop that no later yes has lifted. Whether that yes has ended since plays no part: lifted stays
// lifted.
func (r reader) standing(file []word) []word {
	var left []word
	for _, stop := range r.ruleA(file) {
		lifted := false
		for _, y := range file {
			lifted = lifted || y.what == yes && r.lifts(y, stop)
		}
		if !lifted {
			left = append(left, stop)
		}
	}
	return left
}

// lifts says whether a yes lifts a stop: never one that is as late as itself.
func (r reader) lifts(y, stop word) bool {
	if !y.at.After(stop.at) {
		return false
	}
	switch y.voice {
	case own:
		return true
	case regrant:
		return !stop.isFirm() // rule b
	case program:
		return r.without['b'] && !y.undated
	case typed:
		return r.without['d']
	}
	return false // rule i: what a move carries lifts nothing there
}

// laterThanAll says whether a yes is later than every stop.
func laterThanAll(y word, stops []word) bool {
	for _, stop := range stops {
		if !y.at.After(stop.at) {
			return false
		}
	}
	return true
}

// aChange is rule a's last sentence: an undated opt-out is news only if the last that this edge exchanged with the
// tool about the purpose was a grant told to it.
func (r reader) aChange(a Act, i Item, known []word) bool {
	if !a.At.IsZero() || r.without['a'] {
		return true
	}
	last := what("")
	for _, w := range known {
		if (w.what == mirrored || w.what == toolStopped) && w.tool == a.Tool && w.who == i.Who && w.purpose == i.Purpose {
			last = w.what
		}
	}
	return last == mirrored
}

// ruleB says with which voice an act's yes speaks, and whether a program's lacks a date that counts.
//
//	b. A program's yes lifts no stop, a program's included, except as a regrant: token scope `regrant`, a single
//	item (no batch, no import), `at` after the stop, source, evidence. Else, per item, `withdrawal_stands`. `false`
//	is a no; what is unknown is left out.
func (r reader) ruleB(a Act, who Subject) (v voice, undated bool) {
	switch a.speaker(who) {
	case Own:
		return own, false
	case Typed:
		return typed, false
	}
	if a.Scope && a.single() && a.dated() {
		return regrant, false // that `at` is after the stop is asked of each stop, by lifts
	}
	return program, !a.dated()
}

// single says whether an item came alone.
func (a Act) single() bool { return a.Kind == Assert && !a.Batch }

// ruleC is the yeses that speak.
//
//	c. The earliest undated program yes is kept; it speaks only where no other yes and no stop is on record. A dated
//	one (source, evidence) counts by its `at`, whenever it arrives. A program repeating a yes renews nothing.
func (r reader) ruleC(file []word) []word {
	all := onRecord(file)
	if r.without['c'] {
		return all
	}
	var dated, undated []word
	for _, y := range all {
		if y.undated {
			undated = append(undated, y)
		} else {
			dated = append(dated, y)
		}
	}
	if len(dated) > 0 || len(r.ruleA(file)) > 0 {
		return dated
	}
	return undated
}

// onRecord is the yeses that the "Registers" let speak: of one speaker, grade and basis the newest, and of
// the undated the earliest.
func onRecord(file []word) []word {
	var out []word
	for _, y := range file {
		if y.what == yes && !outdone(y, file) {
			out = append(out, y)
		}
	}
	return out
}

// outdone says whether another yes of the same kind stands on record in its place.
func outdone(y word, file []word) bool {
	for _, other := range file {
		switch {
		case other.what != yes || other.undated != y.undated:
		case y.undated && newer(y, other):
			return true
		case !y.undated && other.voice == y.voice && other.grade == y.grade && other.basis == y.basis && newer(other, y):
			return true
		}
	}
	return false
}

// newer compares by (time, wording revision, proof id). The purpose's revision comes before the surface's: two
// surfaces number theirs apart.
func newer(x, y word) bool {
	if !x.at.Equal(y.at) {
		return x.at.After(y.at)
	}
	if a, b := x.purposeRevision(), y.purposeRevision(); a != b {
		return a > b
	}
	if a, b := x.surfaceRevision(), y.surfaceRevision(); a != b {
		return a > b
	}
	return x.id > y.id
}

func (w word) purposeRevision() int {
	if w.wording == nil {
		return 0
	}
	return w.wording.Purposes[w.purpose]
}

func (w word) surfaceRevision() int {
	if w.wording == nil {
		return 0
	}
	return w.wording.Revision
}

// ruleD is what becomes of a typed choice.
//
//	d. A form's unticked box and a browser signal (GPC) speak only where nothing else does; a switch turned off on
//	the banner or in the preference centre is an own no. A typed yes lifts nothing: under a stop it becomes a request
//	(mail, pending 48 h; under a firm one, one mail in six months); without mail, nothing. The form answers everybody
//	alike. Under double opt-in everything the form collects waits; its e-mail is required. A link older than a stop
//	says so and asks afresh.
func (r reader) ruleD(a Act, i Item, known []word) Item {
	waits := a.Kind == Submit && r.site.form(a.Form).DoubleOptIn
	if r.without['d'] || a.Kind == Confirm {
		return i
	}
	if !i.yes {
		if waits {
			i.Outcome = Nothing // it comes with the confirmation
		}
		return i
	}
	var left []word
	if !a.Unaware {
		left = r.standing(r.about(known, i.Who, i.Purpose))
	}
	if len(left) == 0 && !waits {
		return i
	}
	i.Outcome = Nothing
	mailbox, ok := subject(a.Who, Address)
	if !ok || !r.site.Mail || len(left) > 0 && i.Who != mailbox {
		return i // nobody to ask, or the answer would lift nothing
	}
	if anyFirm(left) {
		if mailedSince(known, mailbox, mailFirm, a.Arrived) {
			return i
		}
		i.mail = mailFirm
	}
	i.Outcome = Requested
	return i
}

func anyFirm(stops []word) bool {
	for _, s := range stops {
		if s.isFirm() {
			return true
		}
	}
	return false
}

// mailedSince says whether such a mail went to the mailbox in the six months before a time.
func mailedSince(known []word, mailbox Subject, kind what, now time.Time) bool {
	for _, w := range known {
		if w.what == kind && w.who == mailbox && now.Before(w.at.AddDate(0, 6, 0)) {
			return true
		}
	}
	return false
}

// ruleE is the yes that answers, of those that neither expired nor were superseded.
//
//	e. Expired and superseded yeses drop; of the rest the highest grade answers, then own, regrant, moved, program,
//	typed, then the newest. Lifetime runs from the yes, inactivity from it or a later contact: own acts but no's,
//	reported contacts.
func (r reader) ruleE(yeses []word) word {
	best := yeses[0]
	for _, y := range yeses[1:] {
		if r.answersBefore(y, best) {
			best = y
		}
	}
	return best
}

func (r reader) answersBefore(x, y word) bool {
	if r.without['e'] {
		return newer(y, x)
	}
	if a, b := rank(x.grade), rank(y.grade); a != b {
		return a < b
	}
	if x.voice != y.voice {
		return x.voice < y.voice
	}
	return newer(x, y)
}

// rank orders grades, the highest first.
func rank(g Grade) int {
	for i, x := range []Grade{Verified, Proven, Imported, Asserted} {
		if x == g {
			return i
		}
	}
	return 4
}

// expired is rule e's second sentence. A term ends at its last moment: then it is over.
func (r reader) expired(y word, p Purpose, file []word, now time.Time) bool {
	if r.without['e'] {
		return false
	}
	if p.Lifetime > 0 && !now.Before(y.at.Add(p.Lifetime)) {
		return true
	}
	last := y.at
	for _, w := range file {
		if w.what == contacted && w.at.After(last) {
			last = w.at
		}
	}
	return p.Inactivity > 0 && !now.Before(last.Add(p.Inactivity))
}

// ruleF is the subject among several to whom a purpose belongs.
//
//	f. A purpose belongs to its channel's identifier: the address for e-mail; the number for SMS and phone; device or
//	signed-in account for web and push; any for post. A submission's proofs together name all purposes of its wording;
//	its id joins them in access and erasure. Confirming the e-mail makes the number's yes `proven`, still typed. SMS
//	ticked without a number: a field error, nothing lost. `external` with an e-mail purpose needs the address, else
//	`wrong_identifier`, in lookups too. Devices never merge into accounts.
func (r reader) ruleF(purpose string, who []Subject) (Subject, bool) {
	if r.without['f'] && len(who) > 0 {
		return who[0], true
	}
	p, ok := r.site.purpose(purpose)
	if !ok {
		return Subject{}, false
	}
	for _, kind := range identifiers(p.Channel) {
		if s, ok := subject(who, kind); ok {
			return s, true
		}
	}
	return Subject{}, false
}

// identifiers is what a channel's purposes may belong to; of several given, the first.
func identifiers(c Channel) []Identifier {
	switch c {
	case Email:
		return []Identifier{Address}
	case SMS, Phone:
		return []Identifier{Number}
	case Web, Push:
		return []Identifier{Account, Device}
	}
	return []Identifier{Address, Number, Account, Device}
}

// ruleG says whether a program's yes that was refused makes the site ask the person.
//
//	g. Site option `confirm_regrants`: an item that lacks only regrant's scope sends one mail per no, one in six
//	months, never under a firm stop.
func (r reader) ruleG(a Act, i Item, known, standing []word) bool {
	if r.without['g'] || !r.site.ConfirmRegrants || !r.site.Mail || i.Who.Kind != Address {
		return false
	}
	if a.Scope || !a.single() || !a.dated() || anyFirm(standing) {
		return false
	}
	for _, stop := range standing {
		if !yesAt(a).After(stop.at) {
			return false // it lacks more than the scope
		}
		if mailedAbout(known, i, stop) {
			return false
		}
	}
	return !mailedSince(known, i.Who, mailRegrant, a.Arrived)
}

// mailedAbout says whether a mail about this no went out already.
func mailedAbout(known []word, i Item, stop word) bool {
	for _, w := range known {
		if w.what == mailRegrant && w.who == i.Who && w.purpose == i.Purpose && !w.at.Before(stop.at) {
			return true
		}
	}
	return false
}

// ruleH is what an erasure leaves of what is on record about a subject.
//
//	h. Erasure empties earlier registers and leaves a dated keyed fingerprint: consent and legitimate interest answer
//	`erased`, programs (regrants too) get `erased_stands`, an own choice or a confirmed sign-up afterwards is normal.
//	An opposition outlives it.
func (r reader) ruleH(file []word) []word {
	var newest *word
	var rest []word
	for i, w := range file {
		if w.what != erased {
			rest = append(rest, w)
		} else if newest == nil || w.at.After(newest.at) {
			newest = &file[i]
		}
	}
	if newest == nil || r.without['h'] {
		return rest
	}
	left := []word{*newest}
	for _, w := range rest {
		if w.what == opposed || w.at.After(newest.at) && !w.undated {
			left = append(left, w)
		}
	}
	return left
}

// ruleI is what a move says, of the old address and of the new one.
//
//	i. Moving an address carries yeses in force (grade, time, wording kept; lifting nothing there) and standing stops
//	with their time. The old address, told, is `moved` until moved back.
func (r reader) ruleI(a Act, known []word) []word {
	old, ok := subject(a.Who, Address)
	if !ok || r.without['i'] {
		return nil
	}
	out := []word{
		{what: movedOut, who: old, at: a.Arrived, id: a.ID},
		{what: movedIn, who: a.To, at: a.Arrived, id: a.ID},
		{what: contacted, who: a.To, at: a.Arrived, id: a.ID},
	}
	everywhere, somewhere := r.oppositions(known, old)
	out = append(out, everywhere...)
	out = append(out, somewhere...)
	for _, p := range r.site.Purposes {
		if contains(identifiers(p.Channel), Address) {
			out = append(out, r.carried(r.about(known, old, p.ID), p, a.Arrived)...)
		}
	}
	for i := range out {
		if out[i].what != movedOut {
			out[i].who = a.To
		}
	}
	return out
}

// carried is what a move takes along about one purpose.
func (r reader) carried(file []word, p Purpose, now time.Time) []word {
	var out []word
	for _, y := range r.inForce(file, p, now) {
		y.voice, y.undated = moved, false
		out = append(out, y)
	}
	for _, stop := range r.standing(file) {
		switch stop.what {
		case no, objected:
			out = append(out, stop)
		case erased:
			// It stands for this purpose, perhaps lifted for others; and it empties nothing at the new address.
			stop.what, stop.purpose = objected, p.ID
			out = append(out, stop)
		}
	}
	return out
}

// oppositions is what a move takes along of the newest opposition: all of it where it stands for every purpose of an
// address, else a firm stop of each purpose for which it stands.
func (r reader) oppositions(known []word, old Subject) (everywhere, somewhere []word) {
	all := true
	for _, p := range r.site.Purposes {
		if !contains(identifiers(p.Channel), Address) {
			continue
		}
		stands := false
		for _, stop := range r.standing(r.about(known, old, p.ID)) {
			if stop.what == opposed {
				everywhere = append(everywhere, stop)
				stop.what, stop.purpose = objected, p.ID
				somewhere = append(somewhere, stop)
				stands = true
			}
		}
		all = all && stands
	}
	if all {
		return everywhere, nil
	}
	return nil, somewhere
}

// movedBack says whether a move away was undone by a later move to the same address.
func movedBack(file []word, away word) bool {
	for _, w := range file {
		if w.what == movedIn && w.at.After(away.at) {
			return true
		}
	}
	return false
}

// ruleJ says whether a yes counts under a basis.
//
//	j. A yes counts only under the basis it was given for; not objecting never becomes consent.
func (r reader) ruleJ(y word, b Basis) bool {
	return y.basis == b || r.without['j']
}

// ruleK says why a yes is superseded; "" when it is not.
//
//	k. Banner, forms and purposes each have a revision with `from`. From then, yeses under a lower one, or without
//	wording and said before, are superseded, whatever their grade. Added services and returning purposes need one; a
//	purpose's id never changes channel (`check`). Requalification: yeses older than its start end at its deadline.
func (r reader) ruleK(y word, p Purpose, file []word, now time.Time) Reason {
	if r.without['k'] {
		return ""
	}
	if superseded(y, inForce(p.Revisions, now), y.purposeRevision()) {
		return WordingSuperseded
	}
	if superseded(y, inForce(r.surface(y), now), y.surfaceRevision()) {
		return WordingSuperseded
	}
	for _, w := range file {
		if w.what == campaign && y.at.Before(w.start) && !now.Before(w.deadline) {
			return NotRequalified
		}
	}
	return ""
}

// superseded says whether a revision in force ends a yes given under number.
func superseded(y word, current Revision, number int) bool {
	if y.wording == nil {
		return y.at.Before(current.From)
	}
	return number < current.Number
}

// surface is the revisions of the surface where a yes was given. The preferences that a device opens are the
// banner's second page.
func (r reader) surface(y word) []Revision {
	if y.surface == Banner || y.surface == Preferences && y.who.Kind == Device {
		return r.site.Banner
	}
	for _, f := range r.site.Forms {
		if y.surface == FormSurface(f.ID) {
			return f.Revisions
		}
	}
	return nil
}

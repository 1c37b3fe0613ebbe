package model

import (
	"sort"
	"time"
)

// what is the kind of a word.
type what string

const (
	yes       what = "yes"
	asked     what = "request"   // a yes that waits for its confirmation
	no        what = "no"        // an ordinary stop
	objected  what = "objected"  // a firm stop of one purpose: an objection or a complaint
	soft      what = "soft"      // an unticked box or a browser's signal
	opposed   what = "opposed"   // a firm stop of every purpose
	erased    what = "erased"    // a firm stop of every purpose, which empties what was before
	movedOut  what = "moved out" // a firm stop of every purpose, until moved in
	movedIn   what = "moved in"
	contacted what = "contact"
	campaign  what = "campaign"
	// The next four are no part of an answer; the door looks at them.
	mailFirm    what = "mail under a firm stop"
	mailRegrant what = "mail that asks to confirm a regrant"
	mirrored    what = "grant mirrored to a tool"
	toolStopped what = "opt-out reported by a tool"
)

// voice is who speaks a yes, in the order in which rule e prefers them.
type voice int

const (
	own voice = iota
	regrant
	moved
	program
	typed
)

// word is one thing said about one purpose ("" is every purpose) of one subject.
type word struct {
	what    what
	who     Subject
	purpose string
	voice   voice
	undated bool // a program's yes without a date that counts
	grade   Grade
	basis   Basis
	// at is when it counts from ("Times").
	at      time.Time
	surface string
	wording *Wording
	id      string
	tool    string
	// start and deadline are a campaign's.
	start, deadline time.Time
}

// reader reads acts under the rules of a site; without names the rules it leaves out, for the mutants.
type reader struct {
	site    Site
	without map[rune]bool
}

// read turns a history into words. Each edge is read by itself, in the order of its log, for it knew only its own
// acts; then everything is one heap.
func (r reader) read(acts []Act) []word {
	var all []word
	for _, log := range logs(acts) {
		all = append(all, r.readLog(log)...)
	}
	return fromFirstSaying(all)
}

// logs sorts acts by edge and place.
func logs(acts []Act) [][]Act {
	edges := map[string][]Act{}
	for _, a := range acts {
		edges[a.Edge] = append(edges[a.Edge], a)
	}
	var out [][]Act
	for _, log := range edges {
		sort.Slice(log, func(i, j int) bool { return log[i].Seq < log[j].Seq })
		out = append(out, log)
	}
	return out
}

// readLog reads one edge's log: an id that is known there again says nothing.
func (r reader) readLog(log []Act) []word {
	var known []word
	seen := map[string]bool{}
	for _, a := range log {
		if seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		known = append(known, r.say(a, known)...)
	}
	return known
}

// fromFirstSaying makes a yes, and a request for one, that several edges took under one id count from its first
// saying ("Times"). A no counts from each arrival, so that the newest stands.
func fromFirstSaying(words []word) []word {
	type key struct {
		id      string
		who     Subject
		purpose string
	}
	first := map[key]time.Time{}
	counts := func(w word) bool { return w.what == yes || w.what == asked || w.what == contacted }
	for _, w := range words {
		k := key{w.id, w.who, w.purpose}
		if t, ok := first[k]; counts(w) && (!ok || w.at.Before(t)) {
			first[k] = w.at
		}
	}
	for i, w := range words {
		if counts(w) {
			words[i].at = first[key{w.id, w.who, w.purpose}]
		}
	}
	return words
}

// say is everything an act says, given what its edge had on record.
func (r reader) say(a Act, known []word) []word {
	switch a.Kind {
	case Bounce, Publish:
		return nil // rule a: a bounce is no stop; a revision is the site's, not somebody's
	case Oppose:
		return r.everywhere(a, opposed, r.noAt(a))
	case Erase:
		return r.everywhere(a, erased, r.noAt(a))
	case Report:
		return r.everywhere(a, contacted, yesAt(a))
	case Move:
		return r.ruleI(a, known)
	case Mirror:
		return r.perPurpose(a, word{what: mirrored, tool: a.Tool, at: a.Arrived})
	case Requalify:
		return r.perPurpose(a, word{what: campaign, at: a.Start, start: a.Start, deadline: a.Deadline})
	}
	return r.choices(a, known)
}

// everywhere says something about every purpose of each identifier of the act.
func (r reader) everywhere(a Act, w what, at time.Time) []word {
	var out []word
	for _, who := range a.Who {
		out = append(out, word{what: w, who: who, at: at, id: a.ID})
	}
	return out
}

// perPurpose says one thing about each purpose of the act.
func (r reader) perPurpose(a Act, w word) []word {
	var out []word
	for _, c := range a.Choices {
		if who, ok := r.ruleF(c.Purpose, a.Who); ok {
			w.who, w.purpose, w.id = who, c.Purpose, a.ID
			out = append(out, w)
		}
	}
	return out
}

// choices says what the door let pass of the act's choices.
func (r reader) choices(a Act, known []word) []word {
	var out []word
	contact := map[Subject]bool{}
	for _, item := range r.items(a, known) {
		switch item.Outcome {
		case Requested:
			out = append(out, r.request(a, item))
		case Recorded:
			w := r.spoken(a, item)
			out = append(out, w)
			contact[w.who] = contact[w.who] || w.what == yes && w.voice == own
		}
		if a.Kind == OptOut {
			out = append(out, word{what: toolStopped, who: item.Who, purpose: item.Purpose, tool: a.Tool, at: a.Arrived, id: a.ID})
		}
		if item.mail != "" {
			out = append(out, word{what: item.mail, who: item.Who, purpose: item.Purpose, at: a.Arrived, id: a.ID})
		}
	}
	return append(out, contacts(a, contact)...)
}

// contacts are the identifiers with which somebody spoke for himself and said more than no (rule e).
func contacts(a Act, who map[Subject]bool) []word {
	at := yesAt(a)
	if a.Kind == Confirm {
		at = a.Arrived // the yes is as old as its request, the click is not
	}
	var out []word
	for s, own := range who {
		if own {
			out = append(out, word{what: contacted, who: s, at: at, id: a.ID})
		}
	}
	return out
}

func (r reader) request(a Act, i Item) word {
	return word{what: asked, who: i.Who, purpose: i.Purpose, basis: i.basis, at: a.Arrived, id: a.ID}
}

// spoken is the word of a choice that was recorded.
func (r reader) spoken(a Act, i Item) word {
	w := word{who: i.Who, purpose: i.Purpose, basis: i.basis, id: a.ID, surface: a.Surface, wording: a.Wording}
	if a.Kind == Submit {
		w.surface = FormSurface(a.Form)
	}
	if i.yes {
		w.what, w.at, w.grade = yes, yesAt(a), a.grade(i.Who)
		w.voice, w.undated = r.ruleB(a, i.Who)
		return w
	}
	w.what, w.at, w.voice = no, r.noAt(a), own
	switch {
	case r.isSoft(a, i.Who):
		w.what = soft
		if a.Kind == Confirm {
			w.at = a.RequestAt
		}
	case a.Kind == Object, a.Kind == Complain, i.basis == LegitimateInterest:
		w.what = objected
	}
	if a.speaker(i.Who) == Program {
		w.voice = program
	}
	return w
}

// isSoft says whether a no of the act speaks only where nothing else does (rule d).
func (r reader) isSoft(a Act, who Subject) bool {
	if r.without['d'] {
		return false
	}
	return a.Kind == Signal || a.Kind == Submit || a.Kind == Confirm || a.speaker(who) == Typed
}

// yesAt is when a yes was said: a program's from its `at`, a device's from its arrival less its wait there, a
// confirmation from its request. A coarse `at` is its start; it is never in the future.
func yesAt(a Act) time.Time {
	switch {
	case a.Kind == Confirm:
		return a.RequestAt
	case a.Kind == Choose:
		return a.Arrived.Add(-a.Wait)
	case a.fromProgram() && !a.At.IsZero():
		return earlier(startOf(a.At, a.Precision), a.Arrived)
	}
	return a.Arrived
}

// noAt is when a no counts from: its arrival, a program's from its `at`. A coarse `at` is its end, at most the arrival.
func (r reader) noAt(a Act) time.Time {
	if a.fromProgram() && !a.At.IsZero() {
		return earlier(endOf(a.At, a.Precision), a.Arrived)
	}
	return a.Arrived
}

// fromProgram says whether the act's `at` is a program's.
func (a Act) fromProgram() bool {
	switch a.Kind {
	case Assert, Import, OptOut, Report:
		return true
	}
	return a.Speaker == Program && a.speaker(Subject{}) == Program
}

// unit is what a precision leaves open.
func (p Precision) unit() time.Duration {
	switch p {
	case Second:
		return time.Second
	case Day:
		return 24 * time.Hour
	}
	return time.Millisecond
}

// startOf is the first millisecond that a coarse time can mean.
func startOf(at time.Time, p Precision) time.Time { return at.UTC().Truncate(p.unit()) }

// endOf is the last millisecond that a coarse time can mean.
func endOf(at time.Time, p Precision) time.Time {
	return startOf(at, p).Add(p.unit() - time.Millisecond)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

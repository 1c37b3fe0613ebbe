package server

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
)

// question is what a lookup asks of each subject.
type question struct {
	purposes []*asked // in the order answered
	together bool     // asked by channel and use: one verdict over all of them is part of the answer
}

// reach is a question by how a sender gets to people: over a channel, for some uses; none named stands for every
// use of the channel.
type reach struct {
	channel string
	uses    []string
}

// reached appends the purposes of a reach to dst, sorted by id. What no purpose answers for is refused, never taken
// for allowed; at names the parameter or member of the i-th use, of the channel for -1.
func (v *view) reached(dst []*asked, r reach, at func(i int) string) ([]*asked, error) {
	var met uint64 // bit i: a purpose has the i-th use; lists are bounded by maxPurposes
	known := false
	for i := range v.asked {
		p := &v.asked[i]
		if string(p.channel) != r.channel {
			continue
		}
		known = true
		use := indexOf(r.uses, string(p.use))
		if use >= 0 {
			met |= 1 << use
		}
		if use >= 0 || len(r.uses) == 0 {
			dst = append(dst, p)
		}
	}
	if !known {
		return nil, invalid([]admit.Refusal{{Pointer: at(-1), Code: codeUnknownChannel, Detail: "no purpose of this site is over it"}})
	}
	var refusals []admit.Refusal
	for i := range r.uses {
		if met&(1<<i) == 0 && indexOf(r.uses, r.uses[i]) == i {
			refusals = append(refusals, admit.Refusal{Pointer: at(i), Code: codeUnknownUse, Detail: "no purpose of this site has it over this channel"})
		}
	}
	if refusals != nil {
		return nil, invalid(refusals)
	}
	return dst, nil
}

func indexOf(all []string, s string) int { return slices.Index(all, s) }

// inBody points into {"channel","use":[…]}.
func inBody(i int) string {
	if i < 0 {
		return "/channel"
	}
	return "/use/" + strconv.Itoa(i)
}

// inQuery names parameters.
func inQuery(i int) string {
	if i < 0 {
		return "/channel"
	}
	return "/use"
}

// pick chooses the asked purposes named; none named stands for all.
func (v *view) pick(names []string) ([]*asked, error) {
	if len(names) == 0 {
		return v.all, nil
	}
	picked := make([]*asked, 0, len(names))
	var refusals []admit.Refusal
	for i, name := range names {
		p := v.purpose(name)
		switch at := fmt.Sprintf("/purposes/%d", i); {
		case p == nil:
			refusals = append(refusals, admit.Refusal{Pointer: at, Code: admit.UnknownPurpose, Detail: "nobody is asked for it"})
		case slices.Contains(picked, p):
			refusals = append(refusals, admit.Refusal{Pointer: at, Code: codeDuplicatePurpose, Detail: "named twice"})
		default:
			picked = append(picked, p)
		}
	}
	if refusals != nil {
		return nil, invalid(refusals)
	}
	return picked, nil
}

// purpose finds an asked purpose.
func (v *view) purpose(id string) *asked {
	for i := range v.asked {
		if v.asked[i].id == id {
			return &v.asked[i]
		}
	}
	return nil
}

// answerer writes what is known of subjects.
type answerer struct {
	question
	now consent.Millis
}

// append writes "decisions":{…} of one subject and, when the purposes are asked together, the verdict. sts is
// parallel to the purposes; a zero Standing is one that was never asked.
func (a *answerer) append(b []byte, sts []consent.Standing) []byte {
	var room [16]*asked
	stopped := room[:0]
	b = append(b, `"decisions":{`...)
	for i, p := range a.purposes {
		if i > 0 {
			b = append(b, ',')
		}
		answer := sts[i].Answer(a.now, &p.rule)
		b = answer.AppendJSON(append(b, p.key...))
		if a.together && !answer.Allowed {
			stopped = append(stopped, p)
		}
	}
	b = append(b, '}')
	if a.together {
		b = appendVerdict(b, stopped)
	}
	return b
}

// appendVerdict writes whether all purposes asked together allow what is asked, and which do not.
func appendVerdict(b []byte, stopped []*asked) []byte {
	b = append(b, `,"allowed":`...)
	b = strconv.AppendBool(b, len(stopped) == 0)
	b = append(b, `,"stopped_by":[`...)
	for i, p := range stopped {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.key[:len(p.key)-1]...) // without its colon
	}
	return append(b, ']')
}

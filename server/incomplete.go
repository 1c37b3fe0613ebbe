package server

import (
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// An answer that rests on the warehouse says so when it may lack rows, and of which time: empty and incomplete are never
// the same answer. What is told is what this edge knows of its own rows.

// gaps are those of the warehouse that reasons do not leave out. They are asked for before a question and after it: a loss that
// was mended in between may have left a mark on the answer.
func (s *Server) gaps(leaveOut ...consent.GapReason) []consent.Gap {
	if s.opt.Gaps == nil {
		return nil
	}
	return slices.DeleteFunc(s.opt.Gaps(), func(g consent.Gap) bool { return slices.Contains(leaveOut, g.Reason) })
}

// appendIncomplete appends ,"incomplete":{"reason","since"?,"before"?} when there are gaps.
func appendIncomplete(b []byte, gaps []consent.Gap) []byte {
	g, any := consent.MergeGaps(gaps)
	if !any {
		return b
	}
	b = append(b, `,"incomplete":{"reason":"`...)
	b = append(b, g.Reason...)
	b = append(b, '"')
	if g.Since != 0 {
		b = consent.AppendMillis(append(b, `,"since":`...), g.Since)
	}
	if g.Before != 0 {
		b = consent.AppendMillis(append(b, `,"before":`...), g.Before)
	}
	return append(b, '}')
}

// away is the gap of an answer the warehouse had no part in.
func away() []consent.Gap { return []consent.Gap{{Reason: consent.GapAway}} }

// Package model is the second opinion on consentd's answering rules: slow, obvious, and written from the text of
// the rules alone, before the code it judges.
//
// It keeps no state. [Read] takes the whole history of [Act]s, turns each into the words it said, and [Record.Answer]
// reads all words from scratch under the rules a to k. There are no registers and nothing is merged, so that the
// model judges the registers instead of repeating them. The order of the list means nothing: an act has its place
// by (Edge, Seq), and the edges are joined at the end.
//
// Guarantee: equal acts in any order give equal answers (model_test.go), and every rule is needed: without it some
// random history answers otherwise (mutants_test.go).
//
// It does not parse, sign, mail or store, and nothing of the program imports it: it is a kit for tests.
//
// # Files
//
//	site.go      what a site declares            act.go      what can happen
//	word.go      what an act says, and when      rules.go    the rules, word for word, one function each
//	door.go      the courtesy at the door        ask.go      questions and answers
//	history.go   random sites and histories      shrink.go   the smallest history that still fails
//	READINGS.md  where the rules are silent or disagree: the reading taken, and why
//
// # For a harness
//
// Translate each act of [History] into a call of the real implementation, on the edge it names, in the order of Seq,
// with the clock at Arrived; compare its outcome with [Admit], then join the edges in any order and compare the
// answers with [Answer]. To test registers without a door, set Unaware on every act. Proof ids must keep the order of
// Act.ID; a device's id is made when it spoke, at Arrived less Wait.
package model

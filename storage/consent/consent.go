// Package consent holds the nouns of consentd: what a site asks (Site, Purpose, Service, Wording), who
// answers (Subject), what is recorded (Proof = Facts + Personal, Prompt) and what a lookup says (State,
// Standing, Answer).
//
// It guarantees that the same noun always gives the same bytes: every document that is hashed has one
// canonical form (RFC 8785, JSON Canonicalization Scheme), versioned, with golden vectors in
// testdata/vectors.json that an implementation in another language can test against.
//
// It does no I/O, keeps no clock and knows no store: the same functions serve the server, the ledger, the
// warehouse and an offline verifier.
//
// # Files
//
//	site.go       Site, Purpose, Service, Controller: what is asked, and under which legal basis
//	wording.go    Wording: everything a person was shown, and its hash
//	wordings.go   … and what a site shows on each of its surfaces
//	words.go      Words: the short texts of forms, mails and pages
//	subject.go    Subject and SubjectKey: who chose, normalised and pseudonymised
//	proof.go      Facts, Personal, Proof: one immutable event and its commitment
//	prompt.go     Prompt: one display of a surface
//	state.go      State: what the proofs of one subject add up to
//	standing.go   Standing: where one purpose stands at a moment
//	answer.go     Answer and Rule: what a lookup says of one purpose
//	codes.go      the enumerations: Method, Grade, Status, Reason, Basis, DeviceClass
//	binary.go     the compact encodings the ledger stores
//	canonical.go  canonical JSON by hand, for the documents written on the hot path
//	stream.go     Stream, Cursor, SetAside: what an edge ships, and how far it got
//	seal.go       KeyRing: e-mail and phone sealed wherever they are stored
//
// # Why these libraries
//
// gowebpki/jcs is the reference JCS implementation in Go; golang.org/x/net/idna and x/text/unicode/norm
// are the Go project's own; nyaruka/phonenumbers carries Google's libphonenumber metadata; google/uuid
// parses without surprises. Nothing here is worth writing again.
package consent

// Package wire reads the JSON bodies strangers send.
//
// It is strict: a document that two parsers could understand differently is refused. Duplicate member
// names, invalid UTF-8, lone surrogates, anything after the document, and nesting or member counts over a
// cap break the reading (Error, one of them, with the byte it was found at). A well-formed value of the
// wrong type, or a member nobody asked for, is a Mistake: it is noted with its JSON pointer (RFC 6901), read
// over, and the rest is still looked at, so that a caller hears of all of them at once.
//
// It reads a string, which cannot change under it: results are substrings of the document, and no copy is
// needed as long as the document itself was copied out of the network buffer.
//
// It has no reflection and no tags: the caller walks the document with Object, Next, Name, Text, Bool. That
// costs a few lines per body and saves an allocation per field.
//
// # Files
//
//	reader.go  Reader: walking a document
//	scan.go    strings, numbers, literals
//	wire.go    errors, mistakes and their pointers
//
// # Why
//
// encoding/json accepts duplicate names, invalid UTF-8 and any letter case of a name. A strict general
// decoder (go-json-experiment) is the oracle in this package's fuzz test; it was not taken for the hot path
// because it reports neither all mistakes at once nor the pointer of each, and because reflection on
// 10,000 subjects costs more than answering them. Once encoding/json/v2 is stable this should be weighed
// again.
package wire

import (
	"strconv"
	"strings"
)

// Codes of what can be wrong with a document. The first group breaks the reading (HTTP 400), the second
// is noted (HTTP 422).
const (
	CodeMalformed     = "malformed_json"
	CodeDuplicateKey  = "duplicate_key"
	CodeTooDeep       = "too_deep"
	CodeTooManyFields = "too_many_fields"

	CodeWrongType    = "wrong_type"
	CodeUnknownField = "unknown_field"
	CodeMissingField = "missing_field"
	CodeTooLong      = "too_long"
	CodeOutOfRange   = "out_of_range"
)

// Error is why a document could not be read to its end.
type Error struct {
	Code   string
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// Mistake is one thing a well-formed document says that it should not say.
type Mistake struct {
	Pointer string // RFC 6901; "" is the whole document
	Code    string
	Detail  string // may be ""
}

// Mistakes lists what was noted, in the order of the document, at most 32.
func (r *Reader) Mistakes() []Mistake { return r.mistakes }

// Note records a mistake about the value just read, or about to be read.
func (r *Reader) Note(code string) { r.note(r.Pointer(), code) }

// Wrong notes a mistake about the value that comes next and skips it.
func (r *Reader) Wrong(code string) {
	if r.broken != nil {
		return
	}
	at := r.Pointer()
	r.Skip()
	r.note(at, code)
}

// Unknown notes that the current member is not one the caller knows, and skips its value.
func (r *Reader) Unknown() { r.Wrong(CodeUnknownField) }

// Missing notes that the object just left (or the innermost open one) lacks a member.
func (r *Reader) Missing(name string) { r.note(r.Pointer()+"/"+Escape(name), CodeMissingField) }

func (r *Reader) note(pointer, code string) {
	if r.broken == nil && len(r.mistakes) < maxMistakes {
		r.mistakes = append(r.mistakes, Mistake{Pointer: pointer, Code: code})
	}
}

// Pointer is where the reader stands, as an RFC 6901 JSON pointer.
func (r *Reader) Pointer() string { return r.pointer(r.depth) }

func (r *Reader) pointer(depth int) string {
	var b strings.Builder
	for _, f := range r.frames[:depth] {
		switch {
		case f.index < 0:
		case f.kind == Array:
			b.WriteByte('/')
			b.WriteString(strconv.Itoa(f.index))
		default:
			b.WriteByte('/')
			b.WriteString(Escape(f.name))
		}
	}
	return b.String()
}

// Escape makes name one token of a JSON pointer (RFC 6901 §3), cut to a length fit for an answer.
func Escape(name string) string {
	name = clip(name)
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// clip keeps what a client sent from making an answer long.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && s[cut]&0xC0 == 0x80 { // never inside a character
		cut--
	}
	return s[:cut] + "…"
}

func (r *Reader) fail(code, detail string) {
	if r.broken == nil {
		r.broken = &Error{Code: code, Detail: detail}
	}
	r.pos = len(r.doc)
}

func (r *Reader) unexpected() {
	if r.pos >= len(r.doc) {
		r.fail(CodeMalformed, "the document ends too early, at byte "+strconv.Itoa(len(r.doc)))
		return
	}
	r.fail(CodeMalformed, "unexpected "+strconv.QuoteRune(rune(r.doc[r.pos]))+" at byte "+strconv.Itoa(r.pos))
}

package wire

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is what a JSON value is, as far as its first byte tells.
type Kind byte

// The kinds; None is the end of the document or a byte no value starts with.
const (
	None   Kind = 0
	Object Kind = '{'
	Array  Kind = '['
	Text   Kind = '"'
	Bool   Kind = 't'
	Null   Kind = 'n'
	Number Kind = '0'
)

// The largest limits a Reader has room for: its stacks are arrays, so that reading does not allocate.
const (
	MaxDepth = 16
	MaxNames = 64
)

// maxMistakes bounds the list a hostile document can fill.
const maxMistakes = 32

// Reader reads one document front to back. The zero Reader is of no use; see New. It is not safe for
// concurrent use, and its results are substrings of the document (or copies, where escapes were undone).
type Reader struct {
	doc      string
	pos      int
	maxDepth int
	depth    int
	frames   [MaxDepth]frame
	seen     [MaxNames]string // member names of all open objects, innermost last
	nseen    int
	broken   *Error
	mistakes []Mistake
}

// frame is one open object or array.
type frame struct {
	kind  Kind
	empty bool   // nothing read yet
	base  int    // where this object's names begin in seen
	name  string // current member
	index int    // current element
}

// New starts on doc. depth is how many objects and arrays may be open at once, 1 to MaxDepth.
func New(doc string, depth int) Reader {
	r := Reader{doc: doc, maxDepth: min(depth, MaxDepth)}
	if !utf8.ValidString(doc) {
		r.fail(CodeMalformed, "the body is not UTF-8")
	}
	return r
}

// Kind peeks at the value that comes next.
func (r *Reader) Kind() Kind {
	r.space()
	if r.broken != nil || r.pos >= len(r.doc) {
		return None
	}
	switch c := r.doc[r.pos]; c {
	case '{', '[', '"', 'n':
		return Kind(c)
	case 't', 'f':
		return Bool
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return Number
	}
	return None
}

// Object enters an object; false: the value was something else, noted as wrong_type and skipped.
func (r *Reader) Object() bool { return r.enter(Object) }

// Array enters an array; false: the value was something else, noted as wrong_type and skipped.
func (r *Reader) Array() bool { return r.enter(Array) }

func (r *Reader) enter(k Kind) bool {
	if got := r.Kind(); got != k {
		r.Wrong(CodeWrongType)
		return false
	}
	return r.open(k)
}

func (r *Reader) open(k Kind) bool {
	if r.depth >= r.maxDepth {
		r.fail(CodeTooDeep, "objects and arrays are nested more than "+strconv.Itoa(r.maxDepth)+" deep")
		return false
	}
	r.pos++
	r.frames[r.depth] = frame{kind: k, empty: true, base: r.nseen, index: -1}
	r.depth++
	return true
}

// Next moves to the next member or element of the innermost open object or array; false: it has ended, or
// the document is broken. Every value it announces must be read (or skipped) exactly once.
func (r *Reader) Next() bool {
	if r.broken != nil {
		return false
	}
	f := &r.frames[r.depth-1]
	r.space()
	if r.pos >= len(r.doc) {
		r.unexpected()
		return false
	}
	c := r.doc[r.pos]
	if c == byte(f.kind)+2 { // '{'+2 is '}', '['+2 is ']'
		r.pos++
		r.depth--
		r.nseen = f.base
		return false
	}
	if !f.empty {
		if c != ',' {
			r.unexpected()
			return false
		}
		r.pos++
	}
	f.empty = false
	f.index++
	if f.kind == Array {
		return true
	}
	return r.member(f)
}

func (r *Reader) member(f *frame) bool {
	r.space()
	if r.pos >= len(r.doc) || r.doc[r.pos] != '"' {
		r.unexpected()
		return false
	}
	name, ok := r.text()
	if !ok {
		return false
	}
	f.name = name
	if r.nseen == MaxNames {
		r.fail(CodeTooManyFields, "an object has more than "+strconv.Itoa(MaxNames)+" members")
		return false
	}
	for _, n := range r.seen[f.base:r.nseen] {
		if n == name {
			r.fail(CodeDuplicateKey, "the member "+strconv.Quote(clip(name))+" appears twice")
			return false
		}
	}
	r.seen[r.nseen] = name
	r.nseen++
	r.space()
	if r.pos >= len(r.doc) || r.doc[r.pos] != ':' {
		r.unexpected()
		return false
	}
	r.pos++
	return true
}

// Name is the member Next stopped at.
func (r *Reader) Name() string { return r.frames[r.depth-1].name }

// Index is the element Next stopped at.
func (r *Reader) Index() int { return r.frames[r.depth-1].index }

// Text reads a string of at most limit bytes; anything else is noted and "" returned.
func (r *Reader) Text(limit int) string {
	if r.Kind() != Text {
		r.Wrong(CodeWrongType)
		return ""
	}
	s, ok := r.text()
	if ok && len(s) > limit {
		r.Note(CodeTooLong)
		return ""
	}
	return s
}

// Bool reads true or false; anything else is noted and false returned.
func (r *Reader) Bool() bool {
	if r.Kind() != Bool {
		r.Wrong(CodeWrongType)
		return false
	}
	v := r.doc[r.pos] == 't'
	r.literal()
	return v
}

// Int reads a whole number from lo to hi; anything else is noted and lo returned.
func (r *Reader) Int(lo, hi int) int {
	if r.Kind() != Number {
		r.Wrong(CodeWrongType)
		return lo
	}
	start := r.pos
	if !r.number() {
		return lo
	}
	n, err := strconv.Atoi(r.doc[start:r.pos])
	switch {
	case err != nil && strings.ContainsAny(r.doc[start:r.pos], ".eE"):
		r.Note(CodeWrongType)
		return lo
	case err != nil || n < lo || n > hi:
		r.Note(CodeOutOfRange)
		return lo
	}
	return n
}

// Skip reads over any value, as strictly as if it were wanted.
func (r *Reader) Skip() {
	switch k := r.Kind(); k {
	case Object, Array:
		if r.open(k) {
			for r.Next() {
				r.Skip()
			}
		}
	case Text:
		r.text()
	case Bool, Null:
		r.literal()
	case Number:
		r.number()
	default:
		r.unexpected()
	}
}

// End says whether the document was well-formed and nothing follows it. What was well-formed but unwanted
// is in Mistakes.
func (r *Reader) End() error {
	r.space()
	if r.broken == nil && r.pos < len(r.doc) {
		r.fail(CodeMalformed, "something follows the document at byte "+strconv.Itoa(r.pos))
	}
	if r.broken != nil {
		return r.broken
	}
	return nil
}

func (r *Reader) space() {
	for r.pos < len(r.doc) {
		switch r.doc[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// Raw reads a string of any length; the value must be one (see Kind).
func (r *Reader) Raw() string {
	s, _ := r.text()
	return s
}

// TooMany notes once that the open array is longer than allowed, and reads over what is left of it.
func (r *Reader) TooMany(code string) {
	at := r.pointer(r.depth - 1)
	r.Skip()
	for r.Next() {
		r.Skip()
	}
	r.note(at, code)
}

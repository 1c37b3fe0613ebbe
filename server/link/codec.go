package link

import (
	"encoding/binary"

	"github.com/consentd/consentd/storage/consent"
)

// The bytes inside a token:
//
//	kind 1 │ expires, seconds uvarint │ site text │ then by kind
//	Form:   made, ms uvarint │ id 16
//	others: subject kind text │ subject key 16 │ identifier text │ purposes, to the end: text …
//
// A text is its length as a uvarint and its bytes.

func (t *Token) append(b []byte) []byte {
	b = append(b, byte(t.Kind))
	b = binary.AppendUvarint(b, uint64(max(0, t.Expires))/1000)
	b = appendText(b, t.Site)
	if t.Kind == Form {
		b = binary.AppendUvarint(b, uint64(max(0, t.Made)))
		return append(b, t.ID[:]...)
	}
	b = appendText(b, string(t.SubjectKind))
	b = append(b, t.Subject[:]...)
	b = appendText(b, t.Identifier)
	for _, p := range t.Purposes {
		b = appendText(b, p)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parse reads what append wrote. Only bytes that this program sealed get here; it is strict all the same.
func parse(b []byte) (*Token, error) {
	r := reader{b: b}
	t := &Token{Kind: Kind(r.take(1)[0])}
	t.Expires = consent.Millis(r.number()) * 1000
	t.Site = r.text()
	if t.Kind == Form {
		t.Made = consent.Millis(r.number())
		copy(t.ID[:], r.take(len(t.ID)))
	} else {
		t.SubjectKind = consent.Kind(r.text())
		copy(t.Subject[:], r.take(len(t.Subject)))
		t.Identifier = r.text()
		for !r.bad && len(r.b) > 0 {
			t.Purposes = append(t.Purposes, r.text())
		}
	}
	if r.bad || len(r.b) > 0 || t.Kind < Centre || t.Kind > Form {
		return nil, ErrInvalid
	}
	return t, nil
}

// reader takes pieces off the front of b; bad once there was too little.
type reader struct {
	b   []byte
	bad bool
}

// none is what take gives when there is too little left: longer than any fixed piece.
var none [16]byte

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return none[:min(n, len(none))]
	}
	piece := r.b[:n]
	r.b = r.b[n:]
	return piece
}

// maxNumber keeps a time from overflowing when it is turned into milliseconds.
const maxNumber = 1 << 50

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > maxNumber {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}

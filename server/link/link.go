// Package link makes and opens the secret parts of addresses that consentd hands out: /p/… (preference centre),
// /u/… (unsubscribe), /c/… (confirmation), the token of identify(), and the hidden field of a hosted form.
//
// It guarantees that a token says nothing to whoever has no key (AES-256-GCM), that one it opens was made with a
// key of its ring for the kind it is opened as, has not been changed and has not expired, and that nothing has to
// be stored for a token: ten million of them cost no disk. Removing a key revokes what it sealed.
//
// It does not know what a token may be used for twice: who takes a token decides that. A token is a bearer's:
// whoever has the address has what it stands for.
//
// # Files
//
//	link.go   Token, Seal and Open
//	codec.go  the bytes inside a token
//	ring.go   Ring: the keys, in files
//
// # Why not JWT
//
// A JWT can be read by everybody who sees the address, and names its subject. These tokens are opaque (RFC 8058
// §3.1 asks for that), half as long, and cost a microsecond rather than a signature. PASETO v4.local would do as
// well; it is a module more for the same primitive.
//
// # How many
//
// The nonce is random, so one key is good for 2³² tokens (NIST SP 800-38D §8.3). At a million a day that is eleven
// years; who sends more adds a key each year: consentd links --rotate.
package link

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/consentd/consentd/storage/consent"
)

// Kind is what a token opens.
type Kind byte

// The kinds. A token of one kind is never opened as another.
const (
	Centre      Kind = 1 // the preference centre of one subject
	Unsubscribe Kind = 2 // unsubscribing of one subject, from Purposes or from everything
	Identify    Kind = 3 // a page speaks for the account that is logged in
	Form        Kind = 4 // a hosted form was displayed: ID and Made
)

// Token is what an address stands for.
type Token struct {
	Kind        Kind
	Site        string
	Subject     consent.SubjectKey
	SubjectKind consent.Kind
	Identifier  string         // the normalised address or number, where the page shows it; "": not known
	Purposes    []string       // of an Unsubscribe; none: everything
	ID          [16]byte       // of a Form: the id its proof will have
	Made        consent.Millis // of a Form: when it was displayed
	Expires     consent.Millis // first moment it is no longer good; to the second
}

// Errors of Open. Neither says what is wrong with a token: an address that was cut and one that was made up get
// the same answer.
var (
	ErrInvalid = errors.New("link: this token was not made here, or its key is gone")
	ErrExpired = errors.New("link: this token has expired")
)

// A token in its text form is base64url of: version 1 │ key number 2 │ nonce 12 │ ciphertext ‖ tag 16. Version and
// number are authenticated.
const (
	version    = 1
	headerSize = 3
)

// maxText bounds what Open looks at: the longest address with 64 purposes named stays below.
const maxText = 6 << 10

// Append seals t under the newest key and appends its text form.
func (r *Ring) Append(b []byte, t *Token) []byte {
	w, _ := r.work.Get().(*work)
	if w == nil {
		w = new(work)
	}
	defer r.work.Put(w)
	w.plain = t.append(w.plain[:0])
	k := r.state.Load().newest
	w.sealed = append(w.sealed[:0], version)
	w.sealed = binary.BigEndian.AppendUint16(w.sealed, k.number)
	w.sealed = k.aead.Seal(w.sealed, nil, w.plain, w.sealed[:headerSize])
	return base64.RawURLEncoding.AppendEncode(b, w.sealed)
}

// work is the memory of one sealing, reused by later ones.
type work struct{ plain, sealed []byte }

// Seal gives the text form of t, sealed under the newest key.
func (r *Ring) Seal(t *Token) string { return string(r.Append(nil, t)) }

// Open opens a token as one of kind at now. Errors: ErrInvalid, ErrExpired. An expired token is returned with its
// error: the page may tell whose it was in which language.
func (r *Ring) Open(kind Kind, text string, now consent.Millis) (*Token, error) {
	if len(text) > maxText || strings.ContainsAny(text, "\r\n") { // which the decoder would read over
		return nil, ErrInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < headerSize || sealed[0] != version {
		return nil, ErrInvalid
	}
	k := r.state.Load().keys[binary.BigEndian.Uint16(sealed[1:])]
	if k == nil {
		return nil, ErrInvalid
	}
	plain, err := k.aead.Open(nil, nil, sealed[headerSize:], sealed[:headerSize])
	if err != nil {
		return nil, ErrInvalid
	}
	t, err := parse(plain)
	if err != nil || t.Kind != kind {
		return nil, ErrInvalid
	}
	if now >= t.Expires {
		return t, ErrExpired
	}
	return t, nil
}

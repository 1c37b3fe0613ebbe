package evidence

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Errors of ParseKey; each says what was given instead of a verifier key.
var (
	ErrKey        = errors.New("evidence: not a verifier key (name+hash+base64, as consentd keys prints it)")
	ErrKeyKind    = errors.New("evidence: this verifier key is not of the kind Ed25519")
	ErrPrivateKey = errors.New("evidence: this is a private key; verifying takes the public one, and nobody else should see this")
)

// algEd25519 is the byte before an Ed25519 public key (C2SP signed-note).
const algEd25519 = 1

// Key is a verifier key of an edge: it checks what is signed under its own name and under every name below it, such
// as the origins of the edge's logs.
type Key struct {
	name   string
	public ed25519.PublicKey
}

// ParseKey reads a verifier key in the encoding of C2SP signed-note: name+hash+base64.
func ParseKey(vkey string) (Key, error) {
	vkey = strings.TrimSpace(vkey)
	if strings.HasPrefix(vkey, "PRIVATE+KEY+") {
		return Key{}, ErrPrivateKey
	}
	raw := rawKey(vkey)
	if raw == nil {
		return Key{}, fmt.Errorf("%w: %.80q", ErrKey, vkey)
	}
	if raw[0] != algEd25519 {
		return Key{}, fmt.Errorf("%w: its kind is %d", ErrKeyKind, raw[0])
	}
	if _, err := note.NewVerifier(vkey); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	name, _, _ := strings.Cut(vkey, "+")
	return Key{name, raw[1:]}, nil
}

// rawKey is the last part of a verifier key: kind and bytes; nil when there is none.
func rawKey(vkey string) []byte {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) < 2 {
		return nil
	}
	return raw
}

// Name of the key: that of the edge, or of one of its logs.
func (k Key) Name() string { return k.name }

// String is the encoded verifier key.
func (k Key) String() string { return k.encode(k.name) }

func (k Key) encode(name string) string {
	vkey, err := note.NewEd25519VerifierKey(name, k.public)
	if err != nil {
		panic(err) // a Key only ever holds a public key of the right length
	}
	return vkey
}

// covers reports whether k speaks for what is signed as name.
func (k Key) covers(name string) bool {
	return name == k.name || strings.HasPrefix(name, k.name+"/")
}

// For is the verifier key under a name that k covers: what a tool that knows one log only is given.
func (k Key) For(name string) Key { return Key{name, k.public} }

// Signer signs as an edge: checkpoints under the origins of its logs, evidence files under their own name.
type Signer struct {
	Key
	private ed25519.PrivateKey
}

// NewSigner derives the key pair of an edge from 32 bytes (RFC 8032 §5.1.5).
func NewSigner(name string, seed []byte) (Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return Signer{}, fmt.Errorf("evidence: a signing key has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return Signer{Key{name, private.Public().(ed25519.PublicKey)}, private}, nil
}

// as is the signer under a name below its own.
func (s Signer) as(name string) note.Signer { return namedSigner{s.Key.For(name), s.private} }

// namedSigner implements note.Signer. note.NewSigner would want the private key in a text of its own.
type namedSigner struct {
	key     Key
	private ed25519.PrivateKey
}

func (s namedSigner) Name() string { return s.key.name }

// KeyHash is the part of the encoded key that names it in a signature line.
func (s namedSigner) KeyHash() uint32 {
	hash, err := strconv.ParseUint(strings.SplitN(s.key.String(), "+", 3)[1], 16, 32)
	if err != nil {
		panic(err) // encoded two lines above
	}
	return uint32(hash)
}

func (s namedSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

// ErrUnknownKey means that nothing but keys nobody gave us have signed a note.
var ErrUnknownKey = errors.New("evidence: signed by another key than the one given")

// ErrNote means that something is no signed note, or that its signature does not hold.
var ErrNote = errors.New("evidence: the signature does not hold")

// openNote gives the text of a note that at least one of keys has signed as name. Every encoding in it has to be the
// only one there is: a note is not to be changed by a single bit.
func openNote(msg []byte, name string, keys []Key) (text string, err error) {
	var known []note.Verifier
	for _, k := range keys {
		if !k.covers(name) {
			continue
		}
		v, err := note.NewVerifier(k.encode(name))
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrNote, err)
		}
		known = append(known, v)
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return "", ErrUnknownKey
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrNote, err)
	}
	for _, sig := range append(n.Sigs, n.UnverifiedSigs...) {
		raw, err := base64.StdEncoding.Strict().DecodeString(sig.Base64)
		if err != nil || binary.BigEndian.Uint32(raw) != sig.Hash {
			return "", fmt.Errorf("%w: a signature line is not encoded as it has to be", ErrNote)
		}
	}
	return n.Text, nil
}

// signNote signs text as name with every key, the first first.
func signNote(text, name string, signers []Signer) ([]byte, error) {
	all := make([]note.Signer, len(signers))
	for i, s := range signers {
		all[i] = s.as(name)
	}
	msg, err := note.Sign(&note.Note{Text: text}, all...)
	if err != nil {
		return nil, fmt.Errorf("signing as %s: %w", name, err)
	}
	return msg, nil
}

// EdgeName is the name of the key of an edge: consentd/ and the edge's own name, without what a name of a key may not
// hold.
func EdgeName(edge string) string {
	return "consentd/" + strings.ReplaceAll(url.PathEscape(edge), "+", "%2B")
}

package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Kind is what a subject is known by.
type Kind string

// The four kinds of DESIGN §2, and KindKey: a lookup by an already derived key.
const (
	KindDevice   Kind = "device"
	KindEmail    Kind = "email"
	KindPhone    Kind = "phone"
	KindExternal Kind = "external"
	KindKey      Kind = "key"
)

// Subject is who chose, normalised: two spellings of one address are one subject.
type Subject struct {
	Kind  Kind
	Value string
}

// Errors of ParseSubject; each names what its identifier must look like.
var (
	ErrKind     = errors.New("consent: a subject is one of device, email, phone, external or key")
	ErrDevice   = errors.New("consent: a device id is a UUID")
	ErrEmail    = errors.New("consent: not an e-mail address (at most 254 octets, local part at most 64, a valid domain)")
	ErrPhone    = errors.New("consent: not a phone number (international form +… unless the site has a region)")
	ErrExternal = errors.New("consent: an external id is 1 to 256 bytes without control characters")
	ErrKey      = errors.New("consent: a subject key is 32 lower-case hex digits")
)

// maxExternal bounds the site's own user ids, in bytes; UUIDs, e-mail hashes and URNs all fit.
const maxExternal = 256

// ParseSubject normalises value: device → lower-case UUID; email → NFC, trimmed, lower-cased, domain in
// ASCII (RFC 5891); phone → E.164, national forms read in region; external → NFC, trimmed; key as it is.
func ParseSubject(kind Kind, value, region string) (Subject, error) {
	var err error
	switch kind {
	case KindDevice:
		value, err = normalDevice(value)
	case KindEmail:
		value, err = normalEmail(value)
	case KindPhone:
		value, err = normalPhone(value, region)
	case KindExternal:
		value, err = normalExternal(value)
	case KindKey:
		_, err = ParseSubjectKey(value)
	default:
		err = ErrKind
	}
	if err != nil {
		return Subject{}, err
	}
	return Subject{Kind: kind, Value: value}, nil
}

func normalDevice(s string) (string, error) {
	if len(s) != 36 {
		return "", ErrDevice
	}
	id, err := uuid.Parse(s)
	if err != nil || id == uuid.Nil {
		return "", ErrDevice
	}
	if s == strings.ToLower(s) {
		return s, nil
	}
	return id.String(), nil
}

// RFC 5321 §4.5.3.1 limits, in octets.
const (
	maxEmail      = 254
	maxEmailLocal = 64
)

func normalEmail(s string) (string, error) {
	if len(s) > 4*maxEmail { // an IDN domain may be longer before it is ASCII; nothing sane is four times so
		return "", ErrEmail
	}
	s = strings.ToLower(norm.NFC.String(strings.TrimSpace(s)))
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || at > maxEmailLocal || !utf8.ValidString(s) {
		return "", ErrEmail
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsFunc(local, badInLocal) || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", ErrEmail
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") || at+1+len(domain) > maxEmail {
		return "", ErrEmail
	}
	return local + "@" + domain, nil
}

// badInLocal refuses what no unquoted local part holds (RFC 5321 §4.1.2, RFC 6531 §3.3), so that nothing
// that could break a mail header ever becomes a subject.
func badInLocal(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError || strings.ContainsRune(`@"(),:;<>[\]`, r)
}

func normalPhone(s, region string) (string, error) {
	if len(s) > 64 {
		return "", ErrPhone
	}
	n, err := phonenumbers.Parse(s, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "", ErrPhone
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

func normalExternal(s string) (string, error) {
	if len(s) > maxExternal || !utf8.ValidString(s) {
		return "", ErrExternal
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	if s == "" || len(s) > maxExternal || strings.ContainsFunc(s, unicode.IsControl) {
		return "", ErrExternal
	}
	return s, nil
}

// SubjectKey is what consentd stores in place of an identifier: the first 16 bytes of
// HMAC-SHA256(site secret, kind ‖ 0x00 ‖ normalised value).
type SubjectKey [16]byte

// ParseSubjectKey reads 32 lower hex digits.
func ParseSubjectKey(s string) (SubjectKey, error) {
	var k SubjectKey
	if len(s) != 2*len(k) || strings.ToLower(s) != s {
		return SubjectKey{}, ErrKey
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return SubjectKey{}, ErrKey
	}
	return k, nil
}

func (k SubjectKey) String() string { return hex.EncodeToString(k[:]) }

// Keyer derives the subject keys of one site. It is safe for concurrent use: HMAC states with the secret
// already absorbed are pooled, so that a key costs two SHA-256 blocks.
type Keyer struct {
	pool sync.Pool // of *keyState
}

type keyState struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// ErrSecret means that a site secret is too short to keep e-mail addresses from being guessed back.
var ErrSecret = errors.New("consent: a site secret is at least 32 bytes")

// NewKeyer keeps a private copy of secret, 32 bytes or more.
func NewKeyer(secret []byte) (*Keyer, error) {
	if len(secret) < 32 {
		return nil, fmt.Errorf("%w, not %d", ErrSecret, len(secret))
	}
	secret = append([]byte(nil), secret...)
	return &Keyer{pool: sync.Pool{New: func() any { return &keyState{mac: hmac.New(sha256.New, secret)} }}}, nil
}

// Key derives the key of s. A Subject of KindKey is its own key.
func (k *Keyer) Key(s Subject) SubjectKey {
	if s.Kind == KindKey {
		key, _ := ParseSubjectKey(s.Value) // ParseSubject has checked it
		return key
	}
	st := k.pool.Get().(*keyState)
	st.buf = append(append(append(st.buf[:0], s.Kind...), 0), s.Value...)
	st.mac.Reset()
	st.mac.Write(st.buf)
	key := SubjectKey(st.mac.Sum(st.sum[:0])[:len(SubjectKey{})])
	k.pool.Put(st)
	return key
}

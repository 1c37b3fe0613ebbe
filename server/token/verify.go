package token

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxSkew is how far ahead the clock of the edge that issued a token may run.
const maxSkew = time.Minute

// newParser names everything the library leaves open by default.
func newParser(now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{algName, algOldName}), // nothing symmetric, no none (RFC 8725 §3.1)
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(), // one token, one spelling
		jwt.WithTimeFunc(now),
	)
}

// Verify checks a token: ErrInvalid, ErrExpired (good otherwise) or ErrRevoked. raw may be a string whose bytes
// change after the call. A token seen in the last minute costs a hash and a comparison, and allocates nothing.
func (r *Ring) Verify(raw string) (*Claims, error) {
	if len(raw) > MaxLen {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxLen)
	}
	st, now := r.state.Load(), r.now()
	hash := maphash.String(st.cache.seed, raw)
	if c := st.cache.get(hash, raw, now.UnixNano()); c != nil {
		return c, nil
	}
	c, err := r.verify(st, raw, now)
	if err != nil {
		return nil, err
	}
	until := now.Add(remembered)
	if c.ExpiresAt.Before(until) {
		until = c.ExpiresAt
	}
	st.cache.put(&entry{hash: hash, raw: strings.Clone(raw), until: until.UnixNano(), claims: c}, now.UnixNano())
	return c, nil
}

func (r *Ring) verify(st *state, raw string, now time.Time) (*Claims, error) {
	if !compact(raw) {
		return nil, fmt.Errorf("%w: not a compact JWS", ErrInvalid)
	}
	var w wire
	t, err := r.parser.ParseWithClaims(raw, &w, st.keyFor)
	if err != nil {
		return nil, refusal(err)
	}
	if err := w.check(now); err != nil {
		return nil, err
	}
	if _, ok := st.revoked[w.ID]; ok {
		return nil, ErrRevoked
	}
	return w.claims(t.Header["kid"].(string)), nil // keyFor has seen that it is a string
}

// errHeader says what is wrong with a header; refusal passes it on.
type errHeader string

func (e errHeader) Error() string { return string(e) }

// keyFor checks the header, whose algorithm the parser has checked by now, and finds the key it names. Keys
// and addresses of keys inside the token (jwk, jku, x5u) are never looked at.
func (st *state) keyFor(t *jwt.Token) (any, error) {
	if t.Header["typ"] != tokenType {
		return nil, errHeader("typ is not " + tokenType)
	}
	if _, ok := t.Header["crit"]; ok { // RFC 7515 §4.1.11: extensions not understood
		return nil, errHeader("crit names extensions unknown here")
	}
	kid, ok := t.Header["kid"].(string)
	if !ok {
		return nil, errHeader("kid is missing")
	}
	k, ok := st.keys[kid]
	if !ok {
		return nil, errHeader("signed with a key that is not in the ring, or was retired")
	}
	return k.public, nil
}

// check holds what a signed claims set must have beyond what the parser has checked.
func (w *wire) check(now time.Time) error {
	switch {
	case w.ID == "":
		return fmt.Errorf("%w: jti is missing", ErrInvalid)
	case w.IssuedAt == nil:
		return fmt.Errorf("%w: iat is missing", ErrInvalid)
	case w.IssuedAt.After(now.Add(maxSkew)):
		return fmt.Errorf("%w: issued in the future", ErrInvalid)
	case w.ExpiresAt.Sub(w.IssuedAt.Time) > MaxTTL:
		return fmt.Errorf("%w: lives longer than any token may", ErrInvalid)
	case len(w.Sites) == 0 || w.Scope == "":
		return fmt.Errorf("%w: names no site or no scope", ErrInvalid)
	}
	return nil
}

// refusal turns the library's error into ours, in fixed words: its texts quote the token. Expiry comes last, so
// that ErrExpired means good otherwise.
func refusal(err error) error {
	if h, ok := errors.AsType[errHeader](err); ok {
		return fmt.Errorf("%w: %w", ErrInvalid, h)
	}
	for _, r := range []struct {
		is   error
		text string
	}{
		{jwt.ErrTokenMalformed, "malformed"},
		{jwt.ErrTokenUnverifiable, "unknown algorithm"},
		{jwt.ErrTokenSignatureInvalid, "wrong signature or algorithm"},
		{jwt.ErrTokenRequiredClaimMissing, "iss, aud or exp is missing"},
		{jwt.ErrTokenInvalidIssuer, "another issuer"},
		{jwt.ErrTokenInvalidAudience, "another audience"},
		{jwt.ErrTokenNotValidYet, "not valid yet"},
	} {
		if errors.Is(err, r.is) {
			return fmt.Errorf("%w: %s", ErrInvalid, r.text)
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return ErrExpired
	}
	return fmt.Errorf("%w: claims of the wrong type", ErrInvalid)
}

package token

import (
	"fmt"
	"strings"
)

const scheme = "Bearer "

// Bearer takes the token out of an Authorization header: the scheme in any case, one space, the token
// (RFC 6750 §2.1). ErrMissing: no header, or another scheme; ErrInvalid: anything else that is not one token.
// The result is part of header, and lives no longer than it.
func Bearer(header string) (string, error) {
	if len(header) < len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return "", ErrMissing
	}
	raw := header[len(scheme):]
	if raw == "" || !compact(raw) {
		return "", fmt.Errorf("%w: the header holds no compact token", ErrInvalid)
	}
	return raw, nil
}

// compact reports whether s uses the alphabet of a compact JWS alone (RFC 7515 §7.1). encoding/base64 skips
// line ends; this does not.
func compact(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

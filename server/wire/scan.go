package wire

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string whose opening quote is at pos (RFC 8259 §7). Without escapes it is a substring.
func (r *Reader) text() (string, bool) {
	r.pos++
	start := r.pos
	for i := start; i < len(r.doc); i++ {
		switch c := r.doc[i]; {
		case c == '"':
			r.pos = i + 1
			return r.doc[start:i], true
		case c == '\\':
			r.pos = i
			return r.escaped(start)
		case c < 0x20:
			r.pos = i
			r.unexpected()
			return "", false
		}
	}
	r.pos = len(r.doc)
	r.unexpected()
	return "", false
}

// escaped goes on with a string in which the first escape is at pos.
func (r *Reader) escaped(start int) (string, bool) {
	var b strings.Builder
	b.WriteString(r.doc[start:r.pos])
	for r.pos < len(r.doc) {
		c := r.doc[r.pos]
		switch {
		case c == '"':
			r.pos++
			return b.String(), true
		case c < 0x20:
			r.unexpected()
			return "", false
		case c != '\\':
			b.WriteByte(c)
			r.pos++
		default:
			v, ok := r.escape()
			if !ok {
				r.unexpected()
				return "", false
			}
			b.WriteRune(v)
		}
	}
	r.unexpected()
	return "", false
}

// escape reads one escape sequence; a surrogate that is not half of a pair is refused (RFC 7493 §2.1).
func (r *Reader) escape() (rune, bool) {
	if r.pos+1 >= len(r.doc) {
		r.pos = len(r.doc)
		return 0, false
	}
	c := r.doc[r.pos+1]
	if c == 'u' {
		return r.unicode()
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return 0, false
	}
	r.pos += 2
	return rune("\"\\/\b\f\n\r\t"[i]), true
}

func (r *Reader) unicode() (rune, bool) {
	v, ok := hex4(r.doc[r.pos:])
	if !ok {
		return 0, false
	}
	if !utf16.IsSurrogate(v) {
		r.pos += 6
		return v, true
	}
	low, ok := hex4(r.doc[r.pos+6:])
	if !ok {
		return 0, false
	}
	if v = utf16.DecodeRune(v, low); v == utf8.RuneError {
		return 0, false
	}
	r.pos += 12
	return v, true
}

// hex4 reads \uXXXX at the start of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var v rune
	for i := 2; i < 6; i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// literal reads true, false or null.
func (r *Reader) literal() {
	for _, w := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(r.doc[r.pos:], w) {
			r.pos += len(w)
			return
		}
	}
	r.unexpected()
}

// number reads over a number (RFC 8259 §6).
func (r *Reader) number() bool {
	s := r.doc
	if s[r.pos] == '-' {
		r.pos++
	}
	if r.pos < len(s) && s[r.pos] == '0' {
		r.pos++
	} else if !r.digits() {
		return false
	}
	if r.pos < len(s) && s[r.pos] == '.' {
		r.pos++
		if !r.digits() {
			return false
		}
	}
	if r.pos < len(s) && s[r.pos]|0x20 == 'e' {
		r.pos++
		if r.pos < len(s) && (s[r.pos] == '+' || s[r.pos] == '-') {
			r.pos++
		}
		return r.digits()
	}
	return true
}

func (r *Reader) digits() bool {
	start := r.pos
	for r.pos < len(r.doc) && '0' <= r.doc[r.pos] && r.doc[r.pos] <= '9' {
		r.pos++
	}
	if r.pos == start {
		r.unexpected()
		return false
	}
	return true
}

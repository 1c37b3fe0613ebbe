package consent

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The hot path writes canonical JSON by hand: keys in the order of RFC 8785 §3.2.3, strings by §3.2.2.2,
// no white space. A test holds each writer against a general JCS implementation.

const lowerHex = "0123456789abcdef"

// AppendJSONString appends s as a JSON string in the one form RFC 8785 §3.2.2.2 allows. Bytes that are not
// UTF-8 become U+FFFD, so that the result is always valid JSON.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			start = i + 1
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\t':
		return append(b, '\\', 't')
	case '\n':
		return append(b, '\\', 'n')
	case '\f':
		return append(b, '\\', 'f')
	case '\r':
		return append(b, '\\', 'r')
	}
	return append(b, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}

// AppendMillis appends t as RFC 3339 UTC with exactly three decimals, in quotes: "2026-11-21T20:06:00.000Z".
// Years 0 to 9999; the ledger's clock never leaves them.
func AppendMillis(b []byte, t Millis) []byte {
	b = append(b, '"')
	b = t.Time().AppendFormat(b, time.RFC3339) // has a path of its own in package time, three times as fast
	ms := ((t % 1000) + 1000) % 1000
	return append(b[:len(b)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z', '"')
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// Millis is a moment in milliseconds since 1970-01-01T00:00:00Z: the resolution of every time consentd
// stores or answers.
type Millis int64

// ToMillis cuts t to the millisecond.
func ToMillis(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time gives the moment in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

func (m Millis) String() string { return m.Time().Format(timeFormat) }

// MarshalJSON writes RFC 3339 UTC with ms.
func (m Millis) MarshalJSON() ([]byte, error) { return AppendMillis(nil, m), nil }

// UnmarshalJSON reads RFC 3339.
func (m *Millis) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return err
	}
	*m = ToMillis(t)
	return nil
}

// AppendHex appends the lower hex digits of src.
func AppendHex(b []byte, src []byte) []byte {
	for _, c := range src {
		b = append(b, lowerHex[c>>4], lowerHex[c&15])
	}
	return b
}

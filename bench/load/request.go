package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Request is one request, ready to be sent, and the function that rewrites its changing fields in place. Its
// length never changes, so neither does its Content-Length.
type Request struct {
	Bytes []byte
	Patch func(r *rand.PCG, b []byte) // b is a private copy of Bytes per connection; nil: nothing changes
}

// Build writes an HTTP/1.1 request with the given header lines ("Name: value") and, unless body is nil, its
// Content-Length.
func Build(method, target, host string, headers []string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != nil {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// Offsets finds every occurrence of marker in b: where a Patch writes. It panics when there is none, which
// is a mistake of the program that built b.
func Offsets(b []byte, marker string) []int {
	var at []int
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(marker))
		if i < 0 {
			break
		}
		at = append(at, from+i)
		from += i + len(marker)
	}
	if len(at) == 0 {
		panic("load: no " + strconv.Quote(marker) + " in the request")
	}
	return at
}

// UUIDLen is the length of a UUID as text.
const UUIDLen = 36

// PutUUID writes 16 bytes as the 36 characters of a UUID.
func PutUUID(dst []byte, hi, lo uint64) {
	_ = dst[UUIDLen-1]
	putHex(dst[0:8], hi>>32)
	dst[8] = '-'
	putHex(dst[9:13], hi>>16)
	dst[13] = '-'
	putHex(dst[14:18], hi)
	dst[18] = '-'
	putHex(dst[19:23], lo>>48)
	dst[23] = '-'
	putHex(dst[24:36], lo)
}

// putHex writes the low len(dst) hex digits of v.
func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}

// V4 turns two random words into a UUID of version 4 (RFC 9562 §5.4).
func V4(hi, lo uint64) (uint64, uint64) {
	return hi&^0xf000 | 0x4000, lo&^(3<<62) | 2<<62
}

// V7 turns a moment and two random words into a UUID of version 7 (RFC 9562 §5.7).
func V7(at time.Time, a, lo uint64) (hi, _ uint64) {
	return uint64(at.UnixMilli())<<16 | 0x7000 | a&0xfff, lo&^(3<<62) | 2<<62
}

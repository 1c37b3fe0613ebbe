package load

import (
	"bytes"
	"errors"
)

// Response reads HTTP/1.1 answers, one after the other, out of whatever pieces the socket gives. The zero
// value waits for the first. It knows only what a measured server sends: a status line, headers, and a body
// of Content-Length bytes.
type Response struct {
	Status int    // of the answer just completed
	Close  bool   // the server closes the connection after it
	Body   []byte // its body: valid until the next Feed; nil when it came in several pieces and Keep is false
	Keep   bool   // gather bodies that come in several pieces

	head  []byte // an incomplete head, so far
	left  int    // body bytes still to come
	body  bool   // inside a body
	split bool   // part of this body has been fed before
	held  []byte // the gathered body, reused
}

// Errors of Feed. The connection is of no use after any of them.
var (
	ErrChunked   = errors.New("load: an answer without Content-Length (chunked transfer is not read)")
	ErrMalformed = errors.New("load: an answer is not HTTP/1.1")
)

// maxHead bounds the head of an answer; nginx and Go refuse at similar sizes.
const maxHead = 16 << 10

// Feed takes the next bytes of the connection. It uses n of them; done means an answer is complete with
// them. What is left after that belongs to the next answer.
func (r *Response) Feed(b []byte) (n int, done bool, err error) {
	if r.body {
		n, done = r.feedBody(b)
		return n, done, nil
	}
	n, err = r.feedHead(b)
	if err != nil || !r.body {
		return n, false, err
	}
	m, done := r.feedBody(b[n:])
	return n + m, done, nil
}

// feedHead looks for the end of the head and parses it; until then it only keeps the bytes.
func (r *Response) feedHead(b []byte) (n int, err error) {
	if len(r.head) == 0 {
		if end := bytes.Index(b, crlf2); end >= 0 {
			return end + 4, r.parse(b[:end+2])
		}
	}
	before := len(r.head)
	r.head = append(r.head, b...)
	end := bytes.Index(r.head, crlf2)
	if end < 0 {
		if len(r.head) > maxHead {
			return len(b), ErrMalformed
		}
		return len(b), nil
	}
	err = r.parse(r.head[:end+2])
	r.head = r.head[:0]
	return end + 4 - before, err
}

var (
	crlf2         = []byte("\r\n\r\n")
	crlf          = []byte("\r\n")
	httpVersion   = []byte("HTTP/1.1 ")
	contentLength = []byte("content-length")
	transfer      = []byte("transfer-encoding")
	connection    = []byte("connection")
	closeToken    = []byte("close")
)

// parse reads a whole head, each line ended by CRLF, and enters the body.
func (r *Response) parse(head []byte) error {
	if len(head) < len("HTTP/1.1 200\r\n") || !bytes.HasPrefix(head, httpVersion) {
		return ErrMalformed
	}
	status, ok := atoi(head[9:12])
	if !ok || status < 200 || status > 599 {
		return ErrMalformed
	}
	r.Status, r.Close, r.left, r.Body = status, false, -1, nil
	lines := head[bytes.Index(head, crlf)+2:]
	for len(lines) > 0 {
		end := bytes.Index(lines, crlf)
		if err := r.header(lines[:end]); err != nil {
			return err
		}
		lines = lines[end+2:]
	}
	if status == 204 || status == 304 {
		r.left = 0
	}
	if r.left < 0 {
		return ErrChunked
	}
	r.body, r.split, r.held = true, false, r.held[:0]
	return nil
}

// header reads the three headers that decide where an answer ends, and skips the others on their first byte.
func (r *Response) header(line []byte) error {
	if len(line) == 0 || line[0]|0x20 != 'c' && line[0]|0x20 != 't' {
		return nil
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return ErrMalformed
	}
	name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
	switch {
	case bytes.EqualFold(name, contentLength):
		n, ok := atoi(value)
		if !ok {
			return ErrMalformed
		}
		r.left = n
	case bytes.EqualFold(name, transfer):
		return ErrChunked
	case bytes.EqualFold(name, connection):
		r.Close = bytes.EqualFold(value, closeToken)
	}
	return nil
}

// feedBody counts body bytes down. A body that comes in one piece is handed out where it lies.
func (r *Response) feedBody(b []byte) (n int, done bool) {
	n = min(r.left, len(b))
	r.left -= n
	if r.left == 0 && !r.split {
		r.Body, r.body = b[:n], false
		return n, true
	}
	r.split = true
	if r.Keep {
		r.held = append(r.held, b[:n]...)
	}
	if r.left > 0 {
		return n, false
	}
	r.body = false
	if r.Keep {
		r.Body = r.held
	}
	return n, true
}

func atoi(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

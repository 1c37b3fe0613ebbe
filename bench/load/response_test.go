package load

import (
	"errors"
	"strings"
	"testing"
)

type answer struct {
	status int
	body   string
	close  bool
}

// readAll feeds wire to one Response in pieces of the given size.
func readAll(wire string, piece int) (got []answer, err error) {
	r := Response{Keep: true}
	for len(wire) > 0 {
		b := []byte(wire[:min(piece, len(wire))])
		wire = wire[len(b):]
		for len(b) > 0 {
			n, done, err := r.Feed(b)
			if err != nil {
				return got, err
			}
			if done {
				got = append(got, answer{r.Status, string(r.Body), r.Close})
			}
			b = b[n:]
		}
	}
	return got, nil
}

func TestAnswersAreReadHoweverTheyAreCut(t *testing.T) {
	wire := "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"seq\": 41}" +
		"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n" +
		"HTTP/1.1 503 Service Unavailable\r\ncontent-length:2\r\nconnection: close\r\n\r\nno" +
		"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
	want := []answer{{200, `{"seq": 41}`, false}, {204, "", false}, {503, "no", true}, {201, "", false}}
	for piece := 1; piece <= len(wire); piece++ {
		got, err := readAll(wire, piece)
		if err != nil {
			t.Fatalf("in pieces of %d bytes: %v", piece, err)
		}
		if len(got) != len(want) {
			t.Fatalf("in pieces of %d bytes: %d answers, want %d", piece, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in pieces of %d bytes, answer %d: %+v, want %+v", piece, i, got[i], want[i])
			}
		}
	}
}

func TestAnswersThatCannotBeCountedAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		want error
	}{
		"a chunked answer":                        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrChunked},
		"an answer with both lengths":             {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ErrChunked},
		"an answer that ends with the connection": {"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", ErrChunked},
		"HTTP/1.0":                   {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", ErrMalformed},
		"an informational answer":    {"HTTP/1.1 100 Continue\r\n\r\n", ErrMalformed},
		"a status that is no number": {"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", ErrMalformed},
		"a length that is no number": {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ErrMalformed},
		"a header without colon":     {"HTTP/1.1 200 OK\r\nContent\r\n\r\n", ErrMalformed},
		"a status line alone":        {"HTTP\r\n\r\n", ErrMalformed},
		"a head without end":         {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), ErrMalformed},
	} {
		for _, piece := range []int{1, len(c.wire)} {
			if _, err := readAll(c.wire, piece); !errors.Is(err, c.want) {
				t.Errorf("%s, in pieces of %d: error %v, want %v", name, piece, err, c.want)
			}
		}
	}
}

func TestABodyInPiecesIsDroppedUnlessKept(t *testing.T) {
	r := Response{}
	if _, done, err := r.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")); done || err != nil {
		t.Fatalf("half a body: done %v, error %v", done, err)
	}
	if n, done, err := r.Feed([]byte("cdrest")); n != 2 || !done || err != nil || r.Body != nil {
		t.Errorf("the other half: used %d, done %v, error %v, body %q", n, done, err, r.Body)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n"), 3)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		if piece < 1 || piece > len(wire) {
			return
		}
		whole, err := readAll(string(wire), len(wire)+1)
		cut, cutErr := readAll(string(wire), piece)
		if len(whole) != len(cut) || !errors.Is(cutErr, err) {
			t.Errorf("whole: %v, %v; in pieces of %d: %v, %v", whole, err, piece, cut, cutErr)
		}
	})
}

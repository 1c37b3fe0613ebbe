package server

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/consentd/consentd/storage/consent"
)

// TestBrowsersAreReadAsSent asks about more agents than there are places, twice, from one buffer that is written over,
// as fasthttp does with a header.
func TestBrowsersAreReadAsSent(t *testing.T) {
	b := newBrowsers()
	buf := make([]byte, 0, 1024)
	for range 2 {
		for i := range 3 * browserPlaces {
			want, class := fmt.Sprintf("Mozilla/5.0 (iPhone; %d)", i), consent.DeviceMobile
			if i%2 == 0 {
				want, class = fmt.Sprintf("curl/%d", i), consent.DeviceOther
			}
			buf = append(buf[:0], want...)
			if got := b.of(buf); got.agent != want || got.class != class {
				t.Fatalf("%q is read as %q, %v", want, got.agent, got.class)
			}
		}
	}
}

func TestABrowserThatSaysTooMuchOrNonsense(t *testing.T) {
	b := newBrowsers()
	if got := b.of([]byte(strings.Repeat("x", 3*maxUserAgent))).agent; len(got) != maxUserAgent {
		t.Errorf("%d bytes are kept of a long one", len(got))
	}
	cut := append([]byte(strings.Repeat("x", maxUserAgent-1)), "é"...) // the cut goes through a letter
	for _, raw := range [][]byte{cut, []byte("a\xffb"), nil} {
		if got := b.of(raw).agent; !utf8.ValidString(got) || len(got) > maxUserAgent {
			t.Errorf("%q is kept as %q", raw, got)
		}
	}
}

package mailtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"regexp"
	"strings"
	"testing"
)

// Mail is a mail as the server took it.
type Mail struct {
	From, To string // of the envelope
	UTF8     bool   // it was sent with SMTPUTF8
	TLS      bool
	User     string // who was authenticated
	Hello    string
	Raw      []byte
}

// Letter is a mail as a mail program reads it.
type Letter struct {
	Header     netmail.Header
	Subject    string // decoded
	Text, HTML string
}

// Read parses a mail, which has to be what consentd sends: multipart/alternative with text and HTML, in this order.
func (m *Mail) Read(t testing.TB) Letter {
	t.Helper()
	return Read(t, m.Raw)
}

// Read parses raw, as Mail.Read does.
func Read(t testing.TB, raw []byte) Letter {
	t.Helper()
	l, err := read(raw)
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return l
}

func read(raw []byte) (l Letter, err error) {
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return l, err
	}
	l.Header = msg.Header
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return l, err
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return l, fmt.Errorf("content type %q %w", kind, err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for i, want := range []string{"text/plain", "text/html"} {
		p, err := parts.NextPart() // which undoes quoted-printable
		if err != nil {
			return l, fmt.Errorf("part %d: %w", i, err)
		}
		if kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err != nil || kind != want || !strings.EqualFold(params["charset"], "utf-8") {
			return l, fmt.Errorf("part %d is %s %v, want %s", i, kind, params, want)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return l, err
		}
		*[]*string{&l.Text, &l.HTML}[i] = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		return l, fmt.Errorf("a third part: %v", err)
	}
	return l, nil
}

var address = regexp.MustCompile(`https?://[^\s"<>]+`)

// Link gives the one address a person can follow from the mail; the test fails when the parts differ or have others.
func (l Letter) Link(t testing.TB) string {
	t.Helper()
	found := map[string]bool{}
	for _, part := range []string{l.Text, l.HTML} {
		all := address.FindAllString(part, -1)
		if len(all) == 0 {
			t.Fatalf("no link in\n%s", part)
		}
		for _, a := range all {
			found[a] = true
		}
	}
	if len(found) != 1 {
		t.Fatalf("several links: %v", found)
	}
	for a := range found {
		return a
	}
	return ""
}

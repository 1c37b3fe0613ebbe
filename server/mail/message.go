package mail

import (
	"bytes"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/consentd/consentd/storage/consent"
)

// message is one mail, written.
type message struct {
	id                      string // Message-ID without brackets
	asked                   consent.Millis
	fromName, from, replyTo string // replyTo "": none
	to                      string
	locale, subject         string
	text, html, link        string

	utf8 bool   // an address in it is beyond ASCII (RFC 6531)
	raw  []byte // the mail as it goes over the line
}

// write composes raw. Names and the subject are encoded (RFC 2047), addresses are those of consent.ParseSubject: no
// line break can come out of any of them.
func (m *message) write(now time.Time) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&netmail.Address{Name: m.fromName, Address: m.from})
	msg.ToMailAddress(&netmail.Address{Address: m.to})
	if m.replyTo != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: m.replyTo})
	}
	msg.Subject(m.subject)
	msg.SetMessageIDWithValue(m.id)
	msg.SetDateWithValue(now.UTC())
	for name, value := range map[gomail.Header]string{
		"Auto-Submitted":                   "auto-generated", // RFC 3834 §5: no holiday notice answers it
		gomail.HeaderXAutoResponseSuppress: "All",            // the same, for Exchange
		gomail.HeaderContentLang:           m.locale,
	} {
		msg.SetGenHeader(name, value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.html)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return fmt.Errorf("composing: %w", err)
	}
	m.raw, m.utf8 = b.Bytes(), !ascii(m.from+m.to+m.replyTo)
	return nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

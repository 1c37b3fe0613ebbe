package mail

import (
	"errors"
	"net/http"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/consent"
)

// TestLongAndForeignAddresses: 254 octets, a domain beyond ASCII, a name beyond ASCII with and without SMTPUTF8.
func TestLongAndForeignAddresses(t *testing.T) {
	label := strings.Repeat("d", 61)
	longest := strings.Repeat("l", 64) + "@" + label + "." + label + "." + label + ".fr"
	longest = longest[:64] + "@" + strings.Repeat("e", 254-len(longest)) + longest[65:]
	for _, row := range []struct {
		name, typed string
		utf8Needed  bool
	}{
		{"254 octets", longest, false},
		{"a domain beyond ASCII", "jean@Bücher.example", false},
		{"a name beyond ASCII", "jürgen@bücher.example", true},
		{"another script", "用户@例え.jp", true},
		{"every character a name may have", "!#$%&'*+-/=?^_`{|}~.a@exemple.fr", false},
	} {
		who, err := consent.ParseSubject(consent.KindEmail, row.typed, "")
		if err != nil || row.name == "254 octets" && len(who.Value) != 254 {
			t.Fatalf("%s: %v, %d octets", row.name, err, len(who.Value))
		}
		for _, offered := range []bool{true, false} {
			s := mailtest.Start(t, mailtest.Options{UTF8: offered})
			d := open(t, s.URL()).run()
			d.queue(d.job(who.Value))
			if row.utf8Needed && !offered {
				if l := d.dead(); l.Why != ReasonUTF8 || len(s.Mails()) != 0 || !strings.Contains(l.Why.Text(), "SMTPUTF8") {
					t.Errorf("%s: %+v", row.name, l)
				}
				continue
			}
			m := s.Wait(t, 1)[0]
			to, err := netmail.ParseAddress(m.Read(t).Header.Get("To"))
			if err != nil || to.Address != who.Value || m.To != who.Value || m.UTF8 != row.utf8Needed {
				t.Errorf("%s: %v %v, envelope %s, SMTPUTF8 %v", row.name, to, err, m.To, m.UTF8)
			}
			for line := range strings.Lines(string(m.Raw)) {
				if len(line) > 1000 {
					t.Errorf("%s: a line of %d octets", row.name, len(line))
				}
			}
		}
	}
}

// TestNothingGetsIntoTheHeader: whatever a site's file says, a mail has the headers it should and no other.
func TestNothingGetsIntoTheHeader(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	evil := "Shop\r\nBcc: everyone@evil.example\r\n\r\n<script>alert(1)</script>"
	base := sites(t, club)
	d := open(t, s.URL(), func(o *Options) {
		o.Sites = func(id string) (*Site, bool) {
			st, ok := base(id)
			c := *st.Site
			c.Name, c.Mail.Name, c.Controller = evil, evil, consent.Controller{Name: evil, Contact: evil}
			c.Words = consent.Words{"fr": {}}
			for _, key := range []string{"mail.subject", "mail.reason", "mail.link", "mail.expires", "confirm.title", "confirm.text", "confirm.button", "confirm.ignore"} {
				c.Words["fr"][key] = evil
			}
			for i := range c.Purposes {
				c.Purposes[i].Title = consent.Text{"fr": evil}
			}
			return &Site{&c, st.Theme, ""}, ok
		}
	}).run()
	d.queue(d.job("a@exemple.fr"))
	m := s.Wait(t, 1)[0]
	l := m.Read(t)
	if len(l.Header) != 11 || l.Header.Get("Bcc") != "" || m.To != "a@exemple.fr" {
		t.Errorf("%v", l.Header)
	}
	if strings.Contains(l.HTML, "<script") {
		t.Error("markup out of a text")
	}
	if from, err := netmail.ParseAddress(l.Header.Get("From")); err != nil || from.Address != "bonjour@club.example" {
		t.Errorf("%v %v", from, err)
	}
}

// TestOptionsAreRefused: and no error quotes the password.
func TestOptionsAreRefused(t *testing.T) {
	if _, err := New(Options{}); !errors.Is(err, ErrOptions) {
		t.Error(err)
	}
	for server, want := range map[string]string{
		"mx.example:25":                                   "smtp://user:password@host:587",
		"http://mx.example":                               "smtp://",
		"smtp://":                                         "smtp://",
		"smtp://club:hunter2@mx.example/x":                "smtp://",
		"smtp://club:hunter2@mx.example:99999":            "",
		"smtp://club:hunter2@mx.example:0":                "port",
		"smtp://club:hunter2@mx.example:587?tls=off":      "in the clear",
		"smtp://club:hunter2@mx.example?tls=maybe":        "off or required",
		"smtp://club:hunter2@mx.example?starttls=no":      "only tls=",
		"smtps://mx.example?tls=off":                      "smtps:// is TLS",
		"smtp://club@mx.example":                          "password",
		"smtp://club:hunter2%zz@mx.example":               "smtp://",
		"file://somewhere/mail":                           "file:///",
		"file:mail":                                       "file:///",
		"smtp://club:hunter2@mx.example:587#fragment":     "smtp://",
		"smtp://club:hunter2 @mx.example:587":             "smtp://",
		"ftp://club:hunter2@mx.example/var/spool/mail":    "smtp://",
		"smtps://club:hunter2@mx.example:465?tls=off":     "smtps:// is TLS",
		"smtps://club:hunter2@mx.example:465?tls=x&a=b":   "",
		"smtp://club:hunter2@" + http.MethodGet + "\x00m": "smtp://",
	} {
		_, err := parseAddress(server)
		if !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", server, err, want)
		}
	}
	for server, want := range map[string]address{
		"":                                 {},
		"smtp://mx.example":                {host: "mx.example", port: 587, starttls: true},
		"smtp://mx.example:25?tls=off":     {host: "mx.example", port: 25},
		"smtp://localhost":                 {host: "localhost", port: 587},
		"smtp://LOCALHOST:25":              {host: "LOCALHOST", port: 25},
		"smtp://[::1]:25":                  {host: "::1", port: 25},
		"smtp://127.9.9.9:25?tls=required": {host: "127.9.9.9", port: 25, starttls: true},
		"smtps://u%40x:p%3A@mx.example":    {host: "mx.example", port: 465, implicit: true, user: "u@x", password: "p:"},
		"smtp://u:p@mx.example/":           {host: "mx.example", port: 587, starttls: true, user: "u", password: "p"},
		"file:///var/mail/":                {dir: "/var/mail"},
	} {
		if got, err := parseAddress(server); err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", server, got, err, want)
		}
	}
	d := open(t, "smtps://club:hunter2@mx.example")
	if d.Redacted() != "smtps://mx.example:465" {
		t.Error(d.Redacted())
	}
}

// TestAMailServerIsNamedInASCII however it is written: that is what is looked up, and what its certificate names.
func TestAMailServerIsNamedInASCII(t *testing.T) {
	for given, want := range map[string]string{
		"smtp://post.bücher.example":       "smtp://post.xn--bcher-kva.example:587",
		"smtps://post.b%C3%BCcher.example": "smtps://post.xn--bcher-kva.example:465",
		"smtp://[::1]:2525":                "smtp://[::1]:2525",
		"smtp://mx_1.intern":               "smtp://mx_1.intern:587",
	} {
		a, err := parseAddress(given)
		if err != nil || a.scheme()+"://"+a.hostPort() != want {
			t.Errorf("%s: %s %v", given, a.hostPort(), err)
		}
	}
}

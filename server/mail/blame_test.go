package mail

import (
	"fmt"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/storagetest"
)

// TestWhomARefusalIsAbout: answers as servers give them.
func TestWhomARefusalIsAbout(t *testing.T) {
	for answer, want := range map[string]blame{
		"550 5.1.1 <a@b>: Recipient address rejected: User unknown":                   theirs,
		"550 5.1.10 RESOLVER.ADR.RecipientNotFound":                                   theirs,
		"550 5.2.1 The email account that you tried to reach is disabled":             theirs,
		"552 5.2.2 mailbox full":                                                      theirs,
		"550 5.4.1 Recipient address rejected: Access denied":                         theirs,
		"550 5.4.4 no mail exchanger":                                                 theirs,
		"550 5.5.0 Requested action not taken: mailbox unavailable":                   theirs,
		"501 Bad address syntax":                                                      theirs,
		"551 User not local":                                                          theirs,
		"552 Quota exceeded":                                                          theirs,
		"556 5.1.10 null MX":                                                          theirs,
		"550 User unknown":                                                            unclear,
		"550 relay not permitted":                                                     unclear,
		"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)":       unclear,
		"554 5.7.1 <a@b>: Relay access denied":                                        unclear,
		"550 5.7.1 Client host rejected":                                              unclear,
		"550 5.7.26 this mail is unauthenticated":                                     unclear,
		"554 Transaction failed":                                                      unclear,
		"550 5.6.0 invalid content":                                                   unclear,
		"503 5.5.1 need MAIL":                                                         ours,
		"504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname": ours,
		"530 5.7.0 Must issue a STARTTLS command first":                               ours,
		"535 5.7.8 authentication failed":                                             ours,
		"538 5.7.11 encryption required":                                              ours,
		"550 5.1.8 sender's domain not found":                                         ours,
		"550 5.1.7 bad sender's mailbox":                                              ours,
		"552 5.3.4 message size exceeds fixed limit":                                  ours,
		"555 5.5.4 unsupported option":                                                ours,
	} {
		var code int
		text := answer[4:]
		fmt.Sscan(answer, &code)
		if got := blameOf(&textproto.Error{Code: code, Msg: text}); got != want {
			t.Errorf("%s: %d, want %d", answer, got, want)
		}
	}
}

// TestAServerThatRefusesEverybodyKillsNoMail: it is told of, and when it is mended all arrive.
func TestAServerThatRefusesEverybodyKillsNoMail(t *testing.T) {
	for name, answer := range map[string]error{
		"relaying is denied":       mailtest.Refusal(554, 5, 7, 1),
		"the client is rejected":   mailtest.Refusal(550, 5, 7, 1),
		"HELO is refused":          mailtest.Refusal(504, 5, 5, 2),
		"a login is asked for":     mailtest.Refusal(530, 5, 7, 0),
		"without a code to say so": mailtest.Refusal(550, -1, -1, -1),
	} {
		t.Run(name, func(t *testing.T) {
			var mended atomic.Bool
			s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
				if command == "RCPT" && !mended.Load() {
					return answer
				}
				return nil
			}})
			d := open(t, s.URL()).run()
			for i := range 6 {
				d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
			}
			storagetest.Eventually(t, time.Minute, "each is refused many times", func() bool { return d.count("consentd_mail_failures_total") > 60 })
			if err := d.Health(); err == nil || !strings.Contains(err.Error(), "taken none") || !strings.Contains(err.Error(), "6 wait") {
				t.Errorf("health: %v", err)
			}
			if n := strings.Count(d.log.String(), "refuses every mail"); n != 1 || strings.Contains(d.log.String(), "exemple.fr") {
				t.Errorf("told %d times:\n%s", n, d.log.String())
			}
			if _, dead, err := d.Dead(1); dead != 0 || err != nil {
				t.Errorf("%d are dead, %v", dead, err)
			}
			mended.Store(true)
			d.empty()
			wantEach(t, s.Mails(), 6, 1)
			if err := d.Health(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestARefusalOfOneIsAboutThatOne once others' mails are taken, or when it stands alone for long.
func TestARefusalOfOneIsAboutThatOne(t *testing.T) {
	for name, row := range map[string]struct {
		answer error
		others bool
	}{
		"a policy of its own, and others are taken":   {mailtest.Refusal(550, 5, 7, 1), true},
		"no code to say so, and others are taken":     {mailtest.Refusal(550, -1, -1, -1), true},
		"no code to say so, and nobody else is there": {mailtest.Refusal(550, -1, -1, -1), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailtest.Start(t, mailtest.Options{Answer: func(command, address string) error {
				if command == "RCPT" && strings.HasPrefix(address, "nobody") {
					return row.answer
				}
				return nil
			}})
			d := open(t, s.URL()).run()
			d.queue(d.job("nobody@exemple.fr"))
			if row.others {
				storagetest.Eventually(t, time.Minute, "it is refused", func() bool { return d.count("consentd_mail_failures_total") > 0 })
				d.queue(d.job("b@exemple.fr"))
			}
			if letter := d.dead(); letter.Why != ReasonRefused || letter.Attempts < fewTries {
				t.Errorf("%+v", letter)
			}
			d.empty()
			if err := d.Health(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAServerThatKnowsNobodyIsToldOf, although each of its answers is about the address.
func TestAServerThatKnowsNobodyIsToldOf(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "RCPT" {
			return mailtest.Refusal(550, 5, 1, 1)
		}
		return nil
	}})
	d := open(t, s.URL()).run()
	for i := range manyUnknown {
		if err := d.Health(); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
		d.empty()
	}
	if err := d.Health(); err == nil || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Error(err)
	}
}

// TestAMailServerNamedByAnIPv6Address is reached, in the clear and under TLS.
func TestAMailServerNamedByAnIPv6Address(t *testing.T) {
	for name, o := range map[string]mailtest.Options{"in the clear": {IPv6: true}, "TLS": {IPv6: true, TLS: true, User: "club", Password: "secret"}, "STARTTLS": {IPv6: true, STARTTLS: true}} {
		s := mailtest.Start(t, o)
		d := open(t, s.URL(), func(o *Options) { o.RootCAs = s.Roots }).run()
		d.queue(d.job("a@exemple.fr"))
		d.empty()
		if n := len(s.Mails()); n != 1 {
			t.Errorf("%s: %d mails", name, n)
		}
	}
}

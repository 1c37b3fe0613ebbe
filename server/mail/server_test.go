package mail

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
)

func TestImplicitTLSAndAServerWithout(t *testing.T) {
	for name, o := range map[string]mailtest.Options{"smtps": {TLS: true, User: "club", Password: "secret"}, "this machine, in the clear": {}} {
		s := mailtest.Start(t, o)
		d := open(t, s.URL(), func(o *Options) { o.RootCAs = s.Roots }).run()
		d.queue(d.job("a@exemple.fr"))
		if got := s.Wait(t, 1)[0]; got.TLS != o.TLS || got.User != o.User {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestTheServerIsDown: refused connections, a certificate of somebody else, no TLS where it is demanded, a wrong
// password. Nothing is given up, nothing is said in the clear, and health says what is wrong.
func TestTheServerIsDown(t *testing.T) {
	plain, secret := mailtest.Start(t, mailtest.Options{}), mailtest.Start(t, mailtest.Options{STARTTLS: true, User: "club", Password: "right"})
	for _, row := range []struct{ name, server, want string }{
		{"nobody listens", "smtp://127.0.0.1:1", "refused"},
		{"a certificate nobody vouches for", strings.Replace(secret.URL(), "right", "x", 1), "certificate"},
		{"no TLS where it is demanded", plain.URL() + "?tls=required", "STARTTLS"},
		{"TLS from the first byte, and the server speaks none", "smtps://" + plain.Addr, "tls"},
	} {
		d := open(t, row.server).run()
		d.queue(d.job("a@exemple.fr"), d.job("b@exemple.fr"))
		storagetest.Eventually(t, time.Minute, row.name, func() bool { return d.count("consentd_mail_failures_total") > 2 })
		if err := d.Health(); err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "(2 wait)") {
			t.Errorf("%s: %v", row.name, err)
		}
		if n := strings.Count(d.log.String(), "mails cannot be sent"); n != 1 || strings.Contains(d.log.String(), "right") {
			t.Errorf("%s: said %d times:\n%s", row.name, n, d.log.String())
		}
	}
	wrong := open(t, strings.Replace(secret.URL(), "right", "hunter2", 1), func(o *Options) { o.RootCAs = secret.Roots }).run()
	storagetest.Eventually(t, time.Minute, "a wrong password is known before anybody signs up", func() bool { return wrong.Health() != nil })
	if s := wrong.Health().Error() + wrong.log.String(); !strings.Contains(s, "535") || strings.Contains(s, "hunter2") {
		t.Error(s)
	}
	if len(plain.Mails())+len(secret.Mails()) > 0 {
		t.Error("a mail went out all the same")
	}
}

// TestTheServerComesBack behind a proxy that refuses: what was queued meanwhile is sent, once each, and the outage is
// over in the log and in health.
func TestTheServerComesBack(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	proxy := storagetest.NewProxy(t, s.Addr)
	proxy.Refuse()
	d := open(t, "smtp://"+proxy.Addr()).run()
	// By the first look at the server, which is a connection of its own: it must not come after the outage.
	storagetest.Eventually(t, time.Minute, "the outage is known", func() bool { return d.Health() != nil })
	for i := range 50 {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
	}
	storagetest.Eventually(t, time.Minute, "they are tried", func() bool {
		return d.count("consentd_mail_failures_total") > 0 && d.count("consentd_mail_oldest_seconds") > 0
	})
	if d.count("consentd_mail_waiting") != 50 {
		t.Errorf("%+v", d.Status())
	}
	proxy.Heal(t)
	d.empty()
	wantEach(t, s.Mails(), 50, 1)
	if d.Health() != nil || !strings.Contains(d.log.String(), "mails can be sent again") {
		t.Errorf("%v\n%s", d.Health(), d.log.String())
	}
	if _, atOnce := s.Connections(); atOnce > 4 {
		t.Errorf("%d connections at once", atOnce)
	}
}

// wantEach: every mail arrived, none more than most times.
func wantEach(t *testing.T, mails []*mailtest.Mail, people, most int) {
	t.Helper()
	copies := tally(t, mails)
	for to, n := range copies {
		if n > most {
			t.Errorf("%s has %d mails", to, n)
		}
	}
	if len(copies) != people {
		t.Errorf("%d people have a mail, want %d", len(copies), people)
	}
}

// TestAnAnswerThatNeverComes: the server takes the mail and is silent. It is sent once more, as the
// same mail.
func TestAnAnswerThatNeverComes(t *testing.T) {
	var taken atomic.Int32
	ended := make(chan struct{})
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "TAKEN" && taken.Add(1) == 1 {
			<-ended
		}
		return nil
	}})
	t.Cleanup(func() { close(ended) })
	d := open(t, s.URL(), func(o *Options) { o.Timeout = 250 * time.Millisecond; o.Connections = 1 }).run()
	d.queue(d.job("a@exemple.fr"))
	s.Wait(t, 1)
	storagetest.Eventually(t, time.Minute, "unsure", func() bool { return d.count("consentd_mail_failures_total", ReasonUnsure) > 0 })
	d.empty()
	wantEach(t, s.Mails(), 1, 2)
	if len(s.Mails()) != 2 {
		t.Errorf("%d copies", len(s.Mails()))
	}
}

// TestASlowServer answers nothing, or the RCPT never: the attempt ends, others go on.
func TestASlowServer(t *testing.T) {
	release := make(chan struct{})
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, address string) error {
		if command == "RCPT" && strings.HasPrefix(address, "slow") {
			<-release
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) { o.Timeout = 2 * time.Second }).run()
	d.queue(d.job("slow@exemple.fr"))
	for i := range 20 {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
	}
	storagetest.Eventually(t, time.Minute, "the others arrive, and the attempt ends", func() bool {
		return len(s.Mails()) >= 20 && d.count("consentd_mail_failures_total") >= 1
	})
	if d.Status().Waiting == 0 {
		t.Error("the slow one is gone")
	}
	close(release)
	d.empty()
	wantEach(t, s.Mails(), 21, 1)
}

// TestABurst: 400 mails over few connections, each used for many.
func TestABurst(t *testing.T) {
	s, trust := starttls(t)
	d := open(t, s.URL(), trust)
	const n = 400
	var notes []ledger.Note
	var jobs []Job
	for i := range n {
		j := d.job(fmt.Sprintf("p%d@exemple.fr", i))
		jobs = append(jobs, j)
		notes = append(notes, d.Note(j))
	}
	if err := d.ledger.SetNotes(t.Context(), notes...); err != nil {
		t.Fatal(err)
	}
	d.run()
	for _, j := range jobs {
		d.Wake(j)
	}
	d.empty()
	wantEach(t, s.Mails(), n, 1)
	if all, atOnce := s.Connections(); all > 4+1 || atOnce > 4+1 { // one was the first look at the server
		t.Errorf("%d connections, %d at once", all, atOnce)
	}
}

// TestAServerThatEndsConnections after every third mail costs no failure.
func TestAServerThatEndsConnections(t *testing.T) {
	var n atomic.Int32
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "MAIL" && n.Add(1)%4 == 0 {
			return mailtest.Refusal(421, 4, 7, 0)
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) { o.Connections = 1 }).run()
	for i := range 9 {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
	}
	d.empty()
	wantEach(t, s.Mails(), 9, 1)
	if f := d.count("consentd_mail_failures_total"); f > 0 {
		t.Errorf("%v failures", f)
	}
}

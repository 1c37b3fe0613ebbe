package mail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
)

// TestAMailArrives: over STARTTLS with a password, parsed as a mail program does.
func TestAMailArrives(t *testing.T) {
	s, trust := starttls(t)
	d := open(t, s.URL(), trust, func(o *Options) { o.Hello = "consent.example" }).run()
	j := d.job("jeanne.o’hara@exemple.fr")
	j.To = d.ring.Seal("club", consent.KindEmail, "jeanne.ohara@exemple.fr")
	began := time.Now().Add(-time.Second)
	d.queue(j)
	got := s.Wait(t, 1)[0]
	if !got.TLS || got.User != "club" || got.From != "bonjour@club.example" || got.To != "jeanne.ohara@exemple.fr" || got.UTF8 || got.Hello != "consent.example" {
		t.Errorf("%+v", got)
	}
	l := got.Read(t)
	want, _ := link(j)
	if l.Link(t) != want {
		t.Errorf("%s, want %s", l.Link(t), want)
	}
	for name, want := range map[string]string{
		"From": `"Lavande & Cie" <bonjour@club.example>`, "To": "<jeanne.ohara@exemple.fr>", "Reply-To": "<contact@club.example>",
		"Message-Id": "<" + MessageID(j.ID, "bonjour@club.example") + ">", "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All",
		"Content-Language": "fr", "Mime-Version": "1.0",
	} {
		if got := l.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if len(l.Header) != 11 { // and Date, Subject, Content-Type
		t.Errorf("headers nobody asked for: %v", l.Header)
	}
	if date, err := l.Header.Date(); err != nil || date.Before(began) || date.After(time.Now()) {
		t.Errorf("Date: %v %v", date, err)
	}
	if l.Subject != "Maison Lavande\u00a0: merci de confirmer" {
		t.Errorf("Subject: %q", l.Subject)
	}
	for part, body := range map[string]string{"text": l.Text, "html": strings.ReplaceAll(l.HTML, "&#39;", "'")} {
		for _, words := range []string{"Maison Lavande", "Confirmez votre choix", "Confirmer", "48 heures", "ne faites rien", "Maison Lavande SAS", "dpo@club.example"} {
			if !strings.Contains(body, words) {
				t.Errorf("%s lacks %q:\n%s", part, words, body)
			}
		}
		if strings.Contains(body, "jeanne") || strings.Contains(body, "exemple.fr") {
			t.Errorf("%s holds what a person typed:\n%s", part, body)
		}
	}
	if strings.Contains(MessageID(j.ID, "a@b"), j.ID.String()[:8]) {
		t.Error("the Message-ID gives the id away")
	}
	d.empty()
	if _, err := d.ledger.Note(spaceWaiting, j.ID[:]); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("the job is still in the store: %v", err)
	}
	d.queue() // and waking it again sends nothing
	d.Wake(j)
	d.empty()
	if n := len(s.Mails()); n != 1 || d.count("consentd_mail_sent_total") != 1 || d.count("consentd_mail_waiting") != 0 || d.Health() != nil {
		t.Errorf("%d mails, %v sent, %v", n, d.count("consentd_mail_sent_total"), d.Health())
	}
	if log := d.log.String(); strings.Contains(log, "jeanne") || strings.Contains(log, want) {
		t.Errorf("the log tells of a person:\n%s", log)
	}
}

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

// TestAnswers crosses what a server says with what becomes of the mail.
func TestAnswers(t *testing.T) {
	for _, row := range []struct {
		name    string
		command string
		answers []error // one for each attempt; then it is taken
		why     Reason  // of the dead letter; "": it arrives
		said    string
	}{
		{"later, twice, to the address", "RCPT", []error{mailtest.Refusal(451, 4, 7, 1), mailtest.Refusal(450, 4, 2, 0)}, "", ""},
		{"later, to the mail", "DATA", []error{mailtest.Refusal(452, 4, 3, 1)}, "", ""},
		{"closing", "RCPT", []error{mailtest.Refusal(421, 4, 3, 2)}, "", ""},
		{"closing, to the mail", "DATA", []error{mailtest.Refusal(421, 4, 3, 2)}, "", ""},
		{"the sender is refused until somebody mends it", "MAIL", []error{mailtest.Refusal(550, 5, 7, 1), mailtest.Refusal(550, 5, 7, 1)}, "", ""},
		{"no such address", "RCPT", []error{mailtest.Refusal(550, 5, 1, 1)}, ReasonRefused, "550 5.1.1"},
		{"the mail is refused", "DATA", []error{mailtest.Refusal(554, 5, 7, 1)}, ReasonRefused, "554 5.7.1"},
		{"later, then never", "RCPT", []error{mailtest.Refusal(451, 4, 7, 1), mailtest.Refusal(550, 5, 1, 1)}, ReasonRefused, "550 5.1.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var n atomic.Int32
			s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
				if i := n.Load(); command == row.command && int(i) < len(row.answers) {
					n.Add(1)
					return row.answers[i]
				}
				return nil
			}})
			d := open(t, s.URL()).run()
			d.queue(d.job("a@exemple.fr"))
			if row.why == "" {
				s.Wait(t, 1)
				d.empty()
				if len(s.Mails()) != 1 || d.count("consentd_mail_failures_total") != float64(len(row.answers)) {
					t.Errorf("%d mails, %v failures", len(s.Mails()), d.count("consentd_mail_failures_total"))
				}
				return
			}
			letter := d.dead()
			if letter.Why != row.why || letter.Said != row.said || letter.Attempts != len(row.answers) || letter.Site != "club" || letter.Form != "join" {
				t.Errorf("%+v", letter)
			}
			if len(s.Mails()) != 0 || d.Status().Waiting != 0 || d.count("consentd_mail_dead_total") != 1 || d.Health() != nil {
				t.Errorf("%d mails, %+v", len(s.Mails()), d.Status())
			}
			if strings.Contains(d.log.String(), "exemple.fr") {
				t.Errorf("the log tells of a person:\n%s", d.log.String())
			}
			// What was refused is taken now: tried again, it arrives.
			if again, err := d.Retry(t.Context(), letter.ID); err != nil || again != 1 {
				t.Errorf("%d %v", again, err)
			}
			s.Wait(t, 1)
			d.empty()
			if _, total, err := d.Dead(10); total != 0 || err != nil {
				t.Errorf("%d %v", total, err)
			}
		})
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
		storagetest.Eventually(t, 10*time.Second, row.name, func() bool { return d.count("consentd_mail_failures_total") > 2 })
		if err := d.Health(); err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "(2 wait)") {
			t.Errorf("%s: %v", row.name, err)
		}
		if n := strings.Count(d.log.String(), "mails cannot be sent"); n != 1 || strings.Contains(d.log.String(), "right") {
			t.Errorf("%s: said %d times:\n%s", row.name, n, d.log.String())
		}
	}
	wrong := open(t, strings.Replace(secret.URL(), "right", "hunter2", 1), func(o *Options) { o.RootCAs = secret.Roots }).run()
	storagetest.Eventually(t, 10*time.Second, "a wrong password is known before anybody signs up", func() bool { return wrong.Health() != nil })
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
	for i := range 50 {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
	}
	storagetest.Eventually(t, 10*time.Second, "the outage is known", func() bool { return d.Health() != nil })
	if d.count("consentd_mail_waiting") != 50 || d.count("consentd_mail_oldest_seconds") <= 0 {
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

// wantEach: every mail arrived, none more than most times, and copies have one Message-ID.
func wantEach(t *testing.T, mails []*mailtest.Mail, people, most int) {
	t.Helper()
	ids, copies := map[string]string{}, map[string]int{}
	for _, m := range mails {
		id := m.Read(t).Header.Get("Message-Id")
		if first, known := ids[m.To]; known && first != id {
			t.Errorf("two mails to one person are told apart: %s, %s", first, id)
		}
		ids[m.To] = id
		copies[m.To]++
		if copies[m.To] > most {
			t.Errorf("%s has %d mails", m.To, copies[m.To])
		}
	}
	if len(copies) != people {
		t.Errorf("%d people have a mail, want %d", len(copies), people)
	}
}

// TestAnAnswerThatNeverComes: the server takes the mail and is silent. It is sent again a few times, always as the
// same mail, and then given up as unsure.
func TestAnAnswerThatNeverComes(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	proxy := storagetest.NewProxy(t, s.Addr)
	d := open(t, "smtp://"+proxy.Addr(), func(o *Options) { o.Timeout = 100 * time.Millisecond; o.Connections = 1 })
	d.run()
	storagetest.Eventually(t, 10*time.Second, "the first word with the server", func() bool { all, _ := s.Connections(); return all > 0 })
	proxy.SwallowAnswersAfter(400) // over the commands, under the mail
	j := d.job("a@exemple.fr")
	d.queue(j)
	s.Wait(t, 1)
	storagetest.Eventually(t, 10*time.Second, "unsure", func() bool { return d.count("consentd_mail_failures_total") > 0 })
	proxy.Heal(t)
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
	d := open(t, s.URL(), func(o *Options) { o.Timeout = 200 * time.Millisecond }).run()
	d.queue(d.job("slow@exemple.fr"))
	for i := range 20 {
		d.queue(d.job(fmt.Sprintf("p%d@exemple.fr", i)))
	}
	storagetest.Eventually(t, 20*time.Second, "the others arrive, and the attempt ends", func() bool {
		return len(s.Mails()) >= 20 && d.count("consentd_mail_failures_total") >= 1
	})
	if d.Status().Waiting != 1 {
		t.Errorf("%+v", d.Status())
	}
	close(release)
	d.empty()
	wantEach(t, s.Mails(), 21, 1)
}

// TestEndingFinishesWhatIsUnderWay: a mail in the server's hands when Run is told to end is noted as sent.
func TestEndingFinishesWhatIsUnderWay(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "DATA" {
			close(arrived)
			<-release
		}
		return nil
	}})
	d := open(t, s.URL()).run()
	d.queue(d.job("a@exemple.fr"))
	<-arrived
	ended := make(chan struct{})
	go func() { d.stop(); close(ended) }()
	close(release)
	<-ended
	if n := d.Status().Waiting; n != 0 || len(s.Mails()) != 1 {
		t.Errorf("%d wait, %d arrived", n, len(s.Mails()))
	}
}

// TestEndingWaitsNoLongerThanItsGrace, and the job is there at the next start.
func TestEndingWaitsNoLongerThanItsGrace(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "RCPT" {
			arrived <- struct{}{}
			<-release
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) { o.Grace = 50 * time.Millisecond }).run()
	d.queue(d.job("a@exemple.fr"))
	<-arrived
	began := time.Now()
	d.stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	close(release)
	again := open(t, mailtest.Start(t, mailtest.Options{}).URL(), func(o *Options) { o.Store = d.ledger })
	if n := again.Status().Waiting; n != 1 {
		t.Errorf("%d wait", n)
	}
}

// TestWhatKeepsAMailFromBeingSent: each thing that can be missing, and whether it can come back.
func TestWhatKeepsAMailFromBeingSent(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	other, err := consent.NewKeyRing(map[byte][]byte{9: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(d *desk, value string) []byte { return d.ring.Seal("club", consent.KindEmail, value) }
	for _, row := range []struct {
		name   string
		change func(d *desk, j *Job)
		why    Reason // "": the job is dropped
		dead   bool
	}{
		{"the confirmation has expired", func(_ *desk, j *Job) { j.Expires = j.Created }, ReasonExpired, true},
		{"the link has been used", func(d *desk, _ *Job) { d.opt.Link = func(Job) (string, error) { return "", ErrGone } }, "", false},
		{"the link cannot be made", func(d *desk, _ *Job) { d.opt.Link = func(Job) (string, error) { return "", errors.New("no key") } }, ReasonLink, false},
		{"the site is not served", func(_ *desk, j *Job) { j.Site = "elsewhere" }, ReasonSite, false},
		{"none of its purposes is left", func(_ *desk, j *Job) { j.Purposes = []string{"gone"} }, ReasonSite, false},
		{"the sealing key is missing", func(_ *desk, j *Job) { j.To = other.Seal("club", consent.KindEmail, "a@exemple.fr") }, ReasonSealed, false},
		{"sealed for another site", func(d *desk, j *Job) { j.To = d.ring.Seal("other", consent.KindEmail, "a@exemple.fr") }, ReasonAddress, true},
		{"sealed as something else", func(d *desk, j *Job) { j.To = d.ring.Seal("club", consent.KindPhone, "a@exemple.fr") }, ReasonAddress, true},
		{"an address with a line break", func(d *desk, j *Job) { j.To = sealed(d, "a@exemple.fr\r\nBcc: all@exemple.fr") }, ReasonAddress, true},
		{"two addresses", func(d *desk, j *Job) { j.To = sealed(d, "a@exemple.fr, b@exemple.fr") }, ReasonAddress, true},
		{"an address with a name", func(d *desk, j *Job) { j.To = sealed(d, "A <a@exemple.fr>") }, ReasonAddress, true},
		{"an address that is not normal", func(d *desk, j *Job) { j.To = sealed(d, "A@Exemple.fr") }, ReasonAddress, true},
		{"a word", func(d *desk, j *Job) { j.To = sealed(d, "postmaster") }, ReasonAddress, true},
		{"nothing", func(d *desk, j *Job) { j.To = nil }, ReasonAddress, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := open(t, s.URL(), func(o *Options) { o.RetryMax = time.Hour })
			j := d.job("a@exemple.fr")
			row.change(d, &j)
			d.run().queue(j)
			switch {
			case row.dead:
				if l := d.dead(); l.Why != row.why || l.Attempts != 0 {
					t.Errorf("%+v", l)
				}
			case row.why == "":
				d.empty()
				if _, total, err := d.Dead(10); total != 0 || err != nil {
					t.Errorf("%d dead letters, %v", total, err)
				}
			default:
				storagetest.Eventually(t, 10*time.Second, "it waits", func() bool { return d.count("consentd_mail_failures_total") == 1 })
				raw, err := d.ledger.Note(spaceWaiting, j.ID[:])
				if err != nil {
					t.Fatal(err)
				}
				if r, err := parseRecord(j.ID[:], raw); err != nil || r.Why != row.why || r.Attempts != 0 || r.Next < j.Created+1000*60*29 {
					t.Errorf("%+v %v", r, err)
				}
				if d.Status().Waiting != 1 {
					t.Errorf("%+v", d.Status())
				}
			}
			if strings.Contains(d.log.String(), "exemple.fr") {
				t.Errorf("the log tells of a person:\n%s", d.log.String())
			}
		})
	}
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails were sent", n)
	}
}

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

// TestFilesInPlaceOfAServer: what the demo does.
func TestFilesInPlaceOfAServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	type written struct{ path, link string }
	told := make(chan written, 1)
	d := open(t, "file://"+dir, func(o *Options) { o.Wrote = func(path, link string) { told <- written{path, link} } }).run()
	j := d.job("a@exemple.fr")
	d.queue(j)
	w := <-told
	d.empty()
	raw, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if l := mailtest.Read(t, raw); l.Link(t) != w.link || l.Header.Get("To") != "<a@exemple.fr>" {
		t.Errorf("%+v", l.Header)
	}
	if info, err := os.Stat(w.path); err != nil || info.Mode().Perm() != 0o600 || filepath.Dir(w.path) != dir {
		t.Errorf("%s %v %v", w.path, info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%v %v", names, err)
	}
}

// TestNoServer: jobs wait, and health says why.
func TestNoServer(t *testing.T) {
	d := open(t, "").run()
	if err := d.Health(); err != nil {
		t.Errorf("with nothing to send: %v", err)
	}
	d.queue(d.job("a@exemple.fr"))
	if err := d.Health(); err == nil || !strings.Contains(err.Error(), "--smtp") {
		t.Errorf("%v", err)
	}
	d.stop()
	s := mailtest.Start(t, mailtest.Options{})
	open(t, s.URL(), func(o *Options) { o.Store = d.ledger }).run().empty()
	wantEach(t, s.Mails(), 1, 1)
}

// TestOldDeadLetters lose their address when it is of no more use, and go after a month.
func TestOldDeadLetters(t *testing.T) {
	var hours atomic.Int64
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "RCPT" {
			return mailtest.Refusal(550, 5, 1, 1)
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) }
	}).run()
	j := d.job("a@exemple.fr")
	d.queue(j)
	d.dead()
	at := func(hour int64) (r *record, err error) {
		hours.Store(hour)
		if err := d.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		raw, err := d.ledger.Note(spaceDead, j.ID[:])
		if err != nil {
			return nil, err
		}
		return parseRecord(j.ID[:], raw)
	}
	if r, err := at(47); err != nil || len(r.To) == 0 {
		t.Errorf("while it can be tried again: %+v %v", r, err)
	}
	if r, err := at(49); err != nil || len(r.To) != 0 {
		t.Errorf("once it has expired: %+v %v", r, err)
	}
	if n, err := d.Retry(t.Context()); n != 0 || err != nil {
		t.Errorf("an expired one is tried again: %d %v", n, err)
	}
	if _, err := at(24*30 + 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("after a month: %v", err)
	}
}

// TestWhatWaitsTooLongExpires while the server is gone for good.
func TestWhatWaitsTooLongExpires(t *testing.T) {
	var hours atomic.Int64
	d := open(t, "smtp://127.0.0.1:1", func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(hours.Load()) * time.Hour) }
		o.Pause, o.PauseMax = time.Hour, time.Hour
	}).run()
	d.queue(d.job("a@exemple.fr"), d.job("b@exemple.fr"))
	storagetest.Eventually(t, 10*time.Second, "the outage", func() bool { return d.Health() != nil })
	hours.Store(49)
	d.expire(t.Context())
	d.empty()
	if all, total, err := d.Dead(1); total != 2 || len(all) != 1 || err != nil || all[0].Why != ReasonExpired || all[0].After != ReasonServer {
		t.Errorf("%+v of %d %v", all, total, err)
	}
}

// TestForgetting drops what waits, what was given up and what is under way, of one person alone.
func TestForgetting(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, address string) error {
		switch {
		case command == "RCPT" && strings.HasPrefix(address, "dead"):
			return mailtest.Refusal(550, 5, 1, 1)
		case command == "RCPT" && strings.HasPrefix(address, "held"):
			arrived <- struct{}{}
			<-release
			return mailtest.Refusal(451, 4, 7, 1)
		case command == "RCPT" && strings.HasPrefix(address, "waits"):
			return mailtest.Refusal(451, 4, 7, 1)
		}
		return nil
	}})
	d := open(t, s.URL(), func(o *Options) { o.Retry, o.RetryMax = time.Hour, time.Hour }).run()
	people := []string{"dead@exemple.fr", "held@exemple.fr", "waits@exemple.fr", "waits-too@exemple.fr"}
	for _, to := range people {
		d.queue(d.job(to))
	}
	<-arrived
	storagetest.Eventually(t, 10*time.Second, "one dead, two put off", func() bool {
		return d.count("consentd_mail_dead_total") == 1 && d.count("consentd_mail_failures_total") == 2
	})
	for _, to := range people[:3] {
		if n, err := d.Forget(t.Context(), "other", subject(to)); n != 0 || err != nil {
			t.Errorf("of another site: %d %v", n, err)
		}
		if n, err := d.Forget(t.Context(), "club", subject(to)); n != 1 || err != nil {
			t.Errorf("%s: %d %v", to, n, err)
		}
	}
	close(release)
	storagetest.Eventually(t, 10*time.Second, "one is left", func() bool { return d.Status().Waiting == 1 })
	left := 0
	for _, space := range []string{spaceWaiting, spaceDead} {
		err := d.ledger.Notes(space, nil, func(key, value []byte) error {
			r, err := parseRecord(key, value)
			if left++; err != nil || r.Subject != subject("waits-too@exemple.fr") {
				t.Errorf("%s: %+v %v", space, r, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if left != 1 {
		t.Errorf("%d notes are left", left)
	}
}

// TestAStoreThatIsBusy never makes a mail go out twice.
func TestAStoreThatIsBusy(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	b := &busy{Store: openLedger(t, t.TempDir())}
	d := open(t, s.URL(), func(o *Options) { o.Store = b })
	j := d.job("a@exemple.fr")
	if err := b.Store.SetNotes(t.Context(), d.Note(j)); err != nil {
		t.Fatal(err)
	}
	b.refuse.Store(5)
	d.run().Wake(j)
	d.empty()
	if len(s.Mails()) != 1 || b.refuse.Load() != 0 {
		t.Errorf("%d mails, %d refusals left", len(s.Mails()), b.refuse.Load())
	}
}

// busy is a store whose queue is full a few times.
type busy struct {
	Store
	refuse atomic.Int32
}

func (b *busy) SetNotes(ctx context.Context, notes ...ledger.Note) error {
	if b.refuse.Add(-1) >= 0 {
		return ledger.ErrBusy
	}
	b.refuse.Store(0)
	return b.Store.SetNotes(ctx, notes...)
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

// FuzzRecord: a note that is damaged is refused or read, and what is read is written back the same.
func FuzzRecord(f *testing.F) {
	key := make([]byte, 16)
	f.Add(key, (&record{Job: Job{Kind: Confirm, Site: "club", Form: "join", Locale: "fr", Purposes: []string{"letter"}, To: []byte{1, 2}, Created: 1, Expires: 2}, Attempts: 3}).encode())
	f.Add(key, []byte(`{"v":1,"kind":"confirm","site":"x","expires":1e3}`))
	f.Add([]byte{1}, []byte(`{}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := parseRecord(key, value)
		if err != nil {
			return
		}
		again, err := parseRecord(r.ID[:], r.encode())
		if err != nil {
			t.Fatalf("%q: %v", r.encode(), err)
		}
		if string(again.encode()) != string(r.encode()) {
			t.Errorf("%q became %q", r.encode(), again.encode())
		}
	})
}

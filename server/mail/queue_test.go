package mail

import (
	"context"
	"errors"
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
		{"the address has no mailbox, said of the mail", "DATA", []error{mailtest.Refusal(550, 5, 1, 1)}, ReasonRefused, "550 5.1.1"},
		{"relaying is denied until somebody mends it", "RCPT", []error{mailtest.Refusal(554, 5, 7, 1), mailtest.Refusal(550, 5, 7, 0)}, "", ""},
		{"the mail is against a policy until somebody mends it", "DATA", []error{mailtest.Refusal(554, 5, 7, 1), mailtest.Refusal(550, 5, 7, 26)}, "", ""},
		{"a login is asked for", "RCPT", []error{mailtest.Refusal(530, 5, 7, 0), mailtest.Refusal(535, 5, 7, 8)}, "", ""},
		{"the mail is too large for the server", "DATA", []error{mailtest.Refusal(552, 5, 3, 4), mailtest.Refusal(552, 5, 3, 4)}, "", ""},
		{"the mailbox is full", "RCPT", []error{mailtest.Refusal(552, 5, 2, 2)}, ReasonRefused, "552 5.2.2"},
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
			d.empty()
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
	d := open(t, s.URL(), func(o *Options) { o.Grace, o.Timeout = 50*time.Millisecond, time.Hour }).run()
	d.queue(d.job("a@exemple.fr"))
	<-arrived
	d.stop() // nothing else would end it
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
				var r *record
				storagetest.Eventually(t, time.Minute, "it is noted", func() bool {
					raw, err := d.ledger.Note(spaceWaiting, j.ID[:])
					if err != nil {
						t.Fatal(err)
					}
					if r, err = parseRecord(j.ID[:], raw); err != nil {
						t.Fatal(err)
					}
					return r.Why != ""
				})
				if r.Why != row.why || r.Attempts != 0 || r.Next < j.Created+1000*60*29 {
					t.Errorf("%+v", r)
				}
				if d.Status().Waiting != 1 || d.count("consentd_mail_failures_total") != 1 {
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

// TestAStoreThatIsBusy never makes a mail go out twice, nor before it is noted: that it is handed over, or that it
// was sent.
func TestAStoreThatIsBusy(t *testing.T) {
	for _, removals := range []bool{false, true} {
		s := mailtest.Start(t, mailtest.Options{})
		b := &busy{Store: openLedger(t, t.TempDir()), removals: removals}
		d := open(t, s.URL(), func(o *Options) { o.Store = b })
		j := d.job("a@exemple.fr")
		if err := b.Store.SetNotes(t.Context(), d.Note(j)); err != nil {
			t.Fatal(err)
		}
		b.refuse.Store(30)
		d.run().Wake(j)
		if !removals {
			storagetest.Eventually(t, time.Minute, "health says so", func() bool {
				err := d.Health()
				return err != nil && strings.Contains(err.Error(), "handed over")
			})
		}
		d.empty()
		if len(s.Mails()) != 1 || b.refuse.Load() > 0 {
			t.Errorf("%d mails, %d refusals left", len(s.Mails()), b.refuse.Load())
		}
	}
}

// busy is a store whose queue is full a few times, for notes that are written or for those that are removed.
type busy struct {
	Store
	removals bool
	refuse   atomic.Int32
}

func (b *busy) SetNotes(ctx context.Context, notes ...ledger.Note) error {
	if (notes[0].Value == nil) == b.removals && b.refuse.Add(-1) >= 0 {
		return ledger.ErrBusy
	}
	return b.Store.SetNotes(ctx, notes...)
}

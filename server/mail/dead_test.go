package mail

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
)

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
	storagetest.Eventually(t, time.Minute, "the outage", func() bool { return d.Health() != nil })
	d.queue(d.job("a@exemple.fr"), d.job("b@exemple.fr")) // which nobody tries now
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
	d := open(t, s.URL(), func(o *Options) { o.Retry, o.RetryMax, o.Timeout = time.Hour, time.Hour, time.Hour }).run()
	people := []string{"dead@exemple.fr", "held@exemple.fr", "waits@exemple.fr", "waits-too@exemple.fr"}
	for _, to := range people {
		d.queue(d.job(to))
	}
	<-arrived
	storagetest.Eventually(t, time.Minute, "one dead, two put off", func() bool {
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
	storagetest.Eventually(t, time.Minute, "one is left", func() bool { return d.Status().Waiting == 1 })
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

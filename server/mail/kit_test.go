package mail

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/storagetest"
)

const club = `site: club
name: Maison Lavande
origins: [https://club.example]
controller: {name: Maison Lavande SAS, contact: dpo@club.example}
locales: [fr, en]
policy: /privacy
purposes:
  - {id: letter, ready: newsletter}
  - {id: opens, ready: email_opens}
forms:
  - id: join
    fields: [{kind: email}]
    purposes: [letter, opens]
    double_opt_in: true
    title: {fr: Rejoindre, en: Join}
    text: {fr: Une lettre par mois., en: One letter a month.}
mail: {name: Lavande & Cie, address: bonjour@club.example, reply_to: contact@club.example}
`

// sites loads site files, and gives them as a queue wants them.
func sites(t testing.TB, docs ...string) func(id string) (*Site, bool) {
	t.Helper()
	dir := t.TempDir()
	for i, doc := range docs {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := site.Open(site.Options{Dir: dir, Secret: func(string) ([]byte, error) { return make([]byte, 32), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if p := r.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	return func(id string) (*Site, bool) {
		st, ok := r.Get(id)
		if !ok {
			return nil, false
		}
		return &Site{st.Site, st.Theme, TemplatesOf(st.File, st.ID)}, true
	}
}

func openLedger(t testing.TB, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(ledger.Options{Dir: dir, Reserve: 1, Cache: 8 << 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func keyRing(t testing.TB) *consent.KeyRing {
	t.Helper()
	r, err := consent.NewKeyRing(map[byte][]byte{1: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// link makes an address of a job's id alone, so that tests know it.
func link(j Job) (string, error) {
	return "https://consent.example/c/token-of-" + strings.ReplaceAll(j.ID.String(), "-", "_"), nil
}

// desk is a queue with all that belongs to it.
type desk struct {
	*Queue
	t       testing.TB
	ring    *consent.KeyRing
	ledger  *ledger.Ledger
	log     storagetest.Log
	metrics *prometheus.Registry
	stop    func()
}

// open makes a queue to a server, impatient enough for tests; change sees its options first. It is not running.
func open(t testing.TB, server string, change ...func(*Options)) *desk {
	t.Helper()
	d := &desk{t: t, ring: keyRing(t), metrics: prometheus.NewRegistry()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", d.log.String())
		}
	})
	o := Options{Sites: sites(t, club), Open: d.ring, Link: link, Server: server, Timeout: 5 * time.Second, Retry: 20 * time.Millisecond,
		RetryMax: 200 * time.Millisecond, Pause: 10 * time.Millisecond, PauseMax: 100 * time.Millisecond, Grace: 5 * time.Second,
		Log: slog.New(slog.NewTextHandler(&d.log, nil)), Metrics: d.metrics}
	for _, c := range change {
		c(&o)
	}
	if o.Store == nil {
		d.ledger = openLedger(t, t.TempDir())
		o.Store = d.ledger
	}
	var err error
	if d.Queue, err = New(o); err != nil {
		t.Fatal(err)
	}
	return d
}

// run sends until the test ends or stop is called.
func (d *desk) run() *desk {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	d.stop = func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
		done <- nil
	}
	d.t.Cleanup(d.stop)
	return d
}

// job is a job of the club that nobody has queued.
func (d *desk) job(to string) Job {
	now := consent.ToMillis(time.Now())
	return Job{ID: uuid.Must(uuid.NewV7()), Kind: Confirm, Site: "club", Form: "join", Locale: "fr", Purposes: []string{"letter", "opens"},
		Subject: subject(to), To: d.ring.Seal("club", consent.KindEmail, to), Created: now, Expires: now + consent.Millis((48 * time.Hour).Milliseconds())}
}

// subject stands for the key of an address.
func subject(to string) consent.SubjectKey {
	sum := sha256.Sum256([]byte(to))
	return consent.SubjectKey(sum[:16])
}

// queue makes jobs last and tells of them.
func (d *desk) queue(jobs ...Job) {
	d.t.Helper()
	for _, j := range jobs {
		if err := d.opt.Store.SetNotes(context.Background(), d.Note(j)); err != nil {
			d.t.Fatal(err)
		}
		d.Wake(j)
	}
}

// empty waits until no mail waits.
func (d *desk) empty() {
	d.t.Helper()
	storagetest.Dwindles(d.t, time.Minute, "nothing waits", func() int { return d.Status().Waiting })
}

// dead waits for the only dead letter.
func (d *desk) dead() DeadLetter {
	d.t.Helper()
	var all []DeadLetter
	storagetest.Eventually(d.t, time.Minute, "a dead letter", func() bool {
		var err error
		if all, _, err = d.Dead(10); err != nil {
			d.t.Fatal(err)
		}
		return len(all) > 0
	})
	if len(all) != 1 {
		d.t.Fatalf("%+v", all)
	}
	return all[0]
}

// count reads a metric, summed over its labels or of one reason.
func (d *desk) count(name string, why ...Reason) (sum float64) {
	d.t.Helper()
	all, err := d.metrics.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.Metric {
			if len(why) > 0 && m.Label[0].GetValue() != string(why[0]) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return sum
	}
	return -1
}

// starttls is a server as submission servers are: encrypted after a word, with a user and a password.
func starttls(t testing.TB) (*mailtest.Server, func(*Options)) {
	s := mailtest.Start(t, mailtest.Options{STARTTLS: true, User: "club", Password: rand.Text(), UTF8: true})
	return s, func(o *Options) { o.RootCAs = s.Roots }
}

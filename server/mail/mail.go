// Package mail sends the mails that ask a person to confirm: a double opt-in, or a new address.
//
// It guarantees that a job whose note is durable is tried until the mail server has taken the mail, has refused it
// for good, or the confirmation has expired; that a mail is sent once, except that a crash (or a lost answer) in the
// moment between the server's taking it and our noting so sends it once more with the same Message-ID, and never a
// third time; that a crash does so to one mail at most while the server answers within Options.Turn; that an address
// is opened only to be written to, and reaches no log, no metric and no list; that nothing a person typed is in a
// mail besides its To header; and that it leaves this machine only over TLS unless the operator said otherwise.
//
// It does not decide who gets a mail (the server does, with its limits), does not read bounces, and sends nothing
// but these mails. Delivery beyond the named server is that server's business.
//
// # Files
//
//	mail.go       Options, Queue, New
//	job.go        Job, and the note it is kept in
//	schedule.go   which job is due when
//	run.go        Run: the workers, and what becomes of an attempt
//	deliver.go    one attempt: from a note to a message
//	handover.go   the moment in which a mail becomes the server's
//	address.go    where mails go: smtp://, smtps://, file://
//	smtp.go       a connection, used for many mails; blame.go for whom a refusal is about
//	file.go       a directory in place of a server
//	message.go    the message: headers and two parts
//	letter.go     what a mail says; letter.txt, letter.html and a site's own templates
//	check.go      Check: a site's own templates, for the command line
//	dead.go       mails given up, and trying them again
//	forget.go     what is dropped of a person
//	health.go     what operators watch
//
// # Why go-mail
//
// It speaks STARTTLS and the authentications servers ask for today, encodes headers, and has no dependencies but
// x/crypto and x/text. Its Client sends a message as one step; we drive its SMTP connection command by command,
// because what a refusal means depends on the command it answers. net/smtp is frozen and composes nothing.
//
// # Why no broker and no table
//
// The job is written in the batch of the proof it belongs to: both are there after a crash, or neither is. That is
// what a separate queue cannot promise.
package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/widget"
)

// Store keeps jobs; *ledger.Ledger is one.
type Store interface {
	SetNotes(ctx context.Context, notes ...ledger.Note) error
	Note(space string, key []byte) ([]byte, error)
	Notes(space string, from []byte, fn func(key, value []byte) error) error
}

// Opener opens sealed addresses; *consent.KeyRing is one.
type Opener interface {
	Open(site string, kind consent.Kind, sealed []byte) (string, error)
}

// Site is what a mail needs of a site.
type Site struct {
	*consent.Site
	Theme     widget.Theme
	Templates string // directory of the site's own templates, which need not exist; "": none
}

// Options of New. Store, Sites, Open and Link are required.
type Options struct {
	Store Store
	Sites func(id string) (*Site, bool)
	Open  Opener
	// Link gives the address a mail carries: the page with the button that confirms. ErrGone drops the job; any
	// other error has it tried again later.
	Link func(Job) (string, error)

	// Server is where mails go: smtp://user:password@host:587, smtps://…, or file:///directory, where they are
	// written instead. Secret. "": nowhere, they wait.
	Server      string
	Hello       string         // name said in EHLO; default: of this machine
	RootCAs     *x509.CertPool // that vouch for the server; nil: the system's
	Connections int            // used at once, default 4
	// Timeout bounds a command of the conversation, default 1 min. The last answer to a mail may take ten times as
	// long: who gives up earlier has the mail delivered twice (RFC 5321 §4.5.3.2.6 asks for 10 min).
	Timeout time.Duration
	// Turn is how long a mail waits for another's answer before both are handed over at once, default 1 s.
	Turn time.Duration

	// A job that failed is tried again after Retry, then twice that, and so on up to RetryMax; the whole queue
	// rests after the server could not be talked to, in the same way from Pause to PauseMax. All of it is cut
	// short at random by up to a half. Defaults 15 s, 30 min, 1 s, 15 s: to look at a server costs nothing, and people
	// wait at their mailboxes.
	Retry, RetryMax, Pause, PauseMax time.Duration
	Grace                            time.Duration // for mails under way when Run is told to end, default 10 s

	Wrote   func(path, link string) // called for each mail written to a file; nil: no call
	Now     func() time.Time        // default time.Now
	Log     *slog.Logger            // default: silent
	Metrics prometheus.Registerer   // nil: no metrics
}

func (o *Options) setDefaults() {
	if o.Connections == 0 {
		o.Connections = 4
	}
	for d, value := range map[*time.Duration]time.Duration{&o.Timeout: time.Minute, &o.Turn: time.Second, &o.Retry: 15 * time.Second, &o.RetryMax: 30 * time.Minute,
		&o.Pause: time.Second, &o.PauseMax: 15 * time.Second, &o.Grace: 10 * time.Second} {
		if *d == 0 {
			*d = value
		}
	}
	if o.Hello == "" {
		o.Hello = "localhost"
		if name, err := os.Hostname(); err == nil && name != "" {
			o.Hello = name
		}
	}
	if o.Wrote == nil {
		o.Wrote = func(string, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Errors of this package.
var (
	ErrOptions = errors.New("mail: Store, Sites, Open and Link are required")
	ErrServer  = errors.New("mail: a mail server is written smtp://user:password@host:587, smtps://user:password@host:465 or file:///directory")
	ErrGone    = errors.New("mail: nothing is left to confirm")
)

// Queue sends mails. Its methods are safe for concurrent use.
type Queue struct {
	opt     Options
	address address
	metrics *metrics

	mu       sync.Mutex // covers schedule and server
	schedule schedule
	server   weather

	templates rate.Sometimes // how often a broken template is told of

	turn chan struct{} // holds one: a mail is being handed over
	kick chan struct{} // holds one: the schedule has changed
	work chan *item    // from the one who watches the clock to the workers
}

// New reads what waits in the store; nothing is sent before Run. An error never quotes Options.Server.
func New(o Options) (*Queue, error) {
	if o.Store == nil || o.Sites == nil || o.Open == nil || o.Link == nil {
		return nil, ErrOptions
	}
	o.setDefaults()
	a, err := parseAddress(o.Server)
	if err != nil {
		return nil, err
	}
	q := &Queue{opt: o, address: a, schedule: newSchedule(), templates: rate.Sometimes{Interval: time.Minute},
		turn: make(chan struct{}, 1), kick: make(chan struct{}, 1), work: make(chan *item)}
	if err := q.load(); err != nil {
		return nil, fmt.Errorf("reading waiting mails: %w", err)
	}
	q.metrics = newMetrics(q)
	if err := q.metrics.register(o.Metrics); err != nil {
		return nil, err
	}
	return q, nil
}

// load puts every job of the store on the schedule.
func (q *Queue) load() error {
	unsure := 0
	err := q.opt.Store.Notes(spaceWaiting, nil, func(key, value []byte) error {
		r, err := parseRecord(key, value)
		if err != nil {
			q.opt.Log.Error("a waiting mail cannot be read; it is left alone", "key", fmt.Sprintf("%x", key), "error", err)
			return nil
		}
		if r.Unsure > 0 {
			unsure++
		}
		q.schedule.add(r)
		return nil
	})
	if unsure > 0 {
		q.opt.Log.Warn("mails were handed over and nobody knows whether they were taken; each is sent at most once more, with the same Message-ID", "mails", unsure)
	}
	return err
}

// Note is what makes a job last: written in the batch of the proof it belongs to, or by itself.
func (q *Queue) Note(j Job) ledger.Note {
	return ledger.Note{Space: spaceWaiting, Key: j.ID[:], Value: (&record{Job: j}).encode()}
}

// Wake tells of a job whose note is durable. To tell of one that was sent already, or twice, does no harm: what is
// not in the store is not sent.
func (q *Queue) Wake(j Job) {
	q.mu.Lock()
	q.schedule.add(&record{Job: j})
	q.mu.Unlock()
	q.nudge()
}

// nudge has the schedule looked at again.
func (q *Queue) nudge() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// now is the moment by the queue's clock.
func (q *Queue) now() consent.Millis { return consent.ToMillis(q.opt.Now()) }

// MessageID is how every copy of a job's mail is known, without angle brackets. It does not give away the id of the
// proof that confirming will make.
func MessageID(id uuid.UUID, from string) string { return messageID(id, from) }

// Redacted is Options.Server without its secrets, for people.
func (q *Queue) Redacted() string {
	a := q.address
	switch {
	case a.dir != "":
		return (&url.URL{Scheme: "file", Path: a.dir}).String()
	case a.host != "":
		return a.scheme() + "://" + a.hostPort()
	}
	return ""
}

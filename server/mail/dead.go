package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// Reason is why a mail waits or was given up: a stable word, and a label of metrics.
type Reason string

// The reasons.
const (
	ReasonServer   Reason = "server"   // the mail server cannot be reached, or breaks off
	ReasonLater    Reason = "later"    // it says: later (4xx)
	ReasonSender   Reason = "sender"   // it refuses the site's sender address
	ReasonPolicy   Reason = "policy"   // it refuses for good (5xx), and not because of the address as far as is known
	ReasonUnsure   Reason = "unsure"   // it took the mail twice, and what it said is not known
	ReasonStore    Reason = "store"    // our ledger could not note that the mail is handed over
	ReasonRefused  Reason = "refused"  // it refuses the address or the mail for good (5xx)
	ReasonUTF8     Reason = "smtputf8" // the address needs SMTPUTF8 (RFC 6531), which the server does not offer
	ReasonExpired  Reason = "expired"  // confirming is too late by now
	ReasonAddress  Reason = "address"  // what was sealed is no address
	ReasonSealed   Reason = "sealed"   // the address does not open: its key is missing
	ReasonSite     Reason = "site"     // the site is not served, has no sender, or none of the purposes
	ReasonLink     Reason = "link"     // its link cannot be made
	ReasonTemplate Reason = "template" // it cannot be composed
)

// Text says a reason to an operator.
func (r Reason) Text() string {
	return map[Reason]string{
		ReasonServer:   "the mail server cannot be reached, or breaks off",
		ReasonLater:    "the mail server says: later",
		ReasonSender:   "the mail server refuses the sender; see mail.address in the site's file",
		ReasonPolicy:   "the mail server refuses to take mails from here (relaying, login, encryption, policy, size); its log says more, see --smtp",
		ReasonUnsure:   "the mail server took it twice, and what it said is not known; it may have arrived",
		ReasonStore:    "it cannot be noted that it is handed over; is the disk full?",
		ReasonRefused:  "the mail server refuses the address or the mail",
		ReasonUTF8:     "the address has letters beyond ASCII before its @, and the mail server does not offer SMTPUTF8",
		ReasonExpired:  "the confirmation expired before the mail could be sent",
		ReasonAddress:  "what was kept is no e-mail address",
		ReasonSealed:   "the address cannot be opened; is the key of DATA/keys/seal missing?",
		ReasonSite:     "the site is not served, names no sender, or has none of the purposes any more",
		ReasonLink:     "its link cannot be made",
		ReasonTemplate: "it cannot be composed",
	}[r]
}

// DeadLetter is a mail given up. It says nothing about the person.
type DeadLetter struct {
	ID       uuid.UUID      `json:"id"`
	Kind     Kind           `json:"kind"`
	Site     string         `json:"site"`
	Form     string         `json:"form,omitempty"`
	Locale   string         `json:"locale"`
	Why      Reason         `json:"why"`
	After    Reason         `json:"after,omitempty"` // of one that expired: what kept it until then
	Said     string         `json:"said,omitempty"`  // codes of the server's last refusal
	Attempts int            `json:"attempts"`
	Created  consent.Millis `json:"created"`
	Died     consent.Millis `json:"died"`
	Expires  consent.Millis `json:"expires"` // until then it can be tried again
}

// bury gives a held job up: it moves to the dead letters, in one batch.
func (q *Queue) bury(ctx context.Context, it *item, r *record, f *failure) {
	if !f.held {
		r.Attempts++
	}
	if r.Died, r.Next = q.now(), 0; f.why == ReasonExpired {
		r.After = cmp.Or(it.why, r.Why)
	} else {
		r.Said = f.said
	}
	r.Why = f.why
	err := q.opt.Store.SetNotes(ctx, ledger.Note{Space: spaceWaiting, Key: it.id[:]}, ledger.Note{Space: spaceDead, Key: it.id[:], Value: r.encode()})
	if err != nil {
		q.opt.Log.Error("noting that a mail is given up", "error", err)
		q.later(it, q.now()+consent.Millis(q.opt.Retry.Milliseconds()), f.why)
		return
	}
	if q.forgotten(it) {
		q.remove(ctx, it)
		return
	}
	q.metrics.dead.WithLabelValues(string(f.why)).Inc()
	q.opt.Log.Warn("a confirmation mail is given up; consentd mail lists it", "site", r.Site, "form", r.Form, "why", r.Why, "after", r.After, "said", r.Said, "attempts", r.Attempts)
	q.forget(it)
}

// Dead gives the dead letters, the latest first, at most limit of them, and how many there are.
func (q *Queue) Dead(limit int) (letters []DeadLetter, total int, err error) {
	err = q.eachDead(func(r *record) error {
		total++
		letters = append(letters, DeadLetter{r.ID, r.Kind, r.Site, r.Form, r.Locale, r.Why, r.After, r.Said, r.Attempts, r.Created, r.Died, r.Expires})
		return nil
	})
	slices.SortStableFunc(letters, func(a, b DeadLetter) int { return int(b.Died - a.Died) })
	return letters[:min(limit, len(letters))], total, err
}

func (q *Queue) eachDead(fn func(*record) error) error {
	err := q.opt.Store.Notes(spaceDead, nil, func(key, value []byte) error {
		r, err := parseRecord(key, value)
		if err != nil {
			return nil // of another version: not ours to judge
		}
		return fn(r)
	})
	if err != nil {
		return fmt.Errorf("reading dead letters: %w", err)
	}
	return nil
}

// Retry puts dead letters back on the queue: those named, or all of them. One whose confirmation has expired stays.
// It gives how many are tried again.
func (q *Queue) Retry(ctx context.Context, ids ...uuid.UUID) (n int, err error) {
	var again []*record
	now := q.now()
	err = q.eachDead(func(r *record) error {
		if r.Expires > now && (len(ids) == 0 || slices.Contains(ids, r.ID)) {
			again = append(again, r)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for batch := range slices.Chunk(again, chunk) {
		var notes []ledger.Note
		for _, r := range batch {
			r.Attempts, r.Unsure, r.Next, r.Died, r.Why, r.After, r.Said = 0, 0, 0, 0, "", "", ""
			notes = append(notes, ledger.Note{Space: spaceDead, Key: r.ID[:]}, ledger.Note{Space: spaceWaiting, Key: r.ID[:], Value: r.encode()})
		}
		if err := q.opt.Store.SetNotes(ctx, notes...); err != nil {
			return n, fmt.Errorf("putting dead letters back: %w", err)
		}
		n += len(batch)
		for _, r := range batch {
			q.Wake(r.Job)
		}
	}
	return n, nil
}

const (
	chunk = 500                 // notes written together
	keep  = 30 * 24 * time.Hour // how long a dead letter is told of
	round = time.Minute         // how often is tidied up
)

// tidy gives up what has expired, forgets addresses nobody can be written to any more, and old dead letters.
func (q *Queue) tidy(ctx context.Context) {
	tick := time.NewTicker(round)
	defer tick.Stop()
	for n := 0; ; n++ {
		q.expire(ctx)
		if n%60 == 0 {
			if err := q.sweep(ctx); err != nil {
				q.opt.Log.Error("tidying dead letters", "error", err)
			}
		}
		if q.idleAndFoul() {
			q.probe(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// idleAndFoul: the server was gone, and no mail is there that would find out whether it still is.
func (q *Queue) idleAndFoul() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.server.failures > 0 && len(q.schedule.items) == 0
}

func (q *Queue) expire(ctx context.Context) {
	q.mu.Lock()
	all, rested := q.schedule.expired(q.now()), q.server.failures > 0
	q.mu.Unlock()
	for _, it := range all {
		if it.why == "" && rested { // it was never tried
			it.why = ReasonServer
		}
		r, err := q.read(it)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			q.forget(it)
		case err != nil:
			q.later(it, it.next, it.why)
		default:
			q.bury(ctx, it, r, &failure{why: ReasonExpired, held: true})
		}
	}
}

// sweep removes the address of each dead letter that cannot be tried again, and the letters told of long enough.
func (q *Queue) sweep(ctx context.Context) error {
	var notes []ledger.Note
	now := q.now()
	err := q.eachDead(func(r *record) error {
		switch {
		case r.Died+consent.Millis(keep.Milliseconds()) <= now:
			notes = append(notes, ledger.Note{Space: spaceDead, Key: r.ID[:]})
		case r.Expires <= now && len(r.To) > 0:
			r.To = nil
			notes = append(notes, ledger.Note{Space: spaceDead, Key: r.ID[:], Value: r.encode()})
		}
		return nil
	})
	for batch := range slices.Chunk(notes, chunk) {
		err = errors.Join(err, q.opt.Store.SetNotes(ctx, batch...))
	}
	return err
}

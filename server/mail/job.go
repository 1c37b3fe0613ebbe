package mail

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Kind is what a mail asks.
type Kind string

// The kinds; each names its templates too.
const (
	Confirm Kind = "confirm" // confirm what was agreed to on a form
	Address Kind = "address" // confirm a new address
)

// Valid reports whether k is one of the two.
func (k Kind) Valid() bool { return k == Confirm || k == Address }

// Job is one mail to be sent.
type Job struct {
	ID       uuid.UUID // of the proof that confirming will make; names the job
	Kind     Kind
	Site     string
	Form     string // id of the form; "" for a new address
	Locale   string
	Purposes []string           // ids of what was agreed to, in the order shown
	Subject  consent.SubjectKey // of the address, so that it can be forgotten
	To       []byte             // the address, sealed for Site as consent.KindEmail
	Created  consent.Millis     // when it was asked for
	Expires  consent.Millis     // first moment confirming is too late
}

// Spaces of notes. A job is in one of them: what is given up leaves the first in the batch that puts it in the
// second. The key is Job.ID, which begins with its time.
const (
	spaceWaiting = "mail"
	spaceDead    = "mail-dead"
)

// record is a job with what has become of it so far: the value of its note, as JSON.
type record struct {
	Job
	Attempts int            // that reached the server and failed
	Unsure   int            // how often it was handed over and nobody knows what the server said
	Next     consent.Millis // not before; 0: at once
	Why      Reason         // of the last failure; "": none yet
	After    Reason         // of one that expired, the failure that kept it until then
	Said     string         // code and enhanced code of the server's last refusal, as in "550 5.1.1"
	Died     consent.Millis // when it was given up; 0: it waits
}

// recordVersion is the first member of every note. A note of another version is left alone.
const recordVersion = 1

type recordJSON struct {
	V        int      `json:"v"`
	Kind     Kind     `json:"kind"`
	Site     string   `json:"site"`
	Form     string   `json:"form,omitempty"`
	Locale   string   `json:"locale"`
	Purposes []string `json:"purposes,omitempty"`
	Subject  []byte   `json:"subject,omitempty"`
	To       []byte   `json:"to,omitempty"`
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires"`
	Attempts int      `json:"attempts,omitempty"`
	Unsure   int      `json:"unsure,omitempty"`
	Next     int64    `json:"next,omitempty"`
	Why      Reason   `json:"why,omitempty"`
	After    Reason   `json:"after,omitempty"`
	Said     string   `json:"said,omitempty"`
	Died     int64    `json:"died,omitempty"`
}

func (r *record) encode() []byte {
	b, err := json.Marshal(recordJSON{recordVersion, r.Kind, r.Site, r.Form, r.Locale, r.Purposes, r.Subject[:], r.To, int64(r.Created), int64(r.Expires),
		r.Attempts, r.Unsure, int64(r.Next), r.Why, r.After, r.Said, int64(r.Died)})
	if err != nil {
		panic(err) // strings, bytes and integers have no way to fail
	}
	return b
}

var errRecord = errors.New("mail: this note holds no mail of this version")

// parseRecord reads what encode wrote. It keeps neither key nor value.
func parseRecord(key, value []byte) (*record, error) {
	id, err := uuid.FromBytes(key)
	if err != nil {
		return nil, errRecord
	}
	var j recordJSON
	if err := json.Unmarshal(value, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if j.V != recordVersion || !j.Kind.Valid() || j.Site == "" || j.Expires <= 0 {
		return nil, errRecord
	}
	var subject consent.SubjectKey
	copy(subject[:], j.Subject)
	return &record{Job: Job{id, j.Kind, j.Site, j.Form, j.Locale, j.Purposes, subject, j.To, consent.Millis(j.Created), consent.Millis(j.Expires)},
		Attempts: j.Attempts, Unsure: j.Unsure, Next: consent.Millis(j.Next), Why: j.Why, After: j.After, Said: j.Said, Died: consent.Millis(j.Died)}, nil
}

// messageID hashes the id: it is the one of a proof that is not made yet, and who knows it beforehand could take it.
func messageID(id uuid.UUID, from string) string {
	sum := sha256.Sum256(append([]byte("consentd mail "), id[:]...))
	_, domain, _ := strings.Cut(from, "@")
	return hex.EncodeToString(sum[:16]) + "@" + domain
}

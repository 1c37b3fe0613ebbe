package server

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// keepAnswered is how long a confirmation link is remembered after its end, so that whoever opens it late is told
// kindly. Until then the note holds the sealed address of somebody who did not confirm.
const keepAnswered = 30 * 24 * time.Hour

// Tidy forgets requests to confirm whose links have long ended, and the counts of mails of the day before. It is
// called now and then; calling it twice at once is harmless.
func (s *Server) Tidy() error {
	now := s.opt.Ledger.Now()
	old, err := s.oldNotes(spaceOptIn, func(value []byte) bool {
		var o optIn
		return json.Unmarshal(value, &o) == nil && now-o.Expires > millis(keepAnswered)
	})
	if err != nil {
		return err
	}
	counts, err := s.oldNotes(spaceMailCount, func(value []byte) bool {
		sent := readTimes(value)
		return len(sent) == 0 || now-sent[len(sent)-1] > millis(24*time.Hour)
	})
	if err != nil {
		return err
	}
	for all := append(old, counts...); len(all) > 0; {
		n := min(len(all), tidyAtOnce)
		if err := s.opt.Ledger.SetNotes(s.ctx, all[:n]...); err != nil {
			return fmt.Errorf("forgetting old requests: %w", err)
		}
		all = all[n:]
	}
	return nil
}

// tidyAtOnce bounds one batch.
const tidyAtOnce = 1000

// oldNotes lists the notes of a space that are to be forgotten, as deletions.
func (s *Server) oldNotes(space string, over func(value []byte) bool) (all []ledger.Note, err error) {
	err = s.opt.Ledger.Notes(space, nil, func(key, value []byte) error {
		if over(value) {
			all = append(all, ledger.Note{Space: space, Key: append([]byte(nil), key...)})
		}
		return nil
	})
	return all, err
}

// ForgetRequests drops every request of a subject that waits to be confirmed, with the sealed address in it, and what
// is remembered of mails to it: for who erases a person. It gives how many requests there were.
func (s *Server) ForgetRequests(site string, key consent.SubjectKey) (n int, err error) {
	who := key.String()
	notes, err := s.oldNotes(spaceOptIn, func(value []byte) bool {
		var o optIn
		return json.Unmarshal(value, &o) == nil && o.Site == site && (o.Key == who || o.From == who)
	})
	if err != nil {
		return 0, err
	}
	all := append(notes, ledger.Note{Space: spaceMailCount, Key: mailCountKey(site, key)})
	if err := s.opt.Ledger.SetNotes(s.ctx, all...); err != nil {
		return 0, fmt.Errorf("forgetting requests: %w", err)
	}
	return len(notes), nil
}

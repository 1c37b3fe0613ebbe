package mail

import (
	"context"
	"fmt"
	"slices"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// Forget drops every mail to a subject, waiting or given up, and the address with it. A mail in the server's hands at
// that moment arrives; nothing is kept of it. It is durable when it returns, and gives how many there were.
func (q *Queue) Forget(ctx context.Context, site string, subject consent.SubjectKey) (n int, err error) {
	var notes []ledger.Note
	for _, space := range []string{spaceWaiting, spaceDead} {
		err := q.opt.Store.Notes(space, nil, func(key, value []byte) error {
			if r, err := parseRecord(key, value); err == nil && r.Site == site && r.Subject == subject {
				notes = append(notes, ledger.Note{Space: space, Key: slices.Clone(key)})
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("looking for mails: %w", err)
		}
	}
	for _, note := range notes {
		q.lose(uuid.UUID(note.Key))
	}
	for batch := range slices.Chunk(notes, chunk) {
		if err := q.opt.Store.SetNotes(ctx, batch...); err != nil {
			return n, fmt.Errorf("forgetting mails: %w", err)
		}
		n += len(batch)
	}
	return n, nil
}

// lose takes a job off the schedule. One that is held is marked: who holds it looks before and after writing.
func (q *Queue) lose(id uuid.UUID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, known := q.schedule.items[id]
	switch {
	case !known:
	case it.index < 0:
		it.forgotten = true
	default:
		q.schedule.take(it)
		q.schedule.drop(it)
	}
}

func (q *Queue) forgotten(it *item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return it.forgotten
}

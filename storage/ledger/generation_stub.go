package ledger

import (
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

func (l *Ledger) Instance() uuid.UUID {
	v, err := l.get(metaKey("instance"))
	if err == nil {
		return uuid.UUID(v)
	}
	id := uuid.New()
	l.write(metaKey("instance"), id[:])
	return id
}
func (l *Ledger) Generation(consent.Stream, uint64) uint32 { return 1 }
func (l *Ledger) Suspend(error)                            {}

package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// newID makes a UUIDv7 of a moment of the ledger's clock (RFC 9562 §5.7).
func newID(at consent.Millis) uuid.UUID {
	var id uuid.UUID
	rand.Read(id[:]) // never fails (crypto/rand)
	return dated(id, at)
}

// derivedID makes the one UUIDv7 that belongs to base and parts: whoever does the same thing twice, or goes on where
// a crash ended it, writes the same proof, and it is recorded once.
func derivedID(base uuid.UUID, parts ...string) uuid.UUID {
	h := sha256.New()
	h.Write(base[:])
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write([]byte(p))
	}
	return dated(uuid.UUID(h.Sum(nil)[:16]), consent.IDTime(base))
}

func dated(id uuid.UUID, at consent.Millis) uuid.UUID {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// millis turns a duration into the resolution of the ledger's clock.
func millis(d time.Duration) consent.Millis { return consent.Millis(d.Milliseconds()) }

package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// The last checkpoint of each log is kept here too, so that a backup of the ledger carries what was signed over it.

const checkpoints = "checkpoint" // space of notes

func checkpointKey(log, origin string) []byte {
	return append(append([]byte(log), 0), origin...)
}

// KeepCheckpoint remembers the last note signed over a log under an origin. It is durable when it returns; errors
// as for Append.
func (l *Ledger) KeepCheckpoint(ctx context.Context, log, origin string, _ uint64, _ consent.Millis, note []byte) error {
	if err := l.SetNotes(ctx, Note{Space: checkpoints, Key: checkpointKey(log, origin), Value: note}); err != nil {
		return fmt.Errorf("keeping a checkpoint: %w", err)
	}
	return nil
}

// Checkpoints gives the last note kept for a log under each of its origins.
func (l *Ledger) Checkpoints(_ context.Context, log string) (all [][]byte, err error) {
	prefix := checkpointKey(log, "")
	err = l.Notes(checkpoints, prefix, func(key, note []byte) error {
		if bytes.HasPrefix(key, prefix) {
			all = append(all, bytes.Clone(note))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	return all, nil
}

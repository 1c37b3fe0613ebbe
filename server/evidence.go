package server

import (
	"context"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
)

// Evidence is what the server asks of the sealed logs; *evidence.Keeper is one.
type Evidence interface {
	Keys() []evidence.Key
	Checkpoint(log consent.Stream) (note []byte, c evidence.Checkpoint, err error)
	Tile(ctx context.Context, log consent.Stream, t evidence.Tile) ([]byte, error)
	Make(ctx context.Context, r evidence.Request) (*evidence.File, error)
}

package kill9

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// Consentd is the real program as a Server.
type Consentd struct {
	C    *rig.Consentd
	Args []string // more flags of serve, such as an external ClickHouse

	mu sync.Mutex // Kill comes from a timer
}

// Start runs the program over what the last run left.
func (s *Consentd) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.C.Start(ctx, s.Args...)
}

// Kill sends SIGKILL.
func (s *Consentd) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.C.Process != nil {
		s.C.Process.Kill()
	}
}

// Addr is where it listens, the same over all cycles.
func (s *Consentd) Addr() netip.AddrPort { return s.C.Addr }

// Choice is a visitor's choice under the banner the program publishes.
func (s *Consentd) Choice(ctx context.Context) (rig.Choice, error) {
	shown, err := s.C.Banner(ctx)
	if err != nil {
		return rig.Choice{}, err
	}
	return rig.NewChoice("/v1/sites/"+rig.Site+"/consents", s.C.Addr.String(), shown), nil
}

// shipLimit is how long everything may take to arrive: a thousand cycles leave some millions of proofs.
const shipLimit = 10 * time.Minute

// stallLimit is how long nothing at all may arrive: longer than any back-off of the drain and any restart of the
// engine.
const stallLimit = time.Minute

// Rows waits until n proofs are in both tables, and writes those of consent_facts. FINAL counts what a batch sent
// twice left behind once, as every reader of the tables does.
func (s *Consentd) Rows(ctx context.Context, n uint64, out io.Writer) (err error) {
	if err := s.C.AwaitReady(ctx); err != nil {
		return err
	}
	w, err := s.C.Warehouse()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	missing := awaitTables(ctx, w, n, stallLimit)
	if missing != nil && !errors.Is(missing, ErrMissing) {
		return missing
	}
	if err := w.SQL(ctx, "SELECT id, seq FROM consent_facts FINAL ORDER BY seq", "tsv", &skipLine{out: out}); err != nil {
		return err
	}
	return missing
}

// skipLine drops the first line, the names of the columns.
type skipLine struct {
	out     io.Writer
	skipped bool
}

func (s *skipLine) Write(b []byte) (int, error) {
	n := len(b)
	if !s.skipped {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return n, nil
		}
		s.skipped, b = true, b[i+1:]
	}
	if _, err := s.out.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

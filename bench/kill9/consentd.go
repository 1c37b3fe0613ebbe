package kill9

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/storage/warehouse"
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

// Rows waits until n proofs are in both tables, and writes those of consent_facts. FINAL counts what a batch sent
// twice left behind once, as every reader of the tables does. The tables must agree on how many there are.
func (s *Consentd) Rows(ctx context.Context, n uint64, out io.Writer) (err error) {
	if err := s.C.AwaitReady(ctx); err != nil {
		return err
	}
	w, err := s.C.Warehouse()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := awaitCount(ctx, w, n); err != nil {
		return err
	}
	skip := &skipLine{out: out}
	return w.SQL(ctx, "SELECT id, seq FROM consent_facts FINAL ORDER BY seq", "tsv", skip)
}

// awaitCount waits until both tables hold n proofs, or no more come; it fails when they disagree in the end.
func awaitCount(ctx context.Context, w *warehouse.Warehouse, n uint64) error {
	ctx, cancel := context.WithTimeout(ctx, shipLimit)
	defer cancel()
	for {
		facts, err := count(ctx, w, "consent_facts")
		if err != nil {
			return err
		}
		personal, err := count(ctx, w, "consent_personal")
		if err != nil {
			return err
		}
		if facts >= n && personal == facts {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d facts and %d personal parts of %d proofs after %v", rig.ErrSlow, facts, personal, n, shipLimit)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func count(ctx context.Context, w *warehouse.Warehouse, table string) (n uint64, err error) {
	var out bytes.Buffer
	if err := w.SQL(ctx, "SELECT count() AS n FROM "+table+" FINAL", "tsv", &out); err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(out.String(), "n\n%d\n", &n)
	return n, err
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

package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// logState is the log of proofs at one size.
type logState struct {
	size  uint64
	head  []byte // origin, size and root as the checkpoint says them
	tiles map[string][]byte
}

// Seal waits until the log is sealed over everything acknowledged, and notes its root and its hashes. Later checks compare
// with them.
func (w *Witness) Seal(ctx context.Context, c *rig.Consentd, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	size := w.Next()
	for {
		got, head, err := checkpoint(ctx, c)
		if err == nil && got == size {
			w.log = &logState{size: size, head: head, tiles: map[string][]byte{}}
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("witness: the log of %d proofs is not sealed: %d, %w", size, got, errors.Join(err, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, path := range tiles(size) {
		b, err := fetch(ctx, c, "/log/tile/"+path)
		if err != nil {
			return err
		}
		w.log.tiles[path] = b
	}
	return nil
}

// tiles names the hashes of a log below 65,536 entries, as C2SP tlog-tiles does.
func tiles(size uint64) (paths []string) {
	add := func(level int, n uint64, width uint64) {
		switch {
		case width == 0:
		case width == 256:
			paths = append(paths, fmt.Sprintf("%d/%03d", level, n))
		default:
			paths = append(paths, fmt.Sprintf("%d/%03d.p/%d", level, n, width))
		}
	}
	for n := range size / 256 {
		add(0, n, 256)
	}
	add(0, size/256, size%256)
	add(1, 0, size/256)
	return paths
}

// checkpoint is the size the log was last sealed at, and what the signature covers but the time.
func checkpoint(ctx context.Context, c *rig.Consentd) (size uint64, head []byte, err error) {
	b, err := fetch(ctx, c, "/log/checkpoint")
	if err != nil {
		return 0, nil, err
	}
	lines := bytes.SplitN(b, []byte("\n"), 4)
	if len(lines) < 4 {
		return 0, nil, fmt.Errorf("the checkpoint is %q", b)
	}
	if _, err := fmt.Sscan(string(lines[1]), &size); err != nil {
		return 0, nil, fmt.Errorf("the checkpoint is %q", b)
	}
	return size, bytes.Join(lines[:3], []byte("\n")), nil
}

func fetch(ctx context.Context, c *rig.Consentd, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(path), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.160s", path, resp.Status, b)
	}
	return b, err
}

// checkLog compares what the log says now with what it said when it was sealed: the size the program counts on, and,
// where it shows a sealed log, the root and every hash. A log that grew keeps the tiles that were full.
func (w *Witness) checkLog(ctx context.Context, c *rig.Consentd, f *Finding) {
	next := w.Next()
	if m, err := c.Metrics(ctx); err != nil {
		f.refused("reading metrics: %v", err)
	} else if n := uint64(m[`consentd_ledger_entries{stream="proofs"}`]); n < next {
		f.note(&f.Missing, "the ledger counts %d proofs, %d were acknowledged", n, next)
	}
	if w.log == nil {
		return
	}
	size, head, err := checkpoint(ctx, c)
	switch {
	case err != nil && strings.Contains(err.Error(), "not_sealed"):
		f.Unsealed = true
		return
	case err != nil:
		f.refused("the log: %v", err)
		return
	case size < w.log.size:
		f.missing("the sealed log has %d entries, it had %d", size, w.log.size)
		return
	case size == w.log.size && !bytes.Equal(head, w.log.head):
		f.changed("the log of %d entries is %q, it was %q", size, head, w.log.head)
		return
	}
	for path, before := range w.log.tiles {
		b, err := fetch(ctx, c, "/log/tile/"+path)
		switch {
		case err != nil:
			f.refused("the log's hashes: %v", err)
		case !bytes.Equal(b, before):
			f.changed("the log's hashes %s are others than before", path)
		}
	}
}

// NoteProofs keeps the hash of every proof as it is answered now. Later checks compare with it.
func (w *Witness) NoteProofs(ctx context.Context, c *rig.Consentd) error {
	f := &Finding{}
	err := w.eachProof(ctx, c, func(ch *Choice, status int, body []byte) {
		if status == http.StatusOK {
			w.checkProof(f, ch, body)
			ch.Body = sha256.Sum256(body)
		} else {
			f.refused("proof %s: %d: %.160s", ch.ID, status, body)
		}
	})
	if err == nil && !f.Clean() {
		err = fmt.Errorf("witness: before anything was done: %s", f)
	}
	return err
}

package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
	"github.com/google/uuid"
)

// pipeline is how many questions are on their way at once: asked one by one, ten thousand proofs would cost more than
// everything else a run does.
const pipeline = 64

// checkProofs asks for every proof by its id.
func (w *Witness) checkProofs(ctx context.Context, c *rig.Consentd, f *Finding) {
	err := w.eachProof(ctx, c, func(ch *Choice, status int, body []byte) {
		switch {
		case status == 404:
			f.missing("proof %s, promised as seq %d, is unknown", ch.ID, ch.Seq)
		case status == 503 && bytes.Contains(body, []byte("warehouse")):
			f.missing("proof %s, promised as seq %d, is not here (ClickHouse is asked for it)", ch.ID, ch.Seq)
		case status != 200:
			f.refused("proof %s: %d: %.160s", ch.ID, status, body)
		case ch.Body != [sha256.Size]byte{} && sha256.Sum256(body) != ch.Body:
			f.changed("proof %s is another than before: %.160s", ch.ID, body)
		default:
			w.checkProof(f, ch, body)
		}
	})
	if err != nil {
		f.refused("asking for proofs: %v", err)
	}
}

// checkProof compares an answer with what was chosen.
func (w *Witness) checkProof(f *Finding, ch *Choice, body []byte) {
	if ch.Body != [sha256.Size]byte{} {
		return // compared as a whole
	}
	var p struct {
		Seq   uint64
		Facts struct {
			ID        uuid.UUID
			Wording   string
			Decisions json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &p); err != nil {
		f.changed("proof %s is answered with %.160s", ch.ID, body)
		return
	}
	var granted []bool
	for _, purpose := range w.Shown.Purposes {
		granted = append(granted, decided(p.Facts.Decisions, purpose))
	}
	if p.Facts.ID != ch.ID || p.Seq != ch.Seq || p.Facts.Wording != w.Shown.Hash || !slices.Equal(granted, ch.Granted) {
		f.changed("proof %s, promised as seq %d: %.300s", ch.ID, ch.Seq, body)
	}
}

// decided reads one purpose of a proof's decisions, {"ads":"granted",…} or {"ads":true,…}.
func decided(decisions json.RawMessage, purpose string) bool {
	var all map[string]any
	if json.Unmarshal(decisions, &all) != nil {
		return false
	}
	return all[purpose] == true || all[purpose] == "granted"
}

// eachProof calls answered with the answer to each proof, in order.
func (w *Witness) eachProof(ctx context.Context, c *rig.Consentd, answered func(ch *Choice, status int, body []byte)) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	r := &reader{conn: conn, answer: load.Response{Keep: true}}
	headers := []string{"Authorization: Bearer " + w.Token}
	for part := range slices.Chunk(w.choices, pipeline) {
		var questions []byte
		for _, ch := range part {
			questions = append(questions, load.Build("GET", "/v1/sites/"+rig.Site+"/proofs/"+ch.ID.String(), c.Addr.String(), headers, nil)...)
		}
		conn.SetDeadline(time.Now().Add(askLimit))
		if _, err := conn.Write(questions); err != nil {
			return err
		}
		for _, ch := range part {
			if err := r.next(); err != nil {
				return fmt.Errorf("proof %s: %w", ch.ID, err)
			}
			answered(ch, r.answer.Status, r.answer.Body)
		}
	}
	return nil
}

// reader reads one answer after the other.
type reader struct {
	conn   net.Conn
	answer load.Response
	buf    [64 << 10]byte
	have   []byte // read, and not yet used
}

func (r *reader) next() error {
	for {
		if len(r.have) == 0 {
			n, err := r.conn.Read(r.buf[:])
			if err != nil {
				return err
			}
			r.have = r.buf[:n]
		}
		n, done, err := r.answer.Feed(r.have)
		r.have = r.have[n:]
		if err != nil || done {
			return err
		}
	}
}

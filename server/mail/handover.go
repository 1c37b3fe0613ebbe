package mail

import (
	"context"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/ledger"
)

// handover is the one moment of an attempt in which nobody can know whether the mail is sent: from its last bytes,
// which make it the server's, until what the server answers is noted.
//
// # Why
//
// SMTP has no question "did you take it?". A process that dies in that moment can only send the mail once more or
// never; people are waiting for it, so it is once more, under the same Message-ID. What is left to do is to make the
// moment rare and its cost known. It begins with a durable note, so that a mail which was handed over and never
// heard of twice is not handed over a third time, whatever became of the process in between. And while the server
// answers within Options.Turn, one mail at a time is in it: a crash repeats at most one, whatever the number of
// connections. A server that takes longer costs the queue its speed otherwise, so then up to Connections mails are.
// The price: mails follow each other no faster than two fsyncs and the server's answer take.
type handover struct {
	q    *Queue
	it   *item
	r    *record
	turn bool // it is this one's turn
	over bool // the note is there
}

// begin is called when everything of a mail but its end is with the server. A failure means that the end must not
// be said.
func (h *handover) begin(ctx context.Context) *failure {
	h.turn = h.q.takeTurn(ctx)
	if h.q.forgotten(h.it) {
		return &failure{gone: true}
	}
	h.r.Unsure++
	if err := h.q.opt.Store.SetNotes(ctx, ledger.Note{Space: spaceWaiting, Key: h.it.id[:], Value: h.r.encode()}); err != nil {
		h.r.Unsure--
		return &failure{why: ReasonStore, server: true, unheard: true, err: fmt.Errorf("noting that a mail is handed over: %w", err)}
	}
	h.over = true
	if h.r.Unsure > 1 {
		h.q.metrics.repeated.Inc()
	}
	if h.q.forgotten(h.it) { // in between: the note just written is to go too
		return &failure{gone: true}
	}
	return nil
}

// heard takes the note back, in memory, when the server has said what it does with the mail: what settles the
// attempt writes it.
func (h *handover) heard(f *failure) {
	if h.over && f != nil && !f.unsure {
		h.r.Unsure--
	}
}

// end is called when what came of the mail is durable.
func (h *handover) end() {
	if h.turn {
		<-h.q.turn
	}
}

// takeTurn waits until no other mail is being handed over, but not for a server that takes its time.
func (q *Queue) takeTurn(ctx context.Context) bool {
	late := time.NewTimer(q.opt.Turn)
	defer late.Stop()
	select {
	case q.turn <- struct{}{}:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
)

// Receipt says where a proof lies.
type Receipt struct {
	At         consent.Millis // when it was first recorded
	Generation uint32         // of the log it lies in
	Seq        uint64         // its index in the log
	Replayed   bool           // the id was known with this very content: nothing was written
}

// request is one waiting write. It belongs to the caller until it is queued, then to the sequencer until
// done is sent to, then to the caller again.
type request struct {
	done chan error // capacity 1
	add  func(*sequencer, *request) error

	proof       *consent.Proof
	prompt      *consent.Prompt
	publication *consent.Publication
	notes       []Note
	former      []Former
	frees       bool // only deletes: let through on a full disk

	site    string // of touched
	touched []consent.SubjectKey

	entry   []byte            // binary form
	scratch []byte            // canonical facts
	digest  [16]byte          // proofs: what makes a second post "the same"
	leaf    [sha256.Size]byte // of a log: SHA-256(0x00 ‖ canonical facts)

	receipt Receipt // filled by the sequencer
}

// Append makes p durable. p must be complete: Edge, RecordedAt (from Now) and Commitment set, decisions
// sorted. Errors: ErrConflict, ErrBusy, ErrNoSpace, ErrClosed, ErrFatal. ctx is looked at before the proof is
// queued; from then on the outcome is waited for, because a proof half-told is worse than a late answer.
func (l *Ledger) Append(ctx context.Context, p *consent.Proof) (Receipt, error) {
	return l.append(ctx, p, nil)
}

func (l *Ledger) append(ctx context.Context, p *consent.Proof, notes []Note) (Receipt, error) {
	r := l.request((*sequencer).addProof)
	r.proof, r.notes = p, notes
	l.time.date(p)
	r.digest = p.Digest()
	r.entry = consent.AppendProof(r.entry[:0], p)
	r.scratch = p.AppendFacts(append(r.scratch[:0], leafPrefix))
	r.leaf = sha256.Sum256(r.scratch)
	receipt, err := l.submit(ctx, r)
	if err == nil && receipt.Generation == 0 {
		receipt.Generation = l.Generation(consent.StreamProofs, receipt.Seq)
	}
	return receipt, err
}

// leafPrefix separates leaves from nodes (RFC 6962 §2.1).
const leafPrefix = 0x00

// AppendPrompt makes p durable. A prompt id seen on the same or the day before counts once: no error,
// nothing written. Errors as for Append, without ErrConflict.
func (l *Ledger) AppendPrompt(ctx context.Context, p *consent.Prompt) error {
	r := l.request((*sequencer).addPrompt)
	r.prompt = p
	r.entry = consent.AppendPrompt(r.entry[:0], p)
	_, err := l.submit(ctx, r)
	return err
}

// Publish makes a wording known: lookups of its hash find it from now on, for ever, and it is logged and shipped. A
// wording the site already published is left as it is.
func (l *Ledger) Publish(ctx context.Context, w *consent.Published) error {
	return l.Announce(ctx, w.Publication())
}

// Announce logs a publication, and dates it: PublishedAt is set. One that is known already is left as it is: for
// good, or, where Recurs says so, as long as it is the current one of its site, kind and locale.
func (l *Ledger) Announce(ctx context.Context, p *consent.Publication) error {
	r := l.request((*sequencer).addPublication)
	p.PublishedAt = l.Now()
	r.publication = p
	r.entry = consent.AppendPublication(r.entry[:0], p)
	r.scratch = p.AppendFacts(append(r.scratch[:0], leafPrefix))
	r.leaf = sha256.Sum256(r.scratch)
	_, err := l.submit(ctx, r)
	return err
}

func (l *Ledger) request(add func(*sequencer, *request) error) *request {
	r := l.requests.Get().(*request)
	r.add, r.receipt = add, Receipt{}
	return r
}

// submit queues r and waits for its outcome. A request whose outcome a fatal error swallowed is not reused:
// the sequencer may still hold it.
func (l *Ledger) submit(ctx context.Context, r *request) (Receipt, error) {
	if err := l.enqueue(ctx, r); err != nil {
		l.recycle(r)
		return Receipt{}, err
	}
	select {
	case err := <-r.done:
		receipt := r.receipt
		l.recycle(r)
		return receipt, err
	case <-l.fatal:
		return Receipt{}, l.Err()
	}
}

func (l *Ledger) recycle(r *request) {
	r.proof, r.prompt, r.publication, r.notes, r.frees, r.touched, r.former = nil, nil, nil, nil, false, nil, nil
	l.requests.Put(r)
}

func (l *Ledger) enqueue(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.full.Load() && !r.frees {
		l.metrics.refused(ErrNoSpace)
		return ErrNoSpace
	}
	l.closeMu.RLock()
	defer l.closeMu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.suspended.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrSuspended, *err)
	}
	select {
	case l.queue <- r:
		return nil
	case <-l.fatal:
		return l.Err()
	default:
		l.metrics.refused(ErrBusy)
		return ErrBusy
	}
}

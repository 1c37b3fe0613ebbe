package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// ErrRefused means that rows under the name of this edge are not, or no longer, this ledger's to send.
var ErrRefused = errors.New("drain: the name of this edge is another's")

// refusal says why nothing is shipped, and what to do. It is ErrRefused.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

func (r *refusal) Is(target error) bool { return target == ErrRefused }

// generation is the one being written.
func (d *Drain) generation() uint32 {
	l := d.opt.Ledger
	return l.Generation(consent.StreamProofs, l.Next(consent.StreamProofs))
}

// connect readies the warehouse after any failure: the schema (it may have been replaced by an empty one), the name of
// the edge, and then a look at what it holds.
func (d *Drain) connect(ctx context.Context) error {
	d.connecting.Lock()
	defer d.connecting.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.connected.Load() {
		return nil
	}
	if err := d.opt.Warehouse.Migrate(ctx); err != nil {
		return fmt.Errorf("applying the schema: %w", err)
	}
	if err := d.claim(ctx); err != nil {
		return err
	}
	d.connected.Store(true)
	d.askAudit(true)
	return nil
}

// away notes a failure: what the warehouse holds is not known any more.
func (d *Drain) away() {
	d.connected.Store(false)
	d.known.unchecked()
}

// claim takes the name of the edge, and makes sure that what is there under it was written by this ledger.
func (d *Drain) claim(ctx context.Context) error {
	if err := d.takeName(ctx); err != nil {
		return err
	}
	l, c := d.opt.Ledger, d.claimant()
	for _, s := range []consent.Stream{consent.StreamProofs, consent.StreamPrompts} {
		next, err := d.opt.Warehouse.Highest(ctx, s, c.Edge, c.Generation)
		if err != nil {
			return err
		}
		if mine := l.Next(s); next > mine { // read after: everything of ours was durable before it was there
			return d.refuse(&refusal{fmt.Sprintf("this data directory is an older copy of edge %q: ClickHouse has its %s up to %d, the ledger has %d. "+
				"Nothing is recorded or shipped. Start the newer one; or, if it is lost, stop this one and run: consentd repair --data DIR, which begins a new generation",
				c.Edge, s, next-1, mine)})
		}
	}
	d.accept()
	return nil
}

// takeName takes or renews the name of the edge.
func (d *Drain) takeName(ctx context.Context) error {
	c := d.claimant()
	holder, err := d.opt.Warehouse.Claim(ctx, c, consent.ToMillis(d.opt.Clock()))
	switch {
	case err != nil:
		return fmt.Errorf("claiming the name of this edge: %w", err)
	case holder != nil && holder.Instance == c.Instance:
		return d.heldByCopy(ctx, c, holder)
	case holder != nil:
		return d.refuse(&refusal{heldBy(c.Edge, holder)})
	}
	d.tenure.holds()
	return nil
}

func heldBy(edge string, h *consent.Holder) string {
	at := func(m consent.Millis) string { return m.Time().UTC().Format(time.RFC3339) }
	return fmt.Sprintf("the name of edge %q is held in this ClickHouse by another ledger, %s (generation %d, first seen %s, last seen %s). "+
		"Nothing is recorded or shipped. If both are to run, give this one a name and a data directory of its own: consentd serve --edge OTHER --data DIR; "+
		"if this is a restored copy that replaces it, stop it and run: consentd repair --data DIR, which begins a new generation",
		edge, h.Instance, h.Generation, at(h.Since), at(h.Seen))
}

// firm is how many refusals in a row are no race of two edges that claim one name at the same moment.
const firm = 3

// refuse stops shipping, and once that is sure also recording; it says so once.
func (d *Drain) refuse(r *refusal) error {
	if was := d.refused.Swap(r); was == nil || was.why != r.why {
		d.opt.Log.Error(r.why)
	}
	d.away()
	if d.refusals.Add(1) == firm {
		d.suspend(r)
	}
	return r
}

func (d *Drain) suspend(r *refusal) {
	d.opt.Ledger.Suspend(r)
	d.tenure.decide()
}

func (d *Drain) accept() {
	d.refusals.Store(0)
	d.tenure.decide()
	if d.refused.Swap(nil) != nil {
		d.opt.Log.Info("the name of this edge is its own again: it ships; start it anew if it refuses to record")
	}
}

package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// span is a run of shipped seqs [first, end) of one stream of which the warehouse lacks some.
type span struct {
	s             *stream
	first, end    uint64
	rows          uint64         // lacking, personal parts counted like rows
	since, before consent.Millis // of the entries; 0: not known
}

// warehouseError parts what the warehouse said, to be tried again, from what the ledger did.
type warehouseError struct{ error }

func (w warehouseError) Unwrap() error { return w.error }

func ofWarehouse(err error) error {
	if err == nil {
		return nil
	}
	return warehouseError{err}
}

// askAudit has an audit made soon; whole: also of what the ledger has let go of.
func (d *Drain) askAudit(whole bool) {
	select {
	case d.due <- whole:
	default:
		select {
		case was := <-d.due:
			whole = whole || was
		default:
		}
		select {
		case d.due <- whole:
		default:
		}
	}
}

// auditLoop compares what the warehouse holds whenever it was away, and every AuditEvery. Errors are the ledger's.
func (d *Drain) auditLoop(ctx context.Context) error {
	pause := backoff{min: d.opt.MinBackoff, max: d.opt.MaxBackoff}
	every := time.NewTicker(d.opt.AuditEvery)
	defer every.Stop()
	whole := false
	for {
		select {
		case one := <-d.due:
			whole = whole || one
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		err := d.audit(ctx, whole)
		var w warehouseError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &w):
			d.known.failed(err)
			if !d.connected.Load() { // connect asks again
				continue
			}
			time.AfterFunc(pause.next(), func() { d.askAudit(whole) })
		case err != nil:
			return err
		default:
			pause.reset()
			whole = false
		}
	}
}

// audit compares, sends again what is missing, and compares again what it sent.
func (d *Drain) audit(ctx context.Context, whole bool) error {
	d.auditing.Lock()
	defer d.auditing.Unlock()
	if !d.connected.Load() {
		return nil
	}
	if err := d.claim(ctx); err != nil { // also what others see of us: last seen
		return ofWarehouse(err)
	}
	mark := d.known.begin()
	var missing, lost []span
	for _, s := range d.streams {
		m, l, err := s.compare(ctx, whole)
		if err != nil {
			return err
		}
		missing, lost = append(missing, m...), append(lost, l...)
	}
	d.known.found(mark, missing, lost, whole)
	d.tell(missing, lost, whole)
	if len(missing) == 0 {
		return nil
	}
	for _, m := range missing {
		if err := d.refill(ctx, m, nil); err != nil {
			return err
		}
	}
	return d.again(ctx, mark, missing)
}

// again compares once more what was sent again: what is missing still, more sending does not bring back.
func (d *Drain) again(ctx context.Context, mark int, sent []span) error {
	streams := map[*stream]bool{}
	var left []span
	for _, m := range sent {
		if streams[m.s] {
			continue
		}
		streams[m.s] = true
		still, _, err := m.s.compare(ctx, false)
		if err != nil {
			return err
		}
		left = append(left, still...)
	}
	d.known.refilled(mark, left)
	if len(left) > 0 {
		d.opt.Log.Error("rows that were sent again are still missing from the warehouse: does something there delete them (a TTL, a statement)?", "rows", total(left))
	} else {
		d.opt.Log.Info("what the warehouse had lost is there again", "entries", entries(sent))
	}
	return nil
}

func (d *Drain) tell(missing, lost []span, whole bool) {
	if len(missing) > 0 {
		d.opt.Log.Warn("the warehouse has lost rows it had confirmed; they are sent again", "rows", total(missing), "entries", entries(missing))
	}
	if whole && len(lost) > 0 {
		for _, l := range lost {
			d.opt.Log.Error("the warehouse has lost rows that the ledger no longer has: restore them from a backup of ClickHouse",
				"stream", l.s.name, "rows", l.rows, "first", l.first, "end", l.end)
		}
	}
}

func total(all []span) (rows uint64) {
	for _, m := range all {
		rows += m.rows
	}
	return rows
}

func entries(all []span) (n uint64) {
	for _, m := range all {
		n += m.end - m.first
	}
	return n
}

// compare counts what the warehouse has of what was shipped: missing can be sent again, lost (looked for when whole) cannot.
func (s *stream) compare(ctx context.Context, whole bool) (missing, lost []span, err error) {
	end := s.shipped.Load()
	first := min(s.d.opt.Ledger.First(s.id), end)
	aside, err := s.setAsides()
	if err != nil {
		return nil, nil, err
	}
	if s.id == consent.StreamWordings {
		missing, err = s.unpublished(ctx, first, end, aside)
	} else {
		missing, err = s.lacking(ctx, first, end, aside, true)
	}
	if err == nil && whole && s.id != consent.StreamWordings { // of publications the ledger keeps all
		lost, err = s.lacking(ctx, 0, first, aside, false)
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range missing {
		missing[i].since, missing[i].before = s.at(missing[i].first), s.at(missing[i].end-1)+1
	}
	for i := range lost {
		lost[i].before = s.at(first) // older than the oldest held: when exactly, nobody knows any more
	}
	counted := end
	for _, m := range missing {
		counted = min(counted, m.first)
	}
	s.counted.Store(counted)
	return missing, lost, nil
}

// at is when an entry was recorded; 0: it cannot be read.
func (s *stream) at(seq uint64) consent.Millis {
	b, err := s.read(seq, seq+1, nil)
	if err != nil || b.damaged {
		return 0
	}
	return b.oldest
}

func (s *stream) setAsides() ([]uint64, error) {
	all, err := s.d.opt.Ledger.SetAsides()
	var seqs []uint64
	for _, a := range all {
		if a.Stream == s.id {
			seqs = append(seqs, a.Seq)
		}
	}
	return seqs, err
}

// lacking counts [first, end) by generation and bucket. held: the ledger has these entries, so that personal parts can be
// told from erased ones.
func (s *stream) lacking(ctx context.Context, first, end uint64, aside []uint64, held bool) (all []span, err error) {
	for first < end {
		r := s.generationFrom(first, end)
		counts, err := s.d.opt.Warehouse.Held(ctx, s.id, r, within(aside, r.First, r.End))
		if err != nil {
			return nil, ofWarehouse(err)
		}
		for lo := r.First; lo < r.End; {
			hi := min(lo-lo%consent.HeldBucket+consent.HeldBucket, r.End)
			n, err := s.short(ctx, r, lo, hi, aside, counts[lo/consent.HeldBucket], held)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				all = join(all, span{s: s, first: lo, end: hi, rows: n})
			}
			lo = hi
		}
		first = r.End
	}
	return all, nil
}

// generationFrom is the longest run from first that was written in one generation.
func (s *stream) generationFrom(first, end uint64) consent.Rows {
	l := s.d.opt.Ledger
	g := l.Generation(s.id, first)
	lo, hi := first+1, end
	for lo < hi {
		if mid := lo + (hi-lo)/2; l.Generation(s.id, mid) == g {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return consent.Rows{Edge: l.Edge(), Generation: g, First: first, End: lo}
}

// short says how many rows of [lo, hi) the warehouse lacks.
func (s *stream) short(ctx context.Context, r consent.Rows, lo, hi uint64, aside []uint64, have consent.Held, held bool) (uint64, error) {
	want := hi - lo - uint64(len(within(aside, lo, hi)))
	lacks := want - min(want, have.Rows)
	if s.id != consent.StreamProofs || !held || have.Personal >= want {
		return lacks, nil
	}
	r.First, r.End = lo, hi
	erased, err := s.erased(ctx, r)
	if err != nil {
		return 0, err
	}
	for _, seq := range aside {
		delete(erased, seq)
	}
	want -= min(want, uint64(len(erased)))
	return lacks + want - min(want, have.Personal), nil
}

// erased lists the proofs of r that have no personal part, because of an erasure here or in the warehouse.
func (s *stream) erased(ctx context.Context, r consent.Rows) (map[uint64]bool, error) {
	erased, err := s.d.opt.Warehouse.ErasedHere(ctx, r)
	if err != nil {
		return nil, ofWarehouse(err)
	}
	err = s.d.opt.Ledger.Scan(s.id, r.First, r.End, func(seq uint64, raw []byte) error {
		if p, err := consent.ParseProof(raw); err == nil && p.Erased() {
			erased[seq] = true
		}
		return nil
	})
	return erased, err
}

// unpublished finds the publications the warehouse does not have.
func (s *stream) unpublished(ctx context.Context, first, end uint64, aside []uint64) (all []span, err error) {
	has, err := s.d.opt.Warehouse.Published(ctx)
	if err != nil {
		return nil, ofWarehouse(err)
	}
	err = s.d.opt.Ledger.Scan(s.id, first, end, func(seq uint64, raw []byte) error {
		p, err := consent.ParsePublication(raw)
		if err == nil && !has(p) && len(within(aside, seq, seq+1)) == 0 {
			all = join(all, span{s: s, first: seq, end: seq + 1, rows: 1})
		}
		return nil
	})
	return all, err
}

// join appends a span, to the one before where they touch.
func join(all []span, one span) []span {
	if n := len(all); n > 0 && all[n-1].end == one.first {
		all[n-1].end, all[n-1].rows = one.end, all[n-1].rows+one.rows
		return all
	}
	return append(all, one)
}

// within are those of seqs in [first, end).
func within(seqs []uint64, first, end uint64) (in []uint64) {
	for _, seq := range seqs {
		if seq >= first && seq < end {
			in = append(in, seq)
		}
	}
	return in
}

// String is for errors.
func (m span) String() string { return fmt.Sprintf("%s %d to %d", m.s.name, m.first, m.end) }

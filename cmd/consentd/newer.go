package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
)

// What was recorded after a backup, or is missing in a ledger that is repaired, is brought back from where it still lies:
// ClickHouse, and the ledger of the replaced directory.

// absorb brings back where people stand who said something after the backup.
func (r *restoring) absorb(ctx context.Context, l *ledger.Ledger) error {
	if r.elsewhere == nil {
		return nil
	}
	n, newest, erased := 0, consent.Millis(0), 0
	for _, life := range r.lives {
		rows := consent.Rows{Edge: l.Edge(), Generation: life.Generation, End: life.Next} // all: what the ledger knows is told by its id, not by its place
		err := r.elsewhere.RecordedIn(ctx, rows, func(all []warehouse.Recorded) error {
			var former []ledger.Former
			for i := range all {
				p := &all[i]
				if p.Erased {
					erased++
					continue
				}
				former = append(former, ledger.Former{Generation: p.Generation, Seq: p.Seq, Proof: &p.Proof})
			}
			got, err := l.Absorb(ctx, former)
			if n += got; got > 0 {
				newest = max(newest, all[len(all)-1].RecordedAt)
			}
			if err == nil && r.oldEngine && r.copied != nil {
				err = sendRecorded(ctx, r.copied, all)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("bringing back what was recorded after the backup: %w", err)
		}
	}
	if newest == 0 {
		r.say("newer in ClickHouse: nothing; it has no proof that is missing here")
		return nil
	}
	r.say("newer in ClickHouse: %d proofs that are missing here, the newest at %v. Where these people stand was brought back from them; they stay in histories and rates", n, newest)
	if erased > 0 {
		r.say("in ClickHouse, %d proofs are of people who were erased", erased)
	}
	return nil
}

// absorbReplaced brings back the same from the ledger of the replaced directory, which also has what had not reached
// ClickHouse. It is read in a copy: nothing there changes.
func (r *restoring) absorbReplaced(ctx context.Context, l *ledger.Ledger) (err error) {
	if _, err := os.Stat(filepath.Join(r.old.ledger(), "acknowledged")); err != nil {
		if r.occupied {
			r.warn("the replaced directory has no ledger to ask")
		}
		return nil
	}
	fmt.Fprintln(r.s.err, "reading the ledger of the replaced directory")
	copied := filepath.Join(r.new.Data, "replaced")
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	if err := backup.CopyTree(r.old.ledger(), copied); err != nil {
		return fmt.Errorf("reading the ledger of the replaced directory: %w", err)
	}
	old, err := ledger.Open(ledger.Options{Dir: copied, Edge: l.Edge(), Log: quiet, Repair: &ledger.Repair{}})
	if err != nil {
		r.warn("the ledger of the replaced directory cannot be read (%v): what it had that had reached no ClickHouse is not known", err)
		return nil
	}
	n, err := r.absorbFrom(ctx, l, old)
	if err := errors.Join(err, old.Close()); err != nil {
		return fmt.Errorf("reading the ledger of the replaced directory: %w", err)
	}
	r.say("newer in the replaced directory: %d proofs that ClickHouse did not have; where these people stand was brought back from them", n)
	return nil
}

// absorbFrom takes over what another ledger holds of its own, and has a ClickHouse keep it.
func (r *restoring) absorbFrom(ctx context.Context, l, old *ledger.Ledger) (n int, err error) {
	to := r.elsewhere
	if to == nil || r.oldEngine {
		to = r.copied
	}
	if to != nil {
		if err := to.Migrate(ctx); err != nil { // it may be empty
			return 0, err
		}
	}
	var former []ledger.Former
	flush := func() error {
		got, err := l.Absorb(ctx, former)
		if n += got; err == nil && got > 0 && to != nil {
			var rows []warehouse.Recorded
			for _, f := range former {
				rows = append(rows, warehouse.Recorded{Proof: *f.Proof, Generation: f.Generation, Seq: f.Seq})
			}
			err = sendRecorded(ctx, to, rows)
		}
		former = former[:0]
		return err
	}
	err = old.Scan(consent.StreamProofs, old.First(consent.StreamProofs), old.Next(consent.StreamProofs), func(seq uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err != nil {
			return err
		}
		former = append(former, ledger.Former{Generation: old.Generation(consent.StreamProofs, seq), Seq: seq, Proof: p})
		if len(former) < absorbAtOnce {
			return nil
		}
		return flush()
	})
	return n, errors.Join(err, flush())
}

// absorbAtOnce is how many proofs are taken over in one batch.
const absorbAtOnce = 2000

// sendRecorded sends rows of one warehouse to another, run by run.
func sendRecorded(ctx context.Context, to *warehouse.Warehouse, all []warehouse.Recorded) error {
	for first := 0; first < len(all); {
		end := first + 1
		for end < len(all) && all[end].Seq == all[end-1].Seq+1 && all[end].Generation == all[end-1].Generation {
			end++
		}
		proofs := make([]*consent.Proof, 0, end-first)
		for i := range all[first:end] {
			proofs = append(proofs, &all[first+i].Proof)
		}
		if err := to.SendProofs(ctx, all[first].Position().Place, proofs); err != nil {
			return err
		}
		first = end
	}
	return nil
}

// supersede has ClickHouse give the name of the edge to the new ledger.
func (r *restoring) supersede(ctx context.Context, l *ledger.Ledger) error {
	for _, w := range []*warehouse.Warehouse{r.elsewhere, r.copied} {
		if w == nil || w == r.elsewhere && r.oldEngine {
			continue
		}
		all := l.Generations()
		was, err := w.Supersede(ctx, l.Edge(), all[len(all)-1].Number)
		if err != nil {
			return err
		}
		for _, h := range was {
			if h.Seen.Time().Add(2*time.Hour).After(time.Now()) && w == r.elsewhere {
				r.warn("the ledger of generation %d that held the name of edge %s was last seen at %v: make sure that it does not run any more", h.Generation, l.Edge(), h.Seen)
			}
		}
	}
	return nil
}

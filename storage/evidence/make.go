package evidence

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Recorded is a proof that evidence is asked for.
type Recorded struct {
	*consent.Proof
	Seq        uint64
	Generation uint32 // in which it was recorded
	Identifier string // plain e-mail or phone, when the server can read it
}

// Request asks for one file.
type Request struct {
	Site    Site
	Subject string     // hex of the subject key when Proofs are all of one subject, else ""
	Proofs  []Recorded // in the order the file shall have
	// Sizes of earlier checkpoints somebody holds: the file shows that the logs only grew since. 0: none.
	SinceProofs, SincePublished uint64
}

// ErrNotInLog means that what is known of a proof is not what the log holds at its place: it was changed in
// ClickHouse, or recorded before the log was restored from a backup.
var ErrNotInLog = errors.New("evidence: the log does not hold this proof as it is recorded")

// Make makes a file, sealing the logs first when they do not cover the proofs yet.
func (k *Keeper) Make(ctx context.Context, r Request) (*File, error) {
	e := Evidence{Format: Format, V: Version, Name: k.name, Site: r.Site, Subject: r.Subject, Proofs: []Proof{}, Published: []Publication{}}
	for _, key := range k.Keys() {
		e.Keys = append(e.Keys, key.String())
	}
	own := r.Proofs[:0:0]
	for _, p := range r.Proofs {
		switch {
		case p.Edge == k.opt.Edge && p.Generation == k.opt.GenerationOf(p.Seq):
			own = append(own, p)
		case p.Edge == k.opt.Edge && r.Subject == "":
			return nil, fmt.Errorf("proof %s: %w", p.ID, ErrRestored)
		default: // of another edge, or of a life of this one that is over
			e.Elsewhere = append(e.Elsewhere, Elsewhere{Edge: p.Edge, ID: p.ID.String()})
		}
	}
	if err := k.addProofs(ctx, &e, own, r.SinceProofs); err != nil {
		return nil, err
	}
	if err := k.addPublications(ctx, &e, own, r.SincePublished); err != nil {
		return nil, err
	}
	e.MadeAt = k.opt.Now()
	return e.sign(k.opt.Signers)
}

func (k *Keeper) addProofs(ctx context.Context, e *Evidence, proofs []Recorded, since uint64) error {
	needed := uint64(0)
	for _, p := range proofs {
		needed = max(needed, p.Seq+1)
	}
	w, err := k.proofs.witness(ctx, needed)
	if err != nil {
		return err
	}
	if e.Logs.Proofs, err = w.part(since); err != nil {
		return err
	}
	for _, r := range proofs {
		facts := r.AppendFacts(nil)
		path, err := w.path(r.Seq, facts)
		if err != nil {
			return fmt.Errorf("proof %s: %w", r.ID, err)
		}
		p := Proof{Facts: string(facts), Index: r.Seq, Inclusion: path, Erased: r.Erased()}
		if !p.Erased {
			p.Personal, p.Salt = string(r.Personal.AppendPersonal(nil)), hex.EncodeToString(r.Personal.Salt[:])
			p.Identifier = r.Identifier
		}
		e.Proofs = append(e.Proofs, p)
	}
	return nil
}

// witness is one checkpoint of a log with the hashes below it.
type witness struct {
	*sealing
	hashes tlog.HashReader
}

func (s *sealed) witness(ctx context.Context, needed uint64) (*witness, error) {
	last, err := s.seal(ctx, max(needed, 1))
	if err != nil {
		return nil, err
	}
	if last.Size < needed {
		return nil, ErrNotInLog
	}
	hashes, err := s.log.Hashes(last.Size)
	return &witness{last, hashes}, err
}

// part is the checkpoint, and how the log grew since an earlier one.
func (w *witness) part(since uint64) (LogPart, error) {
	p := LogPart{Checkpoint: string(w.note)}
	if since == 0 || since > w.Size {
		return p, nil
	}
	hashes, err := tlog.ProveTree(int64(w.Size), int64(since), w.hashes)
	if err != nil {
		return p, fmt.Errorf("proving that the log grew: %w", err)
	}
	root, err := tlog.TreeHash(int64(since), w.hashes)
	p.Since = &Since{Size: since, Root: root, Hashes: append([]tlog.Hash{}, hashes...)}
	return p, err
}

// path is the audit path of an entry, tried before it is given away.
func (w *witness) path(index uint64, entry []byte) ([]tlog.Hash, error) {
	path, err := tlog.ProveRecord(int64(w.Size), int64(index), w.hashes)
	if err != nil {
		return nil, fmt.Errorf("proving that an entry is in the log: %w", err)
	}
	if tlog.CheckRecord(path, int64(w.Size), w.Root, int64(index), tlog.RecordHash(entry)) != nil {
		return nil, ErrNotInLog
	}
	return append([]tlog.Hash{}, path...), nil
}

// placed is a publication and its place in the log.
type placed struct {
	seq uint64
	p   *consent.Publication
}

// addPublications adds what the proofs rest on: the wordings, and of each the script that carried it, the
// configuration in force and the pictures of it.
func (k *Keeper) addPublications(ctx context.Context, e *Evidence, proofs []Recorded, since uint64) error {
	all, err := k.published(e.Site.ID)
	if err != nil {
		return err
	}
	chosen := map[uint64]*consent.Publication{}
	for _, r := range proofs {
		for _, c := range all.behind(&r.Facts) {
			chosen[c.seq] = c.p
		}
	}
	seqs := make([]uint64, 0, len(chosen))
	needed := uint64(0)
	for seq := range chosen {
		seqs, needed = append(seqs, seq), max(needed, seq+1)
	}
	slices.Sort(seqs)
	w, err := k.publications.witness(ctx, needed)
	if err != nil {
		return err
	}
	if e.Logs.Published, err = w.part(since); err != nil {
		return err
	}
	for _, seq := range seqs {
		p := chosen[seq]
		entry := p.AppendFacts(nil)
		path, err := w.path(seq, entry)
		if err != nil {
			return fmt.Errorf("publication %d: %w", seq, err)
		}
		out := Publication{Entry: string(entry), Index: seq, Inclusion: path}
		if p.Kind == consent.PublishedWording || p.Kind == consent.PublishedBundle {
			out.Doc = string(p.Doc)
		}
		e.Published = append(e.Published, out)
	}
	return nil
}

// shelf is everything a site published, by kind, oldest first.
type shelf map[consent.PublicationKind][]placed

func (k *Keeper) published(site string) (shelf, error) {
	all := shelf{}
	for _, kind := range []consent.PublicationKind{consent.PublishedWording, consent.PublishedBundle, consent.PublishedConfig, consent.PublishedSnapshot} {
		err := k.opt.Published.Publications(site, kind, func(seq uint64, p *consent.Publication) error {
			all[kind] = append(all[kind], placed{seq, p})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// behind lists what a proof rests on.
func (s shelf) behind(f *consent.Facts) []placed {
	var all []placed
	if c, ok := s.latest(consent.PublishedConfig, f.RecordedAt+slack, func(*consent.Publication) bool { return true }); ok {
		all = append(all, c)
	}
	if f.Wording.IsZero() {
		return all
	}
	if w, ok := s.latest(consent.PublishedWording, f.RecordedAt+slack, func(p *consent.Publication) bool { return p.Hash == f.Wording }); ok {
		all = append(all, w)
	}
	b, carried := s.latest(consent.PublishedBundle, f.RecordedAt+slack, func(p *consent.Publication) bool { return carries(p.Doc, f.Wording) })
	if carried {
		all = append(all, b)
	}
	return append(all, s.pictures(f.Wording, b.p)...)
}

// latest is the last of a kind that was published at or before a moment.
func (s shelf) latest(kind consent.PublicationKind, at consent.Millis, fits func(*consent.Publication) bool) (placed, bool) {
	for _, c := range slices.Backward(s[kind]) {
		if c.p.PublishedAt <= at && fits(c.p) {
			return c, true
		}
	}
	return placed{}, false
}

// pictures are the snapshots of a wording: those of the script that showed it, else the newest; and the newest of each
// page of the edge, since a proof does not say whether it was made there.
func (s shelf) pictures(wording consent.Hash, bundle *consent.Publication) []placed {
	byBundle := map[string][]placed{}
	newest := map[string]string{} // by page; "": by script
	for _, c := range s[consent.PublishedSnapshot] {
		var about consent.SnapshotAbout
		if json.Unmarshal(c.p.About, &about) != nil || about.Wording != wording.String() {
			continue
		}
		byBundle[about.Bundle] = append(byBundle[about.Bundle], c)
		newest[about.Page] = about.Bundle
	}
	if bundle != nil && len(byBundle[bundle.Hash.String()]) > 0 {
		newest[""] = bundle.Hash.String()
	}
	var all []placed
	for _, page := range slices.Sorted(maps.Keys(newest)) {
		all = append(all, byBundle[newest[page]]...)
	}
	return all
}

// carries reports whether the list of a bundle's wordings names one.
func carries(doc []byte, wording consent.Hash) bool {
	var list []string
	return json.Unmarshal(doc, &list) == nil && slices.Contains(list, wording.String())
}

package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// A group is bounded so that one batch stays far below a memtable and nobody waits long behind it.
const (
	maxGroupRequests = 4096
	maxGroupBytes    = 8 << 20
)

// While one group syncs the next may be applied already, so that the disk finds it waiting: one fsync then
// covers what was applied during the last. That pays once a group has gathered some company; with less it
// waits for the disk.
const (
	maxFlying = 3
	company   = 16
)

// sequencer gives every write its place. All its fields belong to the goroutine of run.
type sequencer struct {
	l        *Ledger
	head     head          // as of the open group; its clock and ids are set when it is applied
	trees    [streams]tree // of the logs
	piles    piles
	groups   uint64 // applied so far
	open     *group // gathers
	flying   int    // groups applied and syncing
	spares   []*group
	synced   chan *group
	sync     chan *group
	ids      recentIDs
	subjects subjectFilter // of the newest chunk
	key      []byte        // scratch
	value    []byte        // scratch

	headKey []byte
}

// group is one batch and everybody who waits for it. It belongs to the sequencer while it gathers, to the
// syncer while it syncs.
type group struct {
	batch   *pebble.Batch
	ordered byKey // goes into the batch last
	waiters []*request
	head    head // what is durable once the group is
	wrote   [streams]bool
	loose   bool   // it holds writes without a seq: notes, contacts
	number  uint64 // counted from 1
	begun   time.Time

	// What the batch will write, for requests of the same group that depend on it.
	ids       map[uuid.UUID]idRecord
	prompts   map[uuid.UUID]struct{}
	published map[string]consent.Hash // key of a publication → identity
}

func newGroup(db *pebble.DB) *group {
	return &group{batch: db.NewBatch(), ids: map[uuid.UUID]idRecord{}, prompts: map[uuid.UUID]struct{}{}, published: map[string]consent.Hash{}}
}

func (g *group) full() bool {
	return len(g.waiters) >= maxGroupRequests || g.batch.Len()+g.ordered.size() >= maxGroupBytes
}

// reset makes g ready to gather again; its batch has been committed or holds nothing.
func (g *group) reset() {
	clear(g.waiters)
	g.waiters, g.wrote, g.loose = g.waiters[:0], [streams]bool{}, false
	clear(g.ids)
	clear(g.prompts)
	clear(g.published)
	g.batch.Reset()
}

// run is the sequencer's life: gather; apply when nothing is syncing or enough has gathered; gather on.
func (s *sequencer) run() {
	defer s.l.done.Done()
	defer s.recoverPanic()
	go s.syncer()
	defer close(s.sync)
	s.open = newGroup(s.l.db)
	for {
		s.gather()
		if s.due() {
			if !s.apply() {
				return
			}
			continue
		}
		queue := s.l.queue
		if s.open.full() {
			queue = nil
		}
		select {
		case r := <-queue:
			s.add(r)
		case g := <-s.synced:
			s.landed(g)
		case <-s.l.fatal:
			return
		case <-s.l.stop:
			s.finish()
			return
		}
	}
}

// due reports whether the open group is to be applied now.
func (s *sequencer) due() bool {
	n := len(s.open.waiters)
	return n > 0 && (s.flying == 0 || n >= company && s.flying < maxFlying)
}

// gather takes everything that waits, without waiting for more.
func (s *sequencer) gather() {
	for !s.open.full() {
		select {
		case r := <-s.l.queue:
			s.add(r)
		default:
			return
		}
	}
}

// finish writes what is queued; nothing more is coming, because Close has closed the door.
func (s *sequencer) finish() {
	for {
		s.gather()
		switch {
		case s.due():
			if !s.apply() {
				return
			}
		case s.flying > 0:
			select {
			case g := <-s.synced:
				s.landed(g)
			case <-s.l.fatal:
				return
			}
		default:
			return
		}
	}
}

// apply makes the open group visible and hands it to the syncer; false: the ledger has failed.
func (s *sequencer) apply() bool {
	g := s.open
	s.groups++
	g.begun, g.number = time.Now(), s.groups
	if g.loose {
		s.l.loose.applied.Store(g.number)
	}
	if err := g.ordered.flush(g.batch); err != nil {
		s.l.fail(err)
		return false
	}
	if !g.batch.Empty() {
		s.head.batch++
		s.head.clock, s.head.ids = consent.Millis(s.l.latest.Load()), s.ids.top
		s.value = s.head.append(s.value[:0])
		g.batch.Set(s.headKey, s.value, nil)
		s.l.placed.Store(s.head.next[consent.StreamProofs])
		if err := s.commit(g.batch); err != nil {
			s.l.fail(fmt.Errorf("committing batch: %w", err))
			return false
		}
	}
	g.head = s.head
	s.forgetHot(g)
	s.flying++
	if n := len(s.spares); n > 0 {
		s.open, s.spares = s.spares[n-1], s.spares[:n-1]
	} else {
		s.open = newGroup(s.l.db)
	}
	s.sync <- g
	return true
}

// forgetHot lets nobody be answered from a state read before g became readable.
func (s *sequencer) forgetHot(g *group) {
	for _, r := range g.waiters {
		if r.proof != nil {
			s.key = stateKey(s.key[:0], r.proof.Site, r.proof.Personal.Subject)
			s.l.hot.forget(s.key)
		}
		for _, k := range r.touched {
			s.key = stateKey(s.key[:0], r.site, k)
			s.l.hot.forget(s.key)
		}
		for _, f := range r.former {
			s.key = stateKey(s.key[:0], f.Proof.Site, f.Proof.Personal.Subject)
			s.l.hot.forget(s.key)
		}
	}
}

func (s *sequencer) commit(b *pebble.Batch) error {
	if s.l.opt.noSync {
		return s.l.db.Apply(b, pebble.NoSync)
	}
	return s.l.db.ApplyNoSyncWait(b, pebble.Sync)
}

func (s *sequencer) landed(g *group) {
	g.reset()
	s.flying--
	s.spares = append(s.spares, g)
}

// syncer waits for each sync, says what is durable and answers everybody. The sequencer is told first, so
// that the next group syncs while this one is answered.
func (s *sequencer) syncer() {
	for g := range s.sync {
		if err := s.settle(g); err != nil {
			s.l.fail(err)
			return
		}
		s.l.metrics.committed(len(g.waiters), g.batch.Len(), time.Since(g.begun))
		waiters := append([]*request(nil), g.waiters...)
		for i, wrote := range g.wrote {
			if wrote {
				s.l.durable[i].Store(g.head.next[i])
				s.l.grown[i].open()
			}
		}
		if g.loose {
			s.l.loose.durable.Store(g.number)
			s.l.loose.grown.open()
		}
		s.synced <- g
		for _, r := range waiters {
			r.done <- nil
		}
	}
}

// settle returns once g is on disk and the watermark says so.
func (s *sequencer) settle(g *group) error {
	if g.batch.Empty() {
		return nil
	}
	if !s.l.opt.noSync {
		if err := g.batch.SyncWait(); err != nil {
			return fmt.Errorf("syncing batch: %w", err)
		}
	}
	return s.l.watermark.raise(g.head)
}

// recoverPanic turns a panic of Pebble's commit path (it panics when the WAL cannot be written) into a
// fatal error of the ledger.
func (s *sequencer) recoverPanic() {
	if v := recover(); v != nil {
		s.l.fail(fmt.Errorf("committing batch: %v", v))
	}
}

// add puts one request into the open group, or answers it at once when it writes nothing.
func (s *sequencer) add(r *request) {
	err := r.add(s, r)
	switch {
	case err == nil:
		s.open.waiters = append(s.open.waiters, r)
	case errors.Is(err, errAnswered):
		r.done <- nil
	case errors.Is(err, ErrConflict):
		r.done <- err
	default: // reading our own store failed: nothing is known any more
		s.l.fail(err)
	}
}

// errAnswered means that the answer is durable already.
var errAnswered = errors.New("answered")

func (s *sequencer) addProof(r *request) error {
	known, found, err := s.known(r.proof.ID)
	if err != nil {
		return err
	}
	if found {
		return s.replay(r, known)
	}
	seq := s.place(r, consent.StreamProofs)
	r.receipt = Receipt{At: r.proof.RecordedAt, Generation: s.l.current().Number, Seq: seq}
	rec := idRecord{seq: seq, at: r.proof.RecordedAt, digest: r.digest}
	s.open.ids[r.proof.ID] = rec
	s.ids.add(r.proof.ID)
	s.key, s.value = idKey(s.key[:0], r.proof.ID), rec.append(s.value[:0])
	s.open.ordered.add(pebble.InternalKeyKindSet, s.key, s.value)
	if err := s.fold(r.proof, seq); err != nil {
		return err
	}
	if err := errors.Join(s.note(r.proof.Personal.Subject, seq), s.addNotes(r)); err != nil {
		return err
	}
	return s.grow(consent.StreamProofs, r.leaf)
}

// replay answers a proof id that was used before: the same content gets the same answer, once durable.
func (s *sequencer) replay(r *request, known idRecord) error {
	if known.digest != r.digest {
		return ErrConflict
	}
	r.receipt = Receipt{At: known.at, Generation: known.generation, Seq: known.seq, Replayed: true}
	if known.generation == 0 {
		r.receipt.Generation = s.l.Generation(consent.StreamProofs, known.seq)
	}
	if known.generation == 0 && known.seq < s.l.durable[consent.StreamProofs].Load() {
		return errAnswered
	}
	return nil // its first write is in flight or in this group: wait with it
}

func (s *sequencer) known(id uuid.UUID) (idRecord, bool, error) {
	if s.ids.fresh(id) {
		return idRecord{}, false, nil
	}
	if rec, ok := s.open.ids[id]; ok {
		return rec, true, nil
	}
	s.key = idKey(s.key[:0], id)
	rec, found, err := s.l.idRecord(s.key)
	if found || err != nil {
		return rec, found, err
	}
	s.key = formerKey(s.key[:0], id)
	return s.l.idRecord(s.key)
}

// place writes the entry of r under the next seq of its stream.
func (s *sequencer) place(r *request, stream consent.Stream) uint64 {
	seq := s.head.next[stream]
	s.head.next[stream]++
	s.open.wrote[stream] = true
	s.key = entryKey(s.key[:0], stream, seq)
	s.open.batch.Set(s.key, r.entry, nil) // a Set on a batch of the same DB only grows memory: it cannot fail
	return seq
}

// fold brings the subject's state up to date with what this proof says.
func (s *sequencer) fold(p *consent.Proof, seq uint64) error {
	s.value = consent.AppendState(s.value[:0], consent.StateOf(p, seq))
	return s.merge(p.Site, p.Personal.Subject, s.value)
}

// merge adds a binary state to that of a subject: unread, unless the subject's pile has grown too high.
func (s *sequencer) merge(site string, subject consent.SubjectKey, state []byte) error {
	s.key = stateKey(s.key[:0], site, subject)
	s.l.seen.add(s.key)
	if !s.piles.due(subject, s.groups) {
		s.open.ordered.add(pebble.InternalKeyKindMerge, s.key, state)
		return nil
	}
	sum := state
	_, err := s.l.view(s.key, func(v []byte) (err error) {
		sum, err = consent.MergeStates(nil, v, state)
		return err
	})
	if err != nil {
		return err
	}
	s.open.ordered.add(pebble.InternalKeyKindSet, s.key, sum)
	return nil
}

// grow adds a leaf to a log.
func (s *sequencer) grow(log consent.Stream, leaf [hashSize]byte) error {
	return s.trees[log].push(leaf, func(level int, n uint64, tile []byte) error {
		s.key = tileKey(s.key[:0], log, level, n)
		return s.open.batch.Set(s.key, tile, nil)
	})
}

// addPrompt counts a prompt once: its id is remembered for the day it came and looked up in that and the
// day before, so that old days can be forgotten in one stroke.
func (s *sequencer) addPrompt(r *request) error {
	id, day := r.prompt.ID, dayOf(r.prompt.ShownAt)
	if _, ok := s.open.prompts[id]; ok {
		return nil
	}
	for _, d := range []uint32{day, day - 1} {
		s.key = promptKey(s.key[:0], d, id)
		if known, err := s.l.has(s.key); err != nil {
			return err
		} else if known {
			return nil // maybe still in flight: wait with this group
		}
	}
	s.open.prompts[id] = struct{}{}
	s.place(r, consent.StreamPrompts)
	s.key = promptKey(s.key[:0], day, id)
	return s.open.batch.Set(s.key, nil, nil)
}

// addPublication logs what was made public, unless that is known already: for good, or as the current one of its
// kind.
func (s *sequencer) addPublication(r *request) error {
	p := r.publication
	known, err := s.isPublished(p)
	if err != nil || known {
		return err // maybe still in flight: wait with this group
	}
	seq := s.place(r, consent.StreamWordings)
	identity := p.Identity()
	if p.Recurs() {
		s.key = currentKey(s.key[:0], p)
		s.open.published[string(s.key)] = identity
		if err := s.open.batch.Set(s.key, identity[:], nil); err != nil {
			return err
		}
	} else {
		s.open.published[string(publishedKey(s.key[:0], p, seq))] = identity
	}
	if err := s.index(p, seq, r.entry); err != nil {
		return err
	}
	return s.grow(consent.StreamWordings, r.leaf)
}

// isPublished asks the open group, then the store.
func (s *sequencer) isPublished(p *consent.Publication) (bool, error) {
	s.key = publishedKey(s.key[:0], p, 0)
	if p.Recurs() {
		s.key = currentKey(s.key[:0], p)
	}
	identity := p.Identity()
	if last, ok := s.open.published[string(s.key)]; ok {
		return last == identity, nil
	}
	if !p.Recurs() {
		return s.l.has(s.key)
	}
	same := false
	_, err := s.l.view(s.key, func(v []byte) error {
		same = string(v) == string(identity[:])
		return nil
	})
	return same, err
}

// index makes a publication findable by kind, and a wording by its hash.
func (s *sequencer) index(p *consent.Publication, seq uint64, entry []byte) error {
	s.key = publishedKey(s.key[:0], p, seq)
	s.value = binary.BigEndian.AppendUint64(s.value[:0], seq)
	if err := s.open.batch.Set(s.key, s.value, nil); err != nil || p.Kind != consent.PublishedWording {
		return err
	}
	s.key = wordingKey(s.key[:0], p.Site, p.Hash)
	return s.open.batch.Set(s.key, entry, nil)
}

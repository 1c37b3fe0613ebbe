package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

var kit *storagetest.Kit

func TestMain(m *testing.M) { storagetest.Main(m, func(k *storagetest.Kit) { kit = k }) }

func openWarehouse(t *testing.T) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(warehouse.Options{URL: kit.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (e *edge) checkpoint(log consent.Stream) evidence.Checkpoint {
	e.t.Helper()
	_, c, err := e.Checkpoint(log)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// run runs the keeper until the function it returns is called.
func (e *edge) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	e.t.Cleanup(stop)
	return stop
}

// restore puts a backup of the ledger in the place of the ledger.
func restore(t *testing.T, dir, backup string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, "ledger")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(backup, filepath.Join(dir, "ledger")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "restored"), nil, 0o600); err != nil { // openEdge begins a new generation
		t.Fatal(err)
	}
}

// setBack is a restore that nobody told the ledger of: an older copy of the whole directory, in its old generation.
func setBack(t *testing.T, dir, copied string) {
	t.Helper()
	restore(t, dir, copied)
	if err := os.Remove(filepath.Join(dir, "restored")); err != nil {
		t.Fatal(err)
	}
}

func copyLedger(t *testing.T, dir, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(filepath.Join(dir, "ledger"))); err != nil {
		t.Fatal(err)
	}
}

func TestALogIsSealedWhileItGrows(t *testing.T) {
	e := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Every = time.Millisecond })
	e.run()
	e.recordMany(3, nil)
	storagetest.Eventually(t, time.Minute, "three proofs sealed", func() bool {
		_, c, err := e.Checkpoint(consent.StreamProofs)
		return err == nil && c.Size == 3
	})
	before := e.checkpoint(consent.StreamProofs)
	e.seal()
	if after := e.checkpoint(consent.StreamProofs); after.At != before.At {
		t.Error("a log that did not grow was sealed again")
	}
	if got, err := os.ReadFile(filepath.Join(e.dir, "log", "proofs.checkpoint")); err != nil || !strings.HasPrefix(string(got), "consentd/e1/proofs\n3\n") {
		t.Errorf("outside the ledger: %q %v", got, err)
	}
	if err := e.Health(); err != nil {
		t.Error(err)
	}
}

func TestANewKeySignsALogThatDoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	e := openEdge(t, dir)
	rec := e.record(e.proof(1, nil))
	e.seal()
	before := e.checkpoint(consent.StreamProofs)
	e.ledger.Close()
	young := signer(t, "consentd/e1", 2)
	e = openEdge(t, dir, func(o *evidence.Options) { o.Signers = append([]evidence.Signer{young}, o.Signers...) })
	file := e.file(rec)
	wantOK(t, file, young.Key)
	wantOK(t, file, signer(t, "consentd/e1", 1).Key)
	if c := e.checkpoint(consent.StreamProofs); c.Size != before.Size || c.Root != before.Root || c.Origin != before.Origin {
		t.Errorf("%+v, want %+v", c, before)
	}
}

func TestAnEmptyLogHasACheckpointToo(t *testing.T) {
	e := openEdge(t, t.TempDir())
	if _, _, err := e.Checkpoint(consent.StreamProofs); !errors.Is(err, evidence.ErrNotSettled) {
		t.Errorf("before anything was sealed: %v", err)
	}
	e.seal()
	if c := e.checkpoint(consent.StreamProofs); c.Size != 0 || c.Root.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("%+v", c)
	}
	if _, _, err := e.Checkpoint(consent.StreamPrompts); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("prompts have no log: %v", err)
	}
}

func TestARestartGoesOnUnderTheSameOrigin(t *testing.T) {
	dir := t.TempDir()
	e := openEdge(t, dir)
	e.recordMany(5, nil)
	e.seal()
	before := e.checkpoint(consent.StreamProofs)
	e.recordMany(3, nil) // recorded, not sealed
	e.ledger.Close()
	e = openEdge(t, dir)
	if c := e.checkpoint(consent.StreamProofs); c != before {
		t.Errorf("right after the start %+v, want %+v", c, before)
	}
	e.seal()
	if c := e.checkpoint(consent.StreamProofs); c.Size != 8 || c.Origin != before.Origin || c.Succeeds != nil {
		t.Errorf("%+v", c)
	}
}

// TestAnOldBackupIsNoticed is the whole story: evidence is given away, the ledger is set back to an older backup and
// records other proofs in the places of those lost. The edge says so, signs nothing under the old origin, and what
// was given away verifies beside what is given now.
func TestAnOldBackupIsNoticed(t *testing.T) {
	for _, row := range []struct {
		name string
		wipe bool // the directory of checkpoints is gone as well; ClickHouse remembers
	}{{"the file remembers", false}, {"ClickHouse remembers", true}} {
		t.Run(row.name, func(t *testing.T) { anOldBackup(t, row.wipe) })
	}
}

func anOldBackup(t *testing.T, wipe bool) {
	w := openWarehouse(t)
	dir := t.TempDir()
	far := func(o *evidence.Options) {
		o.Far, o.Every, o.FarEvery = []evidence.Anchor{w}, time.Millisecond, 10*time.Millisecond
	}
	text := wording(t, "fr", "Vos choix")
	e := openEdge(t, dir, far)
	stop := e.run()
	e.publish(text)
	e.recordMany(10, text)
	storagetest.Eventually(t, time.Minute, "sealed", func() bool { _, c, err := e.Checkpoint(consent.StreamProofs); return err == nil && c.Size == 10 })
	if err := e.ledger.Checkpoint(dir + "/backup"); err != nil {
		t.Fatal(err)
	}
	kept := e.record(e.proof(11, text))
	e.recordMany(4, text)
	storagetest.Eventually(t, time.Minute, "sealed", func() bool { return e.checkpoint(consent.StreamProofs).Size == 15 })
	given := e.file(kept)
	old := e.checkpoint(consent.StreamProofs)
	storagetest.Eventually(t, time.Minute, "ClickHouse knows", func() bool { // a keeper that ends tells it within its time only
		notes, err := w.Checkpoints(t.Context(), "consentd/e1/proofs")
		return err == nil && slices.ContainsFunc(notes, func(n []byte) bool { return bytes.HasPrefix(n, []byte("consentd/e1/proofs\n15\n")) })
	})
	stop()
	e.ledger.Close()
	restore(t, dir, dir+"/backup")
	if wipe {
		if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
	}

	e = openEdge(t, dir, far)
	e.run()
	storagetest.Eventually(t, time.Minute, "settled", func() bool {
		_, c, err := e.Checkpoint(consent.StreamProofs)
		_, _, other := e.Checkpoint(consent.StreamWordings) // each log asks ClickHouse by itself
		return err == nil && other == nil && c.Origin != old.Origin
	})
	rec := e.recordMany(7, text)[3]
	file := e.file(rec)
	c := e.checkpoint(consent.StreamProofs)
	if c.Origin != "consentd/e1/proofs/2" || c.Succeeds == nil || c.Succeeds.Origin != old.Origin || c.Succeeds.Size != old.Size || c.Succeeds.Root != old.Root {
		t.Errorf("%+v", c)
	}
	if p := e.checkpoint(consent.StreamWordings); p.Origin != "consentd/e1/published/2" || p.Succeeds == nil || p.Succeeds.Origin != "consentd/e1/published" {
		t.Errorf("the other log: %+v", p)
	}
	wantOK(t, given, e.key())
	wantOK(t, file, e.key())
	oldNote, err := os.ReadFile(filepath.Join(dir, "log", "proofs.checkpoint"))
	if err != nil || !strings.HasPrefix(string(oldNote), "consentd/e1/proofs/2\n") {
		t.Errorf("%s %v", oldNote, err)
	}
	signed, err := evidence.Decode(given)
	if err != nil {
		t.Fatal(err)
	}
	r := evidence.Verify(file, []evidence.Key{e.key()}, []byte(signed.Evidence.Logs.Proofs.Checkpoint))
	if got := status(r, "checkpoint", "consistent"); got == evidence.Refused || got == "" {
		t.Errorf("the succession is %q:\n%s", got, steps(r))
	}
	if _, err := e.Make(t.Context(), evidence.Request{Site: demo, Proofs: []evidence.Recorded{kept}}); !errors.Is(err, evidence.ErrRestored) {
		t.Errorf("evidence for a proof that was lost: %v", err)
	}

	// A further start finds nothing new.
	e.ledger.Close()
	e = openEdge(t, dir, far)
	e.run()
	e.recordMany(1, text)
	storagetest.Eventually(t, time.Minute, "sealed again", func() bool { _, c, err := e.Checkpoint(consent.StreamProofs); return err == nil && c.Size == 18 })
	if again := e.checkpoint(consent.StreamProofs); again.Origin != c.Origin || again.Succeeds == nil || *again.Succeeds != *c.Succeeds {
		t.Errorf("%+v, want the origin %s", again, c.Origin)
	}
}

// TestALogThatWasSetBackSignsNothing: an older copy of the ledger put in its place as it is, with what remembers more
// near by or far away.
func TestALogThatWasSetBackSignsNothing(t *testing.T) {
	for _, near := range []bool{true, false} {
		dir := t.TempDir()
		far := evidence.Directory{Path: t.TempDir()}
		disagreed := make(chan error, 2)
		anchors := func(o *evidence.Options) {
			o.Far, o.Every, o.FarEvery = []evidence.Anchor{far}, time.Millisecond, time.Millisecond
			o.Disagrees = func(err error) { disagreed <- err }
		}
		e := openEdge(t, dir, anchors)
		e.recordMany(3, nil)
		e.ledger.Close()
		copyLedger(t, dir, dir+"/copy")
		e = openEdge(t, dir, anchors)
		stop := e.run()
		e.recordMany(3, nil)
		storagetest.Eventually(t, time.Minute, "the far anchor knows", func() bool {
			notes, err := far.Checkpoints(t.Context(), "consentd/e1/proofs")
			return err == nil && len(notes) == 1 && bytes.HasPrefix(notes[0], []byte("consentd/e1/proofs\n6\n"))
		})
		stop()
		e.ledger.Close()
		setBack(t, dir, dir+"/copy")
		if near {
			_, err := tryEdge(t, dir, anchors)
			if !errors.Is(err, evidence.ErrDisagrees) {
				t.Errorf("the directory beside the ledger remembers: %v", err)
			}
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
		e = openEdge(t, dir, anchors)
		e.recordMany(1, nil)
		e.run()
		if err := <-disagreed; !errors.Is(err, evidence.ErrDisagrees) {
			t.Errorf("the far anchor remembers: %v", err)
		}
		storagetest.Eventually(t, time.Minute, "its health says so", func() bool { return errors.Is(e.Health(), evidence.ErrDisagrees) })
	}
}

// The negative control: a copy of an edge that remembers nothing outside the ledger forks.
func TestWithoutAnAnchorACopyForksUnnoticed(t *testing.T) {
	dir := t.TempDir()
	alone := func(o *evidence.Options) { o.Near = nil }
	e := openEdge(t, dir, alone)
	e.recordMany(3, nil)
	e.ledger.Close()
	copyLedger(t, dir, dir+"/copy")
	e = openEdge(t, dir, alone)
	e.recordMany(3, nil)
	e.seal()
	first := e.checkpoint(consent.StreamProofs)
	e.ledger.Close()
	setBack(t, dir, dir+"/copy")
	e = openEdge(t, dir, alone)
	e.recordMany(3, nil)
	e.seal()
	second := e.checkpoint(consent.StreamProofs)
	if first.Origin != second.Origin || first.Size != second.Size || first.Root == second.Root {
		t.Errorf("the control does not fork: %+v %+v", first, second)
	}
}

func TestASecondBackupStartsAThirdOrigin(t *testing.T) {
	dir := t.TempDir()
	for generation := 1; generation <= 3; generation++ {
		e := openEdge(t, dir)
		e.seal()
		want := "consentd/e1/proofs"
		if generation > 1 {
			want += fmt.Sprintf("/%d", generation)
		}
		if c := e.checkpoint(consent.StreamProofs); c.Origin != want {
			t.Fatalf("%+v, want origin %s", c, want)
		}
		backup := fmt.Sprintf("%s/backup%d", dir, generation)
		if err := e.ledger.Checkpoint(backup); err != nil {
			t.Fatal(err)
		}
		e.recordMany(3, nil)
		e.seal()
		e.ledger.Close()
		restore(t, dir, backup)
	}
}

// slowAnchor does not answer until it is told to.
type slowAnchor struct {
	evidence.Anchor
	mu   sync.Mutex
	up   bool
	told int
}

var errAway = errors.New("away")

func (s *slowAnchor) answers() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		return errAway
	}
	return nil
}

func (s *slowAnchor) Checkpoints(ctx context.Context, log string) ([][]byte, error) {
	if err := s.answers(); err != nil {
		return nil, err
	}
	return s.Anchor.Checkpoints(ctx, log)
}

func (s *slowAnchor) KeepCheckpoint(ctx context.Context, log, origin string, size uint64, at consent.Millis, note []byte) error {
	s.mu.Lock()
	s.told++
	s.mu.Unlock()
	return s.Anchor.KeepCheckpoint(ctx, log, origin, size, at, note)
}

// TestAnEdgeWithoutMemoryWaitsForTheFarAnchor: nothing near remembers, so nothing is signed until the far one says
// what it remembers, and it is told nothing before it was asked.
func TestAnEdgeWithoutMemoryWaitsForTheFarAnchor(t *testing.T) {
	far := &slowAnchor{Anchor: evidence.Directory{Path: t.TempDir()}}
	e := openEdge(t, t.TempDir(), func(o *evidence.Options) {
		o.Far, o.Every, o.FarEvery, o.Patience = []evidence.Anchor{far}, time.Millisecond, time.Millisecond, time.Nanosecond
	})
	e.recordMany(3, nil)
	stop := e.run()
	storagetest.Eventually(t, time.Minute, "it says that it waits", func() bool { return errors.Is(e.Health(), evidence.ErrNotSettled) })
	if _, _, err := e.Checkpoint(consent.StreamProofs); !errors.Is(err, evidence.ErrNotSettled) {
		t.Errorf("it signed all the same: %v", err)
	}
	if _, err := e.Make(t.Context(), evidence.Request{Site: demo}); !errors.Is(err, evidence.ErrNotSettled) {
		t.Errorf("evidence before that: %v", err)
	}
	far.mu.Lock()
	told := far.told
	far.up = true
	far.mu.Unlock()
	if told != 0 {
		t.Errorf("an anchor that was not asked was told %d times", told)
	}
	storagetest.Eventually(t, time.Minute, "sealed once it answers", func() bool { _, c, err := e.Checkpoint(consent.StreamProofs); return err == nil && c.Size == 3 })
	stop()
	notes, err := far.Checkpoints(t.Context(), "consentd/e1/proofs")
	if err != nil || len(notes) != 1 || !bytes.HasPrefix(notes[0], []byte("consentd/e1/proofs\n3\n")) {
		t.Errorf("the far anchor keeps %q, %v", notes, err)
	}
}

func TestAFreshKeyHasNothingToWaitFor(t *testing.T) {
	far := &slowAnchor{Anchor: evidence.Directory{Path: t.TempDir()}}
	e := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Far, o.Fresh = []evidence.Anchor{far}, true })
	rec := e.record(e.proof(1, nil))
	wantOK(t, e.file(rec), e.key())
}

func TestAnEdgeThatRemembersGoesOnWithoutTheFarAnchor(t *testing.T) {
	dir := t.TempDir()
	e := openEdge(t, dir)
	e.recordMany(3, nil)
	e.seal()
	e.ledger.Close()
	far := &slowAnchor{Anchor: evidence.Directory{Path: t.TempDir()}}
	e = openEdge(t, dir, func(o *evidence.Options) {
		o.Far, o.Every, o.FarEvery, o.Patience = []evidence.Anchor{far}, time.Millisecond, time.Millisecond, 10*time.Millisecond
	})
	e.run()
	e.recordMany(1, nil)
	storagetest.Eventually(t, time.Minute, "sealed after its patience", func() bool { e.clock.now(); return e.checkpoint(consent.StreamProofs).Size == 4 })
}

func TestAnAnchorThatLiesIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	forged, err := (&evidence.Checkpoint{Origin: "consentd/e1/proofs", Size: 1000, At: 1}).Sign(signer(t, "consentd/e1", 66))
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range [][]byte{forged, []byte("garbage"), nil} {
		if err := (evidence.Directory{Path: dir + "/log"}).KeepCheckpoint(t.Context(), "consentd/e1/proofs", "", 0, 0, note); err != nil {
			t.Fatal(err)
		}
		e := openEdge(t, dir)
		e.seal()
		if c := e.checkpoint(consent.StreamProofs); c.Origin != "consentd/e1/proofs" || c.Size != 0 {
			t.Errorf("%+v", c)
		}
		if !strings.Contains(e.log.String(), "passed over") {
			t.Errorf("%q: nothing is said", note)
		}
		e.ledger.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBundlesComeFromTheArchive: what the ledger has trimmed is served from ClickHouse, as long as it is what the
// log says.
func TestBundlesComeFromTheArchive(t *testing.T) {
	const held, recorded = 4096, 4096 + 88 // the ledger keeps the newest chunk
	w := openWarehouse(t)
	e := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Archive = w })
	all := e.recordMany(recorded, nil)
	e.seal()
	tile := evidence.Tile{Entries: true, N: 1, Width: 256}
	want, err := e.Tile(t.Context(), consent.StreamProofs, tile)
	if err != nil {
		t.Fatal(err)
	}
	var proofs []*consent.Proof
	for _, r := range all {
		proofs = append(proofs, r.Proof)
	}
	send := func(first uint64, proofs []*consent.Proof) {
		t.Helper()
		if err := w.SendProofs(t.Context(), consent.Place{Edge: proofs[0].Edge, Generation: consent.FirstGeneration, Seq: first}, proofs); err != nil {
			t.Fatal(err)
		}
	}
	send(0, proofs)
	stray := *proofs[300]
	stray.RecordedAt++
	send(300, []*consent.Proof{&stray}) // somebody else's under the same seq
	trim := func() error {
		return errors.Join(e.ledger.SaveCursor(consent.StreamProofs, consent.Cursor{Next: recorded, End: recorded}), e.ledger.Trim(consent.StreamProofs, recorded))
	}
	if err := trim(); err != nil {
		t.Fatal(err)
	}
	if first := e.ledger.First(consent.StreamProofs); first != held {
		t.Fatalf("the ledger still holds from %d", first)
	}
	if got, err := e.Tile(t.Context(), consent.StreamProofs, tile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("from the archive: %d bytes, %v; want %d", len(got), err, len(want))
	}
	if got, err := e.Tile(t.Context(), consent.StreamProofs, evidence.Tile{Entries: true, N: held / 256, Width: 88}); err != nil || len(got) == 0 {
		t.Errorf("half trimmed: %v", err)
	}
	missing := openEdge(t, t.TempDir(), func(o *evidence.Options) { o.Archive = openWarehouse(t) })
	missing.recordMany(recorded, nil)
	missing.seal()
	if err := errors.Join(missing.ledger.SaveCursor(consent.StreamProofs, consent.Cursor{Next: recorded, End: recorded}), missing.ledger.Trim(consent.StreamProofs, recorded)); err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Tile(t.Context(), consent.StreamProofs, tile); !errors.Is(err, evidence.ErrArchive) {
		t.Errorf("an archive that lost rows: %v", err)
	}
}

func TestNothingBeyondTheCheckpointIsServed(t *testing.T) {
	e := openEdge(t, t.TempDir())
	e.recordMany(5, nil)
	e.seal()
	e.recordMany(5, nil)
	for _, tile := range []evidence.Tile{{Width: 6}, {Width: 256}, {N: 1, Width: 1}, {Level: 1, Width: 1}, {Entries: true, Width: 6}, {Level: 63, Width: 1}, {Width: 0}, {N: 1 << 62, Width: 1}} {
		if _, err := e.Tile(t.Context(), consent.StreamProofs, tile); !errors.Is(err, evidence.ErrNotFound) {
			t.Errorf("%+v: %v, want ErrNotFound", tile, err)
		}
	}
	if b, err := e.Tile(t.Context(), consent.StreamProofs, evidence.Tile{Width: 5}); err != nil || len(b) != 160 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

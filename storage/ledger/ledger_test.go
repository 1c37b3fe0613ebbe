package ledger

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestAppendedProofIsReadBack(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true, false)
	r := mustAppend(t, l, p)
	if r.Seq != 0 || r.At != p.RecordedAt || r.Replayed {
		t.Fatalf("receipt %+v", r)
	}
	got, seq, err := l.Proof(p.ID)
	if err != nil || seq != 0 {
		t.Fatalf("Proof: seq %d, %v", seq, err)
	}
	if d := cmp.Diff(p, got, cmp.Comparer(func(a, b consent.Hash) bool { return a == b }), cmpAddr); d != "" {
		t.Error(d)
	}
	st, ok, err := l.Standing("demo", subject(1), "purpose0", l.Now())
	if err != nil || !ok || st.Status != consent.StatusGranted || st.Proof != p.ID || st.Seq != 0 {
		t.Errorf("standing %+v %v %v", st, ok, err)
	}
	if _, ok, err := l.Standing("demo", subject(1), "purpose9", l.Now()); ok || err != nil {
		t.Errorf("a purpose never asked: %v %v", ok, err)
	}
	if _, ok, err := l.Standing("other", subject(1), "purpose0", l.Now()); ok || err != nil {
		t.Errorf("another site: %v %v", ok, err)
	}
}

func TestSameIDAgain(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true)
	first := mustAppend(t, l, p)

	again := *p // a client's retry: same words, later, from another address
	again.RecordedAt, again.Personal.UserAgent, again.Personal.Salt = l.Now()+1000, "other", consent.NewSalt()
	if r := mustAppend(t, l, &again); !r.Replayed || r.Seq != first.Seq || r.At != first.At {
		t.Errorf("same content again: %+v, first %+v", r, first)
	}
	other := *p
	other.Decisions = []consent.Choice{{Purpose: "purpose0", Granted: false}}
	if _, err := l.Append(t.Context(), &other); !errors.Is(err, ErrConflict) {
		t.Errorf("other content: %v, want ErrConflict", err)
	}
	if n := l.Next(consent.StreamProofs); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

// TestReplaysAreFoundHoweverOld posts ids again from the same group, the same run, a run before, an earlier
// generation of recentIDs, and clients whose clocks are hours off.
func TestReplaysAreFoundHoweverOld(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	var all []*consent.Proof
	add := func(skew time.Duration) {
		p := proof(l, len(all), consent.MethodCustom, true)
		p.ID = v7At(l.Now() + consent.Millis(skew.Milliseconds()))
		mustAppend(t, l, p)
		all = append(all, p)
	}
	again := func(when string) {
		t.Helper()
		for i, p := range all {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if r, err := l.Append(t.Context(), p); err != nil || !r.Replayed || r.Seq != uint64(i) {
						t.Errorf("%s: proof %d again: %+v %v", when, i, r, err)
					}
				})
			}
			wg.Wait()
		}
	}
	for _, skew := range []time.Duration{0, -9 * time.Hour, 20 * time.Hour, 0, time.Minute, -time.Minute} {
		add(skew)
	}
	again("in the same run")
	l.Close()
	l = open(t, Options{Dir: dir})
	again("after a restart")
	add(0)
	add(21 * time.Hour)
	again("in two runs")
	if n := l.Next(consent.StreamProofs); n != uint64(len(all)) {
		t.Errorf("%d entries, want %d", n, len(all))
	}
}

func v7At(at consent.Millis) uuid.UUID {
	id := uuid.New()
	for i := range 6 {
		id[i] = byte(at >> (8 * (5 - i)))
	}
	id[6] = id[6]&0x0f | 0x70
	return id
}

func TestRecentIDsForgetNothingOverGenerations(t *testing.T) {
	r := newRecentIDs(1000)
	if r.fresh(v7At(1000)) {
		t.Error("an id no later than what was there at the start may be known")
	}
	fresh := 0
	var kept []uuid.UUID
	for i := range generationIDs + generationIDs/2 {
		id := v7At(consent.Millis(2000 + i))
		if r.fresh(id) {
			fresh++
		}
		r.add(id)
		if i%5000 == 0 {
			kept = append(kept, id)
		}
	}
	for _, id := range kept {
		if r.fresh(id) {
			t.Fatalf("%s was added and is called new", id)
		}
	}
	if total := generationIDs + generationIDs/2; fresh < total*99/100 {
		t.Errorf("%d of %d new ids recognised as new", fresh, total)
	}
}

func TestManyWritersGetContiguousSeqsAndOneTree(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	const writers, each = 32, 40
	seen := make([]bool, writers*each)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r, err := l.Append(t.Context(), proof(l, w*each+i, consent.MethodAcceptAll, true))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if r.Seq >= uint64(len(seen)) || seen[r.Seq] {
					t.Errorf("seq %d given twice or out of range", r.Seq)
				} else {
					seen[r.Seq] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	checkWhole(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	checkWhole(t, l)
	if r := mustAppend(t, l, proof(l, 1, consent.MethodCustom, true)); r.Seq != writers*each {
		t.Errorf("after reopening seq %d, want %d", r.Seq, writers*each)
	}
	checkWhole(t, l)
}

func TestPromptsCountOnce(t *testing.T) {
	l := open(t, Options{})
	p := &consent.Prompt{ID: uuid.New(), Site: "demo", Edge: "e1", ShownAt: l.Now(), Surface: "banner", Locale: "fr"}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := l.AppendPrompt(t.Context(), p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	yesterday := *p
	yesterday.ShownAt += consent.Millis((20 * time.Hour).Milliseconds()) // over midnight
	if err := l.AppendPrompt(t.Context(), &yesterday); err != nil {
		t.Error(err)
	}
	if n := l.Next(consent.StreamPrompts); n != 1 {
		t.Errorf("%d prompts, want 1", n)
	}
}

func TestWordingsArePublishedOnce(t *testing.T) {
	l := open(t, Options{})
	w, err := consent.Wording{V: 1, Site: "demo", Surface: "banner", Locale: "fr", Title: "Cookies"}.Publish()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Publish(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.Next(consent.StreamWordings); n != 1 {
		t.Errorf("%d publications, want 1", n)
	}
	got, err := l.Wording("demo", w.Hash)
	if err != nil || string(got.Doc) != string(w.Doc) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := l.Wording("other", w.Hash); !errors.Is(err, ErrNotFound) {
		t.Errorf("another site's wording: %v", err)
	}
}

func TestStandingsAnswersInOrder(t *testing.T) {
	l := open(t, Options{})
	var keys []consent.SubjectKey
	for i := range 700 {
		if i%3 != 0 {
			mustAppend(t, l, proof(l, i, consent.MethodCustom, i%2 == 0, true))
		}
		keys = append(keys, subject(i))
	}
	next := 0
	err := l.Standings("demo", keys, []string{"purpose1", "purpose0", "none"}, l.Now(), func(i int, sts []consent.Standing) {
		if i != next {
			t.Fatalf("visited %d, want %d", i, next)
		}
		next++
		want := []consent.Status{consent.StatusGranted, consent.StatusDenied, consent.StatusUnknown}
		if i%2 == 0 {
			want[1] = consent.StatusGranted
		}
		if i%3 == 0 {
			want = make([]consent.Status, 3)
		}
		got := []consent.Status{sts[0].Status, sts[1].Status, sts[2].Status}
		if !cmp.Equal(got, want) {
			t.Fatalf("subject %d: %v, want %v", i, got, want)
		}
	})
	if err != nil || next != len(keys) {
		t.Fatalf("%v after %d", err, next)
	}
}

// TestReadersNeverSeeAnOldState writes and reads a few subjects at once: what was acknowledged before a read
// began is in it.
func TestReadersNeverSeeAnOldState(t *testing.T) {
	l := open(t, Options{})
	const subjects = 4
	var acked [subjects]atomic.Int64 // seq of the last acknowledged proof + 1
	var wg sync.WaitGroup
	for n := range subjects {
		wg.Go(func() {
			for i := range 80 {
				acked[n].Store(int64(mustAppend(t, l, later(proof(l, n, consent.MethodCustom, i%2 == 0), i)).Seq) + 1)
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				n := i % subjects
				want := acked[n].Load() - 1
				st, ok, err := l.Standing("demo", subject(n), "purpose0", l.Now())
				if err != nil || want >= 0 && (!ok || int64(st.Seq) < want) {
					t.Errorf("seq %d of an acknowledged proof, read %+v %v %v", want, st, ok, err)
					return
				}
				if l.Next(consent.StreamProofs) == 80*subjects {
					return
				}
			}
		})
	}
	wg.Wait()
}

// later gives p a time of its own, so that the newest seq wins.
func later(p *consent.Proof, i int) *consent.Proof {
	p.RecordedAt += consent.Millis(i)
	return p
}

func TestStatesAreInMemoryAfterAStart(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	const subjects = 100
	for n := range subjects {
		mustAppend(t, l, proof(l, n, consent.MethodCustom, true))
	}
	l.Close()
	l = open(t, Options{Dir: dir})
	for n := range subjects {
		eventually(t, func() bool {
			_, ok := l.hot.get(nil, stateKey(nil, "demo", subject(n)))
			return ok
		})
	}
	mustAppend(t, l, proof(l, 1, consent.MethodWithdraw, false))
	wantStatus(t, l, 1, consent.StatusWithdrawn)
	wantStatus(t, l, 2, consent.StatusGranted)
}

func TestSeenSubjectsHidesNobody(t *testing.T) {
	s := newSeenSubjects(1 << 10)
	const subjects = 500
	if s.stranger([]byte("anybody")) {
		t.Error("a filter that is not complete knows nothing")
	}
	s.complete.Store(true)
	for n := range subjects {
		s.add(stateKey(nil, "demo", subject(n)))
	}
	strangers := 0
	for n := range subjects {
		if s.stranger(stateKey(nil, "demo", subject(n))) {
			t.Fatalf("subject %d was added and is called a stranger", n)
		}
		if s.stranger(stateKey(nil, "demo", subject(n+1_000_000))) {
			strangers++
		}
	}
	if strangers < subjects*95/100 {
		t.Errorf("%d of %d strangers recognised", strangers, subjects)
	}
}

func TestClockSetBackNeverUndoesAWithdrawal(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	clock := func() time.Time { return now }
	l := open(t, Options{Dir: dir, Clock: clock})
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	now = now.Add(-time.Hour)
	mustAppend(t, l, proof(l, 1, consent.MethodWithdraw, false))
	wantStatus(t, l, 1, consent.StatusWithdrawn)
	if l.Skew() != time.Hour {
		t.Errorf("skew %v, want 1h", l.Skew())
	}
	l.Close()

	now = now.Add(-time.Hour)
	l = open(t, Options{Dir: dir, Clock: clock})
	now = now.Add(time.Minute)
	p := proof(l, 1, consent.MethodCustom, true)
	if got := p.RecordedAt.Time(); got.Before(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("after a restart the clock says %v, before the last proof", got)
	}
	wantStatus(t, l, 1, consent.StatusWithdrawn)
}

// TestASubjectWrittenAgainAndAgain crosses merged and whole writes of one state, alone and beside others.
func TestASubjectWrittenAgainAndAgain(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	var want consent.State
	for i := range 10 * maxPile {
		p := proof(l, 1, consent.MethodCustom, i%3 == 0, i%2 == 0)
		r := mustAppend(t, l, p)
		want = want.Apply(p, r.Seq)
		got, err := l.State("demo", subject(1))
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("after %d proofs: %+v %v, want %+v", i+1, got, err, want)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 * maxPile {
				mustAppend(t, l, proof(l, 2, consent.MethodCustom, true))
			}
		})
	}
	wg.Wait()
	last := proof(l, 2, consent.MethodCustom, false)
	last.RecordedAt++
	mustAppend(t, l, last)
	wantStatus(t, l, 2, consent.StatusWithdrawn)
	l.Close()
	l = open(t, Options{Dir: dir})
	wantStatus(t, l, 2, consent.StatusWithdrawn)
	if got, err := l.State("demo", subject(1)); err != nil || !cmp.Equal(got, want) {
		t.Errorf("after reopening: %+v %v", got, err)
	}
}

func TestPilesAreWrittenInFullWhenTheyAreHigh(t *testing.T) {
	var p piles
	full := 0
	for group := range uint64(100) {
		if p.due(subject(1), group) {
			full++
		}
		p.due(subject(int(group)+10), group)
	}
	if full != 100/(maxPile+1) {
		t.Errorf("%d of 100 writes in full, want one in %d", full, maxPile+1)
	}
	for range 3 * maxPile {
		if p.due(subject(2), 7) {
			t.Fatal("written in full within the group that holds the rest")
		}
	}
}

func wantStatus(t *testing.T, l *Ledger, n int, want consent.Status) {
	t.Helper()
	st, _, err := l.Standing("demo", subject(n), "purpose0", l.Now())
	if err != nil || st.Status != want {
		t.Errorf("status %v (%v), want %v", st.Status, err, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("a directory in use: %v, want ErrLocked", err)
	}
	l.Close()
	if _, err := Open(Options{Dir: dir, Edge: "e2"}); !errors.Is(err, ErrEdge) {
		t.Errorf("another edge: %v, want ErrEdge", err)
	}
	l = open(t, Options{Dir: dir})
	if err := l.write(metaKey("layout"), []byte{99}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLayout) {
		t.Errorf("another layout: %v, want ErrLayout", err)
	}
}

// smallDisk is a disk with as little space as the test says.
type smallDisk struct {
	vfs.FS
	mu   sync.Mutex
	free uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: d.free, TotalBytes: 10 << 30}, nil
}

func (d *smallDisk) set(free uint64) {
	d.mu.Lock()
	d.free = free
	d.mu.Unlock()
}

func TestNearlyFullDiskRefusesChoicesAndAnswersLookups(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem(), free: 1 << 30}
	l := open(t, Options{Dir: "data", Reserve: 512 << 20, fs: disk})
	mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	disk.set(100 << 20)
	l.checkSpace()
	if _, err := l.Append(t.Context(), proof(l, 2, consent.MethodCustom, true)); !errors.Is(err, ErrNoSpace) {
		t.Errorf("append: %v, want ErrNoSpace", err)
	}
	if err := l.Health(); !errors.Is(err, ErrNoSpace) {
		t.Errorf("health: %v", err)
	}
	wantStatus(t, l, 1, consent.StatusGranted)
	if err := l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: 1, End: 1}); err != nil {
		t.Errorf("the drain must go on: %v", err)
	}
	disk.set(1 << 30)
	l.checkSpace()
	mustAppend(t, l, proof(l, 2, consent.MethodCustom, true))
}

func TestClosedLedgerRefuses(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true)
	l.Close()
	if _, err := l.Append(t.Context(), p); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestCloseKeepsEverythingAccepted(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	var mu sync.Mutex
	var acked []*consent.Proof
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				p := proof(l, w*1_000_000+i, consent.MethodCustom, true)
				if _, err := l.Append(t.Context(), p); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				acked = append(acked, p)
				mu.Unlock()
			}
		})
	}
	if err := l.Wait(t.Context(), consent.StreamProofs, 500); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	l = open(t, Options{Dir: dir})
	checkAcked(t, l, acked)
	checkWhole(t, l)
}

func TestCheckpointIsALedger(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true)
	mustAppend(t, l, p)
	dir := t.TempDir() + "/backup"
	if err := l.Checkpoint(dir); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, proof(l, 2, consent.MethodCustom, true))
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a copy put to work as it is: %v, want ErrDamaged", err)
	}
	b := open(t, Options{Dir: dir, Repair: &Repair{}})
	if g := b.Generations(); len(g) != 2 || g[1].Number != 2 || g[1].First[consent.StreamProofs] != 1 || g[1].Instance == l.Instance() {
		t.Errorf("generations of the copy: %+v", g)
	}
	checkAcked(t, b, []*consent.Proof{p})
	if n := b.Next(consent.StreamProofs); n != 1 {
		t.Errorf("%d proofs in the backup, want 1", n)
	}
}

func TestTrimKeepsWhatRecoveryNeeds(t *testing.T) {
	const all, kept = chunkProofs + 600, chunkProofs // from the start of the newest chunk on
	fs := vfs.NewMem()
	l := open(t, Options{Dir: "data", fs: fs})
	ids := make([]uuid.UUID, all)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := w; i < all; i += 8 {
				p := proof(l, i, consent.MethodCustom, true)
				mustAppend(t, l, p)
				ids[i] = p.ID
			}
		})
	}
	writers.Wait()
	root, err := l.Log(consent.StreamProofs).Root(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(consent.StreamProofs, all); err != nil {
		t.Fatal(err)
	}
	if l.First(consent.StreamProofs) != 0 {
		t.Error("trimmed what was not shipped")
	}
	if err := l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: all, End: all}); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(consent.StreamProofs, all); err != nil {
		t.Fatal(err)
	}
	if got := l.First(consent.StreamProofs); got != kept {
		t.Errorf("first entry %d, want %d", got, kept)
	}
	if _, _, err := l.Proof(ids[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("a trimmed proof: %v, want ErrNotFound", err)
	}
	wantStatus(t, l, 1, consent.StatusGranted)
	l.Close()
	l = open(t, Options{Dir: "data", fs: fs})
	if got, err := l.Log(consent.StreamProofs).Root(all); err != nil || got != root {
		t.Errorf("root after trimming and reopening: %v %v, want %v", got, err, root)
	}
	if l.First(consent.StreamProofs) != kept || l.Next(consent.StreamProofs) != all {
		t.Errorf("[%d, %d)", l.First(consent.StreamProofs), l.Next(consent.StreamProofs))
	}
}

func TestRowsSetAsideOutliveTheirStream(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 0, consent.MethodCustom, true)
	mustAppend(t, l, p)
	for i := range 300 {
		mustAppend(t, l, proof(l, i+1, consent.MethodCustom, true))
	}
	for _, seq := range []uint64{7, 0} {
		if err := l.SetAside(consent.SetAside{Stream: consent.StreamProofs, Seq: seq, At: 5, Why: "constraint"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.SetAside(consent.SetAside{Stream: consent.StreamPrompts, Seq: 1}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if err := errors.Join(l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: 301, End: 301}), l.Trim(consent.StreamProofs, 301)); err != nil {
		t.Fatal(err)
	}
	got, err := l.SetAsides()
	if err != nil || len(got) != 2 || got[0].Seq != 0 || got[1].Seq != 7 || got[0].Why != "constraint" || got[0].At != 5 {
		t.Fatalf("%+v %v", got, err)
	}
	if kept, err := consent.ParseProof(got[0].Entry); err != nil || kept.ID != p.ID {
		t.Errorf("the row itself: %+v %v", kept, err)
	}
}

func TestUnshippedIsTheTailOfOneSubject(t *testing.T) {
	l := open(t, Options{})
	for i := range 10 {
		mustAppend(t, l, proof(l, i%2, consent.MethodCustom, true))
	}
	if err := l.SaveCursor(consent.StreamProofs, consent.Cursor{Next: 4, End: 4}); err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	err := l.Unshipped("demo", subject(1), func(seq uint64, p *consent.Proof) error {
		seqs = append(seqs, seq)
		return nil
	})
	if err != nil || fmt.Sprint(seqs) != "[5 7 9]" {
		t.Errorf("%v %v", seqs, err)
	}
}

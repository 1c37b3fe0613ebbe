package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

var cmpAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// checkAcked holds the promise: every acknowledged proof is there, whole, and so is its subject's state.
func checkAcked(t testing.TB, l *Ledger, acked []*consent.Proof) {
	t.Helper()
	if lost := lostOf(t, l, acked); lost > 0 {
		t.Fatalf("%d of %d acknowledged proofs are lost", lost, len(acked))
	}
}

func lostOf(t testing.TB, l *Ledger, acked []*consent.Proof) (lost int) {
	t.Helper()
	for _, p := range acked {
		got, _, err := l.Proof(p.ID)
		if errors.Is(err, ErrNotFound) {
			lost++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, got, cmpAddr); d != "" {
			t.Fatal(d)
		}
		if st, ok, err := l.Standing(p.Site, p.Personal.Subject, p.Decisions[0].Purpose, l.Now()); err != nil || !ok || st.At < p.RecordedAt {
			t.Fatalf("the state misses proof %s: %+v %v", p.ID, st, err)
		}
	}
	return lost
}

// checkWhole holds what must be true of any ledger: seqs without gaps, every id at its place, and a tree
// that equals the one x/mod computes from the entries.
func checkWhole(t testing.TB, l *Ledger) {
	t.Helper()
	next := l.First(consent.StreamProofs)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	err := l.Scan(consent.StreamProofs, next, l.Next(consent.StreamProofs), func(seq uint64, raw []byte) error {
		p, err := consent.ParseProof(raw)
		if err != nil {
			return err
		}
		if seq != next {
			return fmt.Errorf("gap: seq %d where %d belongs", seq, next)
		}
		if _, at, err := l.Proof(p.ID); err != nil || at != seq {
			return fmt.Errorf("id %s leads to %d, %v; it is at %d", p.ID, at, err, seq)
		}
		stored, err := tlog.StoredHashes(int64(seq), p.AppendFacts(nil), reader)
		hashes = append(hashes, stored...)
		next++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != l.Next(consent.StreamProofs) {
		t.Fatalf("entries end at %d, durable length is %d", next, l.Next(consent.StreamProofs))
	}
	for _, size := range []uint64{next, next / 2, next * 3 / 4} {
		want, err := tlog.TreeHash(int64(size), reader)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Log(consent.StreamProofs).Root(size)
		if err != nil || size > 0 && got != want {
			t.Fatalf("root of %d: %v (%v), want %v", size, got, err, want)
		}
	}
}

// crashUnderLoad appends from many goroutines on a crashable disk, cuts the power at a moment the load
// chooses, and returns what was acknowledged before the cut and the disk as it then is.
func crashUnderLoad(t *testing.T, seed uint64, o Options) (acked []*consent.Proof, disk *vfs.MemFS) {
	return crashWriting(t, seed, o, func(l *Ledger, p *consent.Proof) error {
		_, err := l.Append(t.Context(), p)
		return err
	})
}

// crashWriting is crashUnderLoad with another way of writing a proof.
func crashWriting(t *testing.T, seed uint64, o Options, write func(*Ledger, *consent.Proof) error) (acked []*consent.Proof, disk *vfs.MemFS) {
	rng := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewCrashableMem()
	o.Dir, o.fs, o.Reserve = "data", mem, 1
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				p := proof(l, w*1000+i%50, consent.MethodCustom, i%3 != 0, true)
				if err := write(l, p); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked = append(acked, p)
				mu.Unlock()
			}
		})
	}
	if err := l.Wait(t.Context(), consent.StreamProofs, 200+rng.Uint64N(1500)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	before := append([]*consent.Proof(nil), acked...)
	mu.Unlock()
	disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 40, RNG: rng})
	close(stop)
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return before, disk
}

func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	for seed := range uint64(12) {
		acked, disk := crashUnderLoad(t, seed, Options{})
		l, err := Open(Options{Dir: "data", fs: disk, Reserve: 1})
		if err != nil {
			t.Fatalf("seed %d: recovering: %v", seed, err)
		}
		checkAcked(t, l, acked)
		checkWhole(t, l)
		mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
		checkWhole(t, l)
		l.Close()
	}
}

// TestPowerCutWithoutSyncLosesProofs is the control: with the sync taken away the test above must go red.
func TestPowerCutWithoutSyncLosesProofs(t *testing.T) {
	acked, disk := crashUnderLoad(t, 0, Options{noSync: true})
	l, err := Open(Options{Dir: "data", fs: disk, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if lost := lostOf(t, l, acked); lost == 0 {
		t.Fatalf("none of %d proofs lost without any sync: the crash test proves nothing", len(acked))
	}
}

// TestFailingDisk crosses writes and syncs with "the first, the tenth, the fiftieth of them fails": the ledger
// stops for good, and after a restart nothing acknowledged is missing.
func TestFailingDisk(t *testing.T) {
	for name, kinds := range map[string][]errorfs.OpKind{
		"write": {errorfs.OpFileWrite},
		"sync":  {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
	} {
		for _, nth := range []int{1, 10, 50} {
			t.Run(fmt.Sprintf("%s %d fails", name, nth), func(t *testing.T) { failingDisk(t, kinds, nth) })
		}
	}
}

func failingDisk(t *testing.T, kinds []errorfs.OpKind, nth int) {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	armed, count := false, 0
	fail := errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if !armed || !slices.Contains(kinds, op.Kind) {
			return nil
		}
		if count++; count < nth {
			return nil
		}
		return errorfs.ErrInjected
	})
	l, err := Open(Options{Dir: "data", fs: errorfs.Wrap(mem, fail), Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	armed = true
	mu.Unlock()
	var acked []*consent.Proof
	for i := range 200 {
		p := proof(l, i, consent.MethodCustom, true)
		if _, err := l.Append(t.Context(), p); err != nil {
			if !errors.Is(err, ErrFatal) {
				t.Fatalf("append on a failing disk: %v, want ErrFatal", err)
			}
			if _, err := l.Append(t.Context(), proof(l, i, consent.MethodCustom, true)); !errors.Is(err, ErrFatal) {
				t.Fatalf("append after a fatal error: %v", err)
			}
			break
		}
		acked = append(acked, p)
	}
	if l.Err() == nil {
		t.Errorf("the disk failed and the ledger did not notice")
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	again, err := Open(Options{Dir: "data", fs: disk, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	checkAcked(t, again, acked)
	checkWhole(t, again)
}

// slowDisk holds every sync of the WAL until it is told to let go.
type slowDisk struct {
	mu   sync.Mutex
	held chan struct{}
}

func (d *slowDisk) hold() (release func()) {
	ch := make(chan struct{})
	d.mu.Lock()
	d.held = ch
	d.mu.Unlock()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		d.held = nil
		d.mu.Unlock()
		close(ch)
	})
}

func (d *slowDisk) MaybeError(op errorfs.Op) error {
	if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo {
		d.mu.Lock()
		held := d.held
		d.mu.Unlock()
		if held != nil {
			<-held
		}
	}
	return nil
}

func (d *slowDisk) String() string { return "slow disk" }

// TestNothingIsAnsweredBeforeTheSync: while the disk holds the sync back, the batch is visible in Pebble, but
// neither the writer nor any reader gets an answer that rests on it.
func TestNothingIsAnsweredBeforeTheSync(t *testing.T) {
	disk := &slowDisk{}
	l := open(t, Options{Dir: "data", Reserve: 1, fs: errorfs.Wrap(vfs.NewMem(), disk)})
	release := disk.hold()
	defer release()
	p := proof(l, 1, consent.MethodCustom, true)
	wrote, read := make(chan error, 1), make(chan error, 1)
	go func() { _, err := l.Append(t.Context(), p); wrote <- err }()
	eventually(t, func() bool { there, err := l.has(stateKey(nil, "demo", subject(1))); return err == nil && there })
	go func() { _, _, err := l.Standing("demo", subject(1), "purpose0", l.Now()); read <- err }()
	select {
	case <-wrote:
		t.Fatal("acknowledged before the sync")
	case <-read:
		t.Fatal("answered from a proof that was not durable")
	case <-time.After(100 * time.Millisecond):
	}
	if _, _, err := l.Standing("demo", subject(2), "purpose0", l.Now()); err != nil {
		t.Errorf("other subjects are answered meanwhile: %v", err)
	}
	release()
	if err := errors.Join(<-wrote, <-read); err != nil {
		t.Fatal(err)
	}
}

func TestFullQueueRefuses(t *testing.T) {
	disk := &slowDisk{}
	l := open(t, Options{Dir: "data", Reserve: 1, Queue: 4, fs: errorfs.Wrap(vfs.NewMem(), disk)})
	release := disk.hold()
	var wg sync.WaitGroup
	refused := make(chan error, 20_000)
	for i := range 20_000 {
		wg.Go(func() {
			if _, err := l.Append(t.Context(), proof(l, i, consent.MethodCustom, true)); err != nil {
				refused <- err
			}
		})
	}
	eventually(t, func() bool { return len(refused) > 0 })
	release()
	wg.Wait()
	close(refused)
	n := uint64(0)
	for err := range refused {
		if n++; !errors.Is(err, ErrBusy) {
			t.Fatalf("%v, want ErrBusy", err)
		}
	}
	if got := l.Next(consent.StreamProofs) + n; got != 20_000 {
		t.Errorf("%d recorded or refused, want 20000", got)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came true")
		}
	}
}

// TestLeafIsTheFacts pins what a leaf of the log is.
func TestLeafIsTheFacts(t *testing.T) {
	l := open(t, Options{})
	p := proof(l, 1, consent.MethodCustom, true)
	mustAppend(t, l, p)
	root, err := l.Log(consent.StreamProofs).Root(1)
	if err != nil {
		t.Fatal(err)
	}
	if want := tlog.Hash(sha256.Sum256(p.AppendFacts([]byte{0}))); root != want {
		t.Errorf("root of one leaf %v, want %v", root, want)
	}
}

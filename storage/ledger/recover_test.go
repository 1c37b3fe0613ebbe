package ledger

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/consentd/consentd/storage/consent"
)

// written is a ledger with some proofs on a disk in memory, stopped cleanly or as by kill -9.
type written struct {
	disk  *vfs.MemFS
	acked []*consent.Proof
}

func recorded(t testing.TB, proofs int, clean bool) written {
	t.Helper()
	mem := vfs.NewCrashableMem()
	l := open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: mem})
	w := written{acked: make([]*consent.Proof, proofs)}
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := g; i < proofs; i += 8 {
				w.acked[i] = proof(l, i, consent.MethodCustom, true)
				mustAppend(t, l, w.acked[i])
				if i == proofs/2 {
					if err := l.db.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	if clean {
		l.Close()
	}
	// What a killed process wrote is there, synced or not.
	w.disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	return w
}

// clone is a copy of the disk, to be damaged.
func (w *written) clone() *vfs.MemFS { return w.disk.CrashClone(vfs.CrashCloneCfg{}) }

// openWithin opens a ledger, and fails the test when that takes as long as something that hangs.
func openWithin(t testing.TB, o Options) (*Ledger, error) {
	t.Helper()
	type opened struct {
		l   *Ledger
		err error
	}
	done := make(chan opened, 1)
	go func() {
		l, err := Open(o)
		done <- opened{l, err}
	}()
	select {
	case o := <-done:
		return o.l, o.err
	case <-time.After(10 * time.Second):
		t.Fatal("opening hangs")
		return nil, nil
	}
}

// nth injects one error: the n-th operation of the kinds it watches fails. It counts them all.
type nth struct {
	mu    sync.Mutex
	kinds []errorfs.OpKind
	at    int // counted from 1; 0: none fails
	count int
	hit   string
}

func (n *nth) MaybeError(op errorfs.Op) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.kinds, op.Kind) {
		return nil
	}
	if n.count++; n.count != n.at {
		return nil
	}
	n.hit = op.Path
	return errorfs.ErrInjected
}

func (n *nth) String() string { return "the n-th operation fails" }

// faults are the operations of a disk that can fail, by name.
var faults = map[string][]errorfs.OpKind{
	"reading":  {errorfs.OpFileRead, errorfs.OpFileReadAt},
	"opening":  {errorfs.OpOpen, errorfs.OpOpenDir, errorfs.OpList, errorfs.OpStat, errorfs.OpFileStat},
	"writing":  {errorfs.OpFileWrite, errorfs.OpFileWriteAt},
	"syncing":  {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
	"creating": {errorfs.OpCreate, errorfs.OpReuseForWrite, errorfs.OpLink, errorfs.OpRename, errorfs.OpMkdirAll},
	"removing": {errorfs.OpRemove, errorfs.OpRemoveAll},
}

// TestEveryFaultOfAnOpen: whatever single operation fails while a ledger is opened, Open says so or everything
// acknowledged is there, and what is appended afterwards takes no place that was taken. One read error at start once
// made a full ledger look empty.
func TestEveryFaultOfAnOpen(t *testing.T) {
	for what, w := range map[string]written{"stopped cleanly": recorded(t, 300, true), "killed": recorded(t, 300, false), "never used": {disk: vfs.NewCrashableMem()}} {
		for _, name := range slices.Sorted(maps.Keys(faults)) {
			t.Run(name+", "+what, func(t *testing.T) {
				refused, at := 0, 1
				for ; ; at++ {
					n := &nth{kinds: faults[name], at: at}
					done := openWithFault(t, &w, n)
					if n.hit == "" {
						break
					}
					if done != nil {
						refused++
					}
				}
				t.Logf("%d sites, %d refused", at-1, refused)
			})
		}
	}
}

// openWithFault opens a copy, appends, and opens what is left of it without faults.
func openWithFault(t *testing.T, w *written, n *nth) error {
	t.Helper()
	disk := w.clone()
	acked := slices.Clone(w.acked)
	l, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: errorfs.Wrap(disk, n)})
	if err == nil {
		for i := range 3 {
			p := proof(l, i, consent.MethodCustom, true)
			r, err := l.Append(t.Context(), p)
			if err != nil {
				break
			}
			if r.Seq != uint64(len(acked)) {
				t.Fatalf("%s: proof %d was appended as %d", n.hit, len(acked), r.Seq)
			}
			acked = append(acked, p)
		}
		l.Close()
	}
	again, errAgain := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})})
	if errAgain != nil {
		t.Fatalf("%s failed (%v), and without faults: %v", n.hit, err, errAgain)
	}
	defer again.Close()
	checkAcked(t, again, acked)
	checkWhole(t, again)
	return err
}

// shortFS ends every file after its first read, as a failing disk may, from when it is told to.
type shortFS struct {
	vfs.FS
	on atomic.Bool
	of string // how the names of the files end
}

func (s *shortFS) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.Open(name, o...)
	return &shortFile{File: f, fs: s, name: name}, err
}

type shortFile struct {
	vfs.File
	fs   *shortFS
	name string
	read bool
}

func (f *shortFile) Read(b []byte) (int, error) {
	if f.fs.on.Load() && f.read && strings.HasSuffix(f.name, f.fs.of) {
		return 0, io.EOF
	}
	f.read = true
	return f.File.Read(b[:min(len(b), 300)])
}

// TestALogThatIsReadShortIsKept: a read error that looks like an end, while a killed ledger is recovered, costs nothing.
// Pebble once took it for the end of the log, and removed the rest.
func TestALogThatIsReadShortIsKept(t *testing.T) {
	w := recorded(t, 300, false)
	disk := &shortFS{FS: w.clone(), of: ".log"}
	disk.on.Store(true)
	o := Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk}
	if l, err := openWithin(t, o); err == nil {
		l.Close()
		t.Error("it goes on with a part of its log")
	}
	disk.on.Store(false)
	l := open(t, o)
	checkAcked(t, l, w.acked)
	checkWhole(t, l)
}

// TestAShortReadIsNoEnd: files that seem to end early while the ledger stops, or starts, are not taken for what they are,
// and leave nothing behind that the next start trips over.
func TestAShortReadIsNoEnd(t *testing.T) {
	for _, when := range []string{"stop", "start"} {
		disk := &shortFS{FS: vfs.NewMem()}
		o := Options{Dir: "data", fs: disk}
		l := open(t, o)
		p := proof(l, 1, consent.MethodCustom, true)
		mustAppend(t, l, p)
		disk.on.Store(when == "stop")
		if err := l.Close(); (err != nil) != (when == "stop") {
			t.Errorf("%s: closing: %v", when, err)
		}
		disk.on.Store(when == "start")
		l, err := openWithin(t, o)
		if when == "start" && err == nil {
			t.Error("a start that cannot read its own files goes on")
		}
		if err == nil {
			l.Close()
		}
		disk.on.Store(false)
		l = open(t, o)
		checkAcked(t, l, []*consent.Proof{p})
		l.Close()
	}
}

// TestNoReadErrorIsAnEmptyAnswer: of a running ledger, each way of reading says that it could not, or is right.
func TestNoReadErrorIsAnEmptyAnswer(t *testing.T) {
	w := recorded(t, 300, true)
	p := w.acked[7]
	reads := map[string]func(*Ledger) (int, error){
		"a proof": func(l *Ledger) (int, error) {
			got, _, err := l.Proof(p.ID)
			if errors.Is(err, ErrNotFound) || err == nil && got.ID != p.ID {
				return 0, nil
			}
			return 1, err
		},
		"a state": func(l *Ledger) (int, error) {
			s, err := l.State(p.Site, p.Personal.Subject)
			return len(s), err
		},
		"unshipped proofs": func(l *Ledger) (n int, err error) {
			err = l.Unshipped(p.Site, p.Personal.Subject, func(uint64, *consent.Proof) error { n++; return nil })
			return n, err
		},
		"all entries": func(l *Ledger) (n int, err error) {
			err = l.Scan(consent.StreamProofs, 0, 300, func(uint64, []byte) error { n++; return nil })
			return n, err
		},
	}
	for name, read := range reads {
		for at := 1; ; at++ {
			n := &nth{kinds: faults["reading"]}
			l, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: errorfs.Wrap(w.clone(), n), Cache: 1})
			if err != nil {
				t.Fatal(err)
			}
			want, err := 0, error(nil)
			if at == 1 {
				if want, err = read(l); err != nil || want == 0 {
					t.Fatalf("%s without faults: %d %v", name, want, err)
				}
			}
			n.mu.Lock()
			n.count, n.at = 0, at
			n.mu.Unlock()
			got, err := read(l)
			l.Close()
			if n.hit == "" {
				break
			}
			if err == nil && got == 0 {
				t.Errorf("%s: reading %s failed, and the answer is: none", name, n.hit)
			}
		}
	}
}

// TestDamageIsRefusedOrHarmless: a bit, the end, the whole of any file, after a clean stop and after a kill.
func TestDamageIsRefusedOrHarmless(t *testing.T) {
	for _, clean := range []bool{true, false} {
		w := recorded(t, 300, clean)
		names, err := w.disk.List("data")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if name == "LOCK" {
				continue
			}
			for how, do := range damages(w.disk, "data/"+name) {
				disk := w.clone()
				do(t, disk)
				l, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk})
				if err != nil {
					continue
				}
				if l.Degraded() == nil {
					if lost := lostOf(t, l, w.acked); lost > 0 {
						t.Errorf("stopped cleanly: %v; %s of %s: %d of %d lost, and not a word", clean, how, name, lost, len(w.acked))
					}
				}
				l.Close()
			}
		}
	}
}

// damages are what can happen to one file.
func damages(fs vfs.FS, path string) map[string]func(testing.TB, vfs.FS) {
	content := contentOf(fs, path)
	all := map[string]func(testing.TB, vfs.FS){
		"the loss": func(t testing.TB, fs vfs.FS) {
			if err := fs.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	rewrite := func(change func([]byte) []byte) func(testing.TB, vfs.FS) {
		return func(t testing.TB, fs vfs.FS) {
			f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Write(change(slices.Clone(content)))
			if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, eighth := range []int{1, 4, 6, 7} {
		cut := len(content) * eighth / 8
		all[fmt.Sprintf("the end from %d on", cut)] = rewrite(func(b []byte) []byte { return b[:cut] })
	}
	for i := range 12 {
		if len(content) == 0 {
			break
		}
		at := rand.New(rand.NewPCG(uint64(i), uint64(len(path)))).IntN(len(content))
		all[fmt.Sprintf("a bit of byte %d", at)] = rewrite(func(b []byte) []byte { b[at] ^= 4; return b })
	}
	return all
}

func contentOf(fs vfs.FS, path string) []byte {
	f, err := fs.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	b := make([]byte, info.Size())
	f.ReadAt(b, 0)
	return b
}

// TestAPowerCutLeavesATailThatIsTold: what the watermark cannot vouch for is bounded and told.
func TestAPowerCutLeavesATailThatIsTold(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l := open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: mem, boot: [16]byte{1}})
	for i := range 10 {
		mustAppend(t, l, proof(l, i, consent.MethodCustom, true))
	}
	disk := mem.CrashClone(vfs.CrashCloneCfg{})
	l = open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk, boot: [16]byte{2}})
	tail := l.Tail()
	if tail == nil || tail.End != 10 || tail.First > 10 {
		t.Fatalf("%+v", tail)
	}
	if err := l.Degraded(); err == nil || !strings.Contains(err.Error(), "after 10") {
		t.Errorf("%v", err)
	}
	l.Close()
	if l = open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk, boot: [16]byte{2}}); l.Degraded() != nil {
		t.Errorf("after a clean stop: %v", l.Degraded())
	}
}

// TestARepairedLedgerBeginsAGeneration and takes no seq twice under one number.
func TestARepairedLedgerBeginsAGeneration(t *testing.T) {
	w := recorded(t, 300, false)
	disk := w.clone()
	logs := 0
	names, err := disk.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			content := contentOf(disk, "data/"+name)
			damages(disk, "data/"+name)[fmt.Sprintf("the end from %d on", len(content)*6/8)](t, disk)
			logs++
		}
	}
	if logs == 0 {
		t.Fatal("no write-ahead log")
	}
	if _, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "300 proofs were acknowledged") {
		t.Fatalf("%v, want ErrDamaged", err)
	}
	r := &Repair{AtLeast: 5}
	l := open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk, Repair: r})
	next := l.Next(consent.StreamProofs)
	if next == 0 || next >= 300 || len(r.Words()) == 0 {
		t.Fatalf("it goes on at %d, and says %q", next, r.Words())
	}
	got := mustAppend(t, l, proof(l, 1, consent.MethodCustom, true))
	if got.Seq != next || l.Generation(consent.StreamProofs, next) != 5 || l.Generation(consent.StreamProofs, next-1) != 1 {
		t.Errorf("proof %d of generation %d; the one before of %d", got.Seq, l.Generation(consent.StreamProofs, next), l.Generation(consent.StreamProofs, next-1))
	}
	checkWhole(t, l)
	l.Close()
	l = open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk})
	if l.Generation(consent.StreamProofs, next) != 5 {
		t.Errorf("after a restart: %+v", l.Generations())
	}
}

// TestATableThatDropsOutIsMissed: a list of files that is cut off at its end opens without the last of them.
func TestATableThatDropsOutIsMissed(t *testing.T) {
	w := recorded(t, 300, false)
	mem := w.clone()
	l := open(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: mem}) // what lay in write-ahead logs is in tables from now on
	for range 2 {
		w.acked = append(w.acked, proof(l, len(w.acked), consent.MethodCustom, true))
		mustAppend(t, l, w.acked[len(w.acked)-1])
		if err := l.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	w.acked = append(w.acked, proof(l, len(w.acked), consent.MethodCustom, true))
	mustAppend(t, l, w.acked[len(w.acked)-1])
	w.disk = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	names, err := w.disk.List("data")
	if err != nil {
		t.Fatal(err)
	}
	manifest := slices.MaxFunc(names, func(a, b string) int { return strings.Compare(manifestNumber(a), manifestNumber(b)) })
	logs := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, ".log") })
	for _, name := range slices.Sorted(slices.Values(logs))[:len(logs)-1] { // flushed, and kept to be written over
		if err := w.disk.Remove("data/" + name); err != nil {
			t.Fatal(err)
		}
	}
	content := contentOf(w.disk, "data/"+manifest)
	counted := 0
	for cut := len(content) - 1; cut > 0; cut -= 3 {
		disk := w.clone()
		f, err := disk.Create("data/"+manifest, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(content[:cut])
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		l, err := openWithin(t, Options{Dir: "data", memTable: 1 << 20, still: true, fs: disk})
		if err != nil {
			counted++
			continue
		}
		if lost := lostOf(t, l, w.acked); lost > 0 {
			t.Errorf("%s cut off at %d of %d: %d of %d lost, and not a word", manifest, cut, len(content), lost, len(w.acked))
		}
		l.Close()
	}
	if counted == 0 {
		t.Error("no cut made a table drop out: the test shows nothing")
	}
}

// manifestNumber orders lists of files, and puts everything else before them.
func manifestNumber(name string) string {
	if !strings.HasPrefix(name, "MANIFEST-") {
		return ""
	}
	return name
}

// TestAnIDThatLeadsElsewhereIsDamage, not somebody else's proof.
func TestAnIDThatLeadsElsewhereIsDamage(t *testing.T) {
	l := open(t, Options{})
	mine, other := proof(l, 1, consent.MethodCustom, true), proof(l, 2, consent.MethodCustom, true)
	mustAppend(t, l, mine)
	r := mustAppend(t, l, other)
	wrong := idRecord{seq: r.Seq, at: mine.RecordedAt, digest: mine.Digest()}
	if err := l.write(idKey(nil, mine.ID), wrong.append(nil)); err != nil {
		t.Fatal(err)
	}
	if p, _, err := l.Proof(mine.ID); !errors.Is(err, ErrDamaged) {
		t.Errorf("it is answered with %+v, %v", p, err)
	}
}

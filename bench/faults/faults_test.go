package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/consentd/consentd/bench/witness"
)

// sample is a few runs of `make faults`.
type sample struct{ phase, call, fault, whens string }

// samples have each kind of call fail once in each phase, and what once broke the program again and again.
var samples = []sample{
	{"first", "write", "ENOSPC", "1 4"},
	{"first", "write", "short", "2"},
	{"first", "fsync", "EIO", "2 7"},
	{"start", "openat", "EIO", "3"},
	{"start", "read", "EIO", "1"},
	{"start", "fdatasync", "EIO", "1"},
	{"start", "pread64", "short", "1 2 3 4 5 6 7"},
	{"recover", "pread64", "EIO", "1 2 3 4 5 6 7 8 9 10 11 12"},
	{"recover", "write", "ENOSPC", "1"},
	{"recover", "fdatasync", "EINTR", "1"},
	{"append", "write", "EIO", "2"},
	{"append", "fdatasync", "EIO", "2"},
	{"lookup", "pread64", "EIO", "1+"},
	{"backup", "linkat", "EIO", "1"},
	{"backup", "fsync", "ENOSPC", "1"},
	{"erase", "write", "ENOSPC", "2"},
	{"erase", "unlinkat", "EIO", "1"},
}

func (s sample) task(t *testing.T) task {
	p := slices.IndexFunc(phases(), func(p phase) bool { return p.name == s.phase })
	f := slices.IndexFunc(faults(), func(f fault) bool { return f.name == s.fault })
	if p < 0 || f < 0 {
		t.Fatalf("no phase or fault is called as in %v", s)
	}
	return task{phases()[p], s.call, faults()[f], 1 << 20, strings.Fields(s.whens)}
}

// TestTheProgramStandsFailingCalls is the part of `make faults` that every change is judged by.
func TestTheProgramStandsFailingCalls(t *testing.T) {
	if err := usable(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &campaign{binary: build(t), dir: t.TempDir(), proofs: 800, parallel: 2, say: func(string, ...any) {}}
	workers, err := c.workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tasks []task
	for _, s := range samples {
		tasks = append(tasks, s.task(t))
	}
	if err := c.share(t.Context(), workers, tasks); err != nil {
		t.Fatal(err)
	}
	text, bad := totals(c.all)
	t.Log(text)
	for _, o := range bad {
		t.Error(o)
	}
	for _, s := range samples {
		if !slices.ContainsFunc(c.all, func(o outcome) bool { return o.phase == s.phase && o.injection.syscall == s.call && o.hits > 0 }) {
			t.Errorf("no %s failed in the phase %s: nothing was tested", s.call, s.phase)
		}
	}
}

func build(t *testing.T) string {
	binary := filepath.Join(t.TempDir(), "consentd")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/consentd/consentd/cmd/consentd").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return binary
}

func TestARunIsJudgedByHowTheProgramEnded(t *testing.T) {
	for name, c := range map[string]struct {
		life witness.Life
		want string
	}{
		"it went on and stopped when asked":         {witness.Life{Up: true, Ended: true, Log: "stopping"}, held},
		"it refused to start, and said why":         {witness.Life{Ended: true, Code: 1, Log: "consentd: reading the ledger: input/output error"}, ended},
		"it ended while running, and said why":      {witness.Life{Up: true, Ended: true, Code: 1, Log: "consentd: the disk does not sync"}, ended},
		"it neither answers nor ends":               {witness.Life{Log: "durability unknown"}, hang},
		"it does not stop":                          {witness.Life{Up: false, Log: "stopping"}, hang},
		"it ended at its start with code 0":         {witness.Life{Ended: true, Log: "nothing to do here"}, mute},
		"it ended with a trace of its goroutines":   {witness.Life{Ended: true, Code: 2, Log: "panic: EIO\n\ngoroutine 1 [running]:\nmain.main()"}, mute},
		"it ended without a word":                   {witness.Life{Ended: true, Code: 1}, mute},
		"it was ended by a signal that nobody sent": {witness.Life{Ended: true, Code: -1, Log: "all is well here"}, mute},
	} {
		o := outcome{verdict: held}
		if o.judge(c.life); o.verdict != c.want {
			t.Errorf("%s: %s (%s), want %s", name, o.verdict, o.why, c.want)
		}
	}
}

func TestWhatStraceInjectedIsReadFromItsOutput(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	text := `7 write(15</d/data/ledger/MANIFEST-000001>, "x", 39) = -1 EIO (Input/output error) (INJECTED)
8 fdatasync(17</d/data/ledger/000002.log>) = 0
8 fdatasync(17</d/data/ledger/000002.log>) = -1 EIO (Input/output error) (INJECTED)
`
	if err := os.WriteFile(out, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n, on := hits(out)
	if made := counts(out); n != 2 || strings.Join(on, " ") != "manifest wal" || made["fdatasync"] != 2 || made["write"] != 1 {
		t.Errorf("%d hits on %v, counts %v", n, on, made)
	}
}

func TestTheLadderClimbsToWhatAPhaseDoes(t *testing.T) {
	if dense := ladder(true); len(dense) != 257 || dense[256] != strconv.Itoa(256) {
		t.Errorf("%d rungs", len(dense))
	}
	if sparse := ladder(false); len(sparse) > 16 || sparse[0] != "1" || sparse[1] != "1+" {
		t.Errorf("rungs %v", sparse)
	}
}

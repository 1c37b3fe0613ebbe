package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// TestMain lets this test binary be its own bare server, as the real one is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestAQuickRunMeasuresBareFiberAndWritesTheTable(t *testing.T) {
	results := filepath.Join(t.TempDir(), "RESULTS.md")
	var out, progress bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-out", results, "fiber"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	written, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(written), out.String()) || !strings.HasPrefix(string(written), "# Results\n") {
		t.Errorf("the file does not hold what was printed:\n%s\n%s", written, &out)
	}
	for _, name := range []string{"bare POST", "bare GET"} {
		if !strings.Contains(out.String(), "| "+name) {
			t.Errorf("no row %q in\n%s", name, &out)
		}
	}
}

// A run of seconds with the real program fills a row.
func TestAQuickRunMeasuresTheProgram(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consentd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/consentd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out, progress bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-binary", binary, "-dir", t.TempDir(), "record"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	if !regexp.MustCompile(`\| record[^|]+\|[^|]+\| [0-9,]+/s`).MatchString(out.String()) {
		t.Errorf("no row in\n%s", &out)
	}
}

func TestBareFiberAnswersAsAsked(t *testing.T) {
	b := &bench{dir: t.TempDir(), stderr: os.Stderr, conns: 4, workers: 1, length: 100 * time.Millisecond, warm: time.Millisecond}
	b.self, _ = os.Executable()
	bare, addr, err := b.startBare(t.Context(), 300)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Stop(10 * time.Second)
	sizes := map[int]bool{}
	get := plain("GET", addr, bare, load.Request{Bytes: load.Build("GET", "/bare", addr.String(), nil, nil)}, 200)
	s, err := b.measure(t.Context(), get, load.Options{Drain: time.Minute, OnAnswer: func(_ int, _ time.Time, body []byte) { sizes[len(body)] = true }})
	if err != nil || s.Clean() != nil || len(sizes) != 1 || !sizes[300] {
		t.Errorf("GET: %v, %v, bodies of %v bytes", err, s.Clean(), sizes)
	}
	empty := plain("POST", addr, bare, load.Request{Bytes: load.Build("POST", "/bare", addr.String(), nil, []byte{})}, 204)
	if s, err := b.measure(t.Context(), empty, load.Options{Drain: time.Minute}); err == nil || s.Status[400] == 0 {
		t.Errorf("POST without a body: %v, statuses %v", err, s.Status)
	}
}

func TestUnknownScenariosAreNamed(t *testing.T) {
	err := run(t.Context(), []string{"recrod"}, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "recrod") {
		t.Errorf("error %v", err)
	}
}

func TestVerdictsSayByHowMuch(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"a ratio that is reached":            {atLeast(0.5, 0.5), "met"},
		"a ratio a fifth too low":            {atLeast(0.5, 0.4), "missed by 20 %"},
		"a latency under its bound":          {atMost(10, 9.9), "met"},
		"a latency half as much again":       {atMost(10, 15), "missed by 50 %"},
		"a latency of three times its bound": {atMost(10, 30), "missed, 3.0 times the bound"},
		"a number of seven digits":           {thousands(1234567), "1,234,567"},
		"a number of three digits":           {thousands(999), "999"},
		"a number rounded to its thousand":   {thousands(999.5), "1,000"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestResultsKeepTheLastRunsOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "RESULTS.md")
	for i := range resultsKept + 2 {
		run := table{date: time.Unix(0, 0), commit: fmt.Sprintf("run%d", i), rows: []row{{what: "x | y"}}}
		if err := writeResults(path, &run); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(text)) {
		if _, commit, is := strings.Cut(line, "UTC, "); is {
			kept = append(kept, strings.TrimSpace(commit))
		}
	}
	if got, want := fmt.Sprint(kept), "[run5 run4 run3 run2]"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	if n := strings.Count(string(text), "# Results"); n != 1 {
		t.Errorf("%d heads in\n%s", n, text)
	}
}

func TestAProofWaitsUntilTheFirstLookThatFindsIt(t *testing.T) {
	base := time.Unix(1_790_000_000, 0)
	after := func(ms int) time.Time { return base.Add(time.Duration(ms) * time.Millisecond) }
	looks := []seen{{after(0), 0}, {after(100), 2}, {after(200), 2}, {after(300), 3}}
	for name, c := range map[string]struct {
		ack  acked
		want time.Duration
	}{
		"found by the next look":               {acked{1, after(40)}, 60 * time.Millisecond},
		"found after two looks without it":     {acked{2, after(50)}, 250 * time.Millisecond},
		"found before its own answer was read": {acked{0, after(150)}, 0},
	} {
		h := waits([]acked{c.ack}, looks)
		if h.Count() != 1 || h.Max() != c.want {
			t.Errorf("%s: %d counted, waited %v, want %v", name, h.Count(), h.Max(), c.want)
		}
	}
}

func TestSeqOfAnAnswer(t *testing.T) {
	if seq, ok := seqOf([]byte(`{"id":"x","seq":41,"wording":""}`)); !ok || seq != 41 {
		t.Errorf("seq %d, %v", seq, ok)
	}
	for _, body := range []string{``, `{"seq":}`, `{"seq":"41"}`, `{"seq":41`} {
		if seq, ok := seqOf([]byte(body)); ok {
			t.Errorf("%s gives seq %d", body, seq)
		}
	}
}

func TestOneInTenSubjectsDrawnIsUnknown(t *testing.T) {
	const n, draws = 50, 20_000
	known := map[[2]uint64]bool{}
	for i := range uint64(n) {
		hi, lo := rig.Device(i)
		known[[2]uint64{hi, lo}] = true
	}
	r, misses := rand.NewPCG(1, 1), 0
	for range draws {
		if hi, lo := draw(r, n); !known[[2]uint64{hi, lo}] {
			misses++
		}
	}
	if misses < draws/10*9/10 || misses > draws/10*11/10 {
		t.Errorf("%d of %d draws miss, want about a tenth", misses, draws)
	}
}

func TestTheMiddleOfThreeRuns(t *testing.T) {
	at := func(rate uint64) sample { return sample{Result: &load.Result{Answered: rate, Elapsed: time.Second}} }
	all := []sample{at(300), at(100), at(200)}
	if got := middle(all).Answered; got != 200 {
		t.Errorf("middle of 100, 200, 300 is %d", got)
	}
	if got := median(all, func(s sample) uint64 { return s.Answered }); got != 200 {
		t.Errorf("median of 100, 200, 300 is %d", got)
	}
}

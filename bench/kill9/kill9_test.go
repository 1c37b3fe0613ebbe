package kill9

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/storage/storagetest"
)

// The cycles are run against a recorder made for this test, once as it should be and once with each promise
// broken: what finds nothing wrong with a recorder that forgets would find nothing wrong with consentd either.

var kit *storagetest.Kit

// TestMain lets this test binary be the recorder, so that it can be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 4 && os.Args[1] == "recorder" {
		fmt.Fprintln(os.Stderr, record(os.Args[2], os.Args[3], os.Args[4]))
		os.Exit(1)
	}
	storagetest.Main(m, func(k *storagetest.Kit) { kit = k })
}

// record serves POST / and keeps ids in file, one a line: a line's number is the seq. fault says what to break.
func record(addr, file, fault string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	known := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		known[lines.Text()] = len(known)
	}
	var mu sync.Mutex
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var choice struct{ ID string }
		if err := json.NewDecoder(r.Body).Decode(&choice); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		seq, replayed := known[choice.ID]
		if !replayed {
			seq = len(known)
			known[choice.ID] = seq
			if fault != "forgets" || seq%10 != 0 {
				fmt.Fprintln(f, choice.ID)
			}
		}
		if replayed && fault == "renumbers" {
			seq++
		}
		body := fmt.Sprintf(`{"id":"%s","seq":%d}`, choice.ID, seq)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if !replayed {
			w.WriteHeader(http.StatusCreated)
		}
		io.WriteString(w, body)
	})
	http.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return http.ListenAndServe(addr, nil)
}

// recorder is the recorder as a Server.
type recorder struct {
	addr  netip.AddrPort
	dir   string
	fault string

	mu   sync.Mutex
	proc *rig.Process
}

func (s *recorder) file() string { return filepath.Join(s.dir, "ids") }

func (s *recorder) Start(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if s.proc, err = rig.Start(self, []string{"recorder", s.addr.String(), s.file(), s.fault}, filepath.Join(s.dir, "log")); err != nil {
		return err
	}
	return s.proc.AwaitOK(ctx, "http://"+s.addr.String()+"/healthz", 10*time.Second)
}

func (s *recorder) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.Kill()
	}
}

func (s *recorder) Addr() netip.AddrPort { return s.addr }

func (s *recorder) Choice(context.Context) (rig.Choice, error) {
	shown := &rig.Shown{Hash: strings.Repeat("0", 64), Surface: "banner", Locale: "fr", Purposes: []string{"ads"}}
	return rig.NewChoice("/", s.addr.String(), shown), nil
}

func (s *recorder) Rows(_ context.Context, _ uint64, out io.Writer) error {
	f, err := os.Open(s.file())
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for seq := 0; lines.Scan(); seq++ {
		switch {
		case s.fault == "loses rows" && seq == 5:
			continue
		case s.fault == "doubles rows" && seq == 5:
			fmt.Fprintf(out, "%s\t%d\n", lines.Text(), seq)
		}
		if _, err := fmt.Fprintf(out, "%s\t%d\n", lines.Text(), seq); err != nil {
			return err
		}
	}
	if s.fault == "loses half a row" {
		return fmt.Errorf("%w: one half", ErrMissing)
	}
	return lines.Err()
}

// leastChoices is enough for a fault that shows in one choice of ten to show in one that was acknowledged.
const leastChoices = 100

func TestARecorderIsHeldToItsPromise(t *testing.T) {
	for fault, want := range map[string]string{
		"none":             "",
		"forgets":          "and forgotten",
		"renumbers":        "and is now seq",
		"loses rows":       "seqs 5 to 5 are not in ClickHouse",
		"doubles rows":     "seq 5 is in ClickHouse more than once",
		"loses half a row": "rows are missing in ClickHouse: one half",
	} {
		t.Run("fault: "+fault, func(t *testing.T) {
			addr, err := rig.FreeAddr()
			if err != nil {
				t.Fatal(err)
			}
			r, err := Run(t.Context(), Options{
				Server: &recorder{addr: addr, dir: t.TempDir(), fault: fault},
				Cycles: 3, Conns: 8, Load: 100 * time.Millisecond, Least: leastChoices, Seed: 1, Say: t.Logf,
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Acknowledged < leastChoices {
				t.Fatalf("only %d choices were acknowledged: nothing was tested", r.Acknowledged)
			}
			if r.Resent == 0 {
				t.Error("no choice was cut off and sent again")
			}
			if err := r.Err(); want == "" && err != nil {
				t.Errorf("a recorder that keeps everything is blamed: %v", err)
			} else if want != "" && (!errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want)) {
				t.Errorf("want %q among the problems, got %v", want, err)
			}
		})
	}
}

func TestAnErrorShowsSomeOfEachKindOfProblem(t *testing.T) {
	r := NewRecord()
	for seq := range 1000 {
		r.problem("seq %d is in ClickHouse more than once", seq)
	}
	r.problem("choice %s was acknowledged as seq %d and forgotten", uuid.UUID{1}, 7)
	text := (&Report{Problems: r.Problems()}).Err().Error()
	for _, want := range []string{"seq 4 is", `and 995 more like "seq %d is in ClickHouse more than once"`, "as seq 7 and forgotten"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\n"); n != 7 {
		t.Errorf("%d lines, want 5 of the many, 1 of the other and 1 that counts", n)
	}
}

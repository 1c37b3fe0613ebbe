package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/bench/witness"
)

// few is how many cases every change is judged by; `make torture` makes two thousand over five times the proofs.
const few = 60

func TestDamageIsNeverPassedOverInSilence(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "consentd")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/consentd/consentd/cmd/consentd").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	c := &campaign{binary: binary, dir: t.TempDir(), cases: few, only: -1, proofs: 2000, parallel: 2, seed: 1, watch: time.Second,
		say: func(string, ...any) {}}
	all, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := &strings.Builder{}
	for _, o := range writeTable(table, all) {
		t.Error(o)
	}
	t.Log("\n" + table.String())
	if len(all) != few {
		t.Errorf("%d cases, want %d", len(all), few)
	}
}

// TestEveryDamageChangesTheDirectory holds the campaign to its own word: a case whose damage is none proves nothing.
func TestEveryDamageChangesTheDirectory(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			dir, earlier := t.TempDir(), t.TempDir()
			write := func(path, text string) {
				t.Helper()
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{"ledger/000001.sst", "ledger/000003.sst"} {
				write(filepath.Join(dir, f), "content of "+f+" with\x00 a hole and a tail\x00\x00\x00")
				write(filepath.Join(earlier, f), "as it was")
			}
			v := victim{dir: dir, rel: "ledger/000001.sst", earlier: earlier, others: []string{"ledger/000003.sst"}}
			if d.folder {
				v.rel = "ledger"
			}
			before := fingerprint(t, dir)
			if what, err := d.do(rand.New(rand.NewPCG(1, 1)), v); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if fingerprint(t, dir) == before {
				t.Error("the directory is as it was")
			}
			os.Chmod(filepath.Join(dir, "ledger"), 0o700) // so that it can be removed
		})
	}
}

// fingerprint is everything below a folder: names, permissions, content.
func fingerprint(t *testing.T, dir string) string {
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		info, err2 := os.Lstat(path)
		if err != nil || err2 != nil {
			all.WriteString(path + " cannot be read\n") // a folder without permissions
			return nil
		}
		b, _ := os.ReadFile(path) // a folder, or a file without permissions: its mode shows
		all.WriteString(path + info.Mode().String() + string(b) + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestACaseIsJudgedByWhatIsGoneAndWhatIsTold(t *testing.T) {
	told := map[string]string{"ledger": "up to 223 proofs of the end of the log may be missing"}
	for name, c := range map[string]struct {
		found witness.Finding
		told  map[string]string
		want  string
	}{
		"all there":                          {witness.Finding{}, nil, equal},
		"all there, and a warning":           {witness.Finding{}, told, equal},
		"some questions refused":             {witness.Finding{Refused: 3}, nil, failing},
		"gone, and nobody told":              {witness.Finding{Missing: 3}, nil, silent},
		"gone, within the bound":             {witness.Finding{Missing: 200, Stale: 23}, told, reported},
		"gone, beyond the bound":             {witness.Finding{Missing: 224}, told, silent},
		"changed, whatever is told":          {witness.Finding{Changed: 1}, told, silent},
		"gone, and told without a number":    {witness.Finding{Missing: 1}, map[string]string{"log": "not what it was"}, silent},
		"its own token unknown, nobody told": {witness.Finding{Refused: 1, Examples: []string{"lookup: 401 Unauthorized"}}, nil, silent},
		"its own token unknown, and told":    {witness.Finding{Refused: 1, Examples: []string{"lookup: 401 Unauthorized"}}, told, reported},
	} {
		var o outcome
		if o.judge(&c.found, c.told); o.verdict != c.want {
			t.Errorf("%s: %s, want %s", name, o.verdict, c.want)
		}
	}
}

func TestARefusalNamesAFileOrAKey(t *testing.T) {
	for sentence, want := range map[string]bool{
		"consentd: opening ledger: pebble: error when replaying WAL: invalid chunk": false,
		"consentd: opening /d/ledger: invalid chunk":                                true,
		"consentd: 000017.sst: on-disk corruption":                                  true,
		"consentd: keys/seal/0001.key is missing; restore it from a backup":         true,
	} {
		if got := names(sentence, "/d"); got != want {
			t.Errorf("%q names something: %v", sentence, got)
		}
	}
}

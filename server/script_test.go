package server

import (
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the server answers into testdata/http")

// What differs from run to run is masked.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`Date: [^\n]+`), "Date: …"},
	{regexp.MustCompile(`Retry-After: \d+`), "Retry-After: …"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`), "<time>"},
}

// TestScripts plays testdata/http/*.txt: the bytes of "request" are written to one connection (line ends
// become CR LF), and everything that comes back until the server has nothing more to say must be "response".
// The words $TOKEN and $WORDING stand for a token of scope lookup and the wording of the French banner.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/http/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			k := start(t)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(raw), "\n-- response --\n")
			_, request, ok := strings.Cut(script, "\n-- request --\n")
			if !ok {
				t.Fatal("no request")
			}
			got := k.play(request)
			if *update {
				if err := os.WriteFile(file, []byte(script+"\n-- response --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Fatalf("answered:\n%s", got)
			}
		})
	}
}

// play sends a script over one connection; the last request of a script closes it, or the server does.
func (k *kit) play(script string) string {
	k.t.Helper()
	words := strings.NewReplacer("$TOKEN", k.tokens["lookup"], "$WORDING", k.wordingOf("demo", "banner", "fr"), "\n", "\r\n")
	conn, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		k.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, words.Replace(script)); err != nil {
		k.t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		k.t.Fatalf("%v after %q", err, b)
	}
	out := strings.ReplaceAll(string(b), "\r\n", "\n")
	out = strings.ReplaceAll(out, k.wordingOf("demo", "banner", "fr"), "$WORDING")
	for _, m := range masks {
		out = m.pattern.ReplaceAllString(out, m.with)
	}
	return strings.TrimSuffix(out, "\n") + "\n"
}

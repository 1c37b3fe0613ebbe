package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/consentd/consentd"

// arrows is who may import whom inside the module, tests aside: one arrow, cmd → server → storage and
// server → widget; inside storage consent is the ground floor and siblings do not know each other.
// "dir" stands for the package itself, "dir/..." for everything below and including it.
var arrows = []struct{ from, to string }{
	{"cmd/...", "server/..."},
	{"cmd/...", "storage/..."},
	{"cmd/...", "widget"},
	{"cmd/...", "widget/measure"},
	{"server", "server/..."},
	{"server/admit", "server/wire"},
	{"server/link", "server/keyfile"},
	{"server/mail/mailtest", "storage/storagetest"},
	{"server/mail", "storage/ledger"}, // its jobs are notes, written in the batch of a proof
	{"server/site", "server/keyfile"},
	{"server/token", "server/keyfile"},
	{"server/...", "storage/consent"},
	{"server", "storage/ledger"},
	{"server", "storage/evidence"},
	{"server", "storage/warehouse"},
	{"server/...", "widget"},
	{"widget/...", "storage/consent"},
	{"widget/widgettest", "widget/measure"},
	{"storage/...", "storage/consent"},
	{"storage/storagetest", "storage/..."},
	{"bench/...", "bench/..."},
	{"bench/...", "storage/..."},
	{"bench/rig", "server/keyfile"},
}

// soleImporters names, for a library that is hidden behind one package, that package.
var soleImporters = map[string]string{
	"github.com/golang-jwt/jwt/v5":            "server/token",
	"github.com/evanw/esbuild":                "widget",
	"github.com/cockroachdb/pebble/v2":        "storage/ledger",
	"github.com/ClickHouse/clickhouse-go/v2":  "storage/warehouse",
	"github.com/ebitengine/purego":            "storage/engine",
	"github.com/goccy/go-yaml":                "server/site server cmd/consentd",
	"github.com/gofiber/fiber/v2":             "server bench",
	"github.com/chromedp/chromedp":            "server/camera widget/widgettest",
	"github.com/wneessen/go-mail":             "server/mail",
	"github.com/emersion/go-smtp":             "server/mail/mailtest",
	"github.com/alecthomas/kong":              "cmd/consentd",
	"github.com/oschwald/maxminddb-golang/v2": "cmd/consentd",
}

// topLevel is everything the root of the repository may hold besides dot-files (DESIGN §4).
var topLevel = []string{"cmd", "server", "widget", "storage", "bench", "go.mod", "go.sum", "README.md", "ARCHITECTURE.md", "Makefile", "LICENSE", "CHANGELOG.md"}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imp := range p.Imports {
			if to, ours := strings.CutPrefix(imp, module+"/"); ours && !allowed(from, to) {
				t.Errorf("%s imports %s, against the arrows of this test", from, to)
			}
			for lib, owners := range soleImporters {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.Contains(strings.Fields(owners), from) {
					t.Errorf("%s imports %s, which only %s may", from, imp, owners)
				}
			}
		}
	}
}

func TestArrowsRefuse(t *testing.T) {
	for _, bad := range [][2]string{{"storage/ledger", "server"}, {"storage/drain", "storage/ledger"}, {"widget", "server/site"}, {"server", "cmd/consentd"}, {"storage/consent", "storage/ledger"}} {
		if allowed(bad[0], bad[1]) {
			t.Errorf("%s may import %s: the arrows hold nothing", bad[0], bad[1])
		}
	}
}

func TestTopLevelHoldsOnlyTheLayout(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, file := range strings.Fields(string(out)) {
		top, _, _ := strings.Cut(filepath.ToSlash(file), "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(topLevel, top) {
			t.Errorf("%s: %q does not belong to the top level", file, top)
		}
	}
	for _, name := range topLevel {
		if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
			t.Errorf("missing: %v", err)
		}
	}
}

func allowed(from, to string) bool {
	return slices.ContainsFunc(arrows, func(a struct{ from, to string }) bool { return under(from, a.from) && under(to, a.to) })
}

func under(path, pattern string) bool {
	dir, all := strings.CutSuffix(pattern, "/...")
	return path == dir || all && strings.HasPrefix(path, dir+"/")
}

// packages lists every package of the module with its imports, tests aside.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil || len(all) < 15 {
		t.Fatalf("go list gave %d packages: %v", len(all), err)
	}
	return all
}

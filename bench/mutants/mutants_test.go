package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryGuardIsWhereTheListSays(t *testing.T) {
	root, err := root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guards {
		b, err := g.mutated(root)
		if err != nil {
			t.Errorf("%s: %v", g.promise, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), g.file, b, 0); err != nil {
			t.Errorf("%s: without it the file is no Go: %v", g.promise, err)
		}
		if g.text == g.with {
			t.Errorf("%s: nothing is removed", g.promise)
		}
	}
}

func TestEveryGuardNamesTestsThatExist(t *testing.T) {
	root, err := root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guards {
		for _, name := range strings.Split(g.tests, "|") {
			if !declares(t, filepath.Join(root, g.pkg), name) {
				t.Errorf("%s: %s has no %s", g.promise, g.pkg, name)
			}
		}
	}
}

func declares(t *testing.T, dir, test string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^func ` + test + `\(t \*testing\.T\)`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if declaration.Match(b) {
			return true
		}
	}
	return false
}

func TestAGuardIsJudgedByItsTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/g\n\ngo 1.26\n",
		"g.go":      "package g\n\nfunc Half(n int) int {\n\tif n < 0 {\n\t\treturn 0\n\t}\n\treturn n / 2\n}\n",
		"g_test.go": "package g\n\nimport \"testing\"\n\nfunc TestHeld(t *testing.T) {\n\tif Half(-2) != 0 {\n\t\tt.Error(\"negative\")\n\t}\n}\n\nfunc TestBlind(t *testing.T) {\n\tif Half(4) != 2 {\n\t\tt.Error(\"four\")\n\t}\n}\n\nfunc TestRed(t *testing.T) { t.Error(\"always\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	for what, c := range map[string]struct {
		g    guard
		want string
	}{
		"a test sees it":            {guard{text: "if n < 0 {", with: "if false {", tests: "TestHeld"}, noticed},
		"no test sees it":           {guard{text: "if n < 0 {", with: "if false {", tests: "TestBlind"}, survived},
		"the test fails anyway":     {guard{text: "if n < 0 {", with: "if false {", tests: "TestRed"}, failing},
		"the test is gone":          {guard{text: "if n < 0 {", with: "if false {", tests: "TestGone"}, broken},
		"the mutant does not build": {guard{text: "if n < 0 {", with: "if nobody < 0 {", tests: "TestHeld"}, broken},
		"the text is gone":          {guard{text: "if n < 7 {", with: "if false {", tests: "TestHeld"}, stale},
		"the text is there twice":   {guard{text: "return", with: "panic(n); return", tests: "TestHeld"}, stale},
	} {
		c.g.file, c.g.pkg = "g.go", "."
		if o := judge(t.Context(), dir, c.g); o.verdict != c.want {
			t.Errorf("%s: %s (%s), want %s", what, o.verdict, o.why, c.want)
		}
	}
}

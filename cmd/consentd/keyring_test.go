package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// startFails runs serve on a directory that it has to refuse, and gives its words.
func startFails(t *testing.T, data, sites string, args ...string) string {
	t.Helper()
	_, _, err := command(append([]string{"serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--engine-lib", filepath.Join(data, "none")}, args...)...)
	if err == nil {
		t.Fatal("it started")
	}
	return err.Error()
}

// TestAKeyThatIsNotTheLedgersIsNamed: each kind of key file, lost, replaced, unreadable or emptied; never a new one in its place.
func TestAKeyThatIsNotTheLedgersIsNamed(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, _ := withoutEngineAt(t, data, sites)
	p.end(t)
	files, err := (&keyRegister{dir: filepath.Join(data, "keys")}).files()
	if err != nil || len(files) < 6 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range files {
		path := filepath.Join(data, "keys", filepath.FromSlash(name)+".key")
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for kind, damage := range map[string]func() error{
			"missing":    func() error { return os.Remove(path) },
			"other":      func() error { return os.WriteFile(path, []byte(strings.Repeat("ab", 32)+"\n"), 0o600) },
			"emptied":    func() error { return os.WriteFile(path, nil, 0o600) },
			"unreadable": func() error { return os.Chmod(path, 0o644) }, // root reads everything: open to others is what it is refused for
		} {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			if said := startFails(t, data, sites); !strings.Contains(said, path) {
				t.Errorf("%s %s: %s", name, kind, said)
			}
			if now, err := os.ReadFile(path); kind == "missing" && err == nil {
				t.Errorf("%s: there is a new one: %q", name, now)
			}
			os.Remove(path)
			if err := os.WriteFile(path, was, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Rename(filepath.Join(data, "keys"), filepath.Join(data, "away")); err != nil {
		t.Fatal(err)
	}
	if said := startFails(t, data, sites); !contains(said, filepath.Join(data, "keys")+" is missing") {
		t.Errorf("all keys gone: %s", said)
	}
	if _, err := os.Stat(filepath.Join(data, "keys")); err == nil {
		t.Error("new keys were made")
	}
	if err := os.Rename(filepath.Join(data, "away"), filepath.Join(data, "keys")); err != nil {
		t.Fatal(err)
	}
	p, _ = withoutEngineAt(t, data, sites)
	p.end(t)
}

func withoutEngineAt(t *testing.T, data, sites string) (p *program, edge string) {
	t.Helper()
	return serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"))
}

// TestAKeyThatWasLetGoOfIsNotMissed: retired by a command, or said to be gone; and one that comes after is missed again.
func TestAKeyThatWasLetGoOfIsNotMissed(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, _ := withoutEngineAt(t, data, sites)
	must(t, "links", "--data", data, "--rotate")
	must(t, "links", "--data", data, "--retire", "1")
	p.end(t)
	p, edge := withoutEngineAt(t, data, sites)
	token := tokenFor(t, data)
	if code, body := choose(t, edge, token, "jean"); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	p.end(t)
	path := filepath.Join(data, "keys", "sites", "demo.key")
	if err := os.WriteFile(path, []byte(strings.Repeat("cd", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startFails(t, data, sites)
	must(t, "keys", "--data", data, "--forget", "sites/demo")
	p, edge = withoutEngineAt(t, data, sites)
	wantStanding(t, edge, token, "jean", "unknown") // made with the old one
	p.end(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if said := startFails(t, data, sites); !contains(said, path+" is missing") {
		t.Errorf("the key that came after: %s", said)
	}
}

// TestARepairSaysWhatItWouldDoFirst: a ledger whose end is gone.
func TestARepairSaysWhatItWouldDoFirst(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := withoutEngineAt(t, data, sites)
	token := tokenFor(t, data)
	for _, who := range []string{"a", "b", "c"} {
		if code, body := record(t, edge, token, uuid.Must(uuid.NewV7()), "external", who); code != 201 {
			t.Fatalf("%d %s", code, body)
		}
	}
	p.end(t)
	if err := os.Remove(filepath.Join(data, "ledger", "acknowledged")); err != nil {
		t.Fatal(err)
	}
	if said := startFails(t, data, sites); !contains(said, "acknowledged") {
		t.Errorf("serve: %s", said)
	}
	out, _, err := command("repair", "--data", data)
	if err == nil || !contains(out, "would go on in generation 2", "wrong: ") {
		t.Errorf("dry: %v\n%s", err, out)
	}
	startFails(t, data, sites)
	out, errs, err := command("repair", "--data", data, "--yes")
	if err != nil || !contains(out, "passed over: ", "goes on with 3 proofs, in generation 2") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	_, edge = withoutEngineAt(t, data, sites)
	wantStanding(t, edge, token, "b", "granted")
	if _, _, err := command("repair", "--data", data, "--yes"); err == nil || !contains(err.Error(), "a server runs on") {
		t.Errorf("while a server runs: %v", err)
	}
	if _, _, err := command("restore", "--data", data, "--replace", filepath.Join(data, "ledger")); err == nil || !contains(err.Error(), "no manifest.json") {
		t.Errorf("restoring what is no backup: %v", err)
	}
}

// TestACheckFindsAFlippedBit: clean while the server runs and after; one bit of a table flipped is found.
func TestACheckFindsAFlippedBit(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := withoutEngineAt(t, data, sites)
	token := tokenFor(t, data)
	for i := range 20 {
		if code, body := choose(t, edge, token, strings.Repeat("x", i+1)); code != 201 {
			t.Fatalf("%d %s", code, body)
		}
	}
	if out, errs, err := command("check", "--data", data); err != nil || !contains(out, "is sound") || !contains(errs, "checkpoints of the log hold") {
		t.Errorf("running: %v\n%s%s", err, out, errs)
	}
	p.end(t)
	if out, errs, err := command("check", "--data", data); err != nil || !contains(out, "is sound") {
		t.Errorf("stopped: %v\n%s%s", err, out, errs)
	}
	tables, err := filepath.Glob(filepath.Join(data, "ledger", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 0x10
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, err := command("check", "--data", data); err == nil || !contains(out, "WRONG: ", "found in") {
		t.Errorf("a flipped bit: %v\n%s%s", err, out, errs)
	}
}

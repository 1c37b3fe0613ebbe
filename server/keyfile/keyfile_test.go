package keyfile_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/keyfile"
)

// A test that needs several processes starts itself with childDir set.
const childDir = "KEYFILE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child waits for its standard input to end, so that all children start together, and prints the secret.
func child(dir string) {
	d, err := keyfile.Open(dir)
	if err != nil {
		panic(err)
	}
	os.Stdin.Read(make([]byte, 1))
	secret, err := d.GetOrCreate("demo")
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(hex.EncodeToString(secret))
}

func open(t *testing.T) *keyfile.Dir {
	t.Helper()
	d, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestASecretIsMadeOnceAndKept(t *testing.T) {
	d := open(t)
	first, err := d.GetOrCreate("demo")
	if err != nil || len(first) != keyfile.Size {
		t.Fatalf("got %d bytes, %v", len(first), err)
	}
	again, err := d.GetOrCreate("demo")
	if err != nil || !bytes.Equal(first, again) {
		t.Fatalf("second call gave another secret, %v", err)
	}
	other, err := d.GetOrCreate("other")
	if err != nil || bytes.Equal(first, other) {
		t.Fatalf("two names share one secret, %v", err)
	}
	entries, _ := os.ReadDir(d.Path())
	if len(entries) != 2 {
		t.Errorf("the directory holds %v, want two files and nothing left aside", entries)
	}
}

func TestFilesAndDirectoryAreClosedToOthers(t *testing.T) {
	d := open(t)
	if _, err := d.GetOrCreate("demo"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{d.Path(): 0o700, filepath.Join(d.Path(), "demo.key"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o (%v)", path, info.Mode().Perm(), want, err)
		}
	}
}

func TestABadFileIsRefusedWithItsReason(t *testing.T) {
	good := strings.Repeat("ab", keyfile.Size)
	for _, tc := range []struct {
		name string
		text string
		mode fs.FileMode
		want error
	}{
		{"64 hex digits are a secret", good, 0o600, nil},
		{"a line feed at the end is fine", good + "\n", 0o600, nil},
		{"a Windows line end is fine", good + "\r\n", 0o600, nil},
		{"read-only is fine", good, 0o400, nil},
		{"the group may read it", good, 0o640, keyfile.ErrPermission},
		{"everybody may read it", good, 0o604, keyfile.ErrPermission},
		{"an empty file", "", 0o600, keyfile.ErrMalformed},
		{"one digit short", good[1:], 0o600, keyfile.ErrMalformed},
		{"one byte too many", good + "ab", 0o600, keyfile.ErrMalformed},
		{"far too long", strings.Repeat(good, 99), 0o600, keyfile.ErrMalformed},
		{"not hex", strings.Repeat("zz", keyfile.Size), 0o600, keyfile.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t)
			path := filepath.Join(d.Path(), "demo.key")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := d.GetOrCreate("demo")
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name the file", err)
			}
			if text, _ := os.ReadFile(path); string(text) != tc.text {
				t.Error("the file was changed")
			}
		})
	}
}

func TestADirectoryOpenToOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Open(dir); !errors.Is(err, keyfile.ErrPermission) || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v, want ErrPermission that says what to run", err)
	}
}

func TestANameCannotLeaveTheDirectory(t *testing.T) {
	d := open(t)
	for _, name := range []string{"", "../x", "a/b", ".new-1", "A", "a.b", strings.Repeat("a", 65)} {
		if _, err := d.GetOrCreate(name); !errors.Is(err, keyfile.ErrName) {
			t.Errorf("%q: got %v, want ErrName", name, err)
		}
	}
}

func TestProcessesThatCreateOneSecretAtOnceAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	const children = 6
	var cmds [children]*exec.Cmd
	var outs [children]bytes.Buffer
	var starts []interface{ Close() error }
	for i := range cmds {
		cmds[i] = exec.Command(os.Args[0])
		cmds[i].Env = append(os.Environ(), childDir+"="+dir)
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], os.Stderr
		in, err := cmds[i].StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, in)
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range starts {
		in.Close()
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if outs[i].Len() != 2*keyfile.Size || outs[i].String() != outs[0].String() {
			t.Errorf("child %d has secret %q, child 0 %q", i, outs[i].String(), outs[0].String())
		}
	}
}

func TestARingGrowsByOne(t *testing.T) {
	d := open(t)
	ring, err := d.Numbered()
	if err != nil || len(ring) != 1 || ring[1] == nil {
		t.Fatalf("a new ring has %v, %v; want number 1 alone", ring, err)
	}
	for want := 2; want <= 3; want++ {
		if n, err := d.Add(3); n != want || err != nil {
			t.Fatalf("got %d, %v; want %d", n, err, want)
		}
	}
	if _, err := d.Add(3); !errors.Is(err, keyfile.ErrFull) {
		t.Errorf("past the limit: got %v, want ErrFull", err)
	}
	if err := d.RemoveNumber(1); err != nil {
		t.Fatal(err)
	}
	names, err := d.Names()
	if err != nil || !slices.Equal(names, []string{"0002", "0003"}) {
		t.Errorf("left are %v, %v", names, err)
	}
}

func TestAStrangerInARingIsNamed(t *testing.T) {
	d := open(t)
	if _, err := d.GetOrCreate("old-key"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Numbered(); !errors.Is(err, keyfile.ErrName) || !strings.Contains(err.Error(), "old-key.key") {
		t.Errorf("got %v, want ErrName that names the file", err)
	}
}

package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
)

// source makes a directory to be copied.
func source(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{"a": "one", "deep/b": "two", "deep/c": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(dir, from string, now time.Time) backup.Options {
	return backup.Options{Dir: dir, Now: now, Say: func(string) {},
		Free: func() (uint64, uint64, error) { return 1 << 30, 1 << 20, nil },
		Parts: []backup.Part{{Name: "things", Size: func() (uint64, error) { return backup.TreeSize(from) },
			Write: func(_ context.Context, to string) error { return backup.CopyTree(from, to) }}}}
}

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func mustTake(t *testing.T, o backup.Options) (path string) {
	t.Helper()
	path, err := backup.Take(t.Context(), o, backup.Manifest{Edge: "e1", Generation: 3})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestABackupIsClosedToOthersWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	parent := filepath.Join(t.TempDir(), "backups")
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	mustTake(t, options(parent, source(t), noon))
	files := 0
	err := filepath.WalkDir(parent, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s: %o, want %o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil || files != 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestABackupThatIsNotWhatItWasIsNoBackup(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"a byte changed":  func(p string) error { return os.WriteFile(filepath.Join(p, "things/a"), []byte("ond"), 0o600) },
		"a file missing":  func(p string) error { return os.Remove(filepath.Join(p, "things/deep/c")) },
		"a file too many": func(p string) error { return os.WriteFile(filepath.Join(p, "things/d"), nil, 0o600) },
		"no manifest":     func(p string) error { return os.Remove(filepath.Join(p, backup.ManifestName)) },
		"half a manifest": func(p string) error { return os.Truncate(filepath.Join(p, backup.ManifestName), 40) },
	} {
		path := mustTake(t, options(t.TempDir(), source(t), noon))
		if m, err := backup.Verify(t.Context(), path); err != nil || m.Edge != "e1" || m.Generation != 3 || len(m.Files) != 3 {
			t.Fatalf("as it was written: %+v %v", m, err)
		}
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.Verify(t.Context(), path); !errors.Is(err, backup.ErrNot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestABackupIsWholeOrNotThere: a part fails, the disk has no room, or the process died before.
func TestABackupIsWholeOrNotThere(t *testing.T) {
	dir, from := t.TempDir(), source(t)
	broken := errors.New("broken")
	failing := options(dir, from, noon)
	failing.Parts = append(failing.Parts, backup.Part{Name: "more", Size: func() (uint64, error) { return 0, nil },
		Write: func(context.Context, string) error { return broken }})
	full := options(dir, from, noon)
	full.Free = func() (uint64, uint64, error) { return 1 << 20, 1 << 20, nil }
	for name, tc := range map[string]struct {
		o    backup.Options
		want error
	}{"a part fails": {failing, broken}, "no room": {full, backup.ErrNoSpace}} {
		if _, err := backup.Take(t.Context(), tc.o, backup.Manifest{}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left %v %v", name, left, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".partial-20261130T110000.000Z", "things"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := mustTake(t, options(dir, from, noon))
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside %s: %v %v", path, left, err)
	}
}

func TestPruningKeepsTheNewestAndWhatItDoesNotKnow(t *testing.T) {
	dir, from := t.TempDir(), source(t)
	var made []string
	for i := range 4 {
		made = append(made, mustTake(t, options(dir, from, noon.Add(time.Duration(i)*time.Hour))))
	}
	others := []string{"20261130T110000.000Z", "notes", "20200101T000000"} // the first is no complete backup
	for _, name := range others {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := backup.Prune(dir, 2)
	if err != nil || len(removed) != 2 || removed[0] != made[0] || removed[1] != made[1] {
		t.Fatalf("removed %v, %v", removed, err)
	}
	if left, err := backup.List(dir); err != nil || len(left) != 2 || left[1] != made[3] {
		t.Errorf("left %v, %v", left, err)
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestAJournalKeepsWholeLinesAndNamesNobody(t *testing.T) {
	j := backup.Journal{Path: filepath.Join(t.TempDir(), "journal")}
	if all, torn, err := j.Read(); err != nil || torn != 0 || all != nil {
		t.Errorf("none: %v %d %v", all, torn, err)
	}
	secret, key := make([]byte, 32), consent.SubjectKey{1, 2, 3}
	one := consent.Erasure{Site: "demo", Who: backup.Fingerprint(secret, key), At: 5}
	if one.Who == key.String() || one.Who != backup.Fingerprint(secret, key) {
		t.Errorf("fingerprint %s", one.Who)
	}
	if err := j.Note(one); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(j.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"site":"de`) // a crash
	f.Close()
	two := consent.Erasure{Site: "demo", Who: "ff", At: 7}
	if err := j.Note(two); err != nil {
		t.Fatal(err)
	}
	all, torn, err := j.Read()
	if err != nil || torn != 1 || len(all) != 2 || all[0] != one || all[1] != two {
		t.Errorf("%v %d %v", all, torn, err)
	}
	later := one
	later.At = 9
	if u := backup.Union(all, []consent.Erasure{later}); len(u) != 2 || u[0] != two || u[1] != later {
		t.Errorf("union %v", u)
	}
}

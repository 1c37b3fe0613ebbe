package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A clean stop leaves a list of the store's files, which nothing changes until the next start: what is missing then,
// or has another size or (but for tables of sorted keys, which carry sums of their own) other content, is damage.
// The list is removed before the store is opened again, so one that is there speaks of the last stop.

const closedName = "closed"

// storeFile matches the names Pebble gives to files it would read.
var storeFile = regexp.MustCompile(`^(\d+\.(sst|log|blob)|\d+-\d+\.log|MANIFEST-\d+|OPTIONS-\d+|CURRENT.*|marker\..*|` + watermarkName + `)$`)

// steers matches those of them that decide what is read: one more of these is damage; a table more is not.
var steers = regexp.MustCompile(`^(\d.*\.log|CURRENT.*|marker\..*)$`)

// closedFile is a line of the list.
type closedFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Sum  string `json:"sha256,omitempty"` // hex; not of tables
}

// writeClosed lists the files of a store that has been closed.
func writeClosed(fs vfs.FS, dir string) error {
	err := syncDir(fs, dir) // what was removed stays so, before there is a list without it
	var files []closedFile
	if err == nil {
		files, err = storeFiles(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("listing the store's files: %w", err)
	}
	text, err := json.Marshal(files)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	text = append(append(text, '\n'), hex.EncodeToString(sum[:])...)
	if err := replaceFile(fs, dir, closedName, text); err != nil {
		return fmt.Errorf("listing the store's files: %w", err)
	}
	return nil
}

func storeFiles(fs vfs.FS, dir string) (files []closedFile, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if !storeFile.MatchString(name) {
			continue
		}
		f, err := describeFile(fs, dir, name)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func describeFile(fs vfs.FS, dir, name string) (closedFile, error) {
	c := closedFile{Name: name}
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return c, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	if c.Size = info.Size(); strings.HasSuffix(name, ".sst") {
		return c, nil
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err := shortRead(n, c.Size, err); err != nil {
		return c, fmt.Errorf("reading %s: %w", name, err)
	}
	c.Sum = hex.EncodeToString(sum.Sum(nil))
	return c, nil
}

// readFile reads a small file whole. Its end is where the file system says it is, not where a read gave nothing: a
// failing disk does that too.
func readFile(fs vfs.FS, dir, name string) ([]byte, error) {
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, shortRead(int64(len(b)), info.Size(), err)
}

// shortRead is the error of a file of size bytes that gave n.
func shortRead(n, size int64, err error) error {
	if err == nil && n != size {
		err = fmt.Errorf("%w: it has %d bytes and gave %d", io.ErrUnexpectedEOF, size, n)
	}
	return err
}

// readClosed gives the list of the last stop; found is false when it was not clean, or the list is not whole.
func readClosed(fs vfs.FS, dir string) (files []closedFile, found bool, err error) {
	text, err := readFile(fs, dir, closedName)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the list of the last stop: %w", err)
	}
	list, sum, _ := bytes.Cut(text, []byte("\n"))
	if want := sha256.Sum256(list); hex.EncodeToString(want[:]) != string(sum) {
		return nil, false, nil
	}
	return files, true, json.Unmarshal(list, &files)
}

// checkClosed compares the directory with the list of the last stop.
func checkClosed(fs vfs.FS, dir string, listed []closedFile) error {
	var wrong []string
	known := map[string]bool{}
	for _, was := range listed {
		known[was.Name] = true
		is, err := describeFile(fs, dir, was.Name)
		switch {
		case errors.Is(err, os.ErrNotExist):
			wrong = append(wrong, was.Name+" is missing")
		case err != nil:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case is.Size != was.Size:
			wrong = append(wrong, fmt.Sprintf("%s has %d bytes and had %d", was.Name, is.Size, was.Size))
		case is.Sum != was.Sum:
			wrong = append(wrong, was.Name+" has other content")
		}
	}
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if steers.MatchString(name) && !known[name] {
			wrong = append(wrong, name+" was not there")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	const most = 5
	if more := len(wrong) - most; more > 0 {
		wrong = append(wrong[:most], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w since it was stopped: %s", ErrDamaged, strings.Join(wrong, ", "))
}

// removeFile removes a small file for good, when there is one.
func removeFile(fs vfs.FS, dir, name string) error {
	err := fs.Remove(fs.PathJoin(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// replaceFile writes a small file whole, on disk before it has its name.
func replaceFile(fs vfs.FS, dir, name string, content []byte) error {
	path := fs.PathJoin(dir, name)
	aside := path + ".new"
	f, err := fs.Create(aside, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(aside, path); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

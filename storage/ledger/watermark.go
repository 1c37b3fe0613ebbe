package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// watermark is a file beside the store that says how far the ledger had been acknowledged. It is written after each
// sync and before anybody is answered, but not synced itself: it outlives the process, not the machine. So whatever a
// kill -9 leaves has to reach the watermark exactly, and a store that falls short of it has lost what was acknowledged,
// however whole it looks (a damaged tail of a log reads like its end). After a power cut the file may be behind: then
// it is a lower bound.
//
// It has two slots, written in turn, so that one is always whole:
//
//	"cwm1" │ generation 4 │ instance 16 │ boot 16 │ batch 8 │ direct 8 │ clock 8 │ next 3 × 8 │ CRC-32C 4
//
// # Why beside the store
//
// What is to check a store cannot lie in it. One write of 96 bytes a group costs a microsecond beside an fsync.
type watermark struct {
	mu   sync.Mutex
	file vfs.File
	slot int64
	mark mark
}

// mark is what one slot says.
type mark struct {
	generation uint32
	instance   uuid.UUID
	boot       [16]byte // of the machine's run, as Linux names it; zero: not known
	direct     uint64   // writes outside of batches, see direct.go
	head       head     // without ids
}

const (
	watermarkName = "acknowledged"
	slotStride    = 512 // a sector each: a torn write spoils one
	markMagic     = "cwm1"
	markSize      = 4 + 4 + 16 + 16 + 8 + 8 + 8 + 8*streams + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (m *mark) append(b []byte) []byte {
	b = append(b, markMagic...)
	b = binary.BigEndian.AppendUint32(b, m.generation)
	b = append(b, m.instance[:]...)
	b = append(b, m.boot[:]...)
	b = binary.BigEndian.AppendUint64(b, m.head.batch)
	b = binary.BigEndian.AppendUint64(b, m.direct)
	b = binary.BigEndian.AppendUint64(b, uint64(m.head.clock))
	b = appendSeqs(b, m.head.next)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseMark reads a slot; ok is false for one that is not whole.
func parseMark(b []byte) (m mark, ok bool) {
	if len(b) < markSize || string(b[:4]) != markMagic ||
		crc32.Checksum(b[:markSize-4], castagnoli) != binary.BigEndian.Uint32(b[markSize-4:]) {
		return m, false
	}
	m.generation = binary.BigEndian.Uint32(b[4:])
	copy(m.instance[:], b[8:24])
	copy(m.boot[:], b[24:40])
	m.head.batch = binary.BigEndian.Uint64(b[40:])
	m.direct = binary.BigEndian.Uint64(b[48:])
	m.head.clock = millisOf(b[56:])
	m.head.next, _ = parseSeqs(b[64 : 64+8*streams]) // the length is right
	return m, true
}

// later orders marks of one file.
func (m *mark) later(o *mark) bool {
	if m.generation != o.generation {
		return m.generation > o.generation
	}
	return m.head.batch+m.direct > o.head.batch+o.direct
}

// errNoMark: there is no watermark, or none that is whole.
var errNoMark = errors.New("the record of what was acknowledged (" + watermarkName + ") is missing or damaged")

// readWatermark gives the later of the slots.
func readWatermark(fs vfs.FS, dir string) (mark, error) {
	b, err := readFile(fs, dir, watermarkName)
	if errors.Is(err, os.ErrNotExist) {
		return mark{}, errNoMark
	}
	if err != nil {
		return mark{}, fmt.Errorf("reading what was acknowledged: %w", err)
	}
	var best mark
	found := false
	for at := 0; at < len(b); at += slotStride {
		if m, ok := parseMark(b[at:min(at+slotStride, len(b))]); ok && (!found || m.later(&best)) {
			best, found = m, true
		}
	}
	if !found {
		return mark{}, errNoMark
	}
	return best, nil
}

// Acknowledged is what the record beside a ledger says of it, which is not opened: the generation it was in, and the
// next seqs by stream.
func Acknowledged(dir string) (generation uint32, next [streams]uint64, err error) {
	m, err := readWatermark(vfs.Default, dir)
	return m.generation, m.head.next, err
}

// create makes the file, whole and on disk, before the first entry is acknowledged.
func (w *watermark) create(fs vfs.FS, dir string, m mark) (err error) {
	w.mark = m
	both := make([]byte, slotStride+markSize)
	copy(both, m.append(nil))
	copy(both[slotStride:], m.append(nil))
	if err = replaceFile(fs, dir, watermarkName, both); err == nil {
		w.file, err = fs.OpenReadWrite(fs.PathJoin(dir, watermarkName), vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return fmt.Errorf("recording what is acknowledged: %w", err)
	}
	return nil
}

// raise says that batches up to h are on disk. It is called before anybody is told so.
func (w *watermark) raise(h head) error {
	return w.write(func(m *mark) { m.head = h })
}

// write changes one slot; the other keeps what was said before.
func (w *watermark) write(change func(*mark)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.mark)
	var room [markSize]byte
	w.slot ^= 1
	if _, err := w.file.WriteAt(w.mark.append(room[:0]), w.slot*slotStride); err != nil {
		return fmt.Errorf("recording what is acknowledged: %w", err)
	}
	return nil
}

func (w *watermark) close() error {
	if w.file == nil {
		return nil
	}
	return errors.Join(w.file.Sync(), w.file.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// BootID names this run of the machine; zero where nobody says.
func BootID() (id uuid.UUID) {
	if runtime.GOOS != "linux" {
		return id
	}
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	parsed, err := uuid.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return id
	}
	return parsed
}

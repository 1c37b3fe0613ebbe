package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement about a log: how many entries it had at a moment, and the root hash over them.
type Checkpoint struct {
	Origin   string // of the log, see Keeper
	Size     uint64
	Root     tlog.Hash
	At       consent.Millis
	Succeeds *Former // set under every origin but a log's first
}

// Former is the last that was known of the origin a log went on from, when what the edge holds no longer agreed
// with it.
type Former struct {
	Origin string
	Size   uint64
	Root   tlog.Hash
}

// ErrCheckpoint means that a signed text is not a checkpoint of ours.
var ErrCheckpoint = errors.New("evidence: not a checkpoint")

// text is the note text (C2SP tlog-checkpoint): origin, size, root, then our extension lines.
func (c *Checkpoint) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Size, encodeHash(c.Root))
	fmt.Fprintf(&b, "time %s\n", c.At)
	if f := c.Succeeds; f != nil {
		fmt.Fprintf(&b, "succeeds %s %d %s\n", f.Origin, f.Size, encodeHash(f.Root))
	}
	return b.String()
}

// Sign gives the signed note: one signature for each signer, under the origin as the name of the key.
func (c *Checkpoint) Sign(signers ...Signer) ([]byte, error) {
	return signNote(c.text(), c.Origin, signers)
}

// OpenCheckpoint reads a signed note, which one of keys must have signed under its origin.
func OpenCheckpoint(msg []byte, keys ...Key) (*Checkpoint, error) {
	origin, _, _ := strings.Cut(string(msg), "\n")
	text, err := openNote(msg, origin, keys)
	if err != nil {
		return nil, err
	}
	return parseCheckpoint(text)
}

func parseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 4 || len(lines) > 5 || lines[0] == "" {
		return nil, ErrCheckpoint
	}
	c := &Checkpoint{Origin: lines[0]}
	size, sizeErr := parseSize(lines[1])
	root, rootErr := decodeHash(lines[2])
	at, timeErr := time.Parse(time.RFC3339Nano, strings.TrimPrefix(lines[3], "time "))
	c.Size, c.Root, c.At = size, root, consent.ToMillis(at)
	if len(lines) == 5 {
		f, err := parseFormer(lines[4])
		if err != nil {
			return nil, err
		}
		c.Succeeds = f
	}
	if err := errors.Join(sizeErr, rootErr, timeErr); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if c.text() != text { // one spelling only
		return nil, ErrCheckpoint
	}
	return c, nil
}

func parseFormer(line string) (*Former, error) {
	words := strings.Split(line, " ")
	if len(words) != 4 || words[0] != "succeeds" {
		return nil, ErrCheckpoint
	}
	size, sizeErr := parseSize(words[2])
	root, rootErr := decodeHash(words[3])
	if err := errors.Join(sizeErr, rootErr); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return &Former{Origin: words[1], Size: size, Root: root}, nil
}

// maxSize is the largest log there can be: x/mod counts in int64, JSON in 53 bits.
const maxSize = 1<<53 - 1

func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > maxSize || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.30q is no size of a log", s)
	}
	return n, nil
}

func encodeHash(h tlog.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

func decodeHash(s string) (h tlog.Hash, err error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != tlog.HashSize {
		return h, fmt.Errorf("%.60q is no hash", s)
	}
	return tlog.Hash(raw), nil
}

// GenerationOf reads the generation of a log off the origin of a checkpoint, without looking who signed it; 0: it is none.
func GenerationOf(note []byte) uint32 {
	origin, _, _ := strings.Cut(string(note), "\n")
	at := strings.LastIndexByte(origin, '/')
	if at < 0 {
		return 0
	}
	if n, err := strconv.ParseUint(origin[at+1:], 10, 32); err == nil {
		return uint32(n)
	}
	return 1
}

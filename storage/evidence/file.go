package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/consentd/consentd/storage/consent"
	"golang.org/x/mod/sumdb/tlog"
)

// File is an evidence file, see the package documentation. Its bytes are the canonical JSON of this.
type File struct {
	Evidence  Evidence `json:"evidence"`
	Signature string   `json:"signature"` // signature lines of a note whose text is statement(Evidence)
}

// Evidence is what an edge says about proofs, and what shows that it is so.
type Evidence struct {
	Format    string         `json:"format"` // Format
	V         int            `json:"v"`      // Version
	MadeAt    consent.Millis `json:"made_at"`
	Name      string         `json:"name"` // of the edge's key
	Keys      []string       `json:"keys"` // the edge's verifier keys, newest first; trust comes from elsewhere
	Site      Site           `json:"site"`
	Subject   string         `json:"subject,omitempty"` // these are all the proofs of this subject key, when it was made
	Logs      Logs           `json:"logs"`
	Proofs    []Proof        `json:"proofs"`
	Published []Publication  `json:"published"`
	Elsewhere []Elsewhere    `json:"elsewhere,omitempty"` // proofs of the subject that other edges recorded
}

// Format and Version of the files this package writes and reads.
const (
	Format  = "consentd-evidence"
	Version = 1
)

// Site is whose proofs these are.
type Site struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Controller consent.Controller `json:"controller"`
}

// Logs are the two logs the file rests on.
type Logs struct {
	Proofs    LogPart `json:"proofs"`
	Published LogPart `json:"published"`
}

// LogPart is the checkpoint of a log.
type LogPart struct {
	Checkpoint string `json:"checkpoint"` // signed note
	Since      *Since `json:"since,omitempty"`
}

// Since shows that a log has only grown since an earlier checkpoint.
type Since struct {
	Size   uint64      `json:"size"`
	Root   tlog.Hash   `json:"root"`
	Hashes []tlog.Hash `json:"hashes"` // consistency proof, RFC 6962 §2.1.2
}

// Proof is one proof, its place in the log, and the opening of its personal part.
type Proof struct {
	Facts      string      `json:"facts"` // canonical; SHA-256(0x00 ‖ facts) is leaf number Index
	Index      uint64      `json:"index"`
	Inclusion  []tlog.Hash `json:"inclusion"` // audit path, RFC 6962 §2.1.1
	Erased     bool        `json:"erased"`
	Personal   string      `json:"personal,omitempty"`   // canonical; SHA-256(salt ‖ personal) is the commitment in Facts
	Salt       string      `json:"salt,omitempty"`       // hex
	Identifier string      `json:"identifier,omitempty"` // e-mail or phone as the server knows it; only its word stands for it
}

// Publication is one entry of the log of publications.
type Publication struct {
	Entry     string      `json:"entry"` // canonical; SHA-256(0x00 ‖ entry) is leaf number Index
	Index     uint64      `json:"index"`
	Inclusion []tlog.Hash `json:"inclusion"`
	Doc       string      `json:"doc,omitempty"` // of a wording: the document; of a bundle: the hashes of its wordings
}

// Elsewhere names a proof whose evidence another edge has to give.
type Elsewhere struct {
	Edge string `json:"edge"`
	ID   string `json:"id"`
}

// statement is the note text that the signature of a file is over.
func (e *Evidence) statement() (string, error) {
	doc, err := consent.Canonical(e)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(doc)
	return signedAs(e.Name) + "\n" + hex.EncodeToString(sum[:]) + "\n", nil
}

// signedAs is the name evidence files are signed under. It is no origin of a log, and the text below it no
// checkpoint: one cannot stand for the other.
func signedAs(name string) string { return name + "/evidence" }

// sign seals e into a file.
func (e *Evidence) sign(signers []Signer) (*File, error) {
	text, err := e.statement()
	if err != nil {
		return nil, err
	}
	n, err := signNote(text, signedAs(e.Name), signers)
	if err != nil {
		return nil, err
	}
	return &File{Evidence: *e, Signature: string(n[len(text)+1:])}, nil // behind the empty line
}

// Encode gives the bytes of the file.
func (f *File) Encode() ([]byte, error) { return consent.Canonical(f) }

// Errors of Decode.
var (
	ErrFile    = errors.New("evidence: not an evidence file")
	ErrVersion = errors.New("evidence: the file was made by a newer consentd; verify it with a newer one")
)

// Decode reads a file strictly: these bytes are the only ones its content has.
func Decode(b []byte) (*File, error) {
	var head struct {
		Evidence struct {
			Format string
			V      int
		}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if head.Evidence.Format != Format || head.Evidence.V < 1 {
		return nil, fmt.Errorf("%w: its format is %.40q", ErrFile, head.Evidence.Format)
	}
	if head.Evidence.V > Version {
		return nil, fmt.Errorf("%w (version %d, this reads %d)", ErrVersion, head.Evidence.V, Version)
	}
	f := new(File)
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	again, err := f.Encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: it is not in the one form its content has (RFC 8785)", ErrFile)
	}
	return f, nil
}

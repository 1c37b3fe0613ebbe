package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/consentd/consentd/storage/evidence"
)

type verifyCmd struct {
	File       string   `arg:"" help:"Evidence file; - reads standard input."`
	Key        []string `help:"Verifier key of the edge, as consentd keys prints it, or a file that holds it; may be repeated. Get it from somewhere else than the file." required:"" placeholder:"VKEY" sep:"none"`
	Checkpoint string   `help:"A checkpoint noted earlier: the file has to agree with it." placeholder:"FILE" type:"path"`
	Quiet      bool     `help:"Print what was refused or could not be checked, and the outcome."`
}

func (c *verifyCmd) Help() string {
	return `Checks an evidence file step by step, without network or data directory, and says what it could not check. Exits 1
when anything is refused.

Example: consentd verify evidence.json --key consentd/e1+c0545740+AYrQ3Z0lyc3oMImtIDM8Esh1dFbBkbcB3xGC7A9Nfk0J`
}

// maxEvidenceFile bounds what is read, in bytes: a file of 2,000 proofs has some 10 MiB.
const maxEvidenceFile = 256 << 20

func (c *verifyCmd) Run(s streams) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	file, err := readEvidence(c.File)
	if err != nil {
		return err
	}
	var old []byte
	if c.Checkpoint != "" {
		if old, err = os.ReadFile(c.Checkpoint); err != nil {
			return fmt.Errorf("--checkpoint: %w", err)
		}
	}
	r := evidence.Verify(file, keys, old)
	c.print(s, r)
	if !r.OK() {
		return exitCode(1)
	}
	if old != nil && compared(r) == evidence.Skipped {
		fmt.Fprintln(s.out, "The checkpoint could not be compared.")
		return exitCode(1)
	}
	return nil
}

func compared(r *evidence.Report) evidence.Status {
	for _, step := range r.Steps {
		if step.Part == "checkpoint" && step.Check == "consistent" {
			return step.Status
		}
	}
	return ""
}

// keys reads each key as it is, or from the file it names.
func (c *verifyCmd) keys() (all []evidence.Key, err error) {
	for _, text := range c.Key {
		if b, err := os.ReadFile(text); err == nil {
			text = string(b)
		} else if !errors.Is(err, fs.ErrNotExist) && !strings.Contains(text, "+") {
			return nil, fmt.Errorf("--key: %w", err)
		}
		k, err := evidence.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		all = append(all, k)
	}
	return all, nil
}

func readEvidence(path string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxEvidenceFile+1))
	if err == nil && len(b) > maxEvidenceFile {
		err = fmt.Errorf("%s is larger than any evidence file", path)
	}
	return b, err
}

func (c *verifyCmd) print(s streams, r *evidence.Report) {
	count := map[evidence.Status]int{}
	for _, step := range r.Steps {
		count[step.Status]++
		if c.Quiet && step.Status == evidence.Passed {
			continue
		}
		fmt.Fprintf(s.out, "%-8s %s %s: %s\n", step.Status, step.Part, step.Check, step.Detail)
	}
	proofs := 0
	if r.File != nil {
		proofs = len(r.File.Evidence.Proofs)
	}
	outcome := "ACCEPTED"
	if !r.OK() {
		outcome = "REFUSED"
	}
	fmt.Fprintf(s.out, "%s: %d proofs, %d checks passed, %d refused, %d could not be made\n", outcome, proofs, count[evidence.Passed], count[evidence.Refused], count[evidence.Skipped])
}

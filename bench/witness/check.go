package witness

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/google/uuid"
)

// Finding is what Check saw. The zero value: everything as acknowledged.
type Finding struct {
	Missing int // proofs and devices the program does not know
	Stale   int // devices whose last choice it does not know, but an earlier one
	Changed int // answers nobody ever gave: another's proof, another decision, a seq or an id twice
	Refused int // questions answered with an error

	Unsealed bool // the log is not shown: the program still waits for ClickHouse's word on it

	Examples []string // a few of each kind
	kinds    map[string]int
}

// Lost is how many acknowledged things the program has forgotten.
func (f *Finding) Lost() int { return f.Missing + f.Stale }

// Clean means that every question was answered, as acknowledged.
func (f *Finding) Clean() bool { return f.Lost()+f.Changed+f.Refused == 0 }

func (f *Finding) String() string {
	if f.Clean() {
		return "all as acknowledged"
	}
	return fmt.Sprintf("%d missing, %d stale, %d changed, %d refused: %s", f.Missing, f.Stale, f.Changed, f.Refused,
		strings.Join(f.Examples, "; "))
}

// examples is how many of a kind a Finding shows.
const examples = 2

func (f *Finding) note(count *int, format string, args ...any) {
	*count++
	if f.kinds == nil {
		f.kinds = map[string]int{}
	}
	if f.kinds[format]++; f.kinds[format] <= examples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

func (f *Finding) missing(format string, args ...any) { f.note(&f.Missing, format, args...) }
func (f *Finding) stale(format string, args ...any)   { f.note(&f.Stale, format, args...) }
func (f *Finding) changed(format string, args ...any) { f.note(&f.Changed, format, args...) }
func (f *Finding) refused(format string, args ...any) { f.note(&f.Refused, format, args...) }

// askLimit is how long one question may take.
const askLimit = 20 * time.Second

// Check asks the program for everything that was acknowledged. Nothing may be in doubt: Resolve comes first.
func (w *Witness) Check(ctx context.Context, c *rig.Consentd) *Finding {
	f := &Finding{}
	for _, text := range w.wrong {
		f.changed("%s", text)
	}
	w.checkDevices(ctx, c, f)
	w.checkProofs(ctx, c, f)
	w.checkLog(ctx, c, f)
	return f
}

// NoteReads keeps what was wrong with answers while reads failed, for the next Check: errors are no wrong answers.
func (w *Witness) NoteReads(f *Finding) {
	if f.Lost()+f.Changed > 0 {
		w.wrong = append(w.wrong, "while reads failed: "+f.String())
	}
}

// CheckDense holds the acknowledged seqs to be all there are, from 0 without a gap. Choices in doubt that are recorded and
// were not resolved would be gaps.
func (w *Witness) CheckDense(f *Finding) {
	held := map[uint64]bool{}
	for place := range w.seqs {
		held[place.Seq] = true
	}
	for seq := range w.Next() {
		if !held[seq] {
			f.changed("seq %d was given to nobody", seq)
		}
	}
}

// batch is how many subjects one lookup asks for: the most the contract allows.
const batch = 10_000

type decision struct {
	Status  string
	Allowed bool
	Proof   uuid.UUID
}

func (w *Witness) checkDevices(ctx context.Context, c *rig.Consentd, f *Finding) {
	devices := make([]uuid.UUID, 0, len(w.devices))
	for d := range w.devices {
		devices = append(devices, d)
	}
	for part := range slices.Chunk(devices, batch) {
		results, err := w.lookup(ctx, c, part)
		if err != nil {
			f.refused("batch lookup: %v", err)
			continue
		}
		for i, d := range part {
			if r := results[i]; r.Error != nil {
				f.refused("looking up device %s: %s", d, r.Error)
			} else {
				w.checkDevice(f, d, r.Decisions)
			}
		}
	}
}

type result struct {
	Decisions map[string]decision
	Error     json.RawMessage
}

func (w *Witness) lookup(ctx context.Context, c *rig.Consentd, devices []uuid.UUID) ([]result, error) {
	type subject struct {
		Device uuid.UUID `json:"device"`
	}
	subjects := make([]subject, len(devices))
	for i, d := range devices {
		subjects[i].Device = d
	}
	question, _ := json.Marshal(map[string]any{"purposes": w.Shown.Purposes, "subjects": subjects})
	var answer struct{ Results []result }
	if err := w.Ask(ctx, c, http.MethodPost, "/lookup", question, &answer); err != nil {
		return nil, err
	}
	if len(answer.Results) != len(devices) {
		return nil, fmt.Errorf("%d results for %d subjects", len(answer.Results), len(devices))
	}
	return answer.Results, nil
}

// Ask makes one request to the site with the token and reads its JSON answer.
func (w *Witness) Ask(ctx context.Context, c *rig.Consentd, method, path string, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.URL("/v1/sites/"+rig.Site+path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.200s", resp.Status, b)
	}
	return json.Unmarshal(b, answer)
}

// checkDevice compares one device's standing with its choices.
func (w *Witness) checkDevice(f *Finding, device uuid.UUID, got map[string]decision) {
	said := w.devices[device]
	for i, purpose := range w.Shown.Purposes {
		d, ok := got[purpose]
		at := slices.IndexFunc(said, func(ch *Choice) bool { return ch.ID == d.Proof })
		last := slices.MaxFunc(said, func(a, b *Choice) int {
			return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Seq, b.Seq))
		}) // answers may have crossed
		switch {
		case !ok || d.Status == "unknown":
			f.missing("device %s was promised seq %d and is unknown", device, last.Seq)
		case at < 0:
			f.changed("device %s: %s is answered by proof %s, which is not its", device, purpose, d.Proof)
		case d.Allowed != said[at].Granted[i]:
			f.changed("device %s: %s is answered %s by proof %s, which says other", device, purpose, d.Status, d.Proof)
		case d.Allowed != last.Granted[i]:
			f.stale("device %s: %s is answered by seq %d, seq %d said other", device, purpose, said[at].Seq, last.Seq)
		default:
			continue
		}
		return // one finding a device
	}
}

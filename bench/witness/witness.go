// Package witness remembers outside the program what a consentd acknowledged, and holds it to that afterwards.
//
// A Witness posts choices as browsers do and keeps id, device, decisions and seq of every choice that was answered with
// 201 or 200. Check then asks a running program, which may have been killed, damaged or restored meanwhile, for all of
// it again: the standing of every device by batch lookup, every proof by its id, the size and the hashes of the log.
//
// # Verdicts
//
// A Finding tells what is gone from what is another: Missing (the program does not know it), Stale (it answers an older
// acknowledged choice of the same device), Changed (it answers something that was never said), Refused (it answers with
// an error, which misleads nobody).
//
// # Files
//
//	witness.go   Witness: what was acknowledged; posting choices
//	check.go     Check: asking for all of it again
//	proofs.go    … proof by proof, pipelined
//	log.go       … and the log: size, hashes
//	life.go      starting and stopping with limits, and what a program says when it ends
//	seed.go      Seed: a data directory and its witness, copied for each run
package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
	"github.com/google/uuid"
)

// Place is where a choice stands in the log of its edge.
type Place struct {
	Generation uint32
	Seq        uint64
}

// Choice is one choice a visitor made. Its Place counts once it was acknowledged.
type Choice struct {
	ID, Device uuid.UUID
	Granted    []bool // by purpose, in the order of the wording's
	Place
	Body [sha256.Size]byte // of the answer to GET proofs/{id}; zero: not asked yet
}

// Witness is safe for concurrent use, except that Check must not run beside Post.
type Witness struct {
	Shown *rig.Shown
	Token string // of every scope a check needs

	mu      sync.Mutex
	choices []*Choice
	devices map[uuid.UUID][]*Choice // oldest first
	doubt   []*Choice               // sent, and not answered: the program may have recorded them
	wrong   []string                // seqs acknowledged twice, wrong answers while something failed
	seqs    map[Place]uuid.UUID
	log     *logState // as Seal saw it; nil: not noted
}

// New is a witness that has seen nothing. The program has to run: it is asked for the wording it shows.
func New(ctx context.Context, c *rig.Consentd) (*Witness, error) {
	shown, err := c.Banner(ctx)
	if err != nil {
		return nil, err
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, err
	}
	return &Witness{Shown: shown, Token: token, devices: map[uuid.UUID][]*Choice{}, seqs: map[Place]uuid.UUID{}}, nil
}

// Renew has the program issue a token where there is none yet.
func (w *Witness) Renew(ctx context.Context, c *rig.Consentd) (err error) {
	if w.Token == "" {
		w.Token, err = c.Token(ctx)
	}
	return err
}

// Clone is a witness of its own that has seen the same.
func (w *Witness) Clone() *Witness {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &Witness{Shown: w.Shown, Token: w.Token, choices: slices.Clone(w.choices), doubt: slices.Clone(w.doubt),
		devices: make(map[uuid.UUID][]*Choice, len(w.devices)), seqs: make(map[Place]uuid.UUID, len(w.seqs)), log: w.log}
	for d, all := range w.devices {
		c.devices[d] = slices.Clip(all)
	}
	for place, id := range w.seqs {
		c.seqs[place] = id
	}
	return c
}

// Len is how many choices were acknowledged.
func (w *Witness) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.choices)
}

// Next is the seq after the last acknowledged one of the generation that is being written.
func (w *Witness) Next() (next uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var generation uint32
	for place := range w.seqs {
		if place.Generation > generation {
			generation, next = place.Generation, 0
		}
		if place.Generation == generation {
			next = max(next, place.Seq+1)
		}
	}
	return next
}

// Forget takes the choices of a device out of later checks: its person was erased. Their seqs stay taken.
func (w *Witness) Forget(device uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.devices, device)
	w.choices = slices.DeleteFunc(w.choices, func(ch *Choice) bool { return ch.Device == device })
}

// Choices are all that were acknowledged, in the order of their answers.
func (w *Witness) Choices() []*Choice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.choices)
}

// poster is one visitor after the other on one connection.
type poster struct {
	w     *Witness
	c     *rig.Consentd
	http  *http.Client
	rand  *rand.Rand
	known []uuid.UUID // devices it has chosen for
}

// Post records up to n choices over conns connections and returns how many were acknowledged. Each connection goes on
// after a refusal and ends when the program does not answer: what it sent last is then in doubt, see Resolve. A tenth
// of the devices choose again.
func (w *Witness) Post(ctx context.Context, c *rig.Consentd, n, conns int, patience time.Duration) (acknowledged int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range conns {
		share := n/conns + min(1, max(0, n%conns-i))
		p := &poster{w: w, c: c, http: client(patience), rand: rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))}
		wg.Go(func() {
			defer p.http.CloseIdleConnections()
			got := p.run(ctx, share)
			mu.Lock()
			acknowledged += got
			mu.Unlock()
		})
	}
	wg.Wait()
	return acknowledged
}

func client(patience time.Duration) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
}

func (p *poster) run(ctx context.Context, n int) (acknowledged int) {
	for range n {
		ch := p.choice()
		status, err := p.w.send(ctx, p.http, p.c, ch)
		if err != nil {
			return acknowledged
		}
		if status == http.StatusCreated {
			acknowledged++
		} else {
			p.known = nil // no device in doubt chooses again: which choice came last would be in doubt too
		}
	}
	return acknowledged
}

// again is how many choices lie between two of one device: the clock has to tell them apart.
const again = 8

func (p *poster) choice() *Choice {
	hi, lo := load.V4(p.rand.Uint64(), p.rand.Uint64())
	ch := &Choice{ID: NewID(p.rand), Device: join(hi, lo)}
	if p.rand.IntN(10) == 0 && len(p.known) >= again {
		ch.Device = p.known[len(p.known)-again]
	}
	p.known = append(p.known, ch.Device)
	for range p.w.Shown.Purposes {
		ch.Granted = append(ch.Granted, p.rand.IntN(2) == 0)
	}
	return ch
}

// NewID is the id of a choice made now.
func NewID(r *rand.Rand) uuid.UUID {
	hi, lo := load.V7(time.Now(), r.Uint64(), r.Uint64())
	return join(hi, lo)
}

func join(hi, lo uint64) (u uuid.UUID) {
	for i := range 8 {
		u[i], u[8+i] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	return u
}

// request is ch as a browser says it.
func (w *Witness) request(ch *Choice) []byte {
	decisions, given := map[string]bool{}, 0
	for i, p := range w.Shown.Purposes {
		if decisions[p] = ch.Granted[i]; ch.Granted[i] {
			given++
		}
	}
	method := "custom"
	switch given {
	case 0:
		method = "reject_all"
	case len(ch.Granted):
		method = "accept_all"
	}
	b, _ := json.Marshal(map[string]any{ // strings and booleans
		"id": ch.ID, "subject": map[string]any{"device": ch.Device}, "surface": w.Shown.Surface, "method": method,
		"decisions": decisions, "wording": w.Shown.Hash, "locale": w.Shown.Locale, "page": rig.Origin + "/witness",
	})
	return b
}

// send posts ch and remembers how it was answered. An error means that it was not, and ch is in doubt.
func (w *Witness) send(ctx context.Context, h *http.Client, c *rig.Consentd, ch *Choice) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL("/v1/sites/"+rig.Site+"/consents"), bytes.NewReader(w.request(ch)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Origin", rig.Origin)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.Do(req)
	if err != nil {
		return 0, w.inDoubt(ch, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, w.inDoubt(ch, err)
	}
	if resp.StatusCode/100 == 5 {
		return resp.StatusCode, w.inDoubt(ch, nil) // refused, or fatal with the write under way: nothing was promised
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, fmt.Errorf("witness: a choice is answered with %s: %s", resp.Status, body)
	}
	var answer struct {
		ID         uuid.UUID
		Generation uint32
		Seq        *uint64
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.ID != ch.ID || answer.Seq == nil {
		return 0, fmt.Errorf("witness: choice %s is answered with %s", ch.ID, body)
	}
	ch.Place = Place{answer.Generation, *answer.Seq}
	w.acknowledge(ch)
	return resp.StatusCode, nil
}

func (w *Witness) inDoubt(ch *Choice, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubt = append(w.doubt, ch)
	return err
}

func (w *Witness) acknowledge(ch *Choice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, taken := w.seqs[ch.Place]; taken && other == ch.ID {
		return // sent again
	} else if taken {
		w.wrong = append(w.wrong, fmt.Sprintf("seq %d of generation %d was given to %s and again to %s", ch.Seq, ch.Generation, other, ch.ID))
	}
	w.seqs[ch.Place] = ch.ID
	w.choices = append(w.choices, ch)
	w.devices[ch.Device] = append(w.devices[ch.Device], ch)
}

// Repeat sends choices that another program was sent, under the same ids, to c over conns connections, as a browser does
// whose first answer got lost. It returns an error when one is not answered with 201 or 200.
func (w *Witness) Repeat(ctx context.Context, c *rig.Consentd, choices []*Choice, conns int, patience time.Duration) error {
	var wg sync.WaitGroup
	failed := make(chan error, conns)
	for i := range conns {
		wg.Go(func() {
			h := client(patience)
			defer h.CloseIdleConnections()
			for j := i; j < len(choices); j += conns {
				ch := *choices[j]
				ch.Body = [sha256.Size]byte{}
				if status, err := w.send(ctx, h, c, &ch); err != nil || status/100 != 2 {
					failed <- fmt.Errorf("witness: choice %s sent again: %d, %w", ch.ID, status, err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Resolve sends everything in doubt again, under the same ids, until it is acknowledged: as a browser does. Whether the
// program had recorded it before, it counts once. It returns how many it had.
func (w *Witness) Resolve(ctx context.Context, c *rig.Consentd, patience time.Duration) (replayed int, err error) {
	w.mu.Lock()
	doubt := w.doubt
	w.doubt = nil
	w.mu.Unlock()
	h := client(patience)
	defer h.CloseIdleConnections()
	for i, ch := range doubt {
		status, err := w.send(ctx, h, c, ch)
		if err == nil && status/100 == 5 {
			err = fmt.Errorf("witness: choice %s is answered with %d when it comes again", ch.ID, status)
		}
		if err != nil {
			w.mu.Lock()
			w.doubt = append(w.doubt, doubt[i+1:]...)
			w.mu.Unlock()
			return replayed, err
		}
		if status == http.StatusOK {
			replayed++
		}
	}
	return replayed, nil
}

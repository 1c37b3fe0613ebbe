package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// Goals of DESIGN §11 for lookups.
const (
	lookupRatio = 0.8
	lookupP99   = 5 * time.Millisecond
	batchRate   = 500_000 // subjects/s
)

const (
	batchSize  = 1000 // subjects a call
	batchConns = 8    // calls under way: enough to keep every core of a server busy
	// bytesCached is what the help of --cache says a subject takes, and a tenth for Pebble's own.
	bytesCached = 160
	missOneIn   = 10 // subjects drawn that nobody has heard of
)

// asking is what the lookups need to know.
type asking struct {
	c       *rig.Consentd
	token   string
	purpose string
	nth     int // of the purpose, among those asked
}

// lookup measures single and batch lookups over many subjects, on a ledger that was filled in bulk. ClickHouse
// is held off: lookups never ask it. It runs once, whichever of its two names are given.
func (b *bench) lookup(ctx context.Context) (err error) {
	if b.looked {
		return nil
	}
	b.looked = true
	c, err := rig.New(b.binary, filepath.Join(b.dir, fmt.Sprintf("lookup-%d", b.subjects)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	b.say("filling the ledger with %s subjects", thousands(float64(b.subjects)))
	began := time.Now()
	if err := c.Prefill(ctx, b.subjects, true, b.filling(b.subjects, began)); err != nil {
		return err
	}
	cache := max(256, b.subjects*bytesCached>>20)
	b.note("lookups: consentd serve --cache %d, as its help advises for %s subjects", cache, thousands(float64(b.subjects)))
	if err := c.Start(ctx, rig.NoWarehouse, fmt.Sprintf("--cache=%d", cache)); err != nil {
		return err
	}
	a := asking{c: c}
	if a.token, err = c.Token(ctx); err != nil {
		return err
	}
	shown, err := c.Banner(ctx)
	if err != nil {
		return err
	}
	a.nth = len(shown.Purposes) - 1
	a.purpose = shown.Purposes[a.nth]
	size, err := b.checkAnswers(ctx, a)
	if err != nil {
		return err
	}
	if err := b.single(ctx, a, size); err != nil {
		return err
	}
	return b.batch(ctx, a)
}

// filling reports how a bulk write gets on.
func (b *bench) filling(n uint64, began time.Time) func(uint64) {
	return func(done uint64) {
		b.say("  %3.0f %%, %s/s", 100*float64(done)/float64(n), thousands(float64(done)/time.Since(began).Seconds()))
	}
}

// draw is the subject of a lookup: one of those that exist, or in one of ten cases one that does not.
func draw(r *rand.PCG, subjects uint64) (hi, lo uint64) {
	i := r.Uint64()
	if i>>32%missOneIn == 0 {
		return rig.Device(subjects + i%subjects)
	}
	return rig.Device(i % subjects)
}

func (b *bench) single(ctx context.Context, a asking, size int) (err error) {
	bare, addr, err := b.startBare(ctx, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.Stop(10*time.Second)) }()
	empty := load.Request{Bytes: load.Build("GET", "/bare", addr.String(), nil, nil)}
	pairs, err := b.interleave(ctx,
		plain("bare GET", addr, bare, empty, 200),
		edge("lookup", a.c, b.singleRequest(a), 200))
	if err != nil {
		return err
	}
	b.addPairs(fmt.Sprintf("lookup with token, %s subjects", thousands(float64(b.subjects))), "/s", lookupRatio, lookupP99, pairs)
	return nil
}

// singleRequest asks for a drawn device. The bare GET it is compared with carries no token and no query: the
// whole difference is on consentd's account.
func (b *bench) singleRequest(a asking) load.Request {
	req := load.Build("GET", "/v1/sites/"+rig.Site+"/lookup?device="+deviceMark+"&purpose="+a.purpose, a.c.Addr.String(),
		[]string{"Authorization: Bearer " + a.token}, nil)
	at, subjects := load.Offsets(req, deviceMark)[0], b.subjects
	return load.Request{Bytes: req, Patch: func(r *rand.PCG, p []byte) {
		hi, lo := draw(r, subjects)
		load.PutUUID(p[at:], hi, lo)
	}}
}

const deviceMark = "00000000-0000-4000-8000-0000device00"

func (b *bench) batch(ctx context.Context, a asking) error {
	t := edge("batch lookup", a.c, b.batchRequest(a), 200)
	if err := b.settle(ctx, t.pid); err != nil {
		return err
	}
	var all []sample
	for range b.rounds {
		s, err := b.measure(ctx, t, load.Options{Conns: batchConns, Workers: b.workers})
		if err != nil {
			return err
		}
		if err := s.Clean(); err != nil {
			b.note("batch lookup: %v", err)
		}
		all = append(all, s)
	}
	mid := middle(all)
	rate := mid.Rate() * batchSize
	b.add(row{
		what: fmt.Sprintf("batch lookup, %s subjects a call, %d calls at once", thousands(batchSize), batchConns),
		goal: "≥ " + thousands(batchRate) + " subjects/s", measured: thousands(rate) + "/s", verdict: atLeast(batchRate, rate),
		latency: latencies(&mid.Latency), shares: shares(mid.spent),
		micros: fmt.Sprintf("%.2f a subject", mid.perRequest(mid.spent.Server)/batchSize),
	})
	return nil
}

func (b *bench) batchRequest(a asking) load.Request {
	subject := `{"device":"` + deviceMark + `"}`
	body := `{"purposes":["` + a.purpose + `"],"subjects":[` + strings.TrimSuffix(strings.Repeat(subject+",", batchSize), ",") + `]}`
	req := load.Build("POST", "/v1/sites/"+rig.Site+"/lookup", a.c.Addr.String(),
		[]string{"Authorization: Bearer " + a.token, "Content-Type: application/json"}, []byte(body))
	at, subjects := load.Offsets(req, deviceMark), b.subjects
	return load.Request{Bytes: req, Patch: func(r *rand.PCG, p []byte) {
		for _, i := range at {
			hi, lo := draw(r, subjects)
			load.PutUUID(p[i:], hi, lo)
		}
	}}
}

// ErrAnswer means that a lookup answered something else than what was recorded: its speed is of no interest.
var ErrAnswer = errors.New("a lookup answered wrongly")

// checkAnswers asks for a hundred subjects, one at a time and all at once, and compares every answer with what
// was recorded. It gives the usual size of a single answer.
func (b *bench) checkAnswers(ctx context.Context, a asking) (size int, err error) {
	const n = 100
	var want, subjects []string
	for k := range uint64(n) {
		i, status := k*(b.subjects/n+1)%b.subjects, "denied"
		switch {
		case k%missOneIn == 0:
			i, status = b.subjects+k, "unknown"
		case rig.Granted(i, a.nth):
			status = "granted"
		}
		var device [load.UUIDLen]byte
		hi, lo := rig.Device(i)
		load.PutUUID(device[:], hi, lo)
		want, subjects = append(want, status), append(subjects, `{"device":"`+string(device[:])+`"}`)
		one, got, err := a.ask(ctx, "GET", "?device="+string(device[:])+"&purpose="+a.purpose, "")
		if err != nil || !slices.Equal(got, []string{status}) {
			return 0, fmt.Errorf("%w: subject %d is %v, want %s (%w)", ErrAnswer, i, got, status, err)
		}
		size = max(size, one)
	}
	_, got, err := a.ask(ctx, "POST", "", `{"purposes":["`+a.purpose+`"],"subjects":[`+strings.Join(subjects, ",")+`]}`)
	if err != nil || !slices.Equal(got, want) {
		return 0, fmt.Errorf("%w: a batch of %d gives %v, want %v (%w)", ErrAnswer, n, got, want, err)
	}
	return size, nil
}

// ask makes one call and gives the size of the answer and the status of each subject in it.
func (a asking) ask(ctx context.Context, method, query, body string) (size int, statuses []string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.c.URL("/v1/sites/"+rig.Site+"/lookup"+query), strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	if err != nil {
		return 0, nil, err
	}
	statuses, err = a.statuses(text)
	return len(text), statuses, err
}

// statuses reads either form of answer.
func (a asking) statuses(text []byte) (all []string, err error) {
	type result struct {
		Decisions map[string]struct{ Status string }
	}
	var answer struct {
		result
		Results []result
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Results == nil {
		answer.Results = []result{answer.result}
	}
	for _, r := range answer.Results {
		all = append(all, r.Decisions[a.purpose].Status)
	}
	return all, nil
}

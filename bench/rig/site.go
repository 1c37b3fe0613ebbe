package rig

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/consentd/consentd/bench/load"
)

// Site is the id of the measured site and Origin where its pages are.
const (
	Site   = "bench"
	Origin = "https://bench.example"
)

//go:embed site.yaml
var siteFile []byte

// Shown is a wording the running program publishes: what a recorded choice refers to.
type Shown struct {
	Hash     string
	Surface  string
	Locale   string
	Purposes []string // those a visitor decides on, sorted
}

// ErrNoBanner means that no hash in the site's script leads to a banner's wording.
var ErrNoBanner = errors.New("rig: the site's script carries no wording of a banner")

// Banner finds the banner's wording as a browser would: the script carries hashes, the contract serves the
// documents behind them.
func (c *Consentd) Banner(ctx context.Context) (*Shown, error) {
	script, err := fetch(ctx, c.URL("/s/"+Site+".js"))
	if err != nil {
		return nil, err
	}
	for _, hash := range regexp.MustCompile(`\b[0-9a-f]{64}\b`).FindAllString(string(script), -1) {
		doc, err := fetch(ctx, c.URL("/v1/sites/"+Site+"/wordings/"+hash))
		if err != nil {
			continue // another kind of hash
		}
		if s, err := readShown(hash, doc); err != nil || s.Surface == "banner" {
			return s, err
		}
	}
	return nil, ErrNoBanner
}

func readShown(hash string, doc []byte) (*Shown, error) {
	var w struct {
		Surface, Locale string
		Purposes        []struct {
			ID, Basis string
			Objection bool
		}
	}
	if err := json.Unmarshal(doc, &w); err != nil {
		return nil, fmt.Errorf("reading wording %s: %w", hash, err)
	}
	s := &Shown{Hash: hash, Surface: w.Surface, Locale: w.Locale}
	for _, p := range w.Purposes {
		if p.Basis == "consent" || p.Objection {
			s.Purposes = append(s.Purposes, p.ID)
		}
	}
	slices.Sort(s.Purposes)
	return s, nil
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, resp.Status, body)
	}
	return body, err
}

// Choice is the request of a visitor who chooses, and where its two ids stand.
type Choice struct {
	load.Request
	IDAt, DeviceAt int
}

// Markers of the changing fields; each is as long as what replaces it.
const (
	idMark     = "00000000-0000-7000-8000-00000000id00"
	deviceMark = "00000000-0000-4000-8000-0000device00"
	promptMark = "00000000-0000-4000-8000-0000prompt00"
	pageMark   = "/a/#####"
	agent      = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36"
)

// NewChoice builds POST target to host, the body a choice under s. Every request has a new proof id of now, a
// new device, a new prompt, one of 100,000 pages, and decisions drawn at random.
func NewChoice(target, host string, s *Shown) Choice {
	decisions := choices(s.Purposes)
	body := fmt.Sprintf(`{"id":"%s","subject":{"device":"%s"},"surface":"%s",%s,"wording":"%s","locale":"%s","page":"%s%s","prompt":"%s"}`,
		idMark, deviceMark, s.Surface, decisions[0], s.Hash, s.Locale, Origin, pageMark, promptMark)
	headers := []string{"Origin: " + Origin, "Content-Type: text/plain;charset=UTF-8", "User-Agent: " + agent}
	b := load.Build("POST", target, host, headers, []byte(body))
	at := func(mark string) int { return load.Offsets(b, mark)[0] }
	id, device, prompt, page, choice := at(idMark), at(deviceMark), at(promptMark), at(pageMark)+3, at(decisions[0])
	patch := func(r *rand.PCG, b []byte) {
		more := r.Uint64()
		hi, lo := load.V7(time.Now(), more>>48, r.Uint64())
		load.PutUUID(b[id:], hi, lo)
		putV4(b[device:], r)
		putV4(b[prompt:], r)
		putDecimal(b[page:page+5], more&0xffff)
		copy(b[choice:], decisions[more>>32%uint64(len(decisions))])
	}
	return Choice{Request: load.Request{Bytes: b, Patch: patch}, IDAt: id, DeviceAt: device}
}

func putV4(dst []byte, r *rand.PCG) {
	hi, lo := load.V4(r.Uint64(), r.Uint64())
	load.PutUUID(dst, hi, lo)
}

func putDecimal(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
}

// choices writes method and decisions for every combination of answers to at most four purposes, all padded
// with blanks to one length.
func choices(purposes []string) []string {
	n := 1 << min(len(purposes), 4)
	all := make([]string, n)
	width := 0
	for i := range all {
		given := make(map[string]bool, len(purposes))
		for k, p := range purposes {
			given[p] = i>>k&1 == 1
		}
		method := "custom"
		switch i {
		case 0:
			method = "reject_all"
		case n - 1:
			method = "accept_all"
		}
		doc, _ := json.Marshal(given) // a map of booleans
		all[i] = fmt.Sprintf(`"method":"%s","decisions":%s`, method, doc)
		width = max(width, len(all[i]))
	}
	for i, s := range all {
		all[i] = fmt.Sprintf("%-*s", width, s)
	}
	return all
}

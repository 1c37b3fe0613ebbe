package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
	"github.com/consentd/consentd/bench/witness"
)

// Verdicts of a case.
const (
	refused  = "refused"
	equal    = "equal"
	reported = "reported"
	failing  = "error"
	silent   = "silent"
	vague    = "vague"
	hang     = "hang"
	mute     = "mute"
)

var verdicts = []string{refused, equal, reported, failing, silent, vague, hang, mute}

func red(verdict string) bool {
	return verdict == silent || verdict == vague || verdict == hang || verdict == mute
}

// outcome is one case.
type outcome struct {
	n            int
	seed, kind   string
	what         string // the damage, in words
	verdict, why string
	took         time.Duration
	path         string // of what was damaged
}

func (o outcome) String() string {
	return fmt.Sprintf("%s: case %d, %s, %s %s: %s", o.verdict, o.n, o.seed, o.path, o.what, o.why)
}

// worker makes one case after the other in a folder of its own.
type worker struct {
	c     *rig.Consentd
	seeds *seeds
	usual map[string]bool // checks of /readyz that are not ok without any damage: ClickHouse is away
	watch time.Duration   // how long what is reported has to stand
}

// trial makes the n-th case of a seed. The error is about the run, not about the program.
func (k *worker) trial(ctx context.Context, seed uint64, n int) (o outcome, err error) {
	began := time.Now()
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	s := k.seeds.all[r.IntN(len(k.seeds.all))]
	o = outcome{n: n, seed: s.Name}
	if err := k.harm(r, s, &o); err != nil {
		return o, err
	}
	err = k.live(ctx, s.Witness.Clone(), &o)
	o.took = time.Since(began)
	return o, errors.Join(err, k.heal())
}

// heal makes folders accessible again, so that they can be removed by whoever is not root.
func (k *worker) heal() error {
	return filepath.WalkDir(k.c.Data(), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		if errors.Is(err, os.ErrPermission) {
			return os.Chmod(path, 0o700)
		}
		return err
	})
}

// harm lays the seed and damages it.
func (k *worker) harm(r *rand.Rand, s *witness.Seed, o *outcome) error {
	for {
		if err := s.Lay(k.c); err != nil {
			return err
		}
		t, err := look(k.c.Data())
		if err != nil {
			return err
		}
		d := draw(r)
		v := victim{dir: k.c.Data(), earlier: k.seeds.earlier.Dir}
		if d.folder {
			o.kind, v.rel = "folder", t.folders[r.IntN(len(t.folders))]
		} else {
			o.kind = t.kinds[r.IntN(len(t.kinds))]
			v.others = t.files[o.kind]
			v.rel = v.others[r.IntN(len(v.others))]
		}
		what, err := d.do(r, v)
		if errors.Is(err, errNothing) {
			continue
		}
		o.what, o.path = strings.TrimSpace(d.name+" "+what), v.rel
		return err
	}
}

// live starts the program over what is there and asks it for everything.
func (k *worker) live(ctx context.Context, w *witness.Witness, o *outcome) error {
	os.Remove(k.c.Log())
	if err := k.c.Launch(nil, rig.NoWarehouse); err != nil {
		return err
	}
	defer k.c.Kill()
	l := witness.AwaitStart(ctx, k.c, witness.StartLimit)
	if !l.Up {
		o.refusal(l, k.c.Data())
		return ctx.Err()
	}
	told := k.reports(ctx)
	f := w.Check(ctx, k.c)
	if f.Lost()+f.Changed == 0 && f.Refused == 0 {
		k.oneMore(ctx, w, f)
	}
	o.judge(f, told)
	if o.verdict == reported {
		o.verdict, o.why = k.stands(ctx, told, f)
	}
	if l := witness.AwaitStop(k.c, witness.StopLimit); !l.Ended {
		o.verdict, o.why = hang, "it does not stop: "+l.Last()
	} else if o.verdict == equal && l.Code != 0 {
		o.verdict, o.why = failing, l.Last()
	}
	return ctx.Err()
}

// oneMore has the program take one more choice: it must have a seq of its own.
func (k *worker) oneMore(ctx context.Context, w *witness.Witness, f *witness.Finding) {
	w.Post(ctx, k.c, 1, 1, witness.StopLimit)
	after := w.Check(ctx, k.c)
	if after.Lost()+after.Changed > 0 {
		*f = *after
	}
}

// refusal judges a program that does not answer.
func (o *outcome) refusal(l witness.Life, data string) {
	switch {
	case l.Hangs():
		o.verdict, o.why = hang, "it neither answers nor ends: "+l.Last()
	case l.Fault() != "":
		o.verdict, o.why = mute, l.Fault()+": "+l.Last()
	case !names(l.Last(), data):
		o.verdict, o.why = vague, l.Last()
	default:
		o.verdict, o.why = refused, l.Last()
	}
}

// names reports whether a sentence says which file or key it is about, by a path or by a file's name.
func names(sentence, data string) bool {
	return strings.Contains(sentence, data) ||
		regexp.MustCompile(`\d{6}\.(log|sst)|MANIFEST|OPTIONS|marker\.|keys?/|\.key\b|\bkeys? (of|for|file)|\.checkpoint|\.json`).MatchString(sentence)
}

// judge reads what was found.
func (o *outcome) judge(f *witness.Finding, told map[string]string) {
	unknown := strings.Contains(f.String(), "401 ") // the token it issued itself: a key was made anew
	switch {
	case f.Lost()+f.Changed == 0 && f.Refused == 0:
		o.verdict = equal
	case f.Lost()+f.Changed == 0 && !unknown:
		o.verdict, o.why = failing, f.String()
	case f.Changed == 0 && covers(told, f.Lost()):
		o.verdict, o.why = reported, f.String()
	default:
		o.verdict, o.why = silent, f.String()
	}
}

// covers reports whether what is told covers what is lost: a check names a number that is at least as high. Where
// nothing is lost but a key, any check does.
func covers(told map[string]string, lost int) bool {
	if lost == 0 {
		return len(told) > 0
	}
	for _, wrong := range told {
		for _, digits := range regexp.MustCompile(`\d+`).FindAllString(strings.ReplaceAll(wrong, ",", ""), -1) {
			if n, err := strconv.Atoi(digits); err == nil && n >= lost {
				return true
			}
		}
	}
	return false
}

// stands waits and asks again: what is reported once and forgotten misleads whoever looks later.
func (k *worker) stands(ctx context.Context, told map[string]string, f *witness.Finding) (verdict, why string) {
	select {
	case <-time.After(k.watch):
	case <-ctx.Done():
	}
	now := k.reports(ctx)
	if !covers(now, f.Lost()) {
		return silent, fmt.Sprintf("reported (%.300v), and no longer after %v (%.300v): %s", told, k.watch, now, f)
	}
	return reported, fmt.Sprintf("%.300v: %s", now, f)
}

// reports are the checks of /readyz on the admin address that are not ok and would be without damage.
func (k *worker) reports(ctx context.Context) map[string]string {
	told := map[string]string{}
	ctx, cancel := context.WithTimeout(ctx, witness.StopLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.c.Admin.String()+"/readyz", nil)
	if err != nil {
		return told
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return told
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // half an answer is none
	var answer struct {
		Checks []struct {
			Name, Wrong string
			OK          bool
		}
	}
	json.Unmarshal(b, &answer)
	for _, c := range answer.Checks {
		if !c.OK && !k.usual[c.Name] {
			told[c.Name] = c.Wrong
		}
	}
	return told
}

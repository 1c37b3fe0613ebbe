package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// exported is the part of a copy these tests look at.
type exported struct {
	Proofs []struct {
		Seq   uint64
		Facts struct{ ID string }
	}
	Complete   *bool
	Incomplete *struct{ Reason, Since, Before string }
	Wordings   map[string]consent.Wording
}

// busy records n choices of an address at the demo of forms, as many as nobody makes by hand.
func (k *kit) busy(email string, n int) {
	k.t.Helper()
	g := storagetest.NewGenerator(uint64(n))
	work := make(chan *consent.Proof)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for p := range work {
				if _, err := k.ledger.Append(context.Background(), p); err != nil {
					k.t.Error(err)
				}
			}
		})
	}
	key := k.keyOf(email)
	for range n {
		p := g.Proof()
		p.Site, p.Edge, p.RecordedAt = "atelier", k.ledger.Edge(), k.ledger.Now()
		p.Personal.Subject, p.Personal.Kind = key, consent.KindEmail
		p.Commitment = p.Personal.Commit()
		work <- p
	}
	close(work)
	wg.Wait()
}

func (k *kit) export(email string) (all exported) {
	k.t.Helper()
	path, _ := k.linksOf(email)
	r := k.do("GET", path+"/export", "")
	if err := json.Unmarshal([]byte(r.body), &all); err != nil || r.status != 200 || all.Complete == nil {
		k.t.Fatal(r.status, err, len(r.body))
	}
	if *all.Complete != (all.Incomplete == nil) {
		k.t.Fatalf("complete is %v and incomplete %+v", *all.Complete, all.Incomplete)
	}
	return all
}

func TestTheExportHoldsEverything(t *testing.T) {
	const marie = "marie@atelier.example"
	w := openWarehouse(t)
	k := start(t, func(o *Options) { o.Warehouse = w })
	k.busy(marie, 2500)
	k.busy("paul@atelier.example", 10)
	k.ship(w)
	k.busy(marie, 7)
	all := k.export(marie)
	ids := map[string]bool{}
	last := uint64(1 << 62)
	for _, p := range all.Proofs {
		ids[p.Facts.ID] = true
		if p.Seq >= last && len(ids) < 3 {
			t.Error("the newest does not come first")
		}
		last = p.Seq
	}
	if len(all.Proofs) != 2507 || len(ids) != 2507 || !*all.Complete {
		t.Errorf("%d proofs, %d of them different, want 2507; complete: %v", len(all.Proofs), len(ids), *all.Complete)
	}
}

// dying is a warehouse that goes away after some pages.
type dying struct {
	Warehouse
	pages int
}

func (d *dying) History(ctx context.Context, site string, key consent.SubjectKey, before warehouse.Position, limit int) ([]warehouse.Recorded, error) {
	if d.pages--; d.pages < 0 {
		return nil, errors.New("gone")
	}
	return d.Warehouse.History(ctx, site, key, before, limit)
}

func TestAnExportThatLacksProofsSaysSo(t *testing.T) {
	const marie = "marie@atelier.example"
	w := openWarehouse(t)
	for pages, want := range map[int]int{0: 7, 1: exportPage, 3: 2507} {
		t.Run(fmt.Sprintf("ClickHouse goes away after %d pages", pages), func(t *testing.T) {
			k := start(t, func(o *Options) { o.Warehouse = &dying{w, pages} })
			k.busy(marie, 2500)
			k.ship(w)
			k.busy(marie, 7)
			all := k.export(marie)
			if *all.Complete != (pages == 3) || len(all.Proofs) < want || pages < 3 && all.Incomplete.Reason != "warehouse_away" {
				t.Errorf("%d proofs, complete: %v, %+v", len(all.Proofs), *all.Complete, all.Incomplete)
			}
		})
		w = openWarehouse(t)
	}
}

func TestAnswersSayWhatTheyMayLack(t *testing.T) {
	w := openWarehouse(t)
	var gaps []consent.Gap
	k := start(t, func(o *Options) {
		o.Warehouse, o.Gaps = w, func() []consent.Gap { return append([]consent.Gap(nil), gaps...) }
	})
	at := func(s string) consent.Millis {
		m, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return consent.ToMillis(m)
	}
	early, noon := at("2026-11-03 00:00:00"), at("2026-11-20 12:00:00")
	for name, c := range map[string]struct {
		gaps           []consent.Gap
		history, rates string // of 2026-11-10 to 2026-11-20
	}{
		"nothing":     {nil, "", ""},
		"a backlog":   {[]consent.Gap{{Reason: consent.GapBacklog, Since: noon}}, "", `{"reason":"waiting_to_be_shipped","since":"2026-11-20T12:00:00.000Z"}`},
		"not checked": {[]consent.Gap{{Reason: consent.GapUnchecked}}, `{"reason":"checking"}`, `{"reason":"checking"}`},
		"lost before": {[]consent.Gap{{Reason: consent.GapLost, Before: early}}, `{"reason":"lost","before":"2026-11-03T00:00:00.000Z"}`, ""},
		"two spans": {[]consent.Gap{{Reason: consent.GapLost, Before: early}, {Reason: consent.GapRefilling, Since: early, Before: noon}},
			`{"reason":"refilling","before":"2026-11-20T12:00:00.000Z"}`, `{"reason":"refilling","since":"2026-11-03T00:00:00.000Z","before":"2026-11-20T12:00:00.000Z"}`},
		"a backlog that begins after": {[]consent.Gap{{Reason: consent.GapBacklog, Since: at("2026-11-22 00:00:00")}}, "", ""},
		"the name is another's":       {[]consent.Gap{{Reason: consent.GapRefused}}, `{"reason":"edge_refused"}`, `{"reason":"edge_refused"}`},
	} {
		gaps = c.gaps
		for what, tc := range map[string]struct {
			r    reply
			want string
		}{
			"history": {k.do("POST", "/v1/sites/demo/history", `{"subject":{"email":"a@b.fr"}}`, asJSON, k.bearer("proofs")), c.history},
			"rates":   {k.do("GET", "/v1/sites/demo/rates?from=2026-11-10&to=2026-11-20", "", k.bearer("rates")), c.rates},
		} {
			_, got, _ := strings.Cut(tc.r.body, `,"incomplete":`)
			if tc.r.status != 200 || strings.TrimSuffix(got, "}") != strings.TrimSuffix(tc.want, "}")+map[bool]string{true: "}"}[tc.want != ""] {
				t.Errorf("%s, %s: %d %s, want %s", name, what, tc.r.status, tc.r.body, tc.want)
			}
		}
		missing := k.do("GET", "/v1/sites/demo/proofs/"+v7At(time.Now()), "", k.bearer("proofs"))
		if sure := name == "nothing" || strings.Contains(name, "backlog") || name == "lost before"; (missing.status == 404) != sure {
			t.Errorf("%s: a proof that is not found: %d %s", name, missing.status, missing.body)
		}
	}
}

package warehouse_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/google/go-cmp/cmp"
)

// tally is a count by hand, over the rows themselves.
type tally struct{ granted, denied, prompts uint64 }

func keyOf(by []warehouse.Dimension, at consent.Millis, purpose string, f map[warehouse.Dimension]string) string {
	var keys []string
	for _, d := range by {
		switch d {
		case warehouse.ByDay:
			keys = append(keys, at.Time().Format("2006-01-02"))
		case warehouse.ByHour:
			keys = append(keys, at.Time().Format("2006-01-02T15:00:00Z"))
		case warehouse.ByPurpose:
			keys = append(keys, purpose)
		default:
			keys = append(keys, f[d])
		}
	}
	return strings.Join(keys, "|")
}

func byHand(by []warehouse.Dimension, proofs []*consent.Proof, prompts []*consent.Prompt, asked map[consent.Hash][]string) map[string]tally {
	has := map[warehouse.Dimension]bool{}
	for _, d := range by {
		has[d] = true
	}
	all := map[string]tally{}
	add := func(key string, t tally) {
		was := all[key]
		all[key] = tally{was.granted + t.granted, was.denied + t.denied, was.prompts + t.prompts}
	}
	answer := func(granted bool) tally {
		if granted {
			return tally{granted: 1}
		}
		return tally{denied: 1}
	}
	for _, p := range proofs {
		f := map[warehouse.Dimension]string{warehouse.ByLocale: p.Locale, warehouse.BySurface: p.Surface, warehouse.ByWording: p.Wording.String(),
			warehouse.ByMethod: string(p.Method), warehouse.ByCountry: p.Country, warehouse.ByDevice: string(p.Device), warehouse.ByPage: p.Personal.Page}
		any := false
		for _, c := range p.Decisions {
			any = any || c.Granted
			if has[warehouse.ByPurpose] {
				add(keyOf(by, p.RecordedAt, c.Purpose, f), answer(c.Granted))
			}
		}
		if !has[warehouse.ByPurpose] {
			add(keyOf(by, p.RecordedAt, "", f), answer(any))
		}
	}
	if has[warehouse.ByMethod] {
		return all
	}
	for _, p := range prompts {
		f := map[warehouse.Dimension]string{warehouse.ByLocale: p.Locale, warehouse.BySurface: p.Surface, warehouse.ByWording: p.Wording.String(),
			warehouse.ByCountry: p.Country, warehouse.ByDevice: string(p.Device), warehouse.ByPage: p.Page}
		purposes := []string{""}
		if has[warehouse.ByPurpose] {
			purposes = asked[p.Wording]
		}
		for _, purpose := range purposes {
			add(keyOf(by, p.ShownAt, purpose, f), tally{prompts: 1})
		}
	}
	return all
}

func asTally(t *testing.T, r *warehouse.Rates) map[string]tally {
	t.Helper()
	all := map[string]tally{}
	for _, row := range r.Rows {
		v := tally{granted: row.Granted, denied: row.Denied}
		if row.Prompts != nil {
			v.prompts = *row.Prompts
		}
		if n := row.Granted + row.Denied; n > 0 && (row.Ratio == nil || *row.Ratio != float64(row.Granted)/float64(n)) || n == 0 && row.Ratio != nil {
			t.Errorf("%v: ratio %v of %d and %d", row.Keys, row.Ratio, row.Granted, row.Denied)
		}
		all[strings.Join(row.Keys, "|")] = v
	}
	return all
}

var bys = [][]warehouse.Dimension{
	{}, {warehouse.ByDay}, {warehouse.ByHour}, {warehouse.ByPurpose}, {warehouse.ByLocale}, {warehouse.BySurface}, {warehouse.ByWording},
	{warehouse.ByMethod}, {warehouse.ByCountry}, {warehouse.ByDevice}, {warehouse.ByPage},
	{warehouse.ByDay, warehouse.ByPurpose}, {warehouse.ByPurpose, warehouse.ByCountry, warehouse.ByHour},
	{warehouse.ByMethod, warehouse.ByPurpose}, {warehouse.ByPage, warehouse.ByPurpose, warehouse.ByLocale}, {warehouse.ByPage, warehouse.ByMethod},
}

// world is 4,000 proofs of two edges and 6,000 prompts over ten hours that cross a day and a month.
type world struct {
	proofs  map[string][]*consent.Proof // by edge
	prompts []*consent.Prompt
	asked   map[consent.Hash][]string
	g       *storagetest.Generator
}

func newWorld() *world {
	v := &world{proofs: map[string][]*consent.Proof{}, asked: map[consent.Hash][]string{}}
	for i, edge := range []string{"e1", "e2"} {
		v.g = storagetest.NewGenerator(uint64(i))
		v.g.Edge, v.g.Step = edge, 18_000
		v.proofs[edge] = v.g.Proofs(2000)
	}
	p := storagetest.NewGenerator(9)
	p.Step = 6_000
	v.prompts = p.Prompts(6000)
	for _, w := range v.g.Published() {
		v.asked[w.Hash] = w.Asked()
	}
	return v
}

func (v *world) all() []*consent.Proof {
	return append(append([]*consent.Proof{}, v.proofs["e1"]...), v.proofs["e2"]...)
}

func (v *world) query(by ...warehouse.Dimension) warehouse.RatesQuery {
	return warehouse.RatesQuery{Site: "shop", From: storagetest.Start.Time(), To: storagetest.Start.Time().Add(24 * time.Hour), By: by}
}

func (v *world) check(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	for _, by := range bys {
		r, err := w.Rates(t.Context(), v.query(by...))
		if err != nil {
			t.Fatalf("%v: %v", by, err)
		}
		if d := cmp.Diff(byHand(by, v.all(), v.prompts, v.asked), asTally(t, r), cmp.AllowUnexported(tally{})); d != "" {
			t.Fatalf("by %v (-by hand +warehouse):\n%s", by, d)
		}
	}
}

// send ships everything in batches of n.
func (v *world) send(t *testing.T, w *warehouse.Warehouse, n int) {
	t.Helper()
	for _, proofs := range v.proofs {
		for i := 0; i < len(proofs); i += n {
			sendProofs(t, w, uint64(i), proofs[i:min(i+n, len(proofs))])
		}
	}
	for i := 0; i < len(v.prompts); i += n {
		if err := w.SendPrompts(context.Background(), at("e1", uint64(i)), v.prompts[i:min(i+n, len(v.prompts))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SendWordings(context.Background(), at("e1", 0), v.g.Wordings()); err != nil {
		t.Fatal(err)
	}
}

func TestRatesEqualACountByHandHoweverOftenABatchComes(t *testing.T) {
	w, v := open(t), newWorld()
	for _, table := range []string{"consent_facts", "consent_personal", "prompts"} {
		alter(t, w, "SYSTEM STOP MERGES ", table, "")
	}
	v.send(t, w, 500)
	v.check(t, w)
	v.send(t, w, 500) // the same batches
	v.send(t, w, 333) // and others
	// The control: copies are really there, so whoever counts rows counts wrong.
	if n := count(t, w, "SELECT count() FROM consent_facts"); n != 3*4000 {
		t.Errorf("%d rows stored, want 12000: this test no longer tests duplicates", n)
	}
	v.check(t, w)

	for _, table := range []string{"consent_facts", "consent_personal", "prompts"} {
		alter(t, w, "SYSTEM START MERGES ", table, "")
		optimize(t, w, table)
	}
	if n := count(t, w, "SELECT count() FROM consent_facts"); n != 4000 {
		t.Errorf("%d rows after merging, want 4000", n)
	}
	if n := count(t, w, "SELECT count() FROM wordings"); n != 0 {
		optimize(t, w, "wordings")
	}
	v.check(t, w)
}

func TestRatesKeepToTheirTimeRange(t *testing.T) {
	w, v := open(t), newWorld()
	v.send(t, w, 2000)
	q := v.query(warehouse.ByHour)
	q.From, q.To = q.From.Add(61*time.Minute), q.From.Add(150*time.Minute) // cut to 23:00 … 01:00
	for _, by := range [][]warehouse.Dimension{{warehouse.ByHour}, {warehouse.ByHour, warehouse.ByPage}} {
		q.By = by
		r, err := w.Rates(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, row := range r.Rows {
			seen[row.Keys[0]] = true
		}
		if d := cmp.Diff(map[string]bool{"2026-10-31T23:00:00Z": true, "2026-11-01T00:00:00Z": true}, seen); d != "" {
			t.Error(d)
		}
	}
	q.By, q.Limit = []warehouse.Dimension{warehouse.ByCountry, warehouse.ByHour}, 3
	r, err := w.Rates(t.Context(), q)
	if err != nil || len(r.Rows) != 3 || !r.Truncated {
		t.Errorf("limit 3 gave %d rows, truncated %v, %v", len(r.Rows), r.Truncated, err)
	}
	other := v.query()
	other.Site = "shop' OR 1=1 --"
	if r, err = w.Rates(t.Context(), other); err != nil || r.Rows[0].Granted+r.Rows[0].Denied+*r.Rows[0].Prompts != 0 {
		t.Errorf("a site name is text, never SQL: %+v, %v", r, err)
	}
}

func TestRatesRefuseBadQuestions(t *testing.T) {
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		q    warehouse.RatesQuery
		says string
	}{
		"no site":                 {warehouse.RatesQuery{From: day, To: day.Add(1)}, "no site"},
		"an empty range":          {warehouse.RatesQuery{Site: "a", From: day, To: day}, "before"},
		"a range too long":        {warehouse.RatesQuery{Site: "a", From: day, To: day.Add(warehouse.MaxRatesRange + 1)}, "1098 days"},
		"a time before 1970":      {warehouse.RatesQuery{Site: "a", From: time.Unix(-1, 0), To: time.Unix(9, 0)}, "1970"},
		"a limit too high":        {warehouse.RatesQuery{Site: "a", From: day, To: day.Add(1), Limit: 10_001}, "10000"},
		"a negative limit":        {warehouse.RatesQuery{Site: "a", From: day, To: day.Add(1), Limit: -1}, "limit"},
		"an unknown dimension":    {warehouse.RatesQuery{Site: "a", From: day, To: day.Add(1), By: []warehouse.Dimension{"subject"}}, `"subject"`},
		"a dimension named twice": {warehouse.RatesQuery{Site: "a", From: day, To: day.Add(1), By: []warehouse.Dimension{"day", "day"}}, "twice"},
	} {
		if err := c.q.Validate(); !errors.Is(err, warehouse.ErrQuery) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want ErrQuery with %q", name, err, c.says)
		}
	}
}

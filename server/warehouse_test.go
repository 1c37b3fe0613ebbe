package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/google/uuid"
)

// clickhouse is the real engine, started for this package's tests.
var clickhouse *storagetest.Kit

func TestMain(m *testing.M) { storagetest.Main(m, func(k *storagetest.Kit) { clickhouse = k }) }

// openWarehouse gives a migrated warehouse in a database of its own.
func openWarehouse(t testing.TB) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(warehouse.Options{URL: clickhouse.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// ship drains everything recorded so far.
func (k *kit) ship(w *warehouse.Warehouse) {
	k.t.Helper()
	d := drain.New(drain.Options{Ledger: k.ledger, Warehouse: w, Linger: time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	for _, s := range consent.Streams() {
		storagetest.Eventually(k.t, 2*time.Minute, s.String()+" shipped", func() bool { return d.Backlog(s) == 0 })
	}
	stop()
	<-done
}

// page is the part of a history these tests look at.
type historyPage struct {
	Proofs []struct {
		Seq        uint64
		Facts      json.RawMessage
		Personal   json.RawMessage
		Salt       string
		Identifier string
	}
	Next string
}

func (k *kit) history(body string) (p historyPage) {
	k.t.Helper()
	r := k.do("POST", "/v1/sites/demo/history", body, asJSON, k.bearer("proofs"))
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != 200 {
		k.t.Fatal(r.status, r.body)
	}
	return p
}

// assert records a choice of an e-mail address through the API and returns its id.
func (k *kit) assert(email string, granted bool) string {
	k.t.Helper()
	body := k.choice(drop("surface"), drop("wording"), drop("locale"), drop("page"), drop("prompt"), set("method", "custom"),
		set("decisions", map[string]any{"ads": granted}), set("subject", map[string]any{"email": email}))
	if r := k.do("POST", "/v1/sites/demo/consents", body, asJSON, k.bearer("record")); r.status != 201 {
		k.t.Fatal(r.body)
	}
	return field[string](k.t, body, "id")
}

func TestAHistoryJoinsTheLedgersTailAndTheWarehouse(t *testing.T) {
	w := openWarehouse(t)
	k := start(t, func(o *Options) { o.Warehouse = w })
	var want []string
	for i := range 5 {
		want = append(want, k.assert("a@b.fr", i%2 == 0))
		k.assert("other@b.fr", true)
	}
	k.ship(w)
	for i := range 4 {
		want = append(want, k.assert("a@b.fr", i%2 == 0))
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 4, 50} {
		t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
			var got []string
			cursor := ""
			for range 20 {
				p := k.history(fmt.Sprintf(`{"subject":{"email":"A@B.fr"},"limit":%d%s}`, limit, cursor))
				for _, proof := range p.Proofs {
					got = append(got, field[string](t, string(proof.Facts), "id"))
					if proof.Identifier != "a@b.fr" {
						t.Fatalf("identifier %q", proof.Identifier)
					}
				}
				if p.Next == "" {
					break
				}
				cursor = fmt.Sprintf(`,"cursor":%q`, p.Next)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		if p := k.history(`{"subject":{"device":"` + uuid.NewString() + `"}}`); p.Proofs == nil || len(p.Proofs) != 0 {
			t.Fatal(p)
		}
	})
	for name, tc := range map[string]struct{ body, code string }{
		"no subject":            {`{}`, "missing_field"},
		"a bad subject":         {`{"subject":{"email":"x"}}`, "invalid_subject"},
		"a cursor of ours, cut": {`{"subject":{"email":"a@b.fr"},"cursor":"MTIz"}`, "invalid_cursor"},
		"a cursor that is text": {`{"subject":{"email":"a@b.fr"},"cursor":"???"}`, "invalid_cursor"},
		"a page of 201":         {`{"subject":{"email":"a@b.fr"},"limit":201}`, "out_of_range"},
		"a member nobody knows": {`{"subject":{"email":"a@b.fr"},"offset":1}`, "unknown_field"},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.do("POST", "/v1/sites/demo/history", tc.body, asJSON, k.bearer("proofs"))
			if code, _ := r.problem(t); code != tc.code {
				t.Fatal(r.body)
			}
		})
	}
}

func TestAProofIsShownSoThatItCanBeChecked(t *testing.T) {
	w := openWarehouse(t)
	k := start(t, func(o *Options) { o.Warehouse = w })
	browser := k.choice()
	if r := k.post(browser); r.status != 201 {
		t.Fatal(r.body)
	}
	ids := []string{field[string](t, browser, "id"), k.assert("a@b.fr", true)}
	look := func(id string) reply {
		return k.do("GET", "/v1/sites/demo/proofs/"+id, "", k.bearer("proofs"))
	}
	fresh := []reply{look(ids[0]), look(ids[1])}
	for range 4096 { // the ledger lets go of whole chunks only
		k.assert("b@b.fr", true)
	}
	k.ship(w)
	if err := k.ledger.Trim(consent.StreamProofs, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.ledger.Proof(uuid.MustParse(ids[0])); err == nil {
		t.Fatal("the ledger still holds the proof")
	}
	for i, id := range ids {
		r := look(id)
		if r.status != 200 || r.body != fresh[i].body {
			t.Fatalf("from the ledger\n%s\nfrom the warehouse\n%s", fresh[i].body, r.body)
		}
		var p struct {
			Facts, Personal, Wording_Document json.RawMessage
			Salt                              string
		}
		if err := json.Unmarshal([]byte(r.body), &p); err != nil {
			t.Fatal(err)
		}
		salt, err := hex.DecodeString(p.Salt)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(append(salt, p.Personal...)); hex.EncodeToString(sum[:]) != field[string](t, string(p.Facts), "commitment") {
			t.Fatal("the personal part does not open the commitment")
		}
		if hash := field[string](t, string(p.Facts), "wording"); hash != "" {
			if sum := sha256.Sum256(p.Wording_Document); hex.EncodeToString(sum[:]) != hash {
				t.Fatal("the wording document is not what its hash says")
			}
		}
	}
	for name, tc := range map[string]struct {
		path, token string
		status      int
		code        string
	}{
		"an id nobody recorded":        {"/v1/sites/demo/proofs/" + v7At(time.Now()), k.bearer("proofs"), 404, "unknown_proof"},
		"an id that is none":           {"/v1/sites/demo/proofs/7", k.bearer("proofs"), 404, "unknown_proof"},
		"a token that may not":         {"/v1/sites/demo/proofs/" + ids[0], k.bearer("lookup"), 403, "token_wrong_scope"},
		"a proof of another site":      {"/v1/sites/slow/proofs/" + ids[0], k.bearerFor("slow", "proofs"), 404, "unknown_proof"},
		"the history of one, likewise": {"/v1/sites/nowhere/proofs/" + ids[0], k.bearer("proofs"), 404, "unknown_site"},
	} {
		r := k.do("GET", tc.path, "", tc.token)
		if code, _ := r.problem(t); r.status != tc.status || code != tc.code {
			t.Errorf("%s: %s", name, r.body)
		}
	}
}

func TestRatesCountWhatWasAnswered(t *testing.T) {
	w := openWarehouse(t)
	k := start(t, func(o *Options) { o.Warehouse = w })
	k.clock.noon()
	for i := range 4 {
		prompt := k.choice(drop("id"), drop("subject"), drop("method"), drop("decisions"))
		if r := k.do("POST", "/v1/sites/demo/prompts", prompt, asPlain, ofShop); r.status != 204 {
			t.Fatal(r.body)
		}
		if r := k.post(k.choice(set("decisions", map[string]any{"analytics": i < 3, "ads": false}))); r.status != 201 {
			t.Fatal(r.body)
		}
	}
	k.ship(w)
	day := k.clock.now().UTC().Format(time.DateOnly)
	rates := func(query string) reply {
		return k.do("GET", "/v1/sites/demo/rates"+query, "", k.bearer("rates"))
	}
	for query, want := range map[string]string{
		"":                                   `[{"purpose":"ads","granted":0,"denied":4,"prompts":4,"ratio":0},{"purpose":"analytics","granted":3,"denied":1,"prompts":4,"ratio":0.75}]`,
		"?by=":                               `[{"granted":3,"denied":1,"prompts":4,"ratio":0.75}]`,
		"?by=method":                         `[{"method":"custom","granted":3,"denied":1,"prompts":null,"ratio":0.75}]`,
		"?by=surface,locale":                 `[{"surface":"banner","locale":"fr","granted":3,"denied":1,"prompts":4,"ratio":0.75}]`,
		"?limit=1":                           `[{"purpose":"ads","granted":0,"denied":4,"prompts":4,"ratio":0}]`,
		"?from=2020-01-01&to=2020-02-01":     `[]`,
		"?by=day&from=" + day + "&to=" + day: `[{"day":"` + day + `","granted":3,"denied":1,"prompts":4,"ratio":0.75}]`,
	} {
		r := rates(query)
		if rows := r.body; r.status != 200 || !strings.Contains(rows, `"rows":`+want+`,"truncated":`+fmt.Sprint(query == "?limit=1")) {
			t.Errorf("%s: %s\nwant %s", query, r.body, want)
		}
	}
	if r := rates("?from=2026-11-01&to=2026-11-30"); !strings.Contains(r.body, `"from":"2026-11-01T00:00:00.000Z","to":"2026-12-01T00:00:00.000Z"`) {
		t.Error(r.body)
	}
	if r := rates("?from=2026-11-01T12:30:00%2B01:00&to=2026-11-01T13:01:00Z"); !strings.Contains(r.body, `"from":"2026-11-01T11:00:00.000Z","to":"2026-11-01T14:00:00.000Z"`) {
		t.Error(r.body)
	}
	for name, query := range map[string]string{
		"a dimension nobody knows":   "?by=colour",
		"a dimension twice":          "?by=day,day",
		"a parameter twice":          "?by=day&by=purpose",
		"a parameter nobody knows":   "?group=day",
		"a date that is none":        "?from=yesterday",
		"the end before the start":   "?from=2026-11-02&to=2026-11-01T00:00:00Z",
		"a limit of nothing":         "?limit=0",
		"a limit beyond all":         "?limit=10001",
		"a range of a hundred years": "?from=1990-01-01&to=2090-01-01",
	} {
		r := rates(query)
		if code, _ := r.problem(t); r.status != 400 || code != "bad_query" {
			t.Errorf("%s: %s", name, r.body)
		}
	}
}

// Choices are taken and lookups answered whatever becomes of ClickHouse; what only it knows is refused for
// now, and what the ledger still holds is not.
func TestWithoutAWarehouse(t *testing.T) {
	gone, err := warehouse.Open(warehouse.Options{URL: "clickhouse://nobody@127.0.0.1:1/none", DialTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	for name, change := range map[string]func(*Options){
		"none configured":  func(*Options) {},
		"one that is down": func(o *Options) { o.Warehouse = gone },
	} {
		t.Run(name, func(t *testing.T) {
			k := start(t, change)
			body := k.choice()
			if r := k.post(body); r.status != 201 {
				t.Fatal(r.body)
			}
			if r := k.lookup("device=" + field[string](t, body, "subject", "device")); !field[bool](t, r.body, "decisions", "analytics", "allowed") {
				t.Fatal(r.body)
			}
			if r := k.do("GET", "/v1/sites/demo/proofs/"+field[string](t, body, "id"), "", k.bearer("proofs")); r.status != 200 {
				t.Fatal(r.body)
			}
			seen := k.do("POST", "/v1/sites/demo/history", `{"subject":{"device":"`+field[string](t, body, "subject", "device")+`"}}`, asJSON, k.bearer("proofs"))
			if seen.status != 200 || strings.Count(seen.body, `"seq":`) != 1 || !strings.HasSuffix(seen.body, `],"incomplete":{"reason":"warehouse_away"}}`) {
				t.Errorf("history: %d %s", seen.status, seen.body)
			}
			for path, r := range map[string]reply{
				"rates": k.do("GET", "/v1/sites/demo/rates", "", k.bearer("rates")),
				"proof": k.do("GET", "/v1/sites/demo/proofs/"+v7At(time.Now()), "", k.bearer("proofs")),
			} {
				if code, _ := r.problem(t); r.status != 503 || code != "warehouse_unavailable" || r.header.Get("Retry-After") == "" {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
			}
			if log := k.log.String(); strings.Contains(log, "a@b.fr") {
				t.Error(log)
			}
		})
	}
}

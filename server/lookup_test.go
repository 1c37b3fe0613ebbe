package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// lookup asks for one subject with a token.
func (k *kit) lookup(query string) reply {
	return k.do("GET", "/v1/sites/demo/lookup?"+query, "", k.bearer("lookup"))
}

func TestALookupSeesWhatWasRecordedAtOnce(t *testing.T) {
	k := start(t)
	device := uuid.NewString()
	of := func(query, purpose, member string) any {
		var v struct{ Decisions map[string]map[string]any }
		r := k.lookup("device=" + device + query)
		if err := json.Unmarshal([]byte(r.body), &v); err != nil || r.status != 200 {
			t.Fatal(r.status, r.body)
		}
		return v.Decisions[purpose][member]
	}
	say := func(method string, analytics, ads bool) string {
		body := k.choice(set("subject", map[string]any{"device": device}), set("method", method),
			set("decisions", map[string]any{"analytics": analytics, "ads": ads}))
		if r := k.post(body); r.status != 201 {
			t.Fatal(r.status, r.body)
		}
		return field[string](t, body, "id")
	}
	if got := k.lookup("device=" + device + "&purpose=ads").body; !strings.HasSuffix(got,
		`"decisions":{"ads":{"status":"unknown","allowed":false,"grade":"none","reason":"never_asked"}}}`) {
		t.Fatal(got)
	}
	for i := range 50 { // read-your-writes, whatever came before
		granted := i%2 == 0
		id := say("custom", granted, false)
		if of("&purpose=analytics", "analytics", "allowed") != granted || of("", "analytics", "proof") != id {
			t.Fatalf("round %d: %s", i, k.lookup("device="+device).body)
		}
	}
	id := say("accept_all", true, true)
	r := k.lookup("device=" + strings.ToUpper(device) + "&purpose=ads&purpose=analytics")
	since := of("", "ads", "since")
	one := fmt.Sprintf(`{"status":"granted","allowed":true,"grade":"proven","reason":"granted","since":%q,"proof":%q}`, since, id)
	if !strings.HasSuffix(r.body, `,"decisions":{"ads":`+one+`,"analytics":`+one+`}}`) {
		t.Fatal(r.body)
	}
	say("withdraw", false, false)
	if of("", "ads", "status") != "withdrawn" || of("&purpose=ads", "ads", "allowed") != false {
		t.Fatal(k.lookup("device=" + device).body)
	}
	if r.header.Get("Cache-Control") != "no-store" {
		t.Fatal(r.header)
	}
}

func TestAGrantExpiresAfterThePurposesLifetime(t *testing.T) {
	k := start(t)
	device := uuid.NewString()
	body := k.choice(set("subject", map[string]any{"device": device}), set("method", "accept_all"), set("decisions", map[string]any{"analytics": true, "ads": true}))
	if r := k.post(body); r.status != 201 {
		t.Fatal(r.body)
	}
	k.clock.advance(31 * 24 * time.Hour) // ads is kept for 30 days, analytics for the site's 182
	for range 2 {
		for _, query := range []string{"", "&purpose=ads&purpose=analytics"} {
			r := k.lookup("device=" + device + query)
			if field[string](t, r.body, "decisions", "ads", "status") != "expired" || field[bool](t, r.body, "decisions", "ads", "allowed") ||
				!field[bool](t, r.body, "decisions", "analytics", "allowed") {
				t.Fatal(r.body)
			}
		}
	}
	k.clock.advance(152 * 24 * time.Hour)
	if r := k.lookup("device=" + device); field[string](t, r.body, "decisions", "analytics", "reason") != "expired" {
		t.Fatal(r.body)
	}
}

func TestALookupThatIsWrongSaysWhy(t *testing.T) {
	k := start(t)
	device := "device=" + uuid.NewString()
	expired := "Authorization: Bearer " + k.issue(token.Grant{Name: "x", Sites: []string{"demo"}, Scopes: []string{"lookup"}, TTL: time.Second})
	for name, tc := range map[string]struct {
		query  string
		token  string
		status int
		code   string
	}{
		"no token":                           {device, "Accept: */*", 401, "token_missing"},
		"an empty token":                     {device, "Authorization: Bearer ", 401, "token_missing"},
		"a token that is none":               {device, "Authorization: Bearer a.b.c", 401, "token_invalid"},
		"a token of 5,000 bytes":             {device, "Authorization: Bearer " + strings.Repeat("a", 5000), 401, "token_invalid"},
		"a token with its last byte changed": {device, changed(k.bearer("lookup")), 401, "token_invalid"},
		"a token for another scope":          {device, k.bearer("rates"), 403, "token_wrong_scope"},
		"an e-mail address":                  {"email=a%40b.fr", "", 400, "identifier_in_url"},
		"an e-mail address as a user id":     {"external=a@b.fr", "", 400, "identifier_in_url"},
		"an e-mail address, encoded":         {"external=a%40b.fr", "", 400, "identifier_in_url"},
		"an e-mail address, encoded twice":   {"external=a%2540b.fr", "", 400, "identifier_in_url"},
		"an e-mail address as a purpose":     {device + "&purpose=a@b.fr", "", 400, "identifier_in_url"},
		"an e-mail address as a name":        {device + "&a@b.fr", "", 400, "identifier_in_url"},
		"an e-mail address elsewhere":        {device + "&who=a%40b.fr", "", 400, "identifier_in_url"},
		"a phone number":                     {"phone=0612345678", "", 400, "identifier_in_url"},
		"a phone number as a user id":        {"external=%2B33612345678", "", 400, "identifier_in_url"},
		"a phone number, its plus a space":   {"external=+33 6 12 34 56 78", "", 400, "identifier_in_url"},
		"no subject":                         {"purpose=ads", "", 400, "bad_query"},
		"two subjects":                       {device + "&external=7", "", 400, "bad_query"},
		"the same subject twice":             {device + "&" + device, "", 400, "bad_query"},
		"a purpose twice":                    {device + "&purpose=ads&purpose=ads", "", 400, "bad_query"},
		"an unknown parameter":               {device + "&purposes=ads", "", 400, "bad_query"},
		"an unknown purpose":                 {device + "&purpose=seo", "", 422, "unknown_purpose"},
		"a purpose that needs no consent":    {device + "&purpose=basket", "", 422, "unknown_purpose"},
		"a device id that is no UUID":        {"device=7", "", 422, "invalid_subject"},
		"a key that is no key":               {"key=XYZ", "", 422, "invalid_subject"},
		"an empty user id":                   {"external=", "", 422, "invalid_subject"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.token == "" {
				tc.token = k.bearer("lookup")
			}
			r := k.do("GET", "/v1/sites/demo/lookup?"+strings.ReplaceAll(tc.query, " ", "+"), "", tc.token)
			if code, _ := r.problem(t); r.status != tc.status || code != tc.code {
				t.Fatal(r.status, r.body)
			}
			if www := r.header.Get("Www-Authenticate"); (www != "") != (r.status == 401 || r.status == 403) {
				t.Fatalf("WWW-Authenticate: %q", www)
			}
		})
	}
	t.Run("a user id may be any other text", func(t *testing.T) {
		for _, id := range []string{"crm-7", "33612345678", "a b", "Ωmega/7", "100%"} {
			if r := k.lookup("external=" + url.QueryEscape(id)); r.status != 200 {
				t.Error(id, r.status, r.body)
			}
		}
	})
	t.Run("a token of another site", func(t *testing.T) {
		r := k.do("GET", "/v1/sites/slow/lookup?"+device, "", k.bearer("lookup"))
		if code, _ := r.problem(t); r.status != 403 || code != "token_wrong_site" {
			t.Fatal(r.body)
		}
	})
	t.Run("a token that has expired", func(t *testing.T) {
		deadline := time.Now().Add(10 * time.Second)
		for {
			r := k.do("GET", "/v1/sites/demo/lookup?"+device, "", expired)
			if r.status == 200 && time.Now().Before(deadline) {
				continue
			}
			if code, _ := r.problem(t); r.status != 401 || code != "token_expired" {
				t.Fatal(r.body)
			}
			return
		}
	})
	t.Run("a token that was revoked", func(t *testing.T) {
		raw, claims, err := k.ring.Issue(token.Grant{Name: "x", Sites: []string{"*"}, Scopes: []string{"lookup"}, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ask := func() reply {
			return k.do("GET", "/v1/sites/demo/lookup?"+device, "", "Authorization: Bearer "+raw)
		}
		if r := ask(); r.status != 200 {
			t.Fatal(r.body)
		}
		if err := k.ring.Revoke(claims.ID); err != nil {
			t.Fatal(err)
		}
		if code, _ := ask().problem(t); code != "token_revoked" {
			t.Fatal(code)
		}
	})
}

// changed flips one character of a header's last part.
func changed(header string) string {
	last := header[len(header)-2]
	other := byte('A')
	if last == 'A' {
		other = 'B'
	}
	return header[:len(header)-2] + string(other) + header[len(header)-1:]
}

func TestABrowserReadsItsOwnState(t *testing.T) {
	k := start(t)
	device := uuid.NewString()
	if r := k.post(k.choice(set("subject", map[string]any{"device": device}))); r.status != 201 {
		t.Fatal(r.body)
	}
	known, unknown := k.do("GET", "/v1/sites/demo/devices/"+device, "", ofShop), k.do("GET", "/v1/sites/demo/devices/"+uuid.NewString(), "")
	if known.status != 200 || !field[bool](t, known.body, "decisions", "analytics", "allowed") || known.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Fatal(known)
	}
	if unknown.status != 200 || field[string](t, unknown.body, "decisions", "analytics", "reason") != "never_asked" || unknown.header.Get("Access-Control-Allow-Origin") != "" {
		t.Fatal(unknown)
	}
	for name, tc := range map[string]struct {
		id, origin string
		status     int
		code       string
	}{
		"another site's page": {device, "Origin: https://evil.example", 403, "origin_foreign"},
		"no UUID":             {"7", ofShop, 422, "invalid_subject"},
		"an address":          {"a%40b.fr", ofShop, 400, "identifier_in_url"},
	} {
		r := k.do("GET", "/v1/sites/demo/devices/"+tc.id, "", tc.origin)
		if code, _ := r.problem(t); r.status != tc.status || code != tc.code {
			t.Errorf("%s: %s", name, r.body)
		}
	}
}

// ask posts a batch.
func (k *kit) ask(body string) reply {
	return k.do("POST", "/v1/sites/demo/lookup", body, asJSON, k.bearer("lookup"))
}

func TestABatchAnswersInOrderAndOneBadSubjectAlone(t *testing.T) {
	k := start(t)
	device := uuid.NewString()
	if r := k.post(k.choice(set("subject", map[string]any{"device": device}))); r.status != 201 {
		t.Fatal(r.body)
	}
	st, _ := k.sites.Get("demo")
	who, _ := consent.ParseSubject(consent.KindDevice, device, "")
	r := k.ask(fmt.Sprintf(`{"purposes":["analytics","ads"],"subjects":[{"email":"not an address"},{"device":%q},{"email":"a@b.fr"},7,{"cookie":"x"},{},
		{"device":%q,"external":"7"},{"phone":5},{"key":%q},{"external":""}]}`, device, device, st.Keyer.Key(who)))
	var got struct {
		Results []struct {
			Decisions map[string]struct{ Status string }
			Error     struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
		t.Fatal(r.status, r.body)
	}
	var short []string
	for _, res := range got.Results {
		if res.Error.Code != "" {
			short = append(short, res.Error.Code)
			continue
		}
		short = append(short, res.Decisions["analytics"].Status+" "+res.Decisions["ads"].Status)
	}
	want := []string{"invalid_subject", "granted denied", "unknown unknown", "wrong_type", "invalid_subject", "invalid_subject", "invalid_subject",
		"wrong_type", "granted denied", "invalid_subject"}
	if !slices.Equal(short, want) {
		t.Fatalf("%q\nwant %q\n%s", short, want, r.body)
	}
	if strings.Contains(r.body, "not an address") {
		t.Fatal("an identifier was repeated")
	}
	all := k.ask(fmt.Sprintf(`{"subjects":[{"device":%q}]}`, device))
	if !strings.Contains(all.body, `{"ads":{`) || !strings.Contains(all.body, `"analytics":{`) {
		t.Fatal(all.body)
	}
	if none := k.ask(`{"subjects":[]}`); none.status != 200 || !strings.HasSuffix(none.body, `"results":[]}`) {
		t.Fatal(none.body)
	}
}

func TestABatchThatIsWrongSaysWhy(t *testing.T) {
	k := start(t)
	many := func(n int) string {
		return `{"subjects":[` + strings.TrimSuffix(strings.Repeat(`{"external":"7"},`, n), ",") + `]}`
	}
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
		errs   []string
	}{
		"10,001 subjects":          {many(10_001), 422, "too_many_subjects", []string{"/subjects too_many_subjects"}},
		"no subjects":              {`{}`, 422, "missing_field", []string{"/subjects missing_field"}},
		"subjects that are a text": {`{"subjects":"all"}`, 422, "wrong_type", []string{"/subjects wrong_type"}},
		"an unknown purpose":       {`{"purposes":["ads","seo"],"subjects":[]}`, 422, "unknown_purpose", []string{"/purposes/1 unknown_purpose"}},
		"65 purposes":              {`{"purposes":[` + strings.TrimSuffix(strings.Repeat(`"ads",`, 65), ",") + `],"subjects":[]}`, 422, "too_many_purposes", []string{"/purposes/64 too_many_purposes"}},
		"a purpose twice":          {`{"purposes":["ads","ads"],"subjects":[]}`, 422, "duplicate_purpose", []string{"/purposes/1 duplicate_purpose"}},
		"an unknown member":        {`{"subjects":[],"limit":1}`, 422, "unknown_field", []string{"/limit unknown_field"}},
		"a body cut short":         {`{"subjects":[{"external":`, 400, "malformed_json", nil},
		"a member twice deep down": {`{"subjects":[{"external":"1","external":"2"}]}`, 400, "duplicate_key", nil},
		"over 4 MiB":               {`{"subjects":["` + strings.Repeat("x", 4<<20) + `"]}`, 413, "body_too_large", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.ask(tc.body)
			if code, errs := r.problem(t); r.status != tc.status || code != tc.code || !slices.Equal(errs, tc.errs) {
				t.Fatal(r.status, r.body)
			}
		})
	}
	if r := k.ask(many(10_000)); r.status != 200 || strings.Count(r.body, "never_asked") != 20_000 {
		t.Fatal(r.status, len(r.body))
	}
	without := k.do("POST", "/v1/sites/demo/lookup", many(1), asJSON)
	if code, _ := without.problem(t); code != "token_missing" {
		t.Fatal(without.body)
	}
}

// A large batch is answered by several workers; each result must still be at its place.
func TestALargeBatchKeepsItsOrder(t *testing.T) {
	k := start(t)
	granted := map[int]bool{}
	for i := 0; i < 3000; i += 250 {
		granted[i] = true
		body := k.choice(drop("surface"), drop("wording"), drop("locale"), drop("page"), drop("prompt"), set("method", "accept_all"),
			set("decisions", map[string]any{"ads": true}), set("subject", map[string]any{"external": fmt.Sprint(i)}))
		if r := k.do("POST", "/v1/sites/demo/consents", body, asJSON, k.bearer("record")); r.status != 201 {
			t.Fatal(r.body)
		}
	}
	var subjects []string
	for i := range 3000 {
		subjects = append(subjects, fmt.Sprintf(`{"external":"%d"}`, i))
		if i%7 == 3 {
			subjects[i] = `{"email":"bad"}`
		}
	}
	r := k.ask(`{"purposes":["ads"],"subjects":[` + strings.Join(subjects, ",") + `]}`)
	var got struct {
		Results []struct {
			Decisions map[string]struct{ Allowed bool }
			Error     *struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || len(got.Results) != 3000 {
		t.Fatal(err, len(got.Results))
	}
	for i, res := range got.Results {
		if bad := i%7 == 3; bad != (res.Error != nil) || !bad && res.Decisions["ads"].Allowed != granted[i] {
			t.Fatalf("result %d: %+v", i, res)
		}
	}
}

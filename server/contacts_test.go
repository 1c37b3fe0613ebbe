package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/go-cmp/cmp"
)

// report posts contacts of site crm.
func (k *kit) report(body string) reply {
	k.t.Helper()
	return k.do("POST", "/v1/sites/crm/contacts", body, asJSON, k.bearerFor("crm", "record"))
}

// reported gives the outcome of each contact: "ok" or its error's code.
func reported(t *testing.T, r reply) (all []string, times []string) {
	t.Helper()
	var got struct {
		Results []struct {
			At    string
			Error struct{ Code, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
		t.Fatal(r.status, r.body)
	}
	for _, res := range got.Results {
		if res.Error.Code == "" {
			res.Error.Code = "ok"
		}
		all, times = append(all, res.Error.Code), append(times, res.At)
	}
	return all, times
}

func TestAContactKeepsAConsentFromRunningOut(t *testing.T) {
	k := start(t)
	const year = 365 * 24 * time.Hour
	reason := func() string {
		return k.askCRM(`{"purposes":["letter"],"subjects":[{"email":"ana@crm.example"}]}`)[0].Decisions["letter"].Reason
	}
	expect := func(when, want string) {
		t.Helper()
		if got := reason(); got != want {
			t.Fatalf("%s: %s, want %s", when, got, want)
		}
	}
	k.say("ana@crm.example", said{yes: []string{"letter"}})
	k.clock.advance(3*year - time.Hour)
	expect("an hour before three years", "granted")
	k.clock.advance(time.Hour)
	expect("after three years", "expired")
	bought := consent.ToMillis(k.clock.now().Add(-2 * year))
	r := k.report(fmt.Sprintf(`{"contacts":[{"subject":{"email":"Ana@CRM.example"},"at":%q}]}`, bought))
	if got, times := reported(t, r); got[0] != "ok" || times[0] != bought.String() {
		t.Fatal(r.body)
	}
	expect("once a purchase two years ago is known", "granted")
	k.report(fmt.Sprintf(`{"contacts":[{"subject":{"email":"ana@crm.example"},"at":%q}]}`, consent.ToMillis(k.clock.now().Add(-5*year/2))))
	k.clock.advance(year - time.Minute)
	expect("an older contact changes nothing", "granted")
	k.clock.advance(time.Minute)
	expect("three years after the purchase", "expired")
	k.report(`{"contacts":[{"subject":{"email":"ana@crm.example"}}]}`)
	expect("after a contact now", "granted")
	k.say("ana@crm.example", said{no: []string{"letter"}, surface: "unsubscribe", method: "withdraw"})
	k.report(`{"contacts":[{"subject":{"email":"ana@crm.example"}}]}`)
	expect("a contact takes no refusal back", "withdrawn")
	if got := k.askCRM(`{"purposes":["letter"],"subjects":[{"email":"stranger@crm.example"}]}`); got[0].Decisions["letter"].Reason != "never_asked" {
		t.Fatal(got)
	}
}

func TestEachContactHasItsOwnAnswer(t *testing.T) {
	k := start(t)
	k.say("ana@crm.example", said{yes: []string{"letter"}})
	soon, later := k.clock.now().Add(4*time.Minute).Format(time.RFC3339), k.clock.now().Add(6*time.Minute).Format(time.RFC3339)
	r := k.report(fmt.Sprintf(`{"contacts":[
		{"subject":{"email":"ana@crm.example"},"at":"2026-01-02T03:04:05+01:00"},
		{"subject":{"email":"stranger@crm.example"},"at":"2026-01-02T03:04:05.678Z"},
		{"subject":{"email":"ana"}}, 7, {}, {"subject":{"email":"ana@crm.example"},"at":5}, {"subject":{"email":"ana@crm.example"},"when":"now"},
		{"subject":{"device":"8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3"}}, {"subject":{"external":"7"}}, {"subject":{"phone":"+33612345678"},"at":%q},
		{"subject":{"external":"7"},"at":%q}, {"subject":{"external":"7"},"at":"yesterday"}, {"subject":{"external":"7"},"at":"1969-12-31T23:59:59Z"},
		{"subject":{"external":"7","email":"ana@crm.example"}}, {"subject":{"key":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}}]}`, soon, later))
	got, times := reported(t, r)
	want := []string{"ok", "ok", "invalid_subject", "wrong_type", "wrong_type", "wrong_type", "wrong_type", "subject_not_allowed", "ok", "ok", "time_in_future",
		"invalid_time", "invalid_time", "invalid_subject", "ok"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff, r.body)
	}
	if times[0] != "2026-01-02T02:04:05.000Z" || times[1] != "2026-01-02T03:04:05.678Z" || times[9] >= soon {
		t.Fatal(times)
	}
	if strings.Contains(r.body, "stranger") || strings.Contains(r.body, "yesterday") {
		t.Fatal("what was sent is repeated", r.body)
	}
}

func TestContactsThatAreWrongSayWhy(t *testing.T) {
	k := start(t)
	many := func(n int, item string) string {
		return `{"contacts":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
	}
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no contacts":            {`{}`, 422, "missing_field"},
		"contacts that are none": {`{"contacts":{}}`, 422, "wrong_type"},
		"another member":         {`{"contacts":[],"site":"x"}`, 422, "unknown_field"},
		"10,001 contacts":        {many(10_001, `{"subject":{"external":"7"}}`), 422, "too_many_contacts"},
		"a body cut short":       {`{"contacts":[{`, 400, "malformed_json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.report(tc.body)
			if code, _ := r.problem(t); r.status != tc.status || code != tc.code {
				t.Fatal(r.status, r.body)
			}
		})
	}
	if r := k.do("POST", "/v1/sites/crm/contacts", `{"contacts":[]}`, asJSON, k.bearerFor("crm", "lookup")); r.status != 403 {
		t.Fatal(r.body)
	}
	if got, _ := reported(t, k.report(many(10_000, `{"subject":{"email":"a-long-address-that-makes-the-body-larger@crm.example"}}`))); len(got) != 10_000 {
		t.Fatal(len(got))
	}
}

// Each of many moments is kept, although they are written together.
func TestContactsOfManyMomentsAreAllKept(t *testing.T) {
	k := start(t)
	const n = 300
	var items, subjects []string
	for i := range n {
		email := fmt.Sprintf("p%d@crm.example", i)
		k.say(email, said{yes: []string{"letter"}})
		subjects = append(subjects, fmt.Sprintf(`{"email":%q}`, email))
	}
	k.clock.advance(1000 * 24 * time.Hour)
	for i := range n {
		at := consent.ToMillis(k.clock.now().Add(-time.Duration(i) * time.Minute))
		items = append(items, fmt.Sprintf(`{"subject":{"email":"p%d@crm.example"},"at":%q}`, i, at))
	}
	if got, _ := reported(t, k.report(`{"contacts":[`+strings.Join(items, ",")+`]}`)); len(got) != n {
		t.Fatal(len(got))
	}
	k.clock.advance(1095*24*time.Hour - n/2*time.Minute) // half of the contacts are three years old
	for i, v := range k.askCRM(`{"purposes":["letter"],"subjects":[` + strings.Join(subjects, ",") + `]}`) {
		if i == n/2 || i == n/2+1 || i == n/2-1 {
			continue // on the minute: the clock has gone on
		}
		if want := i < n/2; v.Decisions["letter"].Allowed != want {
			t.Fatalf("contact %d minutes ago: %s", i, v.short())
		}
	}
}

package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// said is what somebody said to site crm: the purposes granted and denied, and how.
type said struct {
	yes, no []string
	surface string // "": api
	method  consent.Method
	wording consent.Hash
}

// say records it straight in the ledger, for an e-mail address.
func (k *kit) say(email string, w said) {
	k.t.Helper()
	st, _ := k.sites.Get("crm")
	who, err := consent.ParseSubject(consent.KindEmail, email, "")
	if err != nil {
		k.t.Fatal(err)
	}
	p := &consent.Proof{Facts: consent.Facts{ID: uuid.Must(uuid.NewV7()), Site: "crm", Edge: k.ledger.Edge(), RecordedAt: k.ledger.Now(),
		Surface: w.surface, Method: w.method, Wording: w.wording, Grade: consent.GradeProven, Device: consent.DeviceServer},
		Personal: consent.Personal{Subject: st.Keyer.Key(who), Kind: consent.KindEmail, Salt: consent.NewSalt()}}
	if p.Surface == "" {
		p.Surface = consent.SurfaceAPI
	}
	if p.Method == "" {
		p.Method = consent.MethodCustom
	}
	for _, id := range slices.Sorted(slices.Values(slices.Concat(w.yes, w.no))) {
		p.Decisions = append(p.Decisions, consent.Choice{Purpose: id, Granted: slices.Contains(w.yes, id)})
	}
	p.Commitment = p.Personal.Commit()
	if _, err := k.ledger.Append(k.t.Context(), p); err != nil {
		k.t.Fatal(err)
	}
}

// verdict is an answer about purposes asked together.
type verdict struct {
	Decisions map[string]struct {
		Status, Reason string
		Allowed        bool
	}
	Allowed   *bool
	StoppedBy []string `json:"stopped_by"`
	Error     struct{ Code string }
}

// short writes "letter granted, opens denied; stopped by opens".
func (v verdict) short() string {
	if v.Error.Code != "" {
		return v.Error.Code
	}
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(v.Decisions)) {
		parts = append(parts, id+" "+v.Decisions[id].Reason)
	}
	out := strings.Join(parts, ", ")
	switch {
	case v.Allowed == nil:
		return out + "; no verdict"
	case *v.Allowed != (len(v.StoppedBy) == 0):
		return out + "; a verdict that contradicts itself"
	case *v.Allowed:
		return out + "; allowed"
	}
	return out + "; stopped by " + strings.Join(v.StoppedBy, " ")
}

// askCRM asks site crm about subjects, in one call.
func (k *kit) askCRM(body string) []verdict {
	k.t.Helper()
	r := k.do("POST", "/v1/sites/crm/lookup", body, asJSON, k.bearerFor("crm", "lookup"))
	var got struct{ Results []verdict }
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || r.status != 200 {
		k.t.Fatal(r.status, r.body)
	}
	return got.Results
}

func TestALookupByChannelAndUseSaysWhatStopsTheSend(t *testing.T) {
	k := start(t)
	st, _ := k.sites.Get("crm")
	older := k.shownBefore(t, func(w *consent.Wording) { w.Revision = 1 })
	all := []string{"letter", "offers", "opens"}
	const ask = `"channel":"email","use":["send","track_open"]`
	for _, tc := range []struct {
		name, ask string
		said      []said
		later     time.Duration // after each of them
		want      string
	}{
		{"nothing was ever said", ask, nil, 0, "letter never_asked, offers never_asked, opens never_asked; stopped by letter offers opens"},
		{"yes to everything", ask, []said{{yes: all}}, 0, "letter granted, offers granted, opens granted; allowed"},
		{"sending, but no measuring", ask, []said{{yes: all[:2], no: all[2:]}}, 0, "letter granted, offers granted, opens denied; stopped by opens"},
		{"sending is asked for alone", `"channel":"email","use":["send"]`, []said{{yes: all[:2], no: all[2:]}}, 0, "letter granted, offers granted; allowed"},
		{"measuring is asked for alone", `"channel":"email","use":["track_open"]`, []said{{yes: all[:2], no: all[2:]}}, 0, "opens denied; stopped by opens"},
		{"a use twice is asked once", `"channel":"email","use":["track_open","track_open"]`, []said{{yes: all}}, 0, "opens granted; allowed"},
		{"every use of the channel", `"channel":"email"`, []said{{yes: all}}, 0,
			"letter granted, offers granted, opens granted, partners never_asked; stopped by partners"},
		{"another channel", `"channel":"sms","use":["send"]`, []said{{yes: all}}, 0, "texts never_asked; stopped by texts"},
		{"the web", `"channel":"web","use":["measure"]`, []said{{yes: []string{"analytics"}}}, 0, "analytics granted; allowed"},
		{"one taken back, one refused", ask, []said{{yes: all[:1]}, {no: all[1:2]}, {no: all[:1], surface: "unsubscribe", method: "withdraw"}, {yes: all[2:]}}, 0,
			"letter withdrawn, offers denied, opens granted; stopped by letter offers"},
		{"a request that waits for its confirmation", ask, []said{{yes: all[:1], surface: "form:join", method: "request"}, {yes: all[1:]}}, 0,
			"letter awaiting_confirmation, offers granted, opens granted; stopped by letter"},
		{"a request nobody confirmed in two days", ask, []said{{yes: all[:1], surface: "form:join", method: "request"}, {yes: all[1:]}}, 48 * time.Hour,
			"letter never_asked, offers granted, opens granted; stopped by letter"},
		{"a request, confirmed", ask, []said{{yes: all, surface: "form:join", method: "request"}, {yes: all, surface: "form:join", method: "confirm"}}, 0,
			"letter granted, offers granted, opens granted; allowed"},
		{"a month later", ask, []said{{yes: all}}, 30 * 24 * time.Hour, "letter granted, offers expired, opens granted; stopped by offers"},
		{"three years without a word", ask, []said{{yes: all}}, 3 * 365 * 24 * time.Hour, "letter expired, offers expired, opens expired; stopped by letter offers opens"},
		{"a refusal three years later is one still", ask, []said{{no: all}}, 3 * 365 * 24 * time.Hour, "letter denied, offers denied, opens denied; stopped by letter offers opens"},
		{"under an older revision", ask, []said{{yes: all[:1], wording: older}, {yes: all[1:]}}, 0,
			"letter wording_superseded, offers granted, opens granted; stopped by letter"},
		{"by purpose there is no verdict", `"purposes":["letter"]`, []said{{yes: all}}, 0, "letter granted; no verdict"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			email := uuid.NewString() + "@crm.example"
			for _, s := range tc.said {
				k.say(email, s)
				k.clock.advance(tc.later)
			}
			for range 2 { // from the store, and from what was kept of it
				got := k.askCRM(fmt.Sprintf(`{%s,"subjects":[{"email":%q}]}`, tc.ask, email))
				if len(got) != 1 || got[0].short() != tc.want {
					t.Fatalf("%s\nwant %s", got[0].short(), tc.want)
				}
			}
			if tc.ask == ask { // the URL says the same
				who, _ := consent.ParseSubject(consent.KindEmail, email, "")
				r := k.do("GET", "/v1/sites/crm/lookup?channel=email&use=send&use=track_open&key="+st.Keyer.Key(who).String(), "", k.bearerFor("crm", "lookup"))
				var got verdict
				if err := json.Unmarshal([]byte(r.body), &got); err != nil || got.short() != tc.want {
					t.Fatal(err, r.body)
				}
			}
		})
	}
}

// shownBefore publishes what the site would have shown had it been changed.
func (k *kit) shownBefore(t *testing.T, change func(*consent.Wording)) consent.Hash {
	t.Helper()
	st, _ := k.sites.Get("crm")
	w := st.CentreWording(st.Purposes[0], "en")
	change(&w)
	p, err := w.Publish()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ledger.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p.Hash
}

func TestAGrantUnderAnOlderWordingHoldsWhileItCoversWhatIsAsked(t *testing.T) {
	k := start(t)
	for _, tc := range []struct {
		name   string
		change func(*consent.Wording)
		want   string
	}{
		{"another text", func(w *consent.Wording) { w.Purposes[0].Text = "Letters." }, "granted"},
		{"a later revision, from an edge that is ahead", func(w *consent.Wording) { w.Revision = 3 }, "granted"},
		{"an older revision", func(w *consent.Wording) { w.Revision = 1 }, "wording_superseded"},
		{"another legal basis", func(w *consent.Wording) { w.Purposes[0].Basis = consent.BasisContract }, "wording_superseded"},
		{"a service less than today", func(w *consent.Wording) { w.Purposes[0].Services = nil }, "granted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := k.shownBefore(t, tc.change)
			email := uuid.NewString() + "@crm.example"
			k.say(email, said{yes: []string{"letter"}, wording: h})
			for range 3 {
				got := k.askCRM(fmt.Sprintf(`{"purposes":["letter"],"subjects":[{"email":%q}]}`, email))
				if d := got[0].Decisions["letter"]; d.Reason != tc.want || d.Allowed != (tc.want == "granted") {
					t.Fatalf("%+v, want %s", d, tc.want)
				}
			}
		})
	}
	email := uuid.NewString() + "@crm.example"
	k.say(email, said{yes: []string{"letter"}, wording: consent.Hash{1}}) // a text this edge has never seen
	if got := k.askCRM(fmt.Sprintf(`{"purposes":["letter"],"subjects":[{"email":%q}]}`, email)); !got[0].Decisions["letter"].Allowed {
		t.Fatal(got[0].short())
	}
}

func TestOneBadSubjectAmongGoodOnesAskedByChannel(t *testing.T) {
	k := start(t)
	k.say("yes@crm.example", said{yes: []string{"letter", "offers", "opens"}})
	k.say("half@crm.example", said{yes: []string{"letter"}, no: []string{"offers"}})
	var got []string
	for _, v := range k.askCRM(`{"channel":"email","use":["send"],"subjects":[{"email":"half@crm.example"},{"email":"nobody"},{"email":"YES@CRM.example "},7,{"external":"x"}]}`) {
		got = append(got, v.short())
	}
	want := []string{"letter granted, offers denied; stopped by offers", "invalid_subject", "letter granted, offers granted; allowed", "wrong_type",
		"letter never_asked, offers never_asked; stopped by letter offers"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestALookupByChannelThatIsWrongSaysWhy(t *testing.T) {
	k := start(t)
	token := k.bearerFor("crm", "lookup")
	for name, tc := range map[string]struct {
		query, body string
		status      int
		code        string
		errs        []string
	}{
		"a channel there is not":             {"channel=fax", `{"channel":"fax"`, 422, "unknown_channel", []string{"/channel unknown_channel"}},
		"a channel the site does not use":    {"channel=post", `{"channel":"post"`, 422, "unknown_channel", []string{"/channel unknown_channel"}},
		"a use no purpose has":               {"channel=email&use=locate", `{"channel":"email","use":["locate"]`, 422, "unknown_use", nil},
		"a use no purpose has, among others": {"channel=email&use=send&use=profile", `{"channel":"email","use":["send","profile"]`, 422, "unknown_use", nil},
		"a use there is not":                 {"channel=email&use=sell", `{"channel":"email","use":["sell"]`, 422, "unknown_use", nil},
		"purposes too":                       {"channel=email&purpose=letter", `{"channel":"email","purposes":["letter"]`, 0, "", nil},
		"a use over no channel":              {"use=send", `{"use":["send"]`, 0, "", nil},
		"two channels":                       {"channel=email&channel=sms", "", 400, "bad_query", nil},
		"an address as the channel":          {"channel=a@b.fr", "", 400, "identifier_in_url", nil},
		"an address as a use":                {"channel=email&use=a%40b.fr", "", 400, "identifier_in_url", nil},
		"a use nine times":                   {"channel=email" + strings.Repeat("&use=send", 9), "", 400, "bad_query", nil},
		"10,001 subjects":                    {"", `{"channel":"email","subjects":[` + strings.TrimSuffix(strings.Repeat(`{"external":"7"},`, 10_001), ",") + `]}`, 422, "too_many_subjects", nil},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(r reply, status int, code string) {
				t.Helper()
				got, errs := r.problem(t)
				if r.status != status || got != code || tc.errs != nil && !slices.Equal(errs, tc.errs) {
					t.Fatal(r.status, r.body)
				}
			}
			if tc.query != "" {
				status, code := tc.status, tc.code
				if status == 0 {
					status, code = 400, "bad_query"
				}
				check(k.do("GET", "/v1/sites/crm/lookup?external=7&"+tc.query, "", token), status, code)
			}
			if tc.body != "" {
				body := tc.body
				if !strings.HasSuffix(body, "}") {
					body += `,"subjects":[]}`
				}
				status, code := tc.status, tc.code
				switch name {
				case "purposes too":
					status, code = 422, "purposes_and_channel"
				case "a use over no channel":
					status, code = 422, "missing_field"
				}
				check(k.do("POST", "/v1/sites/crm/lookup", body, asJSON, token), status, code)
			}
		})
	}
}

func TestADeviceIsToldOfWhatADeviceDecides(t *testing.T) {
	k := start(t)
	r := k.do("GET", "/v1/sites/crm/devices/"+uuid.NewString(), "")
	if r.status != 200 || !strings.HasSuffix(r.body, `"decisions":{"analytics":{"status":"unknown","allowed":false,"grade":"none","reason":"never_asked"}}}`) {
		t.Fatal(r.status, r.body)
	}
}

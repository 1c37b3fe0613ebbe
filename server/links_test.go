package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

type linkAnswer struct {
	Results []struct {
		Preferences, Unsubscribe, Identify string
		Headers                            map[string]string
		Error                              *struct{ Code, Detail string }
	}
}

func (k *kit) orderLinks(body string) (reply, linkAnswer) {
	k.t.Helper()
	r := k.do("POST", "/v1/sites/atelier/links", body, asJSON, k.bearerFor("atelier", "links"))
	var a linkAnswer
	if r.status == 200 {
		if err := json.Unmarshal([]byte(r.body), &a); err != nil {
			k.t.Fatal(err)
		}
	}
	return r, a
}

// Every subject its own addresses, in the order asked; one that cannot be read fails alone.
func TestLinksForSenders(t *testing.T) {
	k := start(t)
	r, a := k.orderLinks(`{"subjects":[{"email":"MARIE@atelier.example"},{"phone":"06 12 34 56 78"},{"email":"nobody"},{"external":"crm-7"},7,{"key":"00112233445566778899aabbccddeeff"}],"purposes":["newsletter"],"identify":true}`)
	if r.status != 200 || len(a.Results) != 6 || k.seq() != 0 {
		t.Fatal(r.status, r.body)
	}
	for i, want := range []struct{ kind, identifier, problem string }{{"email", "marie@atelier.example", ""}, {"phone", "+33612345678", ""}, {"", "", "invalid_subject"}, {"external", "", ""}, {"", "", "wrong_type"}, {"key", "", ""}} {
		got := a.Results[i]
		if want.problem != "" {
			if got.Error == nil || got.Error.Code != want.problem || strings.Contains(got.Error.Detail, "nobody") {
				t.Errorf("%d: %+v", i, got)
			}
			continue
		}
		now := k.ledger.Now()
		centre, err := k.links.Open(link.Centre, strings.TrimPrefix(got.Preferences, k.url+"/p/"), now)
		if err != nil || centre.Site != "atelier" || string(centre.SubjectKind) != want.kind || centre.Identifier != want.identifier || len(centre.Purposes) != 0 {
			t.Errorf("%d: %+v %v", i, centre, err)
		}
		end, err := k.links.Open(link.Unsubscribe, strings.TrimPrefix(got.Unsubscribe, k.url+"/u/"), now)
		if err != nil || end.Subject != centre.Subject || strings.Join(end.Purposes, " ") != "newsletter" {
			t.Errorf("%d: %+v %v", i, end, err)
		}
		if got.Headers["List-Unsubscribe"] != "<"+got.Unsubscribe+">" || got.Headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || len(got.Headers) != 2 {
			t.Errorf("%d: %v", i, got.Headers)
		}
		account, err := k.links.Open(link.Identify, got.Identify, now)
		if err != nil || account.Subject != centre.Subject || account.Identifier != "" || account.Expires > now+millis(identifyTTL) {
			t.Errorf("%d: %+v %v", i, account, err)
		}
		for _, address := range []string{got.Preferences, got.Unsubscribe} {
			if page := k.get(k.path(address)); page.status != 200 {
				t.Errorf("%s: %d", address, page.status)
			}
			if len(address) > 300 || strings.Contains(address, "marie") {
				t.Error(address)
			}
		}
	}
}

func TestHowLongLinksAreGood(t *testing.T) {
	k := start(t)
	for ttl, want := range map[string][2]string{"": {"2160h0m0s", "9600h0m0s"}, `,"ttl":"7d"`: {"168h0m0s", "168h0m0s"}, `,"ttl":"36mo"`: {"26280h0m0s", "26280h0m0s"}} {
		_, a := k.orderLinks(`{"subjects":[{"email":"marie@atelier.example"}]` + ttl + `}`)
		if len(a.Results) != 1 {
			t.Fatal(ttl)
		}
		now := k.ledger.Now()
		centre, _ := k.links.Open(link.Centre, strings.TrimPrefix(a.Results[0].Preferences, k.url+"/p/"), now)
		end, _ := k.links.Open(link.Unsubscribe, strings.TrimPrefix(a.Results[0].Unsubscribe, k.url+"/u/"), now)
		left := func(t *link.Token) string { return t.Expires.Time().Sub(now.Time()).Round(1e11).String() }
		if left(centre) != want[0] && ttl != `,"ttl":"36mo"` || left(end) != want[1] && ttl != `,"ttl":"36mo"` {
			t.Errorf("%q: %s %s", ttl, left(centre), left(end))
		}
	}
}

func TestOrdersForLinksThatAreRefused(t *testing.T) {
	k := start(t)
	many := strings.Repeat(`{"external":"1"},`, maxSubjects)
	for name, tc := range map[string]struct{ body, code string }{
		"no subjects":             {`{}`, "/subjects missing_field"},
		"a purpose there is not":  {`{"subjects":[],"purposes":["evil"]}`, "/purposes/0 unknown_purpose"},
		"a purpose of the banner": {`{"subjects":[],"purposes":["analytics"]}`, "/purposes/0 unknown_purpose"},
		"for ever":                {`{"subjects":[],"ttl":"99y"}`, "/ttl out_of_range"},
		"for a minute":            {`{"subjects":[],"ttl":"1m"}`, "/ttl out_of_range"},
		"a ttl that is none":      {`{"subjects":[],"ttl":"soon"}`, "/ttl out_of_range"},
		"a member nobody knows":   {`{"subjects":[],"email":"a@b.example"}`, "/email unknown_field"},
		"one subject too many":    {`{"subjects":[` + many + `{"external":"1"}]}`, "/subjects too_many_subjects"},
	} {
		r, _ := k.orderLinks(tc.body)
		code, errs := r.problem(t)
		if got := strings.Join(append(errs, code), " "); r.status != 422 || !strings.Contains(got, tc.code) {
			t.Errorf("%s: %d %s", name, r.status, got)
		}
	}
	for name, token := range map[string]string{"no token": "X-None: 1", "a lookup token": k.bearerFor("atelier", "lookup"), "another site's": k.bearerFor("demo", "links")} {
		if r := k.do("POST", "/v1/sites/atelier/links", `{"subjects":[]}`, asJSON, token); r.status != 401 && r.status != 403 {
			t.Errorf("%s: %d", name, r.status)
		}
	}
}

// What an account has decided follows it to every device; a device's own choice stays what it was.
func TestIdentify(t *testing.T) {
	k := start(t)
	_, a := k.orderLinks(`{"subjects":[{"external":"customer-42"}],"identify":true}`)
	account := a.Results[0].Identify
	device := uuid.NewString()
	ask := func(body string) reply {
		return k.do("POST", "/v1/sites/atelier/identify", body, asPlain, ofAtelier)
	}
	hello := fmt.Sprintf(`{"token":%q,"device":%q}`, account, device)
	if r := ask(hello); r.status != 200 || field[string](t, r.body, "decisions", "analytics", "status") != "unknown" || strings.Contains(r.body, "newsletter") {
		t.Fatal(r.status, r.body)
	}
	choose := func(subject map[string]any, yes bool, change ...func(choice)) reply {
		return k.do("POST", "/v1/sites/atelier/consents", k.choice(append([]func(choice){set("subject", subject), set("decisions", map[string]any{"analytics": yes}),
			set("wording", k.wordingOf("atelier", "banner", "fr")), set("page", "https://atelier.example/")}, change...)...), asPlain, ofAtelier)
	}
	if r := choose(map[string]any{"device": device}, true); r.status != 201 {
		t.Fatal(r.body)
	}
	if r := choose(map[string]any{"person": account}, false, set("device", device)); r.status != 201 {
		t.Fatal(r.body)
	}
	st, _ := k.sites.Get("atelier")
	p := k.last()
	if p.Personal.Kind != consent.KindExternal || p.Personal.Subject != st.Keyer.Key(consent.Subject{Kind: consent.KindExternal, Value: "customer-42"}) ||
		p.Personal.Device != st.Keyer.Key(consent.Subject{Kind: consent.KindDevice, Value: device}) || p.Grade != consent.GradeProven {
		t.Errorf("%+v", p)
	}
	before := k.seq()
	if r := ask(hello); field[string](t, r.body, "decisions", "analytics", "status") != "denied" {
		t.Error(r.body)
	}
	if got := k.standingOf(map[string]any{"device": device}, "analytics"); got != "granted granted proven" {
		t.Error("the device's own choice:", got)
	}
	if got := k.standingOf(map[string]any{"external": "customer-42"}, "analytics"); got != "denied denied proven" {
		t.Error(got)
	}
	for name, tc := range map[string]struct{ body, code string }{
		"no token":               {`{}`, "/token missing_field"},
		"a forged one":           {`{"token":"AQABAAAA"}`, "/token invalid_subject"},
		"one of another kind":    {fmt.Sprintf(`{"token":%q}`, strings.TrimPrefix(a.Results[0].Preferences, k.url+"/p/")), "/token invalid_subject"},
		"one of another site":    {fmt.Sprintf(`{"token":%q}`, k.token(link.Token{Kind: link.Identify, Site: "demo", Expires: 1 << 45})), "/token invalid_subject"},
		"one that has expired":   {fmt.Sprintf(`{"token":%q}`, k.token(link.Token{Kind: link.Identify, Site: "atelier", Expires: 1000})), "/token invalid_subject"},
		"no device":              {fmt.Sprintf(`{"token":%q,"device":"x"}`, account), "/device invalid_subject"},
		"a member nobody knows":  {fmt.Sprintf(`{"token":%q,"email":"a@b.example"}`, account), "/email unknown_field"},
		"an account that is one": {fmt.Sprintf(`{"token":%q}`, "customer-42"), "/token invalid_subject"},
	} {
		r := ask(tc.body)
		code, errs := r.problem(t)
		if got := strings.Join(append(errs, code), " "); r.status != 422 || !strings.Contains(got, tc.code) {
			t.Errorf("%s: %d %s", name, r.status, got)
		}
	}
	if r := choose(map[string]any{"person": "AQABAAAA"}, true); r.status != 422 {
		t.Error("a choice under a forged token", r.status)
	}
	if r := k.do("POST", "/v1/sites/atelier/identify", hello, asPlain, "Origin: https://evil.example"); r.status != 403 {
		t.Error("from another site", r.status)
	}
	if k.seq() != before {
		t.Error("something was written")
	}
}

// 10,000 subjects in one call, over the whole handler: two links each. links/s is the figure of the goal.
func BenchmarkTenThousandLinks(b *testing.B) {
	k := prepareServer(b)
	var body strings.Builder
	body.WriteString(`{"purposes":["newsletter"],"subjects":[`)
	for i := range maxSubjects {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"email":"customer.%d@mail%d.example"}`, i, i%977)
	}
	body.WriteString("]}")
	token := k.bearerFor("atelier", "links")
	_, bearer, _ := strings.Cut(token, ": ")
	b.ReportAllocs()
	for b.Loop() {
		ctx := &fasthttp.RequestCtx{}
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.SetRequestURI("/v1/sites/atelier/links")
		ctx.Request.Header.SetContentType("application/json")
		ctx.Request.Header.Set("Authorization", bearer)
		ctx.Request.SetBodyString(body.String())
		k.route(ctx)
		if ctx.Response.StatusCode() != 200 {
			b.Fatal(string(ctx.Response.Body()))
		}
	}
	b.ReportMetric(2*maxSubjects*float64(b.N)/b.Elapsed().Seconds(), "links/s")
}

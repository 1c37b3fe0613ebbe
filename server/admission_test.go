package server

import (
	"compress/gzip"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// nothingRecorded fails when the ledger has grown since from.
func (k *kit) nothingRecorded(from uint64) {
	k.t.Helper()
	if n := k.ledger.Next(consent.StreamProofs); n != from {
		k.t.Fatalf("%d proofs were recorded", n-from)
	}
}

func TestAChoiceThatIsWrongIsRefusedWithItsCodeAndNotRecorded(t *testing.T) {
	k := start(t)
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	for name, tc := range map[string]struct {
		body   string
		header []string // besides those of the shop's page
		status int
		code   string
		errs   []string
	}{
		"no body":                                {"", nil, 400, "malformed_json", nil},
		"a body cut short":                       {`{"id":"0197`, nil, 400, "malformed_json", nil},
		"a body with something behind it":        {k.choice() + "{}", nil, 400, "malformed_json", nil},
		"bytes that are not UTF-8":               {"{\"id\":\"\xff\"}", nil, 400, "malformed_json", nil},
		"a member twice":                         {`{"id":"a","id":"b"}`, nil, 400, "duplicate_key", nil},
		"deep nesting":                           {deep, nil, 400, "too_deep", nil},
		"over 16 KiB":                            {k.choice(set("page", "https://shop.example/"+strings.Repeat("x", 16<<10))), nil, 413, "body_too_large", nil},
		"compressed":                             {gzipped(t, k.choice()), []string{"Content-Encoding: gzip"}, 415, "compressed_body", nil},
		"a form":                                 {"id=1", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type", nil},
		"Latin-1":                                {k.choice(), []string{"Content-Type: text/plain; charset=iso-8859-1"}, 415, "unsupported_media_type", nil},
		"an array":                               {`[]`, nil, 422, "wrong_type", []string{" wrong_type"}},
		"a number as id":                         {k.choice(set("id", 5)), nil, 422, "wrong_type", []string{"/id wrong_type"}},
		"null as wording":                        {k.choice(set("wording", nil)), nil, 422, "wrong_type", []string{"/wording wrong_type"}},
		"a text as decision":                     {k.choice(set("decisions", map[string]any{"ads": "yes", "analytics": true})), nil, 422, "wrong_type", []string{"/decisions/ads wrong_type"}},
		"a member nobody knows":                  {k.choice(set("role", "admin")), nil, 422, "unknown_field", []string{"/role unknown_field"}},
		"no id":                                  {k.choice(drop("id")), nil, 422, "missing_field", []string{"/id missing_field"}},
		"an id that is no UUID":                  {k.choice(set("id", "1234")), nil, 422, "invalid_uuid", []string{"/id invalid_uuid"}},
		"an id in braces":                        {k.choice(set("id", "{01936f0e-2f4c-7cc3-98c8-9a3a2b1c0d4e}")), nil, 422, "invalid_uuid", []string{"/id invalid_uuid"}},
		"an id of version 4":                     {k.choice(set("id", uuid.NewString())), nil, 422, "id_not_v7", []string{"/id id_not_v7"}},
		"an id two days ahead":                   {k.choice(set("id", v7At(time.Now().Add(48*time.Hour)))), nil, 422, "id_in_future", []string{"/id id_in_future"}},
		"no subject":                             {k.choice(drop("subject")), nil, 422, "missing_field", []string{"/subject missing_field"}},
		"a subject without a member":             {k.choice(set("subject", map[string]any{})), nil, 422, "missing_field", []string{"/subject missing_field"}},
		"an e-mail address from a browser":       {k.choice(set("subject", map[string]any{"email": "a@b.fr"})), nil, 422, "subject_not_allowed", []string{"/subject/email subject_not_allowed"}},
		"an unknown kind of subject":             {k.choice(set("subject", map[string]any{"cookie": "x"})), nil, 422, "unknown_field", []string{"/subject/cookie unknown_field"}},
		"two subjects":                           {k.choice(set("subject", map[string]any{"device": uuid.NewString(), "external": "7"})), nil, 422, "invalid_subject", []string{"/subject/external invalid_subject"}},
		"a device id that is no UUID":            {k.choice(set("subject", map[string]any{"device": "me"})), nil, 422, "invalid_subject", []string{"/subject/device invalid_subject"}},
		"no surface":                             {k.choice(drop("surface")), nil, 422, "missing_field", []string{"/surface missing_field"}},
		"an unknown surface":                     {k.choice(set("surface", "popup")), nil, 422, "unknown_surface", []string{"/surface unknown_surface"}},
		"a surface browsers do not speak from":   {k.choice(set("surface", "unsubscribe")), nil, 422, "surface_not_allowed", []string{"/surface surface_not_allowed"}},
		"an import under a wording":              {k.choice(set("surface", "import")), nil, 422, "wording_mismatch", []string{"/surface wording_mismatch"}},
		"a placeholder under another wording":    {k.choice(set("surface", "embed:film")), nil, 422, "wording_mismatch", []string{"/surface wording_mismatch"}},
		"a signal that agrees":                   {k.choice(set("surface", "signal"), drop("wording")), nil, 422, "method_mismatch", []string{"/method method_mismatch"}},
		"no method":                              {k.choice(drop("method")), nil, 422, "missing_field", []string{"/method missing_field"}},
		"an unknown method":                      {k.choice(set("method", "maybe")), nil, 422, "unknown_method", []string{"/method unknown_method"}},
		"accept_all with a refusal":              {k.choice(set("method", "accept_all")), nil, 422, "method_mismatch", []string{"/method method_mismatch"}},
		"reject_all with a grant":                {k.choice(set("method", "reject_all")), nil, 422, "method_mismatch", []string{"/method method_mismatch"}},
		"withdraw with a grant":                  {k.choice(set("method", "withdraw")), nil, 422, "method_mismatch", []string{"/method method_mismatch"}},
		"no wording":                             {k.choice(drop("wording")), nil, 422, "missing_field", []string{"/wording missing_field"}},
		"a wording that is no hash":              {k.choice(set("wording", "hello")), nil, 422, "unknown_wording", []string{"/wording unknown_wording"}},
		"a wording nobody published":             {k.choice(set("wording", strings.Repeat("ab", 32))), nil, 422, "unknown_wording", []string{"/wording unknown_wording"}},
		"the wording of another site":            {k.choice(set("wording", k.wordingOf("slow", "banner", "en"))), nil, 422, "unknown_wording", []string{"/wording unknown_wording"}},
		"a wording of another surface":           {k.choice(set("surface", "preferences")), nil, 422, "wording_mismatch", []string{"/surface wording_mismatch"}},
		"a wording of another locale":            {k.choice(set("locale", "en")), nil, 422, "wording_mismatch", []string{"/locale wording_mismatch"}},
		"no locale":                              {k.choice(drop("locale")), nil, 422, "missing_field", []string{"/locale missing_field"}},
		"no decisions":                           {k.choice(drop("decisions")), nil, 422, "missing_field", []string{"/decisions missing_field"}},
		"a purpose left out":                     {k.choice(set("decisions", map[string]any{"ads": false})), nil, 422, "missing_purpose", []string{"/decisions/analytics missing_purpose"}},
		"a purpose nobody asks for":              {k.choice(set("decisions", map[string]any{"ads": false, "analytics": true, "seo": true})), nil, 422, "unknown_purpose", []string{"/decisions/seo unknown_purpose"}},
		"a purpose that needs no consent":        {k.choice(set("decisions", map[string]any{"ads": false, "analytics": true, "basket": true})), nil, 422, "unknown_purpose", []string{"/decisions/basket unknown_purpose"}},
		"all missing and all unknown are listed": {k.choice(set("decisions", map[string]any{"a": true, "b": true})), nil, 422, "invalid", []string{"/decisions/a unknown_purpose", "/decisions/ads missing_purpose", "/decisions/analytics missing_purpose", "/decisions/b unknown_purpose"}},
		"no page":                                {k.choice(drop("page")), nil, 422, "missing_field", []string{"/page missing_field"}},
		"a page that is a script":                {k.choice(set("page", "javascript:alert(1)")), nil, 422, "invalid_page", []string{"/page invalid_page"}},
		"a page with a password":                 {k.choice(set("page", "https://me:pw@shop.example/")), nil, 422, "invalid_page", []string{"/page invalid_page"}},
		"a page of another site":                 {k.choice(set("page", "https://other.example/")), nil, 422, "invalid_page", []string{"/page invalid_page"}},
		"a prompt that is no UUID":               {k.choice(set("prompt", "first")), nil, 422, "invalid_uuid", []string{"/prompt invalid_uuid"}},
		"several mistakes at once":               {k.choice(set("id", "x"), set("method", "maybe"), drop("page")), nil, 422, "invalid", []string{"/id invalid_uuid", "/method unknown_method", "/page missing_field"}},
		"a foreign origin":                       {k.choice(), []string{"Origin: https://evil.example"}, 403, "origin_foreign", nil},
		"an origin that only ends alike":         {k.choice(), []string{"Origin: https://evilshop.example"}, 403, "origin_foreign", nil},
		"the site's host without TLS":            {k.choice(), []string{"Origin: http://shop.example"}, 403, "origin_foreign", nil},
		"the origin of a sandbox":                {k.choice(), []string{"Origin: null"}, 403, "origin_foreign", nil},
		"no origin":                              {k.choice(), []string{"Origin: "}, 403, "origin_missing", nil},
		"a token that is none":                   {k.choice(), []string{"Authorization: Bearer nonsense"}, 401, "token_invalid", nil},
		"another scheme":                         {k.choice(), []string{"Authorization: Basic YTpi"}, 401, "token_missing", nil},
		"a token for something else":             {k.choice(), []string{k.bearer("lookup")}, 403, "token_wrong_scope", nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := k.ledger.Next(consent.StreamProofs)
			r := k.do("POST", "/v1/sites/demo/consents", tc.body, headers(tc.header)...)
			code, errs := r.problem(t)
			slices.Sort(errs)
			if r.status != tc.status || code != tc.code {
				t.Fatalf("%d %s, want %d %s: %s", r.status, code, tc.status, tc.code, r.body)
			}
			if d := cmp.Diff(tc.errs, errs); d != "" {
				t.Fatal(d)
			}
			k.nothingRecorded(before)
		})
	}
	if r := k.post(k.choice()); r.status != 201 {
		t.Fatalf("the same choice without a mistake: %d %s", r.status, r.body)
	}
}

// headers are those of the shop's page, each replaced by one of the same name in change; "Name: " removes it.
func headers(change []string) []string {
	all := map[string]string{"Content-Type": "text/plain;charset=UTF-8", "Origin": "https://shop.example"}
	for _, h := range change {
		name, value, _ := strings.Cut(h, ": ")
		if all[name] = value; value == "" {
			delete(all, name)
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, name+": "+all[name])
	}
	return out
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// v7At makes a UUIDv7 of another time.
func v7At(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id.String()
}

func TestWhatAPageRecordsBecomesAProof(t *testing.T) {
	k := start(t, func(o *Options) { o.Country = func(ip netip.Addr) string { return "FR" } })
	device := uuid.NewString()
	body := k.choice(set("subject", map[string]any{"device": strings.ToUpper(device)}), set("decisions", map[string]any{"analytics": true, "ads": false}))
	ua := "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
	r := k.do("POST", "/v1/sites/demo/consents", body, asPlain, ofShop, "User-Agent: "+ua)
	if r.status != 201 {
		t.Fatal(r.status, r.body)
	}
	id := uuid.MustParse(field[string](t, body, "id"))
	p, seq, err := k.ledger.Proof(id)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := k.sites.Get("demo")
	who, _ := consent.ParseSubject(consent.KindDevice, device, "")
	want := &consent.Proof{
		Facts: consent.Facts{ID: id, Site: "demo", Edge: "e1", RecordedAt: p.RecordedAt, Surface: "banner", Method: "custom", Locale: "fr",
			Country: "FR", Device: consent.DeviceMobile, Wording: p.Wording, Grade: consent.GradeProven,
			Decisions: []consent.Choice{{Purpose: "ads"}, {Purpose: "analytics", Granted: true}},
			Prompt:    uuid.MustParse(field[string](t, body, "prompt")), Commitment: p.Personal.Commit()},
		Personal: consent.Personal{Subject: st.Keyer.Key(who), Kind: consent.KindDevice, IP: netip.MustParseAddr("127.0.0.1"), UserAgent: ua,
			Page: "https://shop.example/fr/", Salt: p.Personal.Salt},
	}
	if d := cmp.Diff(want, p, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Fatal(d)
	}
	if p.Wording.String() != k.wordingOf("demo", "banner", "fr") || p.Personal.Salt == (consent.Salt{}) {
		t.Fatalf("wording %s, salt %x", p.Wording, p.Personal.Salt)
	}
	wantBody := fmt.Sprintf(`{"id":%q,"site":"demo","recorded_at":%q,"edge":"e1","generation":1,"seq":%d,"wording":%q,"decisions":{"ads":"denied","analytics":"granted"}}`,
		id, p.RecordedAt, seq, p.Wording)
	if r.body != wantBody {
		t.Fatalf("answered\n%s\nwant\n%s", r.body, wantBody)
	}
}

func TestTheSameChoiceAgainIsAnsweredAlike(t *testing.T) {
	k := start(t)
	body := k.choice()
	first := k.post(body)
	k.clock.advance(time.Hour)
	again := k.do("POST", "/v1/sites/demo/consents", body, asJSON, ofShop, "User-Agent: another")
	if first.status != 201 || again.status != 200 || first.body != again.body {
		t.Fatalf("%d %s\n%d %s", first.status, first.body, again.status, again.body)
	}
	if n := k.ledger.Next(consent.StreamProofs); n != 1 {
		t.Fatalf("%d proofs", n)
	}
	other := k.choice(set("id", field[string](t, body, "id")))
	if code, _ := k.post(other).problem(t); code != "id_conflict" {
		t.Fatalf("another choice under the same id: %s", code)
	}
	k.nothingRecorded(1)
}

func TestAProgramRecordsWhatItAsserts(t *testing.T) {
	k := start(t)
	record := k.bearer("record")
	api := func(change ...func(choice)) string {
		only := func(c choice) {
			for _, name := range []string{"surface", "wording", "locale", "page", "prompt"} {
				delete(c, name)
			}
			c["subject"] = map[string]any{"email": " Marie.Curie@Exämple.FR "}
			c["decisions"], c["method"] = map[string]any{"ads": true}, "custom"
		}
		return k.choice(append([]func(choice){only}, change...)...)
	}
	banner := k.wordingOf("demo", "banner", "fr")
	both := map[string]any{"ads": true, "analytics": true}
	for name, tc := range map[string]struct {
		body    string
		surface string
		locale  string
		errs    []string
	}{
		"a subset of the purposes without a wording": {api(), "api", "", nil},
		"every purpose":                                    {api(set("decisions", both)), "api", "", nil},
		"a locale without a wording":                       {api(set("locale", "pt-BR")), "api", "pt-BR", nil},
		"under a wording, all its purposes":                {api(set("decisions", both), set("wording", banner)), "api", "fr", nil},
		"under a wording, on its surface":                  {api(set("decisions", both), set("wording", banner), set("surface", "banner")), "banner", "fr", nil},
		"an unsubscription":                                {api(set("surface", "unsubscribe"), set("method", "withdraw"), set("decisions", map[string]any{"ads": false})), "unsubscribe", "", nil},
		"a phone number in national form":                  {api(set("subject", map[string]any{"phone": "06 12 34 56 78"})), "api", "", nil},
		"a user id":                                        {api(set("subject", map[string]any{"external": "crm-7"})), "api", "", nil},
		"a subject key":                                    {api(set("subject", map[string]any{"key": strings.Repeat("0a", 16)})), "api", "", nil},
		"a page anywhere":                                  {api(set("page", "https://partner.example/form")), "api", "", nil},
		"nothing decided":                                  {api(set("decisions", map[string]any{})), "", "", []string{"/decisions missing_field"}},
		"a purpose nobody asks for":                        {api(set("decisions", map[string]any{"seo": true})), "", "", []string{"/decisions/seo unknown_purpose"}},
		"under a wording, a purpose left out":              {api(set("wording", banner)), "", "", []string{"/decisions/analytics missing_purpose"}},
		"a wording nobody published":                       {api(set("wording", strings.Repeat("ab", 32))), "", "", []string{"/wording unknown_wording"}},
		"a locale that is none":                            {api(set("locale", "1")), "", "", []string{"/locale invalid_locale"}},
		"the wording of another surface than said":         {api(set("decisions", both), set("wording", banner), set("surface", "preferences")), "", "", []string{"/surface wording_mismatch"}},
		"an address that is none":                          {api(set("subject", map[string]any{"email": "marie"})), "", "", []string{"/subject/email invalid_subject"}},
		"a national number where no country is configured": {api(set("subject", map[string]any{"phone": "12"})), "", "", []string{"/subject/phone invalid_subject"}},
		"an import":                                        {api(set("surface", "import")), "", "", []string{"/surface surface_not_allowed"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.do("POST", "/v1/sites/demo/consents", tc.body, asJSON, record)
			if tc.errs != nil {
				if _, errs := r.problem(t); r.status != 422 || !slices.Equal(errs, tc.errs) {
					t.Fatal(r.status, r.body)
				}
				return
			}
			if r.status != 201 {
				t.Fatal(r.status, r.body)
			}
			p, _, err := k.ledger.Proof(uuid.MustParse(field[string](t, tc.body, "id")))
			if err != nil {
				t.Fatal(err)
			}
			if p.Grade != consent.GradeAsserted || p.Device != consent.DeviceServer || p.Surface != tc.surface || p.Locale != tc.locale ||
				p.Personal.IP.IsValid() || p.Personal.UserAgent != "" {
				t.Fatalf("%+v", p)
			}
			sealed := p.Personal.Kind == consent.KindEmail || p.Personal.Kind == consent.KindPhone
			if sealed != (p.Personal.Identifier != nil) {
				t.Fatalf("kind %s, identifier %x", p.Personal.Kind, p.Personal.Identifier)
			}
			if plain, err := k.opt.Seal.Open("demo", p.Personal.Kind, p.Personal.Identifier); sealed && (err != nil ||
				plain != "marie.curie@xn--exmple-cua.fr" && plain != "+33612345678") {
				t.Fatal(plain, err)
			}
		})
	}
	elsewhere := k.issue(token.Grant{Name: "x", Sites: []string{"slow"}, Scopes: []string{"record"}, TTL: time.Hour})
	r := k.do("POST", "/v1/sites/demo/consents", api(), asJSON, "Authorization: Bearer "+elsewhere)
	if code, _ := r.problem(t); r.status != 403 || code != "token_wrong_site" {
		t.Fatal(r.status, r.body)
	}
}

func TestWhatASitesPolicyKeeps(t *testing.T) {
	k := start(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	body := k.choice(set("wording", k.wordingOf("slow", "banner", "en")), set("locale", "en"), set("decisions", map[string]any{"analytics": true}),
		set("page", "https://slow.example/p?ref=mail#top"))
	r := k.do("POST", "/v1/sites/slow/consents", body, asPlain, "Origin: https://slow.example", "X-Forwarded-For: 198.51.100.77",
		"User-Agent: "+strings.Repeat("é", 1000))
	if r.status != 201 {
		t.Fatal(r.status, r.body)
	}
	p, _, err := k.ledger.Proof(uuid.MustParse(field[string](t, body, "id")))
	if err != nil {
		t.Fatal(err)
	}
	m := p.Personal
	if m.IP.String() != "198.51.100.0" || m.Page != "https://slow.example/p?ref=mail" || len(m.UserAgent) != maxUserAgent {
		t.Fatalf("%v %q %d", m.IP, m.Page, len(m.UserAgent))
	}
}

func TestAPromptIsCountedOnce(t *testing.T) {
	k := start(t)
	prompt := func(change ...func(choice)) string {
		only := func(c choice) {
			for _, name := range []string{"id", "subject", "method", "decisions"} {
				delete(c, name)
			}
		}
		return k.choice(append([]func(choice){only}, change...)...)
	}
	good := prompt()
	for range 2 {
		if r := k.do("POST", "/v1/sites/demo/prompts", good, asPlain, ofShop); r.status != 204 || r.body != "" {
			t.Fatal(r.status, r.body)
		}
	}
	if n := k.ledger.Next(consent.StreamPrompts); n != 1 {
		t.Fatalf("%d prompts", n)
	}
	for name, tc := range map[string]struct {
		body   string
		header []string
		code   string
	}{
		"no prompt":           {prompt(drop("prompt")), nil, "missing_field"},
		"an unknown surface":  {prompt(set("surface", "popup")), nil, "unknown_surface"},
		"an unknown wording":  {prompt(set("wording", strings.Repeat("00", 32))), nil, "unknown_wording"},
		"a foreign page":      {prompt(set("page", "https://other.example/")), nil, "invalid_page"},
		"a subject":           {prompt(set("subject", map[string]any{"device": uuid.NewString()})), nil, "unknown_field"},
		"no origin":           {prompt(), []string{"Origin: "}, "origin_missing"},
		"a foreign origin":    {prompt(), []string{"Origin: https://evil.example"}, "origin_foreign"},
		"a body cut short":    {`{"prompt":`, nil, "malformed_json"},
		"the wrong locale":    {prompt(set("locale", "en")), nil, "wording_mismatch"},
		"a compressed prompt": {gzipped(t, prompt()), []string{"Content-Encoding: gzip"}, "compressed_body"},
	} {
		t.Run(name, func(t *testing.T) {
			r := k.do("POST", "/v1/sites/demo/prompts", tc.body, headers(tc.header)...)
			if code, _ := r.problem(t); code != tc.code {
				t.Fatalf("%s, want %s: %s", code, tc.code, r.body)
			}
		})
	}
	if n := k.ledger.Next(consent.StreamPrompts); n != 1 {
		t.Fatalf("%d prompts", n)
	}
}

// A tab that was opened before a change of configuration answers the wording it showed.
func TestAnOldWordingIsStillAnswered(t *testing.T) {
	k := start(t)
	st, _ := k.sites.Get("demo")
	old := *st.Published[0]
	old.Revision = 99
	w, err := old.Wording.Publish()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ledger.Publish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	body := k.choice(set("wording", w.Hash.String()), set("surface", w.Surface), set("locale", w.Locale))
	for range 2 { // found in the ledger, then remembered
		if r := k.post(k.choice(set("wording", w.Hash.String()), set("surface", w.Surface), set("locale", w.Locale))); r.status != 201 {
			t.Fatal(r.status, r.body)
		}
	}
	if r := k.post(body); r.status != 201 {
		t.Fatal(r.status, r.body)
	}
}

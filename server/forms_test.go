package server

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// What a page may post from a form, and what it is told when it may not. Nothing refused is written.
func TestWhatAFormMayPost(t *testing.T) {
	k := start(t)
	long := strings.Repeat("l", 64) + "@" + strings.Repeat("d.", 90) + "example" // 64+1+187 = 252
	email := func(s string) func(choice) { return set("subject", map[string]any{"email": s}) }
	for name, tc := range map[string]struct {
		change []func(choice)
		origin string
		status int
		code   string // with pointer, or of the problem
	}{
		"a form":                             {nil, "", 201, ""},
		"with the device it was sent from":   {[]func(choice){set("device", uuid.NewString())}, "", 201, ""},
		"a telephone number":                 {[]func(choice){set("subject", map[string]any{"phone": "06 12 34 56 78"})}, "", 201, ""},
		"an internationalised domain":        {[]func(choice){email("zoe@bücher.example")}, "", 201, ""},
		"an internationalised local part":    {[]func(choice){email("zoé@atelier.example")}, "", 201, ""},
		"254 characters":                     {[]func(choice){email(long + "ab"[:254-len(long)])}, "", 201, ""},
		"255 characters":                     {[]func(choice){email(long + "abc"[:255-len(long)])}, "", 422, "/subject/email invalid_subject"},
		"no address":                         {[]func(choice){email("marie")}, "", 422, "/subject/email invalid_subject"},
		"an empty address":                   {[]func(choice){email("")}, "", 422, "/subject/email invalid_subject"},
		"two addresses":                      {[]func(choice){email("a@b.example,c@d.example")}, "", 422, "/subject/email invalid_subject"},
		"a header in the address":            {[]func(choice){email("a@b.example\r\nBcc: c@d.example")}, "", 422, "/subject/email invalid_subject"},
		"a header in the local part":         {[]func(choice){email("a\r\nBcc: x@b.example")}, "", 422, "/subject/email invalid_subject"},
		"an encoded header in the address":   {[]func(choice){email("=?utf-8?q?a?= <a@b.example>")}, "", 422, "/subject/email invalid_subject"},
		"a header in the locale":             {[]func(choice){set("locale", "fr\r\nBcc: x")}, "", 422, "/locale wording_mismatch"},
		"a header in the page":               {[]func(choice){set("page", "https://atelier.example/\r\nBcc: x")}, "", 422, "/page invalid_page"},
		"a header in the surface":            {[]func(choice){set("surface", "form:lettre\r\nBcc: x")}, "", 422, "unknown_surface"},
		"a number that is none":              {[]func(choice){set("subject", map[string]any{"phone": "12"})}, "", 422, "/subject/phone invalid_subject"},
		"a device":                           {[]func(choice){set("subject", map[string]any{"device": uuid.NewString()})}, "", 422, "/subject/device subject_not_allowed"},
		"a user id":                          {[]func(choice){set("subject", map[string]any{"external": "7"})}, "", 422, "/subject/external subject_not_allowed"},
		"a key":                              {[]func(choice){set("subject", map[string]any{"key": strings.Repeat("a", 32)})}, "", 422, "/subject/key subject_not_allowed"},
		"a number where none is asked":       {[]func(choice){set("surface", "form:contact"), set("subject", map[string]any{"phone": "0612345678"})}, "", 422, "/subject/phone subject_not_allowed"},
		"an account":                         {[]func(choice){set("subject", map[string]any{"person": k.token(link.Token{Kind: link.Identify, Site: "atelier", Expires: 1 << 45})})}, "", 422, "/subject/person subject_not_allowed"},
		"an address on the banner":           {[]func(choice){set("surface", "banner")}, "", 422, "/subject/email subject_not_allowed"},
		"no form of this name":               {[]func(choice){set("surface", "form:nope")}, "", 422, "/surface unknown_surface"},
		"a form of another site":             {[]func(choice){set("surface", "form:newsletter")}, "", 422, "/surface unknown_surface"},
		"the preference centre":              {[]func(choice){set("surface", "centre")}, "", 422, "/surface surface_not_allowed"},
		"unsubscribing":                      {[]func(choice){set("surface", "unsubscribe")}, "", 422, "/surface surface_not_allowed"},
		"a method of ours":                   {[]func(choice){set("method", "confirm")}, "", 422, "/method unknown_method"},
		"a request":                          {[]func(choice){set("method", "request")}, "", 422, "/method unknown_method"},
		"a purpose the form does not ask":    {[]func(choice){set("decisions", map[string]any{"newsletter": true, "partners": false, "sms": false, "post": true})}, "", 422, "/decisions/post unknown_purpose"},
		"a purpose left out":                 {[]func(choice){set("decisions", map[string]any{"newsletter": true, "partners": false})}, "", 422, "/decisions/sms missing_purpose"},
		"the wording of another form":        {[]func(choice){set("wording", k.wordingOf("atelier", "form:simple", "fr"))}, "", 422, "wording_mismatch"},
		"no wording":                         {[]func(choice){drop("wording")}, "", 422, "/wording missing_field"},
		"a wording nobody published":         {[]func(choice){set("wording", strings.Repeat("0", 64))}, "", 422, "/wording unknown_wording"},
		"something in the trap":              {[]func(choice){set("trap", "https://spam.example")}, "", 422, "/trap looks_automated"},
		"too fast":                           {[]func(choice){set("took", 999)}, "", 422, "/took looks_automated"},
		"no word of how long it took":        {[]func(choice){drop("took")}, "", 422, "/took missing_field"},
		"a field nobody asked for":           {[]func(choice){set("name", "Marie")}, "", 422, "/name unknown_field"},
		"a device that is none":              {[]func(choice){set("device", "phone")}, "", 422, "/device invalid_subject"},
		"another site":                       {nil, "Origin: https://evil.example", 403, "origin_foreign"},
		"another site that sounds like it":   {nil, "Origin: https://atelier.example.evil.example", 403, "origin_foreign"},
		"a page without an origin":           {nil, "Origin: null", 403, "origin_foreign"},
		"no page at all":                     {nil, "X-None: 1", 403, "origin_missing"},
		"this server, which is not the site": {nil, "Origin: " + k.url, 403, "origin_foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			before := k.seq()
			origin := ofAtelier
			if tc.origin != "" {
				origin = tc.origin
			}
			r := k.do("POST", "/v1/sites/atelier/consents", k.signUp("paul@atelier.example", tc.change...), asPlain, origin)
			if r.status != tc.status {
				t.Fatal(r.status, r.body)
			}
			if r.status == 201 {
				if k.seq() != before+1 {
					t.Error("nothing was written")
				}
				return
			}
			code, errs := r.problem(t)
			if got := strings.Join(append(errs, code), " "); !strings.Contains(got, tc.code) {
				t.Errorf("%s, want %s", got, tc.code)
			}
			if k.seq() != before {
				t.Error("something was written")
			}
			if strings.Contains(r.body, "paul") || strings.Contains(r.body, "Bcc: c@") {
				t.Error("the answer repeats what was sent:", r.body)
			}
		})
	}
	for _, m := range k.mail.settled(t) {
		if strings.Contains(m.text, "Bcc") {
			t.Error(m.text)
		}
	}
}

// The device stands beside the person in the personal part, and is erased with it.
func TestAFormNamesTheDeviceItWasSentFrom(t *testing.T) {
	k := start(t)
	device := uuid.NewString()
	k.sign(k.signUp("marie@atelier.example", set("device", device)))
	st, _ := k.sites.Get("atelier")
	if p := k.last(); p.Personal.Device != st.Keyer.Key(consent.Subject{Kind: consent.KindDevice, Value: device}) || p.Personal.Commit() != p.Commitment {
		t.Errorf("%+v", p.Personal)
	}
	if r := k.post(k.choice(set("device", device))); r.status != 422 {
		t.Error("beside a device", r.body)
	}
}

// A box the page had ticked is no consent: it is recorded as a no, and the page is told.
func TestABoxTickedBeforehand(t *testing.T) {
	k := start(t)
	doc := k.yours(func(w *consent.Wording) { w.Purposes[0].Default = true })
	r := k.offer(doc)
	if r.status != 201 {
		t.Fatal(r.body)
	}
	hash := field[string](t, r.body, "hash")
	r = k.sign(k.signUp("marie@atelier.example", set("surface", "form:contact"), set("wording", hash), set("method", "accept_all"),
		set("decisions", map[string]any{"newsletter": true, "partners": true})))
	if r.status != 201 || !strings.Contains(r.body, `"decisions":{"newsletter":"denied","partners":"granted"},"notices":[{"code":"ticked_by_default","purpose":"newsletter"}]`) {
		t.Fatal(r.status, r.body)
	}
	if p := k.last(); p.Method != consent.MethodCustom || p.Wording.String() != hash {
		t.Errorf("%+v", p)
	}
	if got := k.standing("marie@atelier.example", "newsletter"); got != "denied denied proven" {
		t.Error(got)
	}
}

// yours is the canonical wording of the atelier's own form, as a page shows it; change edits it first.
func (k *kit) yours(change ...func(*consent.Wording)) string {
	k.t.Helper()
	w := consent.Wording{V: 1, Site: "atelier", Surface: "form:contact", Locale: "fr", Revision: 1,
		Controller: consent.Controller{Name: "Atelier Lavande SAS", Contact: "dpo@atelier.example"}, Title: "Nous écrire", Text: "Une question ?",
		Links: []consent.Link{{Rel: "policy", Text: "Confidentialité", Href: "https://atelier.example/confidentialite"}}, Buttons: map[string]string{"submit": "Envoyer"},
		Purposes: []consent.ShownPurpose{
			{ID: "newsletter", Title: "Je veux la lettre", Basis: "consent", Services: []consent.ShownService{}},
			{ID: "partners", Title: "Et celle des partenaires", Basis: "consent", Services: []consent.ShownService{}},
		}, Fields: []consent.ShownField{{Kind: "email", Label: "Votre e-mail"}}}
	for _, f := range change {
		f(&w)
	}
	doc, err := w.Canonical()
	if err != nil {
		k.t.Fatal(err)
	}
	return string(doc)
}

func (k *kit) offer(doc string, header ...string) reply {
	k.t.Helper()
	if header == nil {
		header = []string{asPlain, ofAtelier}
	}
	return k.do("POST", "/v1/sites/atelier/wordings", doc, header...)
}

// The wording of a page's own form, changed by one letter, is another document; both can be read back.
func TestOneLetterIsAnotherWording(t *testing.T) {
	k := start(t)
	docs := []string{k.yours(), k.yours(func(w *consent.Wording) { w.Purposes[0].Title = "Je veux la lettrE" })}
	var hashes []string
	for _, doc := range docs {
		r := k.offer(doc)
		if r.status != 201 {
			t.Fatal(r.body)
		}
		h := field[string](t, r.body, "hash")
		if again := k.offer(doc); again.status != 200 || field[string](t, again.body, "hash") != h {
			t.Error("the same again", again.status, again.body)
		}
		if r := k.do("GET", "/v1/sites/atelier/wordings/"+h, ""); r.status != 200 || r.body != doc {
			t.Error(r.status, r.body)
		}
		if r := k.sign(k.signUp("marie@atelier.example", set("surface", "form:contact"), set("wording", h), set("decisions", map[string]any{"newsletter": true, "partners": false}))); r.status != 201 {
			t.Error(r.body)
		}
		if got := k.last().Wording.String(); got != h {
			t.Error(got)
		}
		hashes = append(hashes, h)
	}
	if hashes[0] == hashes[1] {
		t.Error("one letter made no difference")
	}
}

func TestWhichWordingsAreTaken(t *testing.T) {
	k := start(t)
	published := func() uint64 { return k.ledger.Next(consent.StreamWordings) }
	edit := func(f func(*consent.Wording)) string { return k.yours(f) }
	for name, tc := range map[string]struct {
		doc    string
		header []string
		status int
		code   string
	}{
		"the page's form":                        {k.yours(), nil, 201, ""},
		"in the site's other language":           {edit(func(w *consent.Wording) { w.Locale = "en" }), nil, 201, ""},
		"with a link over http":                  {edit(func(w *consent.Wording) { w.Links[0].Href = "http://atelier.example/p" }), nil, 201, ""},
		"with fewer purposes":                    {edit(func(w *consent.Wording) { w.Purposes = w.Purposes[:1] }), nil, 201, ""},
		"another site's":                         {edit(func(w *consent.Wording) { w.Site = "demo" }), nil, 422, "/site wording_refused"},
		"of a form of ours":                      {edit(func(w *consent.Wording) { w.Surface = "form:lettre" }), nil, 422, "/surface wording_refused"},
		"of no form of this name":                {edit(func(w *consent.Wording) { w.Surface = "form:nope" }), nil, 422, "/surface wording_refused"},
		"of the banner":                          {edit(func(w *consent.Wording) { w.Surface = "banner" }), nil, 422, "/surface wording_refused"},
		"in a language the site does not have":   {edit(func(w *consent.Wording) { w.Locale = "de" }), nil, 422, "/locale wording_refused"},
		"of another controller":                  {edit(func(w *consent.Wording) { w.Controller.Name = "Evil Ltd" }), nil, 422, "/controller wording_refused"},
		"of a revision to come":                  {edit(func(w *consent.Wording) { w.Revision = 2 }), nil, 422, "/revision wording_refused"},
		"of no revision":                         {edit(func(w *consent.Wording) { w.Revision = 0 }), nil, 422, "/revision wording_refused"},
		"with a purpose of another form":         {edit(func(w *consent.Wording) { w.Purposes[0].ID = "sms" }), nil, 422, "/purposes/0/id wording_refused"},
		"with a purpose there is not":            {edit(func(w *consent.Wording) { w.Purposes[0].ID = "evil" }), nil, 422, "/purposes/0/id wording_refused"},
		"with a purpose twice":                   {edit(func(w *consent.Wording) { w.Purposes[1].ID = "newsletter" }), nil, 422, "/purposes/1/id wording_refused"},
		"with nothing asked":                     {edit(func(w *consent.Wording) { w.Purposes = []consent.ShownPurpose{} }), nil, 422, "/purposes wording_refused"},
		"with another basis":                     {edit(func(w *consent.Wording) { w.Purposes[0].Basis = "contract" }), nil, 422, "/purposes/0/basis wording_refused"},
		"with an objection to consent":           {edit(func(w *consent.Wording) { w.Purposes[0].Objection = true }), nil, 422, "/purposes/0/basis wording_refused"},
		"with a choice that is none":             {edit(func(w *consent.Wording) { w.Purposes[0].Required = true }), nil, 422, "/purposes/0/required wording_refused"},
		"with a field the form does not ask for": {edit(func(w *consent.Wording) { w.Fields[0].Kind = "phone" }), nil, 422, "/fields/0/kind wording_refused"},
		"with a script as a link":                {edit(func(w *consent.Wording) { w.Links[0].Href = "javascript:alert(1)" }), nil, 422, "/links/0/href wording_refused"},
		"with a relative link":                   {edit(func(w *consent.Wording) { w.Links[0].Href = "/p" }), nil, 422, "/links/0/href wording_refused"},
		"with a script as a service's policy": {edit(func(w *consent.Wording) {
			w.Purposes[0].Services = []consent.ShownService{{Name: "x", Policy: "data:text/html,x"}}
		}), nil, 422, "/purposes/0/services/0/policy wording_refused"},
		"of another version":         {strings.Replace(k.yours(), `"v":1`, `"v":2`, 1), nil, 422, "wording_refused"},
		"with a member nobody knows": {strings.Replace(k.yours(), `"v":1`, `"v":1,"x":1`, 1), nil, 422, "wording_refused"},
		"with a space":               {" " + k.yours(), nil, 422, "not_canonical"},
		"with members out of order":  {strings.Replace(k.yours(), `"revision":1,"site":"atelier"`, `"site":"atelier","revision":1`, 1), nil, 422, "not_canonical"},
		"with a member twice":        {strings.Replace(k.yours(), `"v":1`, `"v":1,"v":1`, 1), nil, 400, "duplicate_key"},
		"with a needless member":     {strings.Replace(k.yours(), `"id":"newsletter",`, `"id":"newsletter","objection":false,`, 1), nil, 422, "not_canonical"},
		"nested deeply":              {strings.Repeat("[", 50), nil, 400, "too_deep"},
		"no JSON":                    {"hello", nil, 400, "malformed_json"},
		"no object":                  {"[]", nil, 422, "wording_refused"},
		"too large":                  {edit(func(w *consent.Wording) { w.Text = strings.Repeat("x", 17<<10) }), nil, 413, "body_too_large"},
		"from another site":          {edit(func(w *consent.Wording) { w.Text = "x" }), []string{asPlain, "Origin: https://evil.example"}, 403, "origin_foreign"},
		"from no page":               {edit(func(w *consent.Wording) { w.Text = "x" }), []string{asPlain}, 403, "origin_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			before := published()
			r := k.offer(tc.doc, tc.header...)
			if r.status != tc.status {
				t.Fatal(r.status, r.body)
			}
			if r.status != 201 {
				code, errs := r.problem(t)
				if got := strings.Join(append(errs, code), " "); !strings.Contains(got, tc.code) || published() != before {
					t.Errorf("%s, want %s; %d published", got, tc.code, published()-before)
				}
			}
		})
	}
}

func TestASiteDoesNotPublishWithoutEnd(t *testing.T) {
	k := start(t)
	k.clock.noon()
	doc := func(i int) string {
		return k.yours(func(w *consent.Wording) { w.Text = "Il est " + time.Unix(int64(i), 0).String() })
	}
	for i := range maxOffers {
		if r := k.offer(doc(i)); r.status != 201 {
			t.Fatal(i, r.body)
		}
	}
	if r := k.offer(doc(maxOffers)); r.status != 429 {
		t.Fatal(r.status, r.body)
	} else if code, _ := r.problem(t); code != "too_many_wordings" {
		t.Error(code)
	}
	if r := k.offer(doc(0)); r.status != 200 {
		t.Error("one that is known", r.body)
	}
	k.clock.advance(24 * time.Hour)
	if r := k.offer(doc(maxOffers)); r.status != 201 {
		t.Error("the next day", r.body)
	}
}

// A form without a script: from the page to the proof.
func TestTheHostedForm(t *testing.T) {
	k := start(t)
	const path, marie = "/f/atelier/lettre?lang=fr", "marie@atelier.example"
	page := k.get(path)
	if page.status != 200 || strings.Contains(page.body, " checked") || !strings.Contains(page.body, `name="p_partners"`) || strings.Contains(page.body, "noindex") {
		t.Fatal(page.status, page.body)
	}
	st, _ := k.sites.Get("atelier")
	for _, w := range st.Published { // what is seen is what the hash stands for
		if w.Surface != "form:lettre" || w.Locale != "fr" {
			continue
		}
		for _, text := range []string{w.Title, w.Text, w.Buttons["submit"], w.Fields[0].Label, w.Fields[0].Hint, w.Fields[1].Label, w.Purposes[1].Title, w.Purposes[1].Text,
			w.Purposes[1].Services[0].Name, w.Purposes[1].Services[0].Provider, w.Links[0].Href, w.Links[0].Text, w.Controller.Name, w.Controller.Contact, w.Hash.String()} {
			if !strings.Contains(page.body, strings.ReplaceAll(text, "&", "&amp;")) {
				t.Errorf("the page does not say %q", text)
			}
		}
	}
	if k.seq() != 0 {
		t.Fatal("looking at the form wrote something")
	}
	k.clock.advance(5 * time.Second)
	sent := k.fill(page, "Recevoir la lettre", "email", marie, "phone", "06 12 34 56 78", "p_newsletter", "on", "p_sms", "on", "redirect", "https://evil.example/", "name", "Marie")
	r := k.do("POST", path, sent.Encode(), asForm, "Origin: "+k.url)
	if r.status != 303 || r.header.Get("Location") != "/f/atelier/lettre/thanks?lang=fr" {
		t.Fatal(r.status, r.header, r.body)
	}
	if got := k.standing(marie, "newsletter") + ", " + k.standingOf(map[string]any{"phone": "+33612345678"}, "sms"); got != "pending awaiting_confirmation proven, granted granted proven" {
		t.Error(got)
	}
	if p := k.last(); p.Surface != "form:lettre" || p.Personal.Page != k.url+"/f/atelier/lettre" || p.Locale != "fr" || p.Wording.String() != k.wordingOf("atelier", "form:lettre", "fr") {
		t.Errorf("%+v", p)
	}
	if thanks := k.get(r.header.Get("Location")); thanks.status != 200 || strings.Contains(thanks.body, marie) || !strings.Contains(thanks.body, "48 heures") {
		t.Error(thanks.status, thanks.body)
	}
	before := k.seq()
	if again := k.do("POST", path, sent.Encode(), asForm, "Origin: "+k.url); again.status != 303 || k.seq() != before {
		t.Error("sent twice", again.status, k.seq()-before)
	}
	if n := len(k.mail.settled(t)); n != 1 {
		t.Errorf("%d mails", n)
	}
	link := k.path(k.mail.got(t, 1).link)
	k.press(link, k.get(link), "<button>")
	if got := k.standing(marie, "newsletter"); got != "granted granted verified" {
		t.Error(got)
	}
}

// Everything that can be wrong with it is told on the form, in words, with what was typed; nothing is written.
func TestAHostedFormFilledInWrongly(t *testing.T) {
	k := start(t)
	k.clock.stop()
	const path = "/f/atelier/lettre?lang=fr"
	page := k.get(path)
	fast := k.fill(page, "Recevoir", "email", "marie@atelier.example", "p_newsletter", "on")
	r := k.do("POST", path, fast.Encode(), asForm, "Origin: "+k.url)
	if r.status != 422 || !strings.Contains(r.body, `value="marie@atelier.example"`) || !strings.Contains(r.body, " checked") {
		t.Fatal("too fast", r.status, r.body)
	}
	k.clock.advance(5 * time.Second)
	if again := k.do("POST", path, k.fill(r, "Recevoir", "email", "marie@atelier.example", "p_newsletter", "on").Encode(), asForm, "Origin: "+k.url); again.status != 303 {
		t.Error("the page that was shown again cannot be sent", again.status, again.body)
	}
	page = k.get(path)
	k.clock.advance(5 * time.Second)
	for name, tc := range map[string]struct {
		typed []string
		says  []string
	}{
		"nothing at all":        {[]string{}, []string{"Remplissez ce champ.", "Cochez au moins une case.", `href="#email"`, `aria-invalid="true"`, `role="alert"`}},
		"no box":                {[]string{"email", "marie@atelier.example"}, []string{"Cochez au moins une case.", `value="marie@atelier.example"`}},
		"no address":            {[]string{"email", "marie@", "p_newsletter", "on"}, []string{"Cette adresse e-mail n’est pas valable", `value="marie@"`, "checked"}},
		"a header":              {[]string{"email", "a@b.example\r\nBcc: x@y.example", "p_newsletter", "on"}, []string{"Cette adresse e-mail n’est pas valable"}},
		"markup":                {[]string{"email", `"><script>alert(1)</script>`, "p_newsletter", "on"}, []string{"Cette adresse e-mail n’est pas valable", "&lt;script&gt;"}},
		"a number that is none": {[]string{"email", "marie@atelier.example", "phone", "12", "p_sms", "on"}, []string{"Ce numéro de téléphone n’est pas valable", `value="12"`}},
		"the trap":              {[]string{"email", "marie@atelier.example", "p_newsletter", "on", "website", "https://spam.example"}, []string{"L’enregistrement n’a pas pu se faire"}},
		"endless":               {[]string{"email", strings.Repeat("a", 5000) + "@b.example", "p_newsletter", "on"}, []string{"Cette adresse e-mail n’est pas valable", `value=""`}},
		"a box there is not":    {[]string{"email", "marie@atelier.example", "p_post", "on", "p_analytics", "on"}, []string{"Cochez au moins une case."}},
	} {
		t.Run(name, func(t *testing.T) {
			before := k.seq()
			r := k.do("POST", path, k.fill(page, "Recevoir", tc.typed...).Encode(), asForm, "Origin: "+k.url)
			k.checkPage(r)
			for _, s := range append(tc.says, "Rien n’est encore envoyé") {
				if !strings.Contains(r.body, s) {
					t.Errorf("it does not say %q", s)
				}
			}
			if r.status != 422 || k.seq() != before || strings.Contains(r.body, "<title>Erreur") {
				t.Error(r.status, k.seq()-before)
			}
		})
	}
}

// A form that stands on a page of the site, or lay open for days, is shown here first: what it said is not known.
func TestAHostedFormOfUnknownText(t *testing.T) {
	k := start(t)
	const path = "/f/atelier/lettre?lang=fr"
	page := k.get(path)
	k.clock.advance(5 * time.Second)
	good := k.fill(page, "Recevoir", "email", "marie@atelier.example", "p_newsletter", "on")
	with := func(name, value string) url.Values {
		v := url.Values{}
		for key, all := range good {
			v[key] = all
		}
		v.Set(name, value)
		return v
	}
	old := k.token(link.Token{Kind: link.Form, Site: "atelier", ID: newID(k.ledger.Now()), Expires: k.ledger.Now()})
	other := k.token(link.Token{Kind: link.Form, Site: "demo", ID: newID(k.ledger.Now()), Expires: 1 << 45})
	for name, v := range map[string]url.Values{
		"no token":             with("t", ""),
		"a forged token":       with("t", good.Get("t")[:20]),
		"one of days ago":      with("t", old),
		"one of another site":  with("t", other),
		"no wording":           with("wording", ""),
		"an unknown wording":   with("wording", strings.Repeat("0", 64)),
		"another form's":       with("wording", k.wordingOf("atelier", "form:simple", "fr")),
		"the banner's wording": with("wording", k.wordingOf("atelier", "banner", "fr")),
	} {
		for _, origin := range []string{k.url, "https://atelier.example"} {
			r := k.do("POST", path, v.Encode(), asForm, "Origin: "+origin)
			if r.status != 422 || !strings.Contains(r.body, `value="marie@atelier.example"`) || strings.Contains(r.body, " checked") || k.seq() != 0 {
				t.Errorf("%s: %d, %d written", name, r.status, k.seq())
			}
		}
	}
	again := k.do("POST", path, url.Values{"email": {"marie@atelier.example"}, "p_newsletter": {"on"}}.Encode(), asForm, ofAtelier)
	k.clock.advance(5 * time.Second)
	if r := k.press(path, again, "Recevoir", "email", "marie@atelier.example", "p_newsletter", "on"); r.status != 303 || k.seq() != 1 {
		t.Error(r.status, k.seq())
	}
}

func TestWhoMayPostAHostedForm(t *testing.T) {
	k := start(t)
	const path = "/f/atelier/lettre?lang=fr"
	page := k.get(path)
	k.clock.advance(5 * time.Second)
	good := k.fill(page, "Recevoir", "email", "marie@atelier.example", "p_newsletter", "on").Encode()
	for name, tc := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"a foreign page":       {path, good, []string{asForm, "Origin: https://evil.example"}, 403},
		"a page that hides":    {path, good, []string{asForm, "Origin: null"}, 403},
		"no page":              {path, good, []string{asForm}, 403},
		"the same, other port": {path, good, []string{asForm, "Origin: http://127.0.0.1:1"}, 403},
		"JSON":                 {path, "{}", []string{asJSON, "Origin: " + k.url}, 415},
		"no type":              {path, good, []string{"Origin: " + k.url}, 415},
		"compressed":           {path, good, []string{asForm, "Content-Encoding: gzip", "Origin: " + k.url}, 415},
		"too large":            {path, "email=" + strings.Repeat("a", 17<<10), []string{asForm, "Origin: " + k.url}, 413},
		"a thousand fields":    {path, strings.Repeat("a=1&", 1000), []string{asForm, "Origin: " + k.url}, 422},
		"a broken escape":      {path, "email=%zz", []string{asForm, "Origin: " + k.url}, 422},
		"no such form":         {"/f/atelier/nope", good, []string{asForm, "Origin: " + k.url}, 404},
		"a form of the page's": {"/f/atelier/contact", good, []string{asForm, "Origin: " + k.url}, 404},
		"no such site":         {"/f/nope/lettre", good, []string{asForm, "Origin: " + k.url}, 404},
		"a site without forms": {"/f/demo/lettre", good, []string{asForm, "Origin: " + k.url}, 404},
	} {
		r := k.do("POST", tc.path, tc.body, tc.header...)
		if r.status != tc.status || k.seq() != 0 {
			t.Errorf("%s: %d, %d written", name, r.status, k.seq())
		}
		k.checkPage(r)
	}
	if r := k.do("POST", path, good, asForm, "Origin: "+k.url); r.status != 303 || k.seq() != 1 {
		t.Error("the page itself", r.status)
	}
}

// Where a form goes is said by the configuration, and by nothing that is sent.
func TestWhereAFormGoes(t *testing.T) {
	k := start(t)
	for locale, want := range map[string]string{"fr": "https://atelier.example/merci", "en": "https://atelier.example/thanks"} {
		path := "/f/atelier/simple?lang=" + locale + "&redirect=https://evil.example/&next=//evil.example"
		page := k.get(path)
		if csp := page.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' https://atelier.example") {
			t.Error(csp)
		}
		k.clock.advance(5 * time.Second)
		r := k.do("POST", path, k.fill(page, "<button>", "email", "marie@atelier.example", "p_newsletter", "on", "redirect", "https://evil.example/", "return_to", "https://evil.example").Encode(),
			asForm, "Origin: "+k.url, "Referer: https://evil.example/", "X-Forwarded-Host: evil.example", "Host: evil.example")
		if r.status != 303 || r.header.Get("Location") != want {
			t.Errorf("%s: %d %s", locale, r.status, r.header.Get("Location"))
		}
	}
}

// Each answer of a form page is in the language asked for, the browser's, or the site's first.
func TestTheLanguageOfAHostedForm(t *testing.T) {
	k := start(t)
	for _, tc := range [][3]string{{"/f/atelier/lettre", "", "fr"}, {"/f/atelier/lettre", "en-GB,en;q=0.9", "en"}, {"/f/atelier/lettre?lang=fr", "en", "fr"},
		{"/f/atelier/lettre?lang=en", "", "en"}, {"/f/atelier/lettre?lang=zz", "ja", "fr"}, {"/f/atelier/lettre?lang=%22%3E%3Cscript%3E", "", "fr"}} {
		if r := k.get(tc[0], "Accept-Language: "+tc[1]); !strings.Contains(r.body, `<html lang="`+tc[2]+`">`) {
			t.Errorf("%v", tc)
		}
	}
	if r := k.get("/f/nope/x", "Accept-Language: en"); r.status != 404 || !strings.Contains(r.body, "There is no such page") {
		t.Error(r.status, r.body)
	}
}

// A posted form that cannot be recorded now is not lost silently, nor told in JSON.
func TestAHostedFormAndATroubledLedger(t *testing.T) {
	l := &keeper{}
	k := start(t, keeping(l))
	page := k.get("/f/atelier/simple?lang=fr")
	k.clock.advance(5 * time.Second)
	l.mu.Lock()
	l.fail = ledger.ErrBusy
	l.mu.Unlock()
	r := k.do("POST", "/f/atelier/simple?lang=fr", k.fill(page, "<button>", "email", "marie@atelier.example", "p_newsletter", "on").Encode(), asForm, "Origin: "+k.url)
	if r.status != 503 || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "Réessayez dans une minute") {
		t.Error(r.status, r.header, r.body)
	}
	k.checkPage(r)
}

// The bodies of forms come in two encodings; both are read the same, and neither without end.
func FuzzFormBody(f *testing.F) {
	f.Add("email=a%40b.example&p_newsletter=on", "")
	f.Add("--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n", "x")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		for _, read := range []func() (map[string]string, error){func() (map[string]string, error) { return plainForm(body) }, func() (map[string]string, error) { return multipartForm(body, boundary) }} {
			all, err := read()
			if err == nil && len(all) > maxFormFields {
				t.Fatal(len(all))
			}
			if raw, jsonErr := json.Marshal(all); jsonErr != nil {
				t.Fatal(string(raw), jsonErr)
			}
		}
	})
}

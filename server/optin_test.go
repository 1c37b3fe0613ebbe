package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// The whole life of a double opt-in: asked, mailed, looked at by a scanner, confirmed by a click, and once.
func TestDoubleOptIn(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	body := k.signUp(marie)
	r := k.sign(body)
	if r.status != 201 || field[string](t, r.body, "status") != "pending" || field[string](t, r.body, "decisions", "newsletter") != "granted" {
		t.Fatal(r.status, r.body)
	}
	request := k.last()
	if request.Method != consent.MethodRequest || request.Surface != "form:lettre" || request.Grade != consent.GradeProven || request.Personal.Kind != consent.KindEmail || len(request.Personal.Identifier) == 0 {
		t.Errorf("%+v", request)
	}
	pending := "pending awaiting_confirmation proven"
	if got := k.standing(marie, "newsletter"); got != pending {
		t.Error(got)
	}
	if got := k.standing(marie, "partners"); got != "denied denied proven" {
		t.Error(got)
	}
	letter := k.mail.got(t, 1)
	if !strings.Contains(letter.text, "To: <"+marie+">") || !strings.HasPrefix(letter.link, k.url+"/c/") {
		t.Fatal(letter)
	}
	path, before := k.path(letter.link), k.seq()
	for range 3 { // a scanner opens the link, and asks for its head
		page := k.get(path)
		if page.status != 200 || !strings.Contains(page.body, "La lettre de l’atelier") || strings.Contains(page.body, "partenaires") {
			t.Fatal(page.status, page.body)
		}
		if head := k.send("HEAD", path, ""); head.status != 200 || head.body != "" {
			t.Error(head)
		}
	}
	if k.seq() != before || k.standing(marie, "newsletter") != pending {
		t.Fatal("looking at the link changed something")
	}
	done := k.press(path, k.get(path), "<button>")
	if done.status != 200 || !strings.Contains(done.body, "C’est confirmé") {
		t.Fatal(done.status, done.body)
	}
	if got := k.standing(marie, "newsletter"); got != "granted granted verified" {
		t.Error(got)
	}
	p := k.last()
	if p.Method != consent.MethodConfirm || p.Follows != request.ID || p.ID == request.ID || p.ID.Version() != 7 || p.Wording != request.Wording || p.Surface != request.Surface ||
		p.Personal.Subject != request.Personal.Subject || p.Grade != consent.GradeVerified || p.Personal.Page != request.Personal.Page || p.Locale != "fr" {
		t.Errorf("%+v", p)
	}
	before = k.seq()
	for range 2 { // a second use is refused kindly
		again := k.do("POST", path, "", asForm, "Origin: "+k.url)
		if again.status != 200 || !strings.Contains(again.body, "Déjà confirmé") {
			t.Error(again.status, again.body)
		}
	}
	if page := k.get(path); !strings.Contains(page.body, "Déjà confirmé") || strings.Contains(page.body, "<button") {
		t.Error(page.body)
	}
	if k.seq() != before {
		t.Error("a second use wrote something")
	}
	if again := k.sign(body); again.status != 200 || field[string](t, again.body, "status") != "pending" || k.seq() != before {
		t.Error("the same post again", again.status, again.body)
	}
	if n := len(k.mail.settled(t)); n != 1 {
		t.Errorf("%d mails", n)
	}
	if strings.Contains(k.log.String(), "marie") || strings.Contains(k.log.String(), path) {
		t.Error("the log names the person, or their link")
	}
}

func TestAConfirmationEnds(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	path := k.requested(marie)
	k.clock.advance(48*time.Hour + time.Second)
	before := k.seq()
	for _, method := range []string{"GET", "POST"} {
		r := k.do(method, path, "", asForm, "Origin: "+k.url)
		if r.status != 410 || !strings.Contains(r.body, "Ce lien a expiré") || !strings.Contains(r.body, `href="/f/atelier/lettre?lang=fr"`) {
			t.Errorf("%s: %d %s", method, r.status, r.body)
		}
	}
	if k.seq() != before || k.standing(marie, "newsletter") != "unknown never_asked none" {
		t.Error(k.seq()-before, k.standing(marie, "newsletter"))
	}
	again := k.requested(marie)
	k.press(again, k.get(again), "<button>")
	if got := k.standing(marie, "newsletter"); got != "granted granted verified" {
		t.Error(got)
	}
	if r := k.press(path, reply{body: "<form action=''><button></form>"}, "<button>"); r.status != 410 {
		t.Error("the old link", r.status)
	}
}

// A link nobody was sent opens nothing, whatever is done to it, and says so on a page.
func TestAForgedConfirmation(t *testing.T) {
	k := start(t)
	path := k.requested("marie@atelier.example")
	before := k.seq()
	for name, forged := range map[string]string{
		"cut":               path[:len(path)-1],
		"longer":            path + "A",
		"another character": path[:len(path)-1] + map[bool]string{true: "B", false: "A"}[path[len(path)-1] == 'A'],
		"made up":           "/c/" + strings.Repeat("A", 43),
		"short":             "/c/x",
		"an id":             "/c/" + uuid.NewString(),
		"traversal":         "/c/..%2f..%2fhealthz",
		"very long":         "/c/" + strings.Repeat("A", 4000),
	} {
		for _, method := range []string{"GET", "POST"} {
			r := k.do(method, forged, "", asForm, "Origin: "+k.url)
			if r.status != 404 || !strings.Contains(r.body, "<h1>Ce lien n’est plus valable</h1>") {
				t.Errorf("%s %s: %d %s", method, name, r.status, r.body)
			}
			k.checkPage(r)
		}
	}
	if k.seq() != before {
		t.Error("something was written")
	}
	if r := k.get("/c/"+strings.Repeat("A", 43), "Accept-Language: en"); !strings.Contains(r.body, "This link is no longer valid") || !strings.Contains(r.body, `lang="en"`) {
		t.Error(r.body)
	}
}

// An address gets one mail in ten minutes and five a day, whatever is posted; each post gets the same answer.
func TestAHundredSignUpsForOneAddress(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	var first string
	shape := func(r reply) string {
		return strings.Join([]string{http.StatusText(r.status), field[string](t, r.body, "status"), field[string](t, r.body, "decisions", "newsletter"), r.header.Get("Content-Type")}, " ")
	}
	for i := range 100 {
		r := k.sign(k.signUp([]string{marie, "MARIE@atelier.example", " marie@Atelier.example "}[i%3]))
		if i == 0 {
			first = shape(r)
		}
		if got := shape(r); r.status != 201 || got != first {
			t.Fatalf("sign-up %d: %s, the first: %s", i, got, first)
		}
	}
	if n := len(k.mail.settled(t)); n != 1 || k.seq() != 100 {
		t.Errorf("%d mails, %d proofs", n, k.seq())
	}
	for i := range 8 { // … and so on through the day
		k.clock.advance(11 * time.Minute)
		k.sign(k.signUp(marie))
		if n, want := len(k.mail.settled(t)), min(i+2, 5); n != want {
			t.Errorf("after %d times eleven minutes: %d mails, want %d", i+1, n, want)
		}
	}
	if r := k.sign(k.signUp("paul@atelier.example")); shape(r) != first || len(k.mail.settled(t)) != 6 {
		t.Error("another address", r.body)
	}
	k.clock.advance(24 * time.Hour)
	k.sign(k.signUp(marie))
	if n := len(k.mail.settled(t)); n != 7 {
		t.Errorf("the next day: %d mails", n)
	}
}

// A network that signs up one address after another gets no more mails sent than a class would.
func TestSignUpsOfOneNetwork(t *testing.T) {
	k := start(t)
	for i := range mailsNetwork + 10 {
		if r := k.sign(k.signUp(string(rune('a'+i%26)) + string(rune('a'+i/26)) + "@atelier.example")); r.status != 201 || field[string](t, r.body, "status") != "pending" {
			t.Fatal(r.body)
		}
	}
	if n := len(k.mail.settled(t)); n != mailsNetwork {
		t.Errorf("%d mails", n)
	}
	page := k.get("/f/atelier/lettre?lang=fr") // the hosted form is no way around it
	k.clock.advance(2 * time.Second)
	k.press("/f/atelier/lettre?lang=fr", page, "<button>", "email", "zz@atelier.example", "p_newsletter", "on")
	if n := len(k.mail.settled(t)); n != mailsNetwork || k.standing("zz@atelier.example", "newsletter") != "pending awaiting_confirmation proven" {
		t.Errorf("%d mails", n)
	}
}

// What a form says never takes a consent back, and a request never lowers one.
func TestAFormIsNoWayToHarmSomebody(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	path := k.requested(marie)
	k.press(path, k.get(path), "<button>")
	for name, body := range map[string]string{
		"a no":              k.signUp(marie, set("method", "reject_all"), set("decisions", map[string]any{"newsletter": false, "partners": false, "sms": false})),
		"a new request":     k.signUp(marie),
		"one for something": k.signUp(marie, set("decisions", map[string]any{"newsletter": false, "partners": true, "sms": false})),
	} {
		if r := k.sign(body); r.status != 201 {
			t.Fatal(name, r.body)
		}
		if got := k.standing(marie, "newsletter"); got != "granted granted verified" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAFormThatCannotBeMailed(t *testing.T) {
	k := start(t, func(o *Options) { o.Mail = nil })
	r := k.sign(k.signUp("marie@atelier.example"))
	if code, _ := r.problem(t); r.status != 503 || code != "mail_unavailable" || k.seq() != 0 {
		t.Fatal(r.status, r.body)
	}
	no := k.signUp("marie@atelier.example", set("method", "reject_all"), set("decisions", map[string]any{"newsletter": false, "partners": false, "sms": false}))
	if r := k.sign(no); r.status != 201 || strings.Contains(r.body, "pending") {
		t.Error("a no needs no mail", r.body)
	}
	phone := k.signUp("", set("subject", map[string]any{"phone": "06 12 34 56 78"}))
	if r := k.sign(phone); r.status != 201 || strings.Contains(r.body, "pending") {
		t.Error("a number is not mailed to", r.body)
	}
}

// A program that has its own form gets the same: the address has to answer.
func TestAProgramsSignUpIsConfirmedToo(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	body := k.signUp(marie, drop("trap"), drop("took"), drop("wording"), drop("locale"), drop("page"), set("decisions", map[string]any{"newsletter": true}))
	r := k.do("POST", "/v1/sites/atelier/consents", body, asJSON, k.bearerFor("atelier", "record"))
	if r.status != 201 || field[string](t, r.body, "status") != "pending" {
		t.Fatal(r.body)
	}
	if got := k.standing(marie, "newsletter"); got != "pending awaiting_confirmation asserted" {
		t.Error(got)
	}
	path := k.path(k.mail.got(t, 1).link)
	k.press(path, k.get(path), "<button>")
	if got := k.standing(marie, "newsletter"); got != "granted granted verified" {
		t.Error(got)
	}
}

// A program signs up people from everywhere, all from one address.
func TestAProgramsSignUpsAreNoNetworks(t *testing.T) {
	k := start(t)
	for i := range mailsNetwork + 5 {
		body := k.signUp(fmt.Sprintf("reader%d@atelier.example", i), drop("trap"), drop("took"), drop("wording"), drop("locale"), drop("page"), set("decisions", map[string]any{"newsletter": true}))
		if r := k.do("POST", "/v1/sites/atelier/consents", body, asJSON, k.bearerFor("atelier", "record")); r.status != 201 {
			t.Fatal(r.body)
		}
	}
	if n := len(k.mail.settled(t)); n != mailsNetwork+5 {
		t.Errorf("%d mails", n)
	}
}

// A key that signed a link which is still on its way stays good; retired, it takes its links with it.
func TestConfirmationsOutliveARotation(t *testing.T) {
	k := start(t)
	path := k.requested("marie@atelier.example")
	if _, err := k.links.Rotate(); err != nil {
		t.Fatal(err)
	}
	if page := k.press(path, k.get(path), "<button>"); !strings.Contains(page.body, "C’est confirmé") {
		t.Error(page.body)
	}
}

// What is over is forgotten, and not before.
func TestTidy(t *testing.T) {
	k := start(t)
	path := k.requested("marie@atelier.example")
	notes := func(space string) (n int) {
		if err := k.ledger.Notes(space, nil, func(_, _ []byte) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		ahead         time.Duration
		optin, counts int
		status        int
	}{{time.Hour, 1, 1, 200}, {47*time.Hour + time.Minute, 1, 0, 410}, {29 * 24 * time.Hour, 1, 0, 410}, {2 * 24 * time.Hour, 0, 0, 404}} {
		k.clock.advance(step.ahead)
		if err := k.Tidy(); err != nil {
			t.Fatal(err)
		}
		if o, c, r := notes(spaceOptIn), notes(spaceMailCount), k.get(path); o != step.optin || c != step.counts || r.status != step.status {
			t.Errorf("%s on: %d requests, %d counts, %d", step.ahead, o, c, r.status)
		}
	}
}

// Who is erased leaves no request behind, and can be asked again at once.
func TestForgettingRequests(t *testing.T) {
	k := start(t)
	const marie, fresh = "marie@atelier.example", "marie.dupont@atelier.example"
	signed, paul := k.requested(marie), k.requested("paul@atelier.example")
	centre, _ := k.linksOf(marie)
	k.press(centre, k.get(centre), `value="correct"`, "do", "correct", "email", fresh)
	moved := k.path(k.mail.got(t, 3).link)
	if n, err := k.ForgetRequests("atelier", k.keyOf(marie)); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for path, want := range map[string]int{signed: 404, moved: 404, paul: 200} {
		if r := k.get(path); r.status != want {
			t.Errorf("%d, want %d", r.status, want)
		}
	}
	k.requested(marie)
}

// A site sends so many mails and no more, from however many networks they are asked for; then more as time passes.
func TestSignUpsOfOneSite(t *testing.T) {
	k := prepareServer(t) // nothing is asked of it over HTTP
	v, err := k.site("atelier")
	if err != nil {
		t.Fatal(err)
	}
	now := k.ledger.Now()
	ask := func(i int, at consent.Millis) string {
		outcome, _, err := k.mayMail(v, consent.SubjectKey{byte(i), byte(i >> 8)}, netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), at)
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}
	for i := range mailsSite + 5 {
		if got, want := ask(i, now), map[bool]string{true: mailQueued, false: mailSite}[i < mailsSite]; got != want {
			t.Fatalf("mail %d: %s", i, got)
		}
	}
	if got := ask(5000, now+1000) + " " + ask(5001, now+1000); got != "queued queued" {
		t.Error("a second later:", got)
	}
}

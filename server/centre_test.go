package server

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// A person finds what they agreed to, when, and the text they saw; changes it, one purpose at a time; each change is a
// proof under the text beside the button.
func TestThePreferenceCentre(t *testing.T) {
	k := start(t)
	k.clock.noon()
	const marie = "marie@atelier.example"
	signed := k.requested(marie)
	k.press(signed, k.get(signed), "<button>")
	request := k.last()
	path, _ := k.linksOf(marie)
	if strings.Contains(path, "marie") || strings.Contains(path, "atelier") || len(path) > 300 {
		t.Error("the address says something:", path)
	}
	before := k.seq()
	page := k.get(path)
	day := k.ledger.Now().Time().Format("2006")
	for _, s := range []string{"Vos choix", "Pour " + marie, "La lettre de l’atelier", "Accepté le", day, "Le texte que vous avez vu", "Recevez la lettre de l’atelier", "Refusé le",
		"Vous n’avez pas encore choisi", "SMS", "Permis tant que vous ne vous y opposez pas", "Herbes et Compagnie SARL", "noindex", "Tout arrêter", "Nouvelle adresse e-mail"} {
		if s == "Vous n’avez pas encore choisi" {
			continue // the form asked for everything but the catalogue, which is objected to
		}
		if !strings.Contains(page.body, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
	if strings.Contains(page.body, "Mesure d’audience") {
		t.Error("the banner's purposes are the device's")
	}
	r := k.press(path, page, `value="partners"`, "do", "on")
	if r.status != 303 || r.header.Get("Location") != "?lang=fr&saved=partners" || k.seq() != before+1 {
		t.Fatal(r.status, r.header, r.body)
	}
	p := k.last()
	w := k.docOf("atelier", p.Wording)
	if p.Surface != "centre" || p.Grade != consent.GradeProven || p.Method != consent.MethodAcceptAll || !slices.Equal(p.Decisions, []consent.Choice{{Purpose: "partners", Granted: true}}) ||
		p.Personal.Subject != request.Personal.Subject || p.Personal.Page != k.url+"/p" || w.Surface != "centre" || len(w.Purposes) != 1 || w.Purposes[0].Text != "Nous donnons votre adresse à nos deux partenaires, qui vous écrivent eux-mêmes." {
		t.Errorf("%+v\n%+v", p, w)
	}
	if got := k.standing(marie, "partners"); got != "granted granted proven" {
		t.Error(got)
	}
	saved := k.get(path + "?lang=fr&saved=partners")
	if !strings.Contains(saved.body, ">Enregistré.</b>") {
		t.Error(saved.body)
	}
	k.press(path, saved, `value="newsletter"`, "do", "off")
	if got := k.standing(marie, "newsletter"); got != "withdrawn withdrawn proven" || k.last().Method != consent.MethodWithdraw {
		t.Error(got, k.last().Method)
	}
	k.press(path, k.get(path), `value="post"`, "do", "off")
	if got := k.standing(marie, "post"); got != "denied denied proven" || k.last().Method != consent.MethodRejectAll {
		t.Error(got, k.last().Method)
	}
	r = k.press(path, k.get(path), "Tout arrêter", "do", "stop")
	if r.status != 303 || r.header.Get("Location") != "?lang=fr&saved=all" {
		t.Error(r.status, r.header)
	}
	for _, purpose := range []string{"newsletter", "partners", "sms", "post"} {
		if got := k.standing(marie, purpose); !strings.HasPrefix(got, "withdrawn") {
			t.Error(purpose, got)
		}
	}
	if p := k.last(); p.Surface != "unsubscribe" || p.Method != consent.MethodWithdraw || len(p.Decisions) != 4 || len(k.docOf("atelier", p.Wording).Purposes) != 4 {
		t.Errorf("%+v", p)
	}
	if page := k.get(path + "?saved=all"); !strings.Contains(page.body, "tout est arrêté.") {
		t.Error(page.body)
	}
}

// docOf reads back a wording, over HTTP as anybody can.
func (k *kit) docOf(siteID string, h consent.Hash) *consent.Wording {
	k.t.Helper()
	r := k.do("GET", "/v1/sites/"+siteID+"/wordings/"+h.String(), "")
	w, err := consent.ParseWording([]byte(r.body))
	if err != nil {
		k.t.Fatal(r.status, r.body, err)
	}
	return w
}

// A button pressed twice is one choice; pressed on a page that lay open, it is a choice all the same.
func TestAButtonPressedTwice(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	path, _ := k.linksOf(marie)
	page := k.get(path)
	for range 3 {
		k.press(path, page, `value="newsletter"`, "do", "on")
	}
	if k.seq() != 1 {
		t.Errorf("%d proofs", k.seq())
	}
	k.clock.advance(time.Minute)
	k.press(path, k.get(path), `value="newsletter"`, "do", "off")
	k.clock.advance(time.Minute)
	k.press(path, page, `value="newsletter"`, "do", "on")
	if got := k.standing(marie, "newsletter"); got != "granted granted proven" || k.seq() != 3 {
		t.Error(got, k.seq())
	}
}

// What is sent is held to what the page can send.
func TestABodyTheCentreDoesNotSend(t *testing.T) {
	k := start(t)
	path, _ := k.linksOf("marie@atelier.example")
	page := k.get(path)
	good := k.fill(page, `value="newsletter"`, "do", "on")
	other := k.fill(page, `value="partners"`).Get("wording")
	for name, tc := range map[string]struct {
		name, value string
		status      int
	}{
		"a purpose there is not":          {"purpose", "evil", 422},
		"a purpose of the banner":         {"purpose", "analytics", 422},
		"no purpose":                      {"purpose", "", 422},
		"another purpose than the text's": {"wording", other, 422},
		"no text":                         {"wording", "", 422},
		"a text nobody published":         {"wording", strings.Repeat("0", 64), 422},
		"the text of a form":              {"wording", k.wordingOf("atelier", "form:lettre", "fr"), 422},
		"nothing to do":                   {"do", "", 422},
		"something else to do":            {"do", "erase", 422},
		"an id that is none":              {"id", "x", 303},
		"an id of another kind":           {"id", uuid.NewString(), 303},
		"an id from the future":           {"id", newID(k.ledger.Now() + millis(1000*24*time.Hour)).String(), 303},
	} {
		v := map[string][]string{}
		for key, all := range good {
			v[key] = all
		}
		v[tc.name] = []string{tc.value}
		before := k.seq()
		r := k.do("POST", path, encode(v), asForm, "Origin: "+k.url)
		if r.status != tc.status || (k.seq() != before) != (tc.status == 303) {
			t.Errorf("%s: %d, %d written: %s", name, r.status, k.seq()-before, r.body)
		}
		if r.status == 303 && consent.IDTime(k.last().ID) > k.ledger.Now() {
			t.Errorf("%s: the proof's id is of %s", name, consent.IDTime(k.last().ID))
		}
	}
}

func encode(v map[string][]string) string {
	var parts []string
	for name, all := range v {
		for _, s := range all {
			parts = append(parts, name+"="+strings.NewReplacer("+", "%2B", "&", "%26", "@", "%40", " ", "+").Replace(s))
		}
	}
	return strings.Join(parts, "&")
}

func TestALinkThatIsNoneAnyMore(t *testing.T) {
	k := start(t)
	centre, unsubscribe := k.linksOf("marie@atelier.example", "newsletter")
	_, foreign := k.linksOf("marie@atelier.example")
	for prefix, good := range map[string]string{"/p/": centre, "/u/": unsubscribe} {
		forged := map[string]string{"cut": good[:len(good)-5], "cut to nothing": prefix + "x", "a bit turned": good[:20] + map[bool]string{true: "B", false: "A"}[good[20] == 'A'] + good[21:],
			"one of another kind": prefix + map[string]string{"/p/": unsubscribe, "/u/": centre}[prefix][3:], "one more character": good + "A", "made up": prefix + strings.Repeat("A", 120)}
		for name, path := range forged {
			for _, method := range []string{"GET", "POST"} {
				r := k.do(method, path, "List-Unsubscribe=One-Click", asForm)
				if r.status != 404 || !strings.Contains(r.body, "Ce lien n’est plus valable") {
					t.Errorf("%s %s: %d", method, name, r.status)
				}
				k.checkPage(r)
			}
		}
	}
	k.clock.advance(91 * 24 * time.Hour)
	if r := k.get(centre); r.status != 410 || !strings.Contains(r.body, "Atelier Lavande") || strings.Contains(r.body, "marie") {
		t.Error(r.status, r.body)
	}
	if r := k.do("POST", centre, "do=stop", asForm); r.status != 410 {
		t.Error(r.status)
	}
	if r := k.get(centre + "/export"); r.status != 410 {
		t.Error(r.status)
	}
	if r := k.get(unsubscribe); r.status != 200 {
		t.Error("a mail of three months ago cannot be ended", r.status)
	}
	k.clock.advance(310 * 24 * time.Hour)
	if r := k.do("POST", unsubscribe, "List-Unsubscribe=One-Click", asForm); r.status != 410 {
		t.Error(r.status)
	}
	if k.seq() != 0 {
		t.Error("something was written")
	}
	if _, err := k.links.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := k.links.Retire(1); err != nil {
		t.Fatal(err)
	}
	if r := k.get(foreign); r.status != 404 {
		t.Error("a retired key opens links", r.status)
	}
}

// A new address takes the choices over once it has answered, and not before; the old one gets nothing more.
func TestCorrectingAnAddress(t *testing.T) {
	k := start(t)
	const old, fresh = "marie@atelier.example", "marie.dupont@atelier.example"
	signed := k.requested(old)
	k.press(signed, k.get(signed), "<button>")
	path, _ := k.linksOf(old)
	k.press(path, k.get(path), `value="post"`, "do", "off")
	before := k.seq()
	page := k.get(path)
	for name, wrong := range map[string]string{"none": "", "no address": "marie", "the same": "MARIE@atelier.example", "a header": "a@b.example\r\nBcc: c@d.example"} {
		if r := k.press(path, page, `value="correct"`, "do", "correct", "email", wrong); r.status != 422 || !strings.Contains(r.body, "Cette adresse e-mail n’est pas valable") {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	for range 3 { // and as often as one likes: it is one mail
		if r := k.press(path, page, `value="correct"`, "do", "correct", "email", fresh); r.status != 303 || r.header.Get("Location") != "?lang=fr&saved=address" {
			t.Fatal(r.status, r.body)
		}
	}
	if sent := k.get(path + "?saved=address"); !strings.Contains(sent.body, "Un e-mail part vers la nouvelle adresse") {
		t.Error(sent.body)
	}
	letter := k.mail.got(t, 2)
	if !strings.Contains(letter.text, "To: <"+fresh+">") || len(k.mail.settled(t)) != 2 {
		t.Error(letter.text)
	}
	confirm := k.path(letter.link)
	asked := k.get(confirm)
	if !strings.Contains(asked.body, "Confirmez votre nouvelle adresse") || !strings.Contains(asked.body, "La lettre de l’atelier") || strings.Contains(asked.body, "Catalogue") {
		t.Error(asked.body)
	}
	if k.seq() != before || k.standing(fresh, "newsletter") != "unknown never_asked none" || k.standing(old, "newsletter") != "granted granted verified" {
		t.Error("something happened before the new address answered")
	}
	if done := k.press(confirm, asked, "<button>"); done.status != 200 || !strings.Contains(done.body, "nouvelle adresse") {
		t.Fatal(done.status, done.body)
	}
	for _, tc := range [][3]string{{fresh, "newsletter", "granted granted verified"}, {fresh, "post", "denied denied verified"}, {fresh, "partners", "denied denied verified"},
		{old, "newsletter", "withdrawn withdrawn proven"}, {old, "post", "withdrawn withdrawn proven"}} {
		if got := k.standing(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%s %s: %s", tc[0], tc[1], got)
		}
	}
	before = k.seq()
	if again := k.press(confirm, asked, "<button>"); !strings.Contains(again.body, "Déjà confirmé") || k.seq() != before {
		t.Error(again.body)
	}
	if p := k.last(); p.Surface != "unsubscribe" || p.Method != consent.MethodWithdraw {
		t.Errorf("%+v", p)
	}
}

// A crash between the proofs of a correction is mended by pressing the button again: nothing is written twice.
func TestACorrectionThatWasCutShort(t *testing.T) {
	l := &keeper{}
	k := start(t, keeping(l))
	const old, fresh = "marie@atelier.example", "marie.dupont@atelier.example"
	path, _ := k.linksOf(old)
	for _, purpose := range []string{"newsletter", "partners"} {
		k.press(path, k.get(path), `value="`+purpose+`"`, "do", "on")
	}
	k.press(path, k.get(path), `value="correct"`, "do", "correct", "email", fresh)
	confirm := k.path(k.mail.got(t, 1).link)
	page := k.get(confirm)
	l.mu.Lock()
	l.failAfter = 1
	l.mu.Unlock()
	if r := k.press(confirm, page, "<button>"); r.status != 503 {
		t.Fatal(r.status)
	}
	if got := k.standing(fresh, "newsletter") + ", " + k.standing(fresh, "partners") + ", " + k.standing(old, "newsletter"); got != "granted granted verified, unknown never_asked none, granted granted proven" {
		t.Fatal(got)
	}
	l.mu.Lock()
	l.failAfter = 0
	l.mu.Unlock()
	if r := k.press(confirm, page, "<button>"); r.status != 200 {
		t.Fatal(r.status, r.body)
	}
	if got := k.standing(fresh, "newsletter") + ", " + k.standing(fresh, "partners") + ", " + k.standing(old, "newsletter"); got != "granted granted verified, granted granted verified, withdrawn withdrawn proven" {
		t.Error(got)
	}
	if k.seq() != 2+2+1 {
		t.Errorf("%d proofs", k.seq())
	}
}

func TestACopyOfEverything(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	signed := k.requested(marie)
	k.press(signed, k.get(signed), "<button>")
	k.requested("paul@atelier.example")
	path, _ := k.linksOf(marie)
	before := k.seq()
	r := k.do("GET", path+"/export", "")
	if r.status != 200 || r.header.Get("Content-Disposition") != `attachment; filename="consents-atelier.json"` || r.header.Get("Cache-Control") != "no-store" || k.seq() != before {
		t.Fatal(r.status, r.header)
	}
	var all struct {
		Site       string
		Controller consent.Controller
		Subject    struct{ Kind, Value, Key string }
		Decisions  map[string]struct{ Status, Grade string }
		Proofs     []struct {
			Facts      struct{ Method, Wording string }
			Identifier string
		}
		Wordings map[string]consent.Wording
	}
	if err := json.Unmarshal([]byte(r.body), &all); err != nil {
		t.Fatal(err, r.body)
	}
	if all.Site != "atelier" || all.Subject.Value != marie || all.Subject.Kind != "email" || len(all.Subject.Key) != 32 || all.Decisions["newsletter"].Grade != "verified" || len(all.Decisions) != 4 {
		t.Errorf("%+v", all)
	}
	if len(all.Proofs) != 2 || all.Proofs[0].Facts.Method != "confirm" || all.Proofs[1].Facts.Method != "request" || all.Proofs[1].Identifier != marie {
		t.Errorf("%+v", all.Proofs)
	}
	if w := all.Wordings[all.Proofs[1].Facts.Wording]; w.Title != "Recevez la lettre de l’atelier" {
		t.Errorf("%+v", all.Wordings)
	}
	if strings.Contains(r.body, "paul") {
		t.Error("somebody else's")
	}
	_, unsubscribe := k.linksOf(marie)
	if r := k.do("GET", "/p/"+unsubscribe[3:]+"/export", ""); r.status != 404 {
		t.Error("an unsubscribe link gives a copy", r.status)
	}
}

// Every standing has its words, in both languages of the site.
func TestWhatTheCentreSaysOfAStanding(t *testing.T) {
	k := start(t)
	who := func(email string) string { path, _ := k.linksOf(email); return path }
	const granted, refused, gone, waiting = "granted@atelier.example", "refused@atelier.example", "gone@atelier.example", "waiting@atelier.example"
	k.press(who(granted), k.get(who(granted)), `value="newsletter"`, "do", "on")
	k.press(who(refused), k.get(who(refused)), `value="newsletter"`, "do", "off")
	k.press(who(gone), k.get(who(gone)), `value="newsletter"`, "do", "on")
	k.press(who(gone), k.get(who(gone)), `value="newsletter"`, "do", "off")
	k.sign(k.signUp(waiting))
	for email, want := range map[string][2]string{granted: {"Accepté le", "Accepted on"}, refused: {"Refusé le", "Refused on"}, gone: {"Arrêté le", "Stopped on"},
		waiting: {"Demandé le", "Asked for on"}, "new@atelier.example": {"Vous n’avez pas encore choisi", "You have not chosen yet"}} {
		for i, lang := range []string{"fr", "en"} {
			if r := k.get(who(email) + "?lang=" + lang); !strings.Contains(r.body, want[i]) {
				t.Errorf("%s in %s does not say %q", email, lang, want[i])
			}
		}
	}
	k.clock.advance(3*365*24*time.Hour + time.Hour)
	path := "/p/" + k.token(link.Token{Kind: link.Centre, Site: "atelier", Subject: k.keyOf(granted), SubjectKind: consent.KindEmail, Expires: k.ledger.Now() + millis(time.Hour)})
	if r := k.get(path); !strings.Contains(r.body, "expiré depuis") {
		t.Error("three years later", r.body)
	}
}

func (k *kit) keyOf(email string) consent.SubjectKey {
	st, _ := k.sites.Get("atelier")
	return st.Keyer.Key(consent.Subject{Kind: consent.KindEmail, Value: email})
}

// A link for an account, or for a key, has no address to show and none to correct.
func TestTheCentreOfAnAccount(t *testing.T) {
	k := start(t)
	path := "/p/" + k.token(link.Token{Kind: link.Centre, Site: "atelier", Subject: consent.SubjectKey{1}, SubjectKind: consent.KindExternal, Expires: 1 << 45})
	page := k.get(path)
	if strings.Contains(page.body, `name="email"`) || !strings.Contains(page.body, "dpo@atelier.example") {
		t.Error(page.body)
	}
	if r := k.do("POST", path, "do=correct&email=a%40b.example", asForm); r.status != 422 || len(k.mail.settled(t)) != 0 {
		t.Error(r.status)
	}
	k.press(path, page, `value="newsletter"`, "do", "on")
	if p := k.last(); p.Personal.Kind != consent.KindExternal || len(p.Personal.Identifier) != 0 || p.Personal.Subject != (consent.SubjectKey{1}) {
		t.Errorf("%+v", p.Personal)
	}
}

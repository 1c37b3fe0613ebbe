package widget_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// listen keeps what consentd.on('form') tells.
const listen = `<script>(window.consentd = window.consentd || []).push(["on", "form", e => (window.told ||= []).push(e)])</script>`

// outcome is the detail of consentd:form.
type outcome struct {
	Form, Proof, Status string
	Decisions           map[string]bool
}

// told waits for n outcomes.
func told(t *testing.T, tab *widgettest.Tab, n int) []outcome {
	t.Helper()
	tab.Until(fmt.Sprintf("(window.told ?? []).length >= %d", n))
	all := widgettest.Eval[[]outcome](tab, "window.told")
	if len(all) != n {
		t.Fatalf("told %+v", all)
	}
	return all
}

const formOutbox = `localStorage.consentd_shop_forms`

// formFocus names what has the focus, through shadow roots.
const formFocus = `(() => { let el = document.activeElement; while (el?.shadowRoot?.activeElement) el = el.shadowRoot.activeElement; return el.name || el.id || el.type || el.textContent })()`

func TestSigningUpWithTheKeyboardAlone(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{head: listen, body: formPage("newsletter")})
	s.reply = `{"status":"pending"}`
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL + "/rayon?utm=1#top")
	tab.Until(inForm("#title"))
	prompt := got(t, s, &s.prompts, 1)[0]
	if prompt.Surface != "form:newsletter" || prompt.Wording != s.hash("form:newsletter", "en") || prompt.Locale != "en" || prompt.Page != s.site.URL+"/rayon" || version(t, prompt.Prompt) != 4 {
		t.Errorf("prompt %+v", prompt)
	}
	var path []string
	press := func(keys string) {
		tab.Key(keys)
		path = append(path, widgettest.Eval[string](tab, formFocus))
	}
	press("\t")
	tab.Key("camille@maison.example")
	press("\t")
	tab.Key(" ") // The Alba letter
	press("\t")
	press("\t")
	press("\t") // the first partner's policy
	press("\t") // the shop's
	press("\t")
	if want := "email newsletter opens partners Fil & Aiguille Privacy policy submit"; strings.Join(path, " ") != want {
		t.Errorf("the keyboard's path is %s", path)
	}
	tab.Key("\r")
	c := got(t, s, &s.consents, 1)[0]
	if version(t, c.ID) != 7 || c.Subject.Email != "camille@maison.example" || c.Subject.Device+c.Subject.Phone+c.Device != "" ||
		c.Surface != "form:newsletter" || c.Method != "custom" || c.Wording != prompt.Wording || c.Locale != "en" ||
		c.Page != s.site.URL+"/rayon" || c.Prompt != prompt.Prompt || c.Trap == nil || *c.Trap != "" || c.Took == nil || *c.Took < 1 || !strings.HasPrefix(c.Type, "text/plain") {
		t.Errorf("consent %+v", c)
	}
	if want := map[string]bool{"newsletter": true, "opens": false, "partners": false}; !maps.Equal(c.Decisions, want) {
		t.Errorf("decisions %v", c.Decisions)
	}
	tab.Until(inForm("#change"))
	if at := widgettest.Eval[string](tab, formFocus); at != "One more step" {
		t.Errorf("the focus went to %q", at)
	}
	if said := widgettest.Eval[string](tab, inForm("[role=status]")+".textContent"); !strings.Contains(said, "camille@maison.example") {
		t.Errorf("it says %q", said)
	}
	if e := told(t, tab, 1)[0]; e.Form != "newsletter" || e.Proof != c.ID || e.Status != "pending" || !maps.Equal(e.Decisions, c.Decisions) {
		t.Errorf("told %+v", e)
	}
	tab.Until("!" + formOutbox)
	// A wrong address is corrected where it was given.
	tab.Key("\t")
	tab.Key("\r")
	if at := widgettest.Eval[string](tab, formFocus); at != "email" {
		t.Errorf("the focus went to %q", at)
	}
	tab.Key("n")
	tab.Key("\r")
	if c := got(t, s, &s.consents, 2)[1]; !strings.Contains(c.Subject.Email, "n") || !c.Decisions["newsletter"] {
		t.Errorf("consent %+v", c)
	}
	quiet(t, tab)
}

// The device is named where its visitor agreed to something on the banner, and only there.
func TestTheDeviceIsNamedOnlyWithLeave(t *testing.T) {
	for analytics, want := range map[string]string{"1": aDevice, "0": ""} {
		s := newStand(t, input(t, formShop()), page{body: formPage("newsletter")})
		tab := newTab(t)
		tab.BeforeScripts(s.chosen(analytics))
		tab.Open(s.site.URL)
		tab.Until(inForm("#title"))
		enter(tab, "email", "a@b.example")
		click(tab, inForm("[name=opens]"))
		click(tab, inForm("[type=submit]"))
		if c := got(t, s, &s.consents, 1)[0]; c.Device != want {
			t.Errorf("analytics %s: device %q", analytics, c.Device)
		}
	}
}

// shownForm reads a form of ours back from the screen, as a wording document.
const shownForm = `(() => {
	const root = document.querySelector("consentd-form").shadowRoot, words = el => el?.checkVisibility({opacityProperty: true, visibilityProperty: true}) ? el.textContent : "";
	const [name, contact] = root.querySelectorAll(".ask > .legal span"), link = root.querySelector(".ask > .legal a");
	return {
		locale: root.host.lang, title: words(root.querySelector("h2")), text: words(root.querySelector("h2 + p")),
		links: [{rel: "policy", text: words(link), href: link.getAttribute("href")}], controller: {name: words(name), contact: words(contact)},
		buttons: {submit: words(root.querySelector("[type=submit]"))},
		fields: [...root.querySelectorAll(".field")].map(f => {
			const optional = f.querySelector("small"), label = f.querySelector("label").firstChild.data;
			return {kind: f.querySelector("input").name, label, hint: words(f.querySelector(".hint")), required: !optional && f.querySelector("input").ariaRequired === "true"};
		}),
		purposes: [...root.querySelectorAll("li")].map(li => ({
			id: li.querySelector("input").name, title: words(li.querySelector("label b")), text: words(li.querySelector("p")), basis: "consent", required: false,
			default: li.querySelector("input").checked, services: [...li.querySelectorAll(".legal")].map(s => ({
				name: words(s.firstChild), provider: words(s.children[1]), policy: s.querySelector("a")?.getAttribute("href") ?? ""})),
		})),
	};
})()`

func TestAFormSaysWhatItsHashStandsFor(t *testing.T) {
	for _, form := range []string{"newsletter", "callback"} {
		for _, locale := range []string{"fr", "en"} {
			s := newStand(t, input(t, formShop()), page{lang: locale, body: formPage(form)})
			tab := newTab(t)
			tab.BeforeScripts(s.chosen("0"))
			tab.Open(s.site.URL)
			tab.Until(inForm("#title"))
			w := widgettest.Eval[consent.Wording](tab, shownForm)
			w.V, w.Site, w.Surface, w.Revision = 1, "shop", "form:"+form, 1
			for i := range w.Purposes {
				if w.Purposes[i].Services == nil {
					w.Purposes[i].Services = []consent.ShownService{}
				}
			}
			again, err := w.Publish()
			if err != nil || again.Hash.String() != s.hash("form:"+form, locale) {
				t.Errorf("%s in %s shows\n%s", form, locale, again.Doc)
			}
			if p := got(t, s, &s.prompts, 1)[0]; p.Wording != again.Hash.String() {
				t.Errorf("prompt %+v", p)
			}
		}
	}
}

func TestFaultsAreSaidWhereTheyAre(t *testing.T) {
	s, tab := visitForms(t, page{body: formPage("callback")})
	tab.Until(inForm("#title"))
	faults := func() string {
		return widgettest.Eval[string](tab, `[...`+formRoot+`.querySelectorAll("input[aria-invalid=true]")].map(el => el.name + ": " + el.getAttribute("aria-describedby").split(" ").map(id => `+formRoot+`.getElementById(id)).filter(e => e.classList.contains("error")).map(e => e.textContent)).join("; ") + " @ " + `+formFocus)
	}
	check := func(when, want string) {
		t.Helper()
		if got := faults(); got != want {
			t.Errorf("%s:\n got %s\nwant %s", when, got, want)
		}
	}
	click(tab, inForm("[type=submit]"))
	check("nothing given", "email: Give an e-mail address or a phone number.; phone: Give an e-mail address or a phone number.; sms: Tick at least one box.; newsletter: Tick at least one box. @ email")
	enter(tab, "phone", "06 12")
	click(tab, inForm("[name=sms]"))
	click(tab, inForm("[type=submit]"))
	check("half a number", "phone: This number is not valid. Example: +33 6 39 98 12 34 @ phone")
	enter(tab, "phone", "06 12 34 56 78")
	check("a whole number", " @ phone")
	enter(tab, "email", "a@b")
	check("half an address", "email: This e-mail address is not valid. Example: name@example.com @ phone")
	got(t, s, &s.consents, 0)
	enter(tab, "email", "")
	check("no address: one of the two is enough", " @ phone")
	click(tab, inForm("[type=submit]"))
	if c := got(t, s, &s.consents, 1)[0]; c.Subject.Phone != "06 12 34 56 78" || c.Subject.Email != "" {
		t.Errorf("consent %+v", c)
	}
	tab.Until(inForm("[role=status] svg"))
	if said := widgettest.Eval[string](tab, inForm("[role=status]")+".textContent"); !strings.Contains(said, "We will let you know.") {
		t.Errorf("it says %q", said)
	}
	quiet(t, tab)
}

func TestTwoIdentifiersAreTwoProofs(t *testing.T) {
	s, tab := visitForms(t, page{head: listen, body: formPage("callback")})
	tab.Until(inForm("#title"))
	enter(tab, "email", "a@b.example")
	enter(tab, "phone", "+33 6 12 34 56 78")
	click(tab, inForm("[name=sms]"))
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	all := got(t, s, &s.consents, 2)
	if all[0].Subject.Email == "" || all[1].Subject.Phone == "" || all[0].ID == all[1].ID || all[0].Method != "accept_all" || !maps.Equal(all[0].Decisions, all[1].Decisions) {
		t.Errorf("consents %+v", all)
	}
	tab.Until(inForm("[role=status] svg"))
	for i, e := range told(t, tab, 2) {
		if e.Proof != all[i].ID || e.Status != "recorded" {
			t.Errorf("told %+v", e)
		}
	}
}

func TestTheEdgeMayNotTakeAnAddress(t *testing.T) {
	s, tab := visitForms(t, page{head: listen, body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	s.set(func(s *stand) {
		s.refuse = func(w http.ResponseWriter, p post) bool {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"code":"invalid","errors":[{"pointer":"/subject/email","code":"invalid_subject"}]}`)
			return true
		}
	})
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#email[aria-invalid=true]"))
	if at := widgettest.Eval[string](tab, formFocus); at != "email" {
		t.Errorf("the focus is at %q", at)
	}
	if said := widgettest.Eval[string](tab, inForm("[role=status]")+".textContent"); said != "" {
		t.Errorf("it also says %q", said)
	}
	s.set(func(s *stand) { s.refuse = nil })
	enter(tab, "email", "a@c.example")
	click(tab, inForm("[type=submit]"))
	if c := got(t, s, &s.consents, 1)[0]; c.Subject.Email != "a@c.example" {
		t.Errorf("consent %+v", c)
	}
	if all := told(t, tab, 2); all[0].Status != "refused" || all[1].Status != "recorded" {
		t.Errorf("told %+v", all)
	}
}

func TestAFormSentOfflineArrivesOnce(t *testing.T) {
	s, tab := visitForms(t, page{head: listen, body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	var tried post
	s.set(func(s *stand) {
		s.refuse = func(w http.ResponseWriter, p post) bool { s.set(func(*stand) { tried = p }); return hangUp(w, p) }
	})
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#retry"))
	if e := told(t, tab, 1)[0]; e.Status != "waiting" {
		t.Errorf("told %+v", e)
	}
	s.set(func(s *stand) { s.refuse, s.page.body = nil, "" })
	tab.Reload() // a page without a form
	if c := got(t, s, &s.consents, 1)[0]; c.ID != tried.ID || c.Subject.Email != "a@b.example" {
		t.Errorf("tried %+v, then came %+v", tried, c)
	}
	tab.Until("!" + formOutbox)
	tab.Reload()
	tab.Until("window.consentd?.get")
	got(t, s, &s.consents, 1)
}

// The connection comes back while the page still stands there: the same panel says what came of it.
func TestAFormWaitsForTheConnection(t *testing.T) {
	s, tab := visitForms(t, page{head: listen, body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	s.set(func(s *stand) { s.refuse, s.reply = hangUp, `{"status":"pending"}` })
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#retry"))
	s.set(func(s *stand) { s.refuse = nil })
	widgettest.Eval[bool](tab, `(dispatchEvent(new Event("online")), true)`)
	tab.Until(inForm("#change"))
	got(t, s, &s.consents, 1)
	if all := told(t, tab, 2); all[1].Status != "pending" || all[0].Proof != all[1].Proof {
		t.Errorf("told %+v", all)
	}
}

// Nothing says that the edge is back: it is asked again after a while.
func TestAFormIsSentAgainByItself(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{body: formPage("newsletter")})
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.BeforeScripts(`{ const real = setTimeout; window.setTimeout = (fn, ms) => real(fn, ms === 2e4 ? 200 : ms) }`)
	tab.Open(s.site.URL)
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	s.set(func(s *stand) { s.refuse = hangUp })
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#retry"))
	s.set(func(s *stand) { s.refuse = nil })
	tab.Until(inForm("[role=status] svg") + " && !" + inForm("#retry"))
	got(t, s, &s.consents, 1)
}

// Nobody looks at a button that is sending for ever: after ten seconds it is said that it will be sent later.
func TestAFormWhoseEdgeHangs(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{body: formPage("newsletter")})
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.BeforeScripts(`{ const real = setTimeout; window.setTimeout = (fn, ms) => real(fn, ms === 1e4 ? 100 : ms) }`)
	tab.Open(s.site.URL)
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	release := make(chan bool)
	s.set(func(s *stand) {
		s.refuse = func(http.ResponseWriter, post) bool { <-release; return false }
	})
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	tab.Until(inForm("#retry"))
	close(release)
	tab.Until(inForm("[role=status] svg") + " && !" + inForm("#retry"))
	got(t, s, &s.consents, 1)
}

func TestAFormMayLeadToAPage(t *testing.T) {
	site := formShop()
	site.Forms[0].Redirect = consent.Text{"fr": "/merci", "en": "/thanks"}
	s := newStand(t, input(t, site), page{body: formPage("newsletter")})
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL)
	tab.Until(inForm("#title"))
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	tab.Until(`location.pathname === "/thanks"`)
	got(t, s, &s.consents, 1)
}

// A robot fills what nobody sees; the edge is told, and decides.
func TestTheTrapIsReported(t *testing.T) {
	s, tab := visitForms(t, page{body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	if widgettest.Eval[bool](tab, `(r => r.width > 60 && getComputedStyle(`+inForm(".trap")+`).clipPath === "none")(`+inForm(".trap")+`.getBoundingClientRect())`) {
		t.Error("the trap is on the screen")
	}
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	widgettest.Eval[bool](tab, `(el => (el.value = "https://spam.example", true))(`+inForm(".trap")+`)`)
	click(tab, inForm("[type=submit]"))
	if c := got(t, s, &s.consents, 1)[0]; c.Trap == nil || *c.Trap != "https://spam.example" {
		t.Errorf("consent %+v", c)
	}
}

// Forms come with the pages of an application: later, in another language, and under names nobody knows.
func TestFormsAddedLater(t *testing.T) {
	s, tab := visitForms(t, page{lang: "fr", body: `<main><h1>Alba</h1></main>`})
	widgettest.Eval[bool](tab, `(document.querySelector("main").innerHTML = '<section lang="en-GB"><div data-consentd-form="newsletter"></div></section><div id="x" data-consentd-form="nobody"></div><form id="y" data-consentd-form="newsletter"></form><div id="z" data-consentd-form="contact"></div>', true)`)
	tab.Until(inForm("#title"))
	if p := got(t, s, &s.prompts, 1)[0]; p.Wording != s.hash("form:newsletter", "en") || p.Locale != "en" {
		t.Errorf("prompt %+v", p)
	}
	for _, id := range []string{"div#x", "form#y", "div#z"} {
		tab.Heard("check data-consentd-form: " + id)
	}
	if n := len(tab.Messages()); n != 3 {
		t.Errorf("%d messages: %s", n, tab.Messages())
	}
}

// What is out of view is not displayed.
func TestAFormIsDisplayedWhenItIsInView(t *testing.T) {
	s, tab := visitForms(t, page{body: `<main style="padding-top:3000px">` + formPage("newsletter") + `</main>`})
	tab.Until(inForm("#title"))
	widgettest.Eval[bool](tab, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	got(t, s, &s.prompts, 0)
	widgettest.Eval[bool](tab, `(document.querySelector("consentd-form").scrollIntoView(), true)`)
	got(t, s, &s.prompts, 1)
	widgettest.Eval[bool](tab, `(scrollTo(0, 0), new Promise(done => requestAnimationFrame(() => { document.querySelector("consentd-form").scrollIntoView(); requestAnimationFrame(() => done(true)) })))`)
	got(t, s, &s.prompts, 1)
}

func TestFormsUnderStrictPoliciesAndHostileStyles(t *testing.T) {
	const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-x'; connect-src EDGE; form-action 'none'; require-trusted-types-for 'script'"
	const hostile = `<style>html { font-size: 3px } * { color: red !important; text-transform: uppercase !important } input, form, button, label { display: none !important; appearance: none !important; width: 1px !important }</style>`
	s, tab := visitForms(t, page{policy: policy, head: hostile, body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	if h := widgettest.Eval[float64](tab, inForm("#email")+".getBoundingClientRect().height"); h < 40 {
		t.Errorf("a field is %v high", h)
	}
	if got := widgettest.Eval[string](tab, "getComputedStyle("+inForm("label")+").textTransform"); got != "none" {
		t.Errorf("the page's text-transform reaches in: %s", got)
	}
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	got(t, s, &s.consents, 1)
	tab.Until(inForm("[role=status] svg"))
	quiet(t, tab)
}

// A page that replaces what the language has.
func TestFormsOnAPageThatBreaksTheLanguage(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{body: formPage("newsletter")})
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.BeforeScripts(broken)
	tab.Open(s.site.URL)
	tab.Until(inForm("#title"))
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	got(t, s, &s.consents, 1) // by beacon
	tab.Until(inForm("#retry"))
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") || strings.Contains(m, "consentd:") {
			t.Error(m)
		}
	}
}

func TestFormsWithoutABanner(t *testing.T) {
	s := newStand(t, input(t, withoutBanner(formShop())), page{head: listen, body: formPage("newsletter")})
	tab := newTab(t)
	tab.BeforeScripts(`Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`)
	tab.Open(s.site.URL)
	tab.Until(inForm("#title"))
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	click(tab, inForm("[type=submit]"))
	c := got(t, s, &s.consents, 1)[0]
	if c.Surface != "form:newsletter" || c.Device != "" {
		t.Errorf("consent %+v", c)
	}
	told(t, tab, 1)
	if kept := widgettest.Eval[string](tab, stored); kept != "" {
		t.Errorf("kept: %s", kept)
	}
	quiet(t, tab)
}

// Whoever leaves while it is being sent has sent it.
func TestLeavingWhileAFormIsSent(t *testing.T) {
	s, tab := visitForms(t, page{body: formPage("newsletter")})
	tab.Until(inForm("#title"))
	got(t, s, &s.prompts, 1)
	enter(tab, "email", "a@b.example")
	click(tab, inForm("[name=newsletter]"))
	widgettest.Eval[bool](tab, "("+inForm("[type=submit]")+`.click(), location.href = "about:blank", true)`)
	got(t, s, &s.consents, 1)
}

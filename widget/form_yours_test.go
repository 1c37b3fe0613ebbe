package widget_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// contact is a page's own form, as people write them: labels around boxes and beside them, notes, fields that are
// nobody's business.
const contact = `<style>body{margin:0;font:17px/1.6 system-ui,sans-serif;color:#222;background:#f7f4ee}main{padding:2rem 6%;max-width:40rem;margin:auto}
form>p>input,textarea{display:block;width:100%;box-sizing:border-box;padding:.6rem;font:inherit}.hidden{display:none}small{display:block;color:#666}</style>
<main><h1>Alba</h1>
<form data-consentd-form="contact" action="/send" method="post">
	<h2>Write  to
		us</h2>
	<p><label for="name">Your name</label><input id="name" name="name" value="Camille"></p>
	<p><label for="mail">Your e-mail <b>address</b></label><input id="mail" name="mail" type="email" required aria-describedby="why"><small id="why">To answer you.</small></p>
	<p><label>Message<textarea name="message">secret words</textarea></label></p>
	<p class="hidden">Nobody sees this.</p>
	<div role="status">camille@maison.example is fine</div>
	<p data-consentd-ignore>Hello Camille</p>
	<div><input type="checkbox" id="n" name="n" data-purpose="newsletter"><label for="n">Send me the Alba letter</label>
		<p>One letter a month.<br>Unsubscribe <a href="/en/letters?x=1#how">any time</a>.</p></div>
	<label id="p"><input type="checkbox" name="p" data-purpose="partners"> Pass my address to <a href="https://fil.example/vie-privee">Fil &amp; Aiguille</a></label>
	<p>We keep your message for a year. <a href="/en/privacy" rel="privacy-policy">Privacy
		policy</a> · <a href="mailto:a@b.example">Write</a></p>
	<button name="go" value="1">Send <span>now</span></button><button type="button">Cancel</button>
</form></main>`

// contactDoc is what it says, but for what a test says otherwise.
const contactDoc = `{"buttons":{"submit":"Send now"},"controller":{"contact":"donnees@maison-alba.example","name":"Maison Alba SAS"},` +
	`"fields":[{"hint":"To answer you.","kind":"email","label":"Your e-mail address","required":true}],` +
	`"links":[{"href":"SITE/en/letters?x=1#how","rel":"link","text":"any time"},{"href":"https://fil.example/vie-privee","rel":"link","text":"Fil & Aiguille"},` +
	`{"href":"SITE/en/privacy","rel":"policy","text":"Privacy policy"}],"locale":"en",` +
	`"purposes":[{"basis":"consent","default":false,"id":"newsletter","required":false,"services":[],"text":"One letter a month.\nUnsubscribe any time.","title":"Send me the Alba letter"},` +
	`{"basis":"consent","default":false,"id":"partners","required":false,"services":[],"text":"","title":"Pass my address to Fil & Aiguille"}],` +
	`"revision":1,"site":"shop","surface":"form:contact","text":"We keep your message for a year. Privacy policy · Write","title":"Write to us","v":1}`

// handled keeps the page's own submissions from leaving, and notes when its handler ran and what it would have sent.
const handled = `<script>addEventListener("submit", e => { e.preventDefault(); (window.submitted ||= []).push({rang: [...window.rang ?? []], data: Object.fromEntries(new FormData(e.target, e.submitter))}) })</script>`

type submission struct {
	Rang []int // which alarms had gone off by then
	Data map[string]string
}

// pressing is a statement that sets an alarm before press, a statement, and one after it: what the press does after
// n ms is done between the two, if n lies between theirs, however long the machine takes for it all.
func pressing(press string) string {
	return `window.rang = []; ` + alarm(200) + press + `; ` + alarm(300)
}

func alarm(ms int) string {
	return fmt.Sprintf(`setTimeout(rang => rang.push(%d), %[1]d, window.rang); `, ms)
}

// fill answers the page's form as a person does, and presses its button; it reports whether the page's own handler
// ran at once.
func fill(tab *widgettest.Tab, boxes ...string) bool {
	for _, id := range boxes {
		click(tab, fmt.Sprintf("document.querySelector(%q)", id))
	}
	return widgettest.Eval[bool](tab, `(before => {
		document.getElementById("mail").value = " camille@maison.example ";
		`+pressing(`document.querySelector("[name=go]").click()`)+`
		return (window.submitted ?? []).length > before;
	})((window.submitted ?? []).length)`)
}

// submitted waits for the n-th time the page's own handler has run.
func submitted(tab *widgettest.Tab, n int) submission {
	tab.Until(fmt.Sprintf("(window.submitted ?? []).length >= %d", n))
	return widgettest.Eval[[]submission](tab, "window.submitted")[n-1]
}

func (s *stand) wordingsMade() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.docs)
}

func TestThePagesOwnForm(t *testing.T) {
	s, tab := visitForms(t, page{head: listen, body: contact})
	prompt := got(t, s, &s.prompts, 1)[0]
	docs := s.wordingsMade()
	if want := strings.ReplaceAll(contactDoc, "SITE", s.site.URL); len(docs) != 1 || docs[0] != want {
		t.Fatalf("the wording is\n%s\nwant\n%s", docs, want)
	}
	if prompt.Surface != "form:contact" || prompt.Wording != hashOf(docs[0]) || prompt.Locale != "en" || prompt.Page != s.site.URL+"/rayon" {
		t.Errorf("prompt %+v", prompt)
	}
	fill(tab, "#n")
	c := got(t, s, &s.consents, 1)[0]
	if c.Subject.Email != "camille@maison.example" || c.Surface != "form:contact" || c.Method != "custom" || c.Wording != prompt.Wording || c.Prompt != prompt.Prompt ||
		c.Trap != nil || c.Took == nil || c.Device != "" || !maps.Equal(c.Decisions, map[string]bool{"newsletter": true, "partners": false}) {
		t.Errorf("consent %+v", c)
	}
	tab.Until(`location.pathname === "/send"`)
	form := s.forms()[0]
	if form.Get("consentd_proof") != c.ID || form.Get("go") != "1" || form.Get("message") != "secret words" {
		t.Errorf("the page sent %v", form)
	}
	// What is in other fields goes nowhere else.
	all, _ := json.Marshal([]any{c, docs, prompt})
	for _, secret := range []string{"secret", "Camille", "Your name", "Message", "Nobody sees"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("%q was read", secret)
		}
	}
	tab.Until("!" + formOutbox) // the next page has heard the answer
}

// A wording the edge knows already is not sent again, and nothing is held up.
func TestAKnownWordingIsNotSentAgain(t *testing.T) {
	s, tab := visitForms(t, page{head: handled + listen, body: contact})
	got(t, s, &s.prompts, 1)
	tab.Reload()
	got(t, s, &s.prompts, 2)
	tab.Until(`window.consentd?.get && ` + promptsAnswered(1)) // only then does the page know that the edge does
	if !fill(tab, "#n", "#p input") {
		t.Error("the page's submission was held up")
	}
	if got := submitted(tab, 1); got.Data["consentd_proof"] == "" {
		t.Errorf("submitted %+v", got)
	}
	c := got(t, s, &s.consents, 1)[0]
	if c.Method != "accept_all" || len(s.wordingsMade()) != 1 {
		t.Errorf("consent %+v, wordings %s", c, s.wordingsMade())
	}
	if e := told(t, tab, 1)[0]; e.Form != "contact" || e.Proof != c.ID || e.Status != "recorded" {
		t.Errorf("told %+v", e)
	}
	// Submitted again, for the page wanted something corrected: one answer, one proof.
	fill(tab)
	if got := submitted(tab, 2); got.Data["consentd_proof"] != c.ID {
		t.Errorf("submitted %+v, the proof is %s", got, c.ID)
	}
	fill(tab, "#n")
	if got := got(t, s, &s.consents, 2)[1]; submitted(tab, 3).Data["consentd_proof"] != got.ID || got.Decisions["newsletter"] {
		t.Errorf("consent %+v", got)
	}
	tab.Until("!" + formOutbox)
}

func TestOneLetterMakesAnotherWording(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: contact})
	got(t, s, &s.prompts, 1)
	widgettest.Eval[bool](tab, `(document.querySelector("[for=n]").textContent = "Send me the Alba lettes", true)`)
	fill(tab, "#n")
	c := got(t, s, &s.consents, 1)[0]
	docs := s.wordingsMade()
	if len(docs) != 2 || c.Wording != hashOf(docs[1]) || hashOf(docs[0]) == hashOf(docs[1]) || !strings.Contains(docs[0], "Alba letter\"") || !strings.Contains(docs[1], "Alba lettes\"") {
		t.Errorf("consent %+v under\n%s", c, strings.Join(docs, "\n"))
	}
	if got := submitted(tab, 1); got.Data["go"] != "1" || got.Data["consentd_proof"] != c.ID {
		t.Errorf("submitted %+v", got)
	}
}

// The hash is right whatever the length of the text is, and whatever stands in it.
func TestHashesOfEveryLength(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: contact})
	got(t, s, &s.prompts, 1)
	texts := []string{"\"quoted\" \\ and / \u2028\u2029 \u00e9 e\u0301 \U0001F36A \x01\x1f\x7f \ufeff|", hostile[:len(hostile)-1]}
	for n := range 66 {
		texts = append(texts, strings.Repeat("x", n+1))
	}
	for i, text := range texts {
		js, _ := json.Marshal(text)
		widgettest.Eval[bool](tab, fmt.Sprintf(`(document.querySelector("[for=n]").textContent = %s, true)`, js))
		fill(tab)
		c := got(t, s, &s.consents, i+1)[i] // which the stand takes only under a hash it knows
		docs := s.wordingsMade()
		if c.Wording != hashOf(docs[i+1]) {
			t.Fatalf("the hash of %s is %s", docs[i+1], c.Wording)
		}
		submitted(tab, i+1)
	}
	// Half a character is no text.
	widgettest.Eval[bool](tab, `(document.querySelector("[for=n]").textContent = "a\ud83d!\udf6ab", true)`)
	fill(tab)
	got(t, s, &s.consents, len(texts)+1)
	if docs := s.wordingsMade(); !strings.Contains(docs[len(docs)-1], `"a�!�b"`) {
		t.Errorf("%s", docs[len(docs)-1])
	}
}

// However long the edge takes, the page's form is gone within 300 ms; what was said then arrives later.
func TestSubmittingWhileTheEdgeHangs(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{head: handled + listen, body: contact})
	release := make(chan bool)
	s.refuse = func(w http.ResponseWriter, p post) bool {
		<-release
		return hangUp(w, p)
	}
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL)
	tab.Until("window.consentd?.get")
	if fill(tab, "#n") {
		t.Error("the page's submission did not wait at all") // the control: it is the edge that is waited for
	}
	first := submitted(tab, 1)
	if first.Data["consentd_proof"] == "" || first.Data["go"] != "1" {
		t.Errorf("submitted %+v", first)
	}
	// By a program, and with Enter.
	widgettest.Eval[bool](tab, `(() => { document.querySelector("#n").click(); `+pressing(`document.forms[0].requestSubmit()`)+`return true })()`)
	second := submitted(tab, 2)
	if second.Data["consentd_proof"] == first.Data["consentd_proof"] {
		t.Errorf("submitted %+v", second)
	}
	widgettest.Eval[bool](tab, `(() => {
		document.querySelector("#n").click();
		document.querySelector("#mail").focus();
		addEventListener("keydown", () => { window.rang = []; `+alarm(200)+`});
		addEventListener("keyup", () => { `+alarm(300)+`});
		return true;
	})()`)
	tab.Key("\r")
	third := submitted(tab, 3)
	if third.Data["go"] != "1" {
		t.Errorf("submitted %+v", third)
	}
	for _, s := range []submission{first, second, third} {
		if !slices.Equal(s.Rang, []int{200}) {
			t.Errorf("submitted after %v ms", s.Rang)
		}
	}
	got(t, s, &s.consents, 0)
	close(release)
	tab.Heard("/wordings")
	s.set(func(s *stand) { s.refuse, s.page.body = nil, "" })
	tab.Reload()
	all := got(t, s, &s.consents, 3)
	slices.SortFunc(all, func(a, b post) int { return strings.Compare(a.ID, b.ID) }) // beacons overtake each other
	if all[0].ID != first.Data["consentd_proof"] || all[2].ID != third.Data["consentd_proof"] || len(s.wordingsMade()) != 1 || all[0].Wording != hashOf(s.wordingsMade()[0]) {
		t.Errorf("consents %+v", all)
	}
	tab.Until("!" + formOutbox)
	tab.Reload()
	tab.Until("window.consentd?.get")
	got(t, s, &s.consents, 3)
}

// The page is left at once, by the browser's own submission, while the edge is away.
func TestLeavingWhileTheEdgeIsAway(t *testing.T) {
	s, tab := visitForms(t, page{body: contact})
	got(t, s, &s.prompts, 1)
	s.set(func(s *stand) { s.refuse = hangUp })
	widgettest.Eval[bool](tab, `(document.querySelector("h2").textContent = "New words", true)`)
	fill(tab, "#n")
	tab.Until(`location.pathname === "/send"`)
	proof := s.forms()[0].Get("consentd_proof")
	s.set(func(s *stand) { s.refuse = nil })
	tab.Reload()
	if c := got(t, s, &s.consents, 1)[0]; c.ID != proof {
		t.Errorf("the page sent %s, then came %+v", proof, c)
	}
}

func TestBoxesTickedByDefaultAreNoConsent(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: strings.ReplaceAll(contact, `id="n" `, `id="n" checked `)})
	got(t, s, &s.prompts, 1)
	tab.Heard("check checked: input#n")
	fill(tab, "#p input")
	c := got(t, s, &s.consents, 1)[0]
	if !maps.Equal(c.Decisions, map[string]bool{"newsletter": false, "partners": true}) || !strings.Contains(s.wordingsMade()[0], `"default":true,"id":"newsletter"`) {
		t.Errorf("consent %+v under %s", c, s.wordingsMade())
	}
	submitted(tab, 1)
	if n := len(slices.DeleteFunc(tab.Messages(), func(m string) bool { return !strings.Contains(m, "check checked") })); n != 1 {
		t.Errorf("said %d times: %s", n, tab.Messages())
	}
}

func TestWhatAFormDoesNotSay(t *testing.T) {
	for name, c := range map[string]struct {
		body    string // of the form
		boxes   string // the purposes of the wording, as JSON
		heard   string // a warning
		decided map[string]bool
	}{
		"a box without words": {`<input type="checkbox" data-purpose="newsletter" id="n"><br><label><input type="checkbox" data-purpose="partners">Partners</label>`,
			`[partners Partners ]`, "check label: input#n", map[string]bool{"partners": false}},
		"words that stand beside a bare box": {`<input type="checkbox" data-purpose="newsletter" id="n"> The letter, <i>monthly</i><br><input type="checkbox" data-purpose="partners"> Partners`,
			`[newsletter The letter, monthly ][partners Partners ]`, "", map[string]bool{"newsletter": true, "partners": false}},
		"words that stand around a bare box": {`<p><input type="checkbox" data-purpose="newsletter" id="n"><span>The letter</span></p>`,
			`[newsletter The letter ]`, "", map[string]bool{"newsletter": true}},
		"words by reference": {`<b id="w">The letter</b><i id="d">Monthly</i><input type="checkbox" data-purpose="newsletter" id="n" aria-labelledby="w" aria-describedby="d">`,
			`[newsletter The letter Monthly]`, "", map[string]bool{"newsletter": true}},
		"a box twice":                        {`<label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><label><input type="checkbox" data-purpose="newsletter" id="m">Again</label>`, `[newsletter The letter ]`, "check data-purpose: input#m", map[string]bool{"newsletter": true}},
		"a purpose that is not the form's":   {`<label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><label><input type="checkbox" data-purpose="ads" id="m">Ads</label>`, `[newsletter The letter ]`, "check data-purpose: input#m", map[string]bool{"newsletter": true}},
		"a purpose on what is no box":        {`<label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><label><input type="radio" data-purpose="partners" id="m">Yes</label>`, `[newsletter The letter ]`, "check data-purpose: input#m", map[string]bool{"newsletter": true}},
		"a box that a style has drawn anew":  {`<style>#n{opacity:0;position:absolute}</style><input type="checkbox" data-purpose="newsletter" id="n"><label for="n">The letter</label>`, `[newsletter The letter ]`, "", map[string]bool{"newsletter": true}},
		"a box whose words nobody can read":  {`<input type="checkbox" data-purpose="newsletter" id="n"><label for="n" style="opacity:0">The letter</label><label><input type="checkbox" data-purpose="partners">Partners</label>`, `[partners Partners ]`, "check label: input#n", map[string]bool{"partners": false}},
		"a purpose under words with markup":  {`<label><input type="checkbox" data-purpose="newsletter" id="n"><span>The</span> <em>letter</em><sup>1</sup><img alt=" (new)" src="data:,"></label>`, `[newsletter The letter1 (new) ]`, "", map[string]bool{"newsletter": true}},
		"a box in a list of boxes of others": {`<ul><li><label><input type="checkbox" name="o">Other</label></li><li><label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><small>Monthly</small></li></ul>`, `[newsletter The letter Monthly]`, "", map[string]bool{"newsletter": true}},
	} {
		t.Run(name, func(t *testing.T) {
			s, tab := visitForms(t, page{head: handled, body: `<form data-consentd-form="contact"><input id="mail" type="email" aria-label="E-mail">` + c.body + `<input type="submit" name="go" value="Send"></form>`})
			got(t, s, &s.prompts, 1)
			fill(tab, "#n")
			if p := got(t, s, &s.consents, 1)[0]; !maps.Equal(p.Decisions, c.decided) {
				t.Errorf("consent %+v", p)
			}
			docs := s.wordingsMade()
			w, err := consent.ParseWording([]byte(docs[len(docs)-1]))
			if err != nil {
				t.Fatal(err)
			}
			boxes := ""
			for _, p := range w.Purposes {
				boxes += fmt.Sprintf("[%s %s %s]", p.ID, p.Title, p.Text)
			}
			if boxes != c.boxes || w.Fields[0].Label != "E-mail" || w.Buttons["submit"] != "Send" {
				t.Errorf("the wording is %s", docs)
			}
			if c.heard != "" {
				tab.Heard(c.heard)
			} else {
				for _, m := range tab.Messages() {
					if strings.Contains(m, "consentd:") {
						t.Error(m)
					}
				}
			}
		})
	}
}

// A form of several steps is submitted when its boxes are no longer on the screen.
func TestAFormOfSeveralSteps(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: `<form data-consentd-form="contact"><fieldset id="one"><label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label></fieldset>
<fieldset id="two" hidden><input id="mail" type="email" aria-label="E-mail"><button name="go" value="1">Send</button></fieldset></form>`})
	got(t, s, &s.prompts, 1)
	click(tab, `document.querySelector("#n")`)
	widgettest.Eval[bool](tab, `(document.querySelector("#one").hidden = true, document.querySelector("#two").hidden = false, true)`)
	fill(tab)
	c := got(t, s, &s.consents, 1)[0]
	if docs := s.wordingsMade(); !c.Decisions["newsletter"] || c.Wording != hashOf(docs[len(docs)-1]) || !strings.Contains(docs[len(docs)-1], `"title":"The letter"`) {
		t.Errorf("consent %+v under %s", c, docs)
	}
}

// Nothing is known of who did not say who they are, or of a form without its field.
func TestNobodysAnswerIsNotRecorded(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: `<form data-consentd-form="contact" id="f"><label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><button name="go">Send</button></form>`})
	got(t, s, &s.prompts, 1)
	tab.Heard("check data-consentd-field: form#f")
	click(tab, `document.querySelector("[name=go]")`)
	if got := submitted(tab, 1); got.Data["consentd_proof"] != "" {
		t.Errorf("submitted %+v", got)
	}
	got(t, s, &s.consents, 0)
	if kept := widgettest.Eval[string](tab, "Object.keys(localStorage).join()"); kept != "consentd_shop" {
		t.Errorf("kept: %s", kept)
	}
}

func TestFieldsAreFoundByTypeOrMark(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: `<form data-consentd-form="contact"><input type="email" value="other@b.example" aria-label="Friend"><input id="mail" data-consentd-field="email" aria-label="You">
<input type="tel" value="+33612345678" aria-label="Phone"><label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><button name="go">Send</button></form>`})
	got(t, s, &s.prompts, 1)
	fill(tab, "#n")
	all := got(t, s, &s.consents, 2)
	if all[0].Subject.Email != "camille@maison.example" || all[1].Subject.Phone != "+33612345678" {
		t.Errorf("consents %+v", all)
	}
	if proof := submitted(tab, 1).Data["consentd_proof"]; proof != all[0].ID+" "+all[1].ID {
		t.Errorf("the page would send %q", proof)
	}
}

// An event a page makes up submits nothing, and must not.
func TestAnEventThatSubmitsNothing(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{body: contact})
	s.refuse = hangUp
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL)
	tab.Until("window.consentd?.get")
	widgettest.Eval[bool](tab, `(document.getElementById("mail").value = "a@b.example", document.forms[0].dispatchEvent(new Event("submit", {bubbles: true, cancelable: true})), true)`)
	widgettest.Eval[bool](tab, `new Promise(done => setTimeout(() => done(true), 350))`)
	if at := widgettest.Eval[string](tab, `location.pathname`); at != "/" {
		t.Errorf("the page is at %s", at)
	}
}

func TestTheEdgeMayNotTakeAWording(t *testing.T) {
	s := newStand(t, input(t, formShop()), page{head: handled + listen, body: contact})
	s.refuse = func(w http.ResponseWriter, p post) bool {
		if p.Surface == "wordings" {
			http.Error(w, `{"code":"too_many_wordings"}`, http.StatusUnprocessableEntity)
		}
		return p.Surface == "wordings"
	}
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("0"))
	tab.Open(s.site.URL)
	tab.Heard("wording refused:")
	fill(tab, "#n")
	submitted(tab, 1)
	if e := told(t, tab, 1)[0]; e.Status != "refused" {
		t.Errorf("told %+v", e)
	}
	got(t, s, &s.consents, 0)
	tab.Until("!" + formOutbox)
}

// A form of an application comes later, in the language of where it stands, and is replaced by another of its kind.
func TestThePagesOwnFormAddedLater(t *testing.T) {
	s, tab := visitForms(t, page{head: handled, body: `<main></main>`})
	form := `<form data-consentd-form="contact"><input id="mail" type="email" aria-label="E-mail"><label><input type="checkbox" data-purpose="newsletter" id="n">The letter</label><button name="go">Send</button></form>`
	for i, c := range []struct{ lang, locale string }{{"fr-CA", "fr"}, {"en", "en"}, {"", "en"}, {"de", "en"}} { // the page is in English
		widgettest.Eval[bool](tab, fmt.Sprintf(`(document.querySelector("main").innerHTML = '<section lang="%s">%s</section>', true)`, c.lang, form))
		if p := got(t, s, &s.prompts, i+1)[i]; p.Locale != c.locale {
			t.Errorf("lang %q: prompt %+v", c.lang, p)
		}
		fill(tab, "#n")
		if p := got(t, s, &s.consents, i+1)[i]; p.Locale != c.locale || !p.Decisions["newsletter"] {
			t.Errorf("lang %q: consent %+v", c.lang, p)
		}
		submitted(tab, i+1)
	}
	docs := s.wordingsMade()
	if len(docs) != 2 || !strings.Contains(docs[0], `"locale":"fr"`) || !strings.Contains(docs[1], `"locale":"en"`) {
		t.Errorf("wordings %s", docs)
	}
}

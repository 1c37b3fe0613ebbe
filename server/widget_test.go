package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	cdp "github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/consentd/consentd/widget/widgettest"
)

// shopfront is a website whose pages carry forms and the script, a real server behind them, and a visitor.
type shopfront struct {
	*kit
	*widgettest.Tab
	browser *widgettest.Browser
	site    *httptest.Server

	mu   sync.Mutex
	body string
	sent []string // proofs that came with forms of the website's own
}

const shopfrontSite = `site: atelier
name: Atelier Lavande
origins: [%s]
controller: {name: Atelier Lavande SAS, contact: dpo@atelier.example}
locales: [fr, en]
policy: {fr: /confidentialite, en: /privacy}
identify: true
banner: {receipt: true}
mail: {name: Atelier Lavande, address: bonjour@atelier.example}
purposes:
  - {id: audience, ready: audience}
  - {id: letter, ready: newsletter}
  - {id: opens, ready: email_opens}
  - {id: texts, ready: sms}
forms:
  - id: letter
    fields: [{kind: email}]
    purposes: [letter, opens]
    double_opt_in: true
    title: {fr: La lettre de l’atelier, en: The workshop letter}
    text: {fr: Choisissez ce que vous voulez recevoir., en: Choose what you would like to receive.}
  - id: callback
    fields: [{kind: email}, {kind: phone}]
    purposes: [letter, texts]
    title: {fr: Prévenez-moi, en: Tell me}
    text: {fr: Quand la lavande est là., en: When the lavender is in.}
  - id: contact
    markup: yours
    fields: [{kind: email}]
    purposes: [letter, opens]
`

const ourForm = `<div data-consentd-form="letter"></div>`

const ownForm = `<form data-consentd-form="contact" action="/send" method="post"><h2>Write to us</h2>
<p><label>Message<textarea name="message">secret words</textarea></label></p><p><label>Your e-mail <input id="mail" type="email" required></label></p>
<p><input type="checkbox" id="letter" data-purpose="letter"><label for="letter">Send me the letter</label></p>
<p><label><input type="checkbox" id="opens" data-purpose="opens"> Measure whether I open it</label></p>
<p>More in our <a href="/privacy" rel="privacy-policy">policy</a>.</p><button>Send</button></form>`

// openShopfront opens a page of the website in a browser. The banner's question has been refused.
func openShopfront(t *testing.T, body string) *shopfront {
	t.Helper()
	f := &shopfront{body: body}
	f.site = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.site.Close)
	sites := openSites(t, map[string]string{"atelier.yaml": fmt.Sprintf(shopfrontSite, f.site.URL)})
	f.kit = start(t, func(o *Options) { o.Sites = sites }, sealed(t))
	f.kit.sites = sites
	f.browser = browser(t)
	f.Tab = f.browser.Tab(t)
	f.Width(375, 800, true)
	f.Open(f.site.URL + "/page?x=1")
	f.Press("#refuse")
	f.NothingShown()
	f.Until(`!localStorage.consentd_atelier_outbox`) // it is sent when the page has nothing else to do
	return f
}

// serve is the website: under the strictest policy a page can have.
func (f *shopfront) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPost {
		f.sent = append(f.sent, r.PostFormValue("consentd_proof"))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:; script-src 'nonce-x'; connect-src "+f.url+"; form-action 'self'; require-trusted-types-for 'script'")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Atelier</title><link rel="icon" href="data:,">
<script nonce="x">(window.consentd = window.consentd || []).push(["on", "form", e => (window.told = window.told || []).push(e)])</script>
<script src="%s/s/atelier.js" nonce="x" defer></script></head><body><main><h1>Atelier</h1>%s</main></body></html>`, f.url, f.body)
}

// looksAround waits as long as nobody fills in a form faster.
func (f *shopfront) looksAround() {
	f.Until(`window.consentd?.get && document.querySelector("[data-consentd-form]")`)
	f.Until(`performance.now() - (window.first ??= performance.now()) > 1100`)
}

// outcomes waits for n outcomes of forms.
func (f *shopfront) outcomes(n int) (all []struct{ Form, Proof, Status string }) {
	f.t.Helper()
	f.Until(fmt.Sprintf("(window.told ?? []).length >= %d", n))
	return widgettest.Eval[[]struct{ Form, Proof, Status string }](f.Tab, "window.told")
}

// words is the wording document behind a hash, as anybody can read it.
func (f *shopfront) words(hash string) string {
	f.t.Helper()
	r := f.do("GET", "/v1/sites/atelier/wordings/"+hash, "")
	if r.status != 200 {
		f.t.Fatal(r.status, r.body)
	}
	return r.body
}

// wordingBehind is the hash of the wording a proof was made under, as the API shows the proof.
func (f *shopfront) wordingBehind(proof string) string {
	f.t.Helper()
	r := f.do("GET", "/v1/sites/atelier/proofs/"+proof, "", f.bearerFor("atelier", "proofs"))
	if r.status != 200 {
		f.t.Fatal(r.status, r.body)
	}
	return field[string](f.t, r.body, "facts", "wording")
}

const inOurForm = `document.querySelector("consentd-form").shadowRoot`

// From a form on a page to a confirmed consent: by keyboard alone.
func TestAFormOfOursFromThePageToTheLookup(t *testing.T) {
	f := openShopfront(t, ourForm)
	f.looksAround()
	before := f.seq()
	for range 5 {
		if f.Key(kb.Tab); widgettest.Eval[bool](f.Tab, inOurForm+`.activeElement?.id === "email"`) {
			break
		}
	}
	f.Key("camille@maison.example")
	f.Key(kb.Tab)
	f.Key(" ")
	f.Key(kb.Enter)
	e := f.outcomes(1)[0]
	if e.Form != "letter" || e.Status != "pending" {
		t.Fatalf("told %+v, console %s", e, f.Messages())
	}
	f.Until(inOurForm + `.querySelector("#change")`)
	if got := f.seq(); got != before+1 {
		t.Errorf("%d proofs, want one", got-before)
	}
	if got := f.standing("camille@maison.example", "letter"); got != "pending awaiting_confirmation proven" {
		t.Errorf("the letter is %s", got)
	}
	if got := f.standing("camille@maison.example", "opens"); got != "denied denied proven" {
		t.Errorf("measuring is %s", got)
	}
	p := f.last()
	if p.ID.String() != e.Proof || p.Surface != "form:letter" || p.Wording.String() != f.wordingOf("atelier", "form:letter", "en") || p.Personal.Page != f.site.URL+"/page" || p.Personal.Device != [16]byte{} {
		t.Errorf("proof %+v", p)
	}
	f.Open(f.mail.got(t, 1).link)
	f.Until(`document.querySelector("form button")`)
	widgettest.Eval[bool](f.Tab, `(document.querySelector("form button").click(), true)`)
	for f.standing("camille@maison.example", "letter") != "granted granted verified" {
		f.Until("document.body") // has the test's deadline
	}
}

// What a page's own form says is on record word for word: one letter more is another text, and both are read back.
func TestAPagesOwnFormIsOnRecordWordForWord(t *testing.T) {
	f := openShopfront(t, ownForm)
	submit := func() (proof string) {
		t.Helper()
		f.looksAround()
		widgettest.Eval[bool](f.Tab, `(document.getElementById("letter").click(), document.getElementById("mail").value = "camille@maison.example", document.querySelector("form button").click(), true)`)
		f.Until(`location.pathname === "/send" && window.consentd?.get`)
		f.Until(`!localStorage.consentd_atelier_forms`) // the next page has heard of it, if the last had not
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.sent[len(f.sent)-1]
	}
	first := f.wordingBehind(submit())
	f.mu.Lock()
	f.body = strings.Replace(ownForm, "Send me the letter", "Send me the letters", 1)
	f.mu.Unlock()
	f.Open(f.site.URL + "/page")
	second := f.wordingBehind(submit())

	one, other := f.words(first), f.words(second)
	if first == second || !strings.Contains(one, `"title":"Send me the letter"`) || !strings.Contains(other, `"title":"Send me the letters"`) {
		t.Errorf("the wordings are\n%s\n%s", one, other)
	}
	if strings.Contains(one, "secret") || !strings.Contains(one, `"href":"`+f.site.URL+`/privacy","rel":"policy","text":"policy"`) || !strings.Contains(one, `"label":"Your e-mail"`) {
		t.Errorf("the wording is %s", one)
	}
	if got := f.standing("camille@maison.example", "letter"); got != "granted granted proven" {
		t.Errorf("the letter is %s", got)
	}
	if got := f.standing("camille@maison.example", "opens"); got != "denied denied proven" {
		t.Errorf("measuring is %s", got)
	}
	for _, m := range f.Messages() { // the first visitor of all finds that a text is new
		if !strings.HasPrefix(m, "network error: Failed to load resource: the server responded with a status of 422") {
			t.Error(m)
		}
	}
}

// A box ticked beforehand is no consent, whatever the page sends.
func TestABoxTickedBeforehandInThePage(t *testing.T) {
	f := openShopfront(t, strings.Replace(ownForm, `id="letter" `, `id="letter" checked `, 1))
	f.looksAround()
	widgettest.Eval[bool](f.Tab, `(document.getElementById("opens").click(), document.getElementById("mail").value = "camille@maison.example", document.querySelector("form button").click(), true)`)
	f.Until(`location.pathname === "/send" && window.consentd?.get && !localStorage.consentd_atelier_forms`)
	for purpose, want := range map[string]string{"letter": "denied denied proven", "opens": "granted granted proven"} {
		if got := f.standing("camille@maison.example", purpose); got != want {
			t.Errorf("%s is %s", purpose, got)
		}
	}
}

// connected cuts the tab's connection, or gives it back.
func (f *shopfront) connected(yes bool) {
	f.t.Helper()
	rules := cdp.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*cdp.Conditions{{Offline: !yes, DownloadThroughput: -1, UploadThroughput: -1}}}
	if _, err := chromedp.Call(f.Context(), cdp.EmulateNetworkConditionsByRule, rules); err != nil {
		f.t.Fatal(err)
	}
	state := cdp.OverrideNetworkStateParams{Offline: !yes, DownloadThroughput: -1, UploadThroughput: -1} // events offline and online
	if _, err := chromedp.Call(f.Context(), cdp.OverrideNetworkState, state); err != nil {
		f.t.Fatal(err)
	}
}

// What was sent without a connection is there once, when the connection is back.
func TestAFormSentWithoutAConnection(t *testing.T) {
	f := openShopfront(t, strings.Replace(ourForm, "letter", "callback", 1))
	f.looksAround()
	before := f.seq()
	f.connected(false)
	widgettest.Eval[bool](f.Tab, `(root => {
		root.querySelector("#email").value = "camille@maison.example"; root.querySelector("#phone").value = "+33 6 12 34 56 78";
		root.querySelector("[name=letter]").click(); root.querySelector("[name=texts]").click(); root.querySelector("[type=submit]").click(); return true })(`+inOurForm+`)`)
	if e := f.outcomes(1)[0]; e.Status != "waiting" {
		t.Errorf("told %+v", e)
	}
	f.Until(inOurForm + `.querySelector("#retry")`)
	if f.seq() != before {
		t.Error("something arrived without a connection")
	}
	f.connected(true)
	f.Until(`!localStorage.consentd_atelier_forms`)
	if got := f.seq(); got != before+2 {
		t.Errorf("%d proofs, want one of the address and one of the number: %s", got-before, f.Messages())
	}
	f.Reload()
	f.looksAround()
	if got := f.seq(); got != before+2 {
		t.Errorf("%d proofs after the next page", got-before)
	}
	for _, subject := range []map[string]any{{"email": "camille@maison.example"}, {"phone": "+33612345678"}} {
		if got := f.standingOf(subject, "letter"); got != "granted granted proven" {
			t.Errorf("%v: the letter is %s", subject, got)
		}
	}
}

// An account's choice applies while its owner is signed in, on whichever device; the device's own stays.
func TestAnAccountOnTwoDevices(t *testing.T) {
	f := openShopfront(t, "")
	_, order := f.orderLinks(`{"subjects":[{"external":"customer-42"}],"identify":true}`)
	token := order.Results[0].Identify
	signIn := func(tab *widgettest.Tab) {
		t.Helper()
		widgettest.Eval[bool](tab, fmt.Sprintf(`(consentd.identify(%q), true)`, token))
	}
	signIn(f.Tab)
	f.BannerShown() // the device has refused; the account was never asked
	f.Press("#accept")
	f.NothingShown()
	for f.standingOf(map[string]any{"external": "customer-42"}, "audience") != "granted granted proven" {
		f.Until("document.body")
	}
	other := f.browser.Tab(t)
	other.Open(f.site.URL + "/page")
	other.BannerShown()
	signIn(other)
	other.NothingShown()
	if !widgettest.Eval[bool](other, `consentd.has("audience")`) {
		t.Error("the account's choice does not apply on another device")
	}
	widgettest.Eval[bool](other, `(consentd.identify(null), true)`)
	other.BannerShown()
	widgettest.Eval[bool](f.Tab, `(consentd.identify(null), true)`)
	f.Until(`!consentd.has("audience")`)
	f.Until(`sessionStorage.length === 0`) // the account's last choice leaves it with its answer
}

// downloads sends what the tab downloads into a directory.
func (f *shopfront) downloads() (dir string) {
	f.t.Helper()
	dir = f.t.TempDir()
	rules := cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(f.Context()).BrowserContextID, DownloadPath: dir}
	if _, err := chromedp.Call(f.Context(), cdpbrowser.SetDownloadBehavior, rules); err != nil {
		f.t.Fatal(err)
	}
	return dir
}

// finished are the receipts whose download has ended: the browser holds a name with an empty file, and moves what it
// has received there when it has all of it.
func finished(t *testing.T, dir string) (paths []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "receipt-*.jwt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// beside is what stands beside the button of the receipt.
const beside = widgettest.Root + `.querySelector(".receipt output").textContent`

// From a choice to its receipt: chosen, downloaded under the strictest policy, verified by another library.
func TestAVisitorDownloadsTheReceipt(t *testing.T) {
	f := openShopfront(t, "")
	dir := f.downloads()
	open := func() {
		t.Helper()
		widgettest.Eval[bool](f.Tab, `(consentd.open(), true)`)
		f.Until(widgettest.Find("#receipt"))
	}
	keys := f.do("GET", "/.well-known/jwks.json", "").body
	audience := func(n int) string { // what the n-th receipt says of it; it is of the last proof
		t.Helper()
		for done := 0; done < n; {
			f.Until("document.body") // has the test's deadline
			if done = len(finished(t, dir)); done > n {
				t.Fatalf("downloaded %d receipts, want %d", done, n)
			}
		}
		id := f.last().ID.String()
		raw, err := os.ReadFile(filepath.Join(dir, "receipt-"+id+".jwt"))
		if err != nil {
			t.Fatal(err)
		}
		if proof, err := proofOfReceipt(string(raw), keys); err != nil || proof != id {
			t.Fatalf("%v %s, want %s", err, proof, id)
		}
		f.Until(beside + ` === ""`)
		_, claims := claimsOf(t, string(raw))
		return claims["consentd"].(map[string]any)["decisions"].(map[string]any)["audience"].(string)
	}

	open()
	f.Press("#receipt")
	refused := audience(1)
	f.Press("dialog:not(#banner) #accept")
	f.NothingShown()
	open()
	f.Press("#receipt") // sends the choice first, if it has not left yet
	if accepted := audience(2); refused != "denied" || accepted != "granted" {
		t.Errorf("refused %s, accepted %s", refused, accepted)
	}

	f.connected(false)
	widgettest.Eval[bool](f.Tab, `(consentd.withdraw(), true)`)
	f.NothingShown()
	open()
	f.Press("#receipt")
	f.Until(beside + ` === "Your choice has not been sent yet. Try again once the connection is back."`)
	f.connected(true)
	f.Until(`!localStorage.consentd_atelier_outbox`)
	f.Press("#receipt")
	if withdrawn := audience(3); withdrawn != "denied" {
		t.Errorf("withdrawn %s", withdrawn)
	}

	// An account's choice is in force: its receipt is not for whoever sits at this browser.
	_, order := f.orderLinks(`{"subjects":[{"external":"customer-42"}],"identify":true}`)
	widgettest.Eval[bool](f.Tab, fmt.Sprintf(`(document.querySelector("consentd-widget").shadowRoot.querySelector("#back").click(), consentd.identify(%q), true)`, order.Results[0].Identify))
	f.BannerShown() // once the preferences, which have such a button too, are gone
	f.Press("#banner #accept")
	f.NothingShown()
	widgettest.Eval[bool](f.Tab, `(consentd.open(), true)`)
	f.PreferencesShown()
	if widgettest.Eval[bool](f.Tab, "!!"+widgettest.Find("#receipt")) {
		t.Error("a receipt is offered of an account's choice")
	}
	for _, m := range f.Messages() {
		if !strings.HasPrefix(m, "network error: Failed to load resource: net::ERR_INTERNET_DISCONNECTED") {
			t.Error(m)
		}
	}
}

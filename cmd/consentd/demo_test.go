package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// get asks an address, with a token when there is one, and gives status and body.
func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// shown is the text of a part of the widget on the screen, pieces separated by line feeds.
const shown = `(() => {
  const texts = [];
  const walk = (n) => { for (const c of n.childNodes) c.nodeType === 3 ? texts.push(c.data) : c.localName !== 'style' && walk(c); };
  walk(document.querySelector('consentd-widget').shadowRoot);
  return texts.join('\n');
})()`

// googleAds is what was said of ad_storage, in order.
const googleAds = `dataLayer.filter(e => e[0] === 'consent').map(e => e[1] + ' ' + e[2].ad_storage).join(', ')`

// TestAChoiceGoesFromTheBrowserToClickHouseAndBack is the demo as a visitor meets it: the banner in a real
// browser, a refusal, its proof in ClickHouse, its wording by hash, and the answer a sender gets; then a
// change of mind both ways.
func TestAChoiceGoesFromTheBrowserToClickHouseAndBack(t *testing.T) {
	data := t.TempDir()
	p := start(t, "demo", "--data", data, "--addr", "127.0.0.1:0", "--shop", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	shop, edge := p.says(t, `Shop \(French\)\s+(\S+)/fr/`), p.says(t, `API documentation\s+(\S+)/docs`)
	token := p.says(t, `TOKEN=(\S+)`)

	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab := b.Tab(t)
	tab.Open(shop + "/fr/")
	tab.BannerShown()
	text := widgettest.Eval[string](tab, shown)
	tab.Press("#refuse")
	tab.NothingShown()
	tab.Until(`document.querySelectorAll('#answers tbody tr').length === 3 && document.querySelector('#answers').textContent.includes('denied')`)
	device := widgettest.Eval[string](tab, `document.getElementById('device').textContent`)

	lookup := func(purpose string) consent.Status {
		t.Helper()
		code, body := get(t, edge+"/v1/sites/demo/lookup?purpose="+purpose+"&device="+device, token)
		var answer struct {
			Decisions map[string]struct{ Status string }
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 200 {
			t.Fatalf("%d %s", code, body)
		}
		for s := consent.StatusUnknown; s <= consent.StatusExpired; s++ {
			if s.String() == answer.Decisions[purpose].Status {
				return s
			}
		}
		t.Fatal(body)
		return 0
	}
	if s := lookup("analytics"); s != consent.StatusDenied {
		t.Errorf("after a refusal the lookup says %v", s)
	}

	hash := ""
	eventually(t, "the proof in ClickHouse", func() (bool, string) {
		out, errs, err := command("sql", "--data", data, "--format", "tsv", "SELECT surface, method, locale, grade, wording FROM consents")
		row := strings.Split(strings.TrimSpace(out[strings.IndexByte(out, '\n')+1:]), "\t")
		if err != nil || len(row) != 5 {
			return false, out + errs
		}
		hash = row[4]
		return strings.Join(row[:4], " ") == "banner reject_all fr proven", out
	})
	code, doc := get(t, edge+"/v1/sites/demo/wordings/"+hash, "")
	if sum := sha256.Sum256([]byte(doc)); code != 200 || hex.EncodeToString(sum[:]) != hash {
		t.Fatalf("%d: SHA-256 of the wording is %x, its name %s", code, sum, hash)
	}
	w, err := consent.ParseWording([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	expected := []string{w.Title, w.Text, w.Buttons["accept"], w.Buttons["refuse"], w.Buttons["choose"], w.Links[0].Text, w.Controller.Name, w.Controller.Contact}
	for _, purpose := range w.Purposes {
		expected = append(expected, purpose.Title, purpose.Text)
	}
	for _, s := range expected {
		if s == "" || !strings.Contains(text, s) {
			t.Errorf("the wording says %q, the screen said\n%s", s, text)
		}
	}

	tab.Open(shop + "/en/")
	tab.Until(`document.getElementById('device').textContent === '` + device + `'`)
	if lang := widgettest.Eval[string](tab, `document.querySelector('consentd-embed').lang`); lang != "en" {
		t.Errorf("the placeholder on the English page is in %s", lang)
	}
	if got := widgettest.Eval[string](tab, `document.getElementById('scripts').textContent`); got != "none" {
		t.Errorf("scripts running after a refusal: %s", got)
	}
	const reopen = `document.querySelector('footer [data-consentd="open"]').click()`
	widgettest.Eval[any](tab, reopen)
	tab.PreferencesShown()
	tab.Press("dialog #accept")
	tab.Until(`document.getElementById('scripts').textContent === 'analytics, ads' && document.getElementById('cookies').textContent === '_pk_id.demo, _gcl_au'`)
	tab.Until(`document.querySelector('.film iframe').contentDocument?.title === 'A season in the fields'`)
	tab.Until(`document.querySelector('#answers').textContent.includes('granted')`)
	if s := lookup("ads"); s != consent.StatusGranted {
		t.Errorf("after an acceptance the lookup says %v", s)
	}
	if got := widgettest.Eval[string](tab, googleAds); got != "default denied, update denied, update granted" {
		t.Errorf("Google's tags would hear: %s", got)
	}
	widgettest.Eval[any](tab, reopen)
	tab.PreferencesShown()
	tab.Press("dialog #refuse")
	tab.Until(`document.querySelector('#answers').textContent.includes('withdrawn') && document.getElementById('cookies').textContent === 'none'`)
	tab.Until(`document.querySelector('consentd-embed')`)
	if s := lookup("ads"); s != consent.StatusWithdrawn {
		t.Errorf("after a withdrawal the lookup says %v", s)
	}
	for _, address := range widgettest.Eval[[]string](tab, `performance.getEntriesByType('resource').map(e => e.name)`) {
		if !strings.HasPrefix(address, shop+"/") && !strings.HasPrefix(address, edge+"/") {
			t.Errorf("the page asked a third party: %s", address)
		}
	}
	eventually(t, "rates", func() (bool, string) {
		_, body := get(t, edge+"/v1/sites/demo/rates?by=purpose", token)
		return contains(body, `"granted":1`, `"denied":2`), body
	})
	for _, m := range tab.Messages() {
		t.Errorf("the page said: %s", m)
	}
	p.says(t, "proof 2")
	if !contains(p.out.String(), "proof 0", "reject_all") {
		t.Errorf("the demo did not print the choices:\n%s", p.out.String())
	}
	if out, errs, err := command("check", filepath.Join(data, "demo-sites")); err != nil || !contains(errs, "0 errors, 0 warnings") || strings.Contains(errs, "not measured") {
		t.Errorf("the demo's own site file: %v\n%s%s", err, out, errs)
	}
	p.end(t)
	if out, errs, err := command("sql", "--data", data, "--format", "tsv", "SELECT count() FROM consents"); err != nil || !contains(out, "3") {
		t.Errorf("sql without a running server: %s%s %v", out, errs, err)
	}
}

// TestTheDemosLetter: the form in the shop, a mail written to a file instead of sent, its link printed, the button,
// and what a sender is told before and after.
func TestTheDemosLetter(t *testing.T) {
	data := t.TempDir()
	p := start(t, "demo", "--data", data, "--addr", "127.0.0.1:0", "--shop", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", filepath.Join(data, "none"))
	shop, edge := p.says(t, `Shop \(French\)\s+(\S+)/fr/`), p.says(t, `API documentation\s+(\S+)/docs`)
	token := p.says(t, `TOKEN=(\S+)`)
	allowed := func(want string) {
		t.Helper()
		code, body := ask(t, edge+"/v1/sites/demo/lookup", token, `{"purposes":["newsletter"],"subjects":[{"email":"camille@exemple.fr"}]}`)
		if code != 200 || !contains(body, want) {
			t.Errorf("%d %s, want %s", code, body, want)
		}
	}
	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab := b.Tab(t)
	tab.Open(shop + "/fr/")
	tab.BannerShown()
	tab.Press("#refuse")
	tab.NothingShown()
	const form = `document.querySelector('consentd-form')?.shadowRoot`
	tab.Until(form + `?.querySelector('#email')`)
	widgettest.Eval[bool](tab, `new Promise(done => setTimeout(done, 1100, true))`) // a person takes longer than a second
	widgettest.Eval[any](tab, form+`.querySelector('#email').focus()`)
	tab.Key("camille@exemple.fr")
	widgettest.Eval[any](tab, form+`.querySelector('[name=newsletter]').click()`)
	widgettest.Eval[any](tab, form+`.querySelector('[type=submit]').click()`)
	link := p.says(t, `its link: (\S+/c/\S+)`)
	raw, err := os.ReadFile(p.says(t, `a mail asks to confirm: (\S+\.eml)`))
	if err != nil {
		t.Fatal(err)
	}
	if l := mailtest.Read(t, raw); l.Link(t) != link || !strings.HasPrefix(link, edge+"/c/") || l.Header.Get("To") != "<camille@exemple.fr>" {
		t.Errorf("%s, %v", link, l.Header)
	}
	allowed(`"status":"pending","allowed":false`)
	tab.Open(link)
	widgettest.Eval[any](tab, `document.querySelector('main form button').click()`)
	tab.Until(`document.querySelector('h1')?.innerText === 'C’est confirmé'`)
	allowed(`"status":"granted","allowed":true,"grade":"verified"`)
	for _, m := range tab.Messages() {
		t.Errorf("the page said: %s", m)
	}
	if contains(p.err.String(), "exemple.fr") || contains(p.err.String(), link) {
		t.Errorf("the log tells of a person:\n%s", p.err.String())
	}
}

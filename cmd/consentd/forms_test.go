package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/widget/widgettest"
)

const clubSite = `site: demo
name: Maison Lavande
origins: [https://shop.example]
controller: {name: Maison Lavande SAS, contact: dpo@shop.example}
locales: [fr, en]
policy: {fr: https://shop.example/confidentialite, en: https://shop.example/privacy}
purposes:
  - {id: letter, ready: newsletter}
  - {id: partners, ready: partners}
forms:
  - id: join
    title: {fr: La lettre, en: The letter}
    text: {fr: Une fois par mois., en: Once a month.}
    fields: [{kind: email}]
    purposes: [letter, partners]
    double_opt_in: true
mail: {name: Maison Lavande, address: bonjour@shop.example}
`

// TestFromTheFormToTheLastMail: a person signs up in a browser without a script of the site, the mail goes over SMTP, a
// scanner follows its link, the person presses the button, a sender asks and takes the links along, and one click in
// the mailbox ends it.
func TestFromTheFormToTheLastMail(t *testing.T) {
	data, sites := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(sites, "demo.yaml"), []byte(clubSite), 0o600); err != nil {
		t.Fatal(err)
	}
	smtp := mailtest.Start(t, mailtest.Options{})
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--smtp", smtp.URL())
	token := strings.TrimSpace(must(t, "token", "-site", "demo", "-scope", "lookup links", "-ttl", "1d", "-name", "mailer", "-data", data))
	letter := func() string {
		t.Helper()
		code, body := send(t, edge+"/v1/sites/demo/lookup", token, `{"purposes":["letter"],"subjects":[{"email":"lea@exemple.fr"}]}`)
		if code != 200 {
			t.Fatal(code, body)
		}
		return body
	}

	b, err := widgettest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	tab := b.Tab(t)
	tab.Open(edge + "/f/demo/join?lang=fr")
	widgettest.Eval[bool](tab, `new Promise(done => setTimeout(done, 1100, true))`) // nobody fills it in faster than that
	tab.Key(strings.Repeat(kb.Tab, 4))                                              // past "skip", two languages
	tab.Until(`document.activeElement?.id === "email"`)
	tab.Key("Lea@Exemple.fr" + kb.Tab + " ")
	tab.Until(`document.querySelector("#p_letter").checked`)
	tab.Key(kb.Enter)
	tab.Until(`location.pathname === "/f/demo/join/thanks" && document.querySelector("h1")`)
	if got := letter(); !contains(got, `"status":"pending"`) {
		t.Fatal(got)
	}

	link := smtp.Wait(t, 1)[0].Read(t).Link(t)
	for range 3 {
		if code, _ := get(t, link, ""); code != 200 {
			t.Fatal(code)
		}
	}
	if got := letter(); !contains(got, `"status":"pending"`) {
		t.Fatal("a scanner confirmed:", got)
	}
	tab.Open(link)
	tab.Until(`performance.getEntriesByType("paint").length > 0`) // keys before that go nowhere
	tab.Key(strings.Repeat(kb.Tab, 4))
	tab.Until(`document.activeElement?.matches("main form button")`)
	tab.Key(kb.Enter)
	tab.Until(`document.querySelector("h1")?.innerText === "C’est confirmé"`)
	if got := letter(); !contains(got, `"status":"granted","allowed":true,"grade":"verified"`) {
		t.Fatal(got)
	}

	code, body := send(t, edge+"/v1/sites/demo/links", token, `{"subjects":[{"email":"lea@exemple.fr"}],"purposes":["letter"]}`)
	_, rest, found := strings.Cut(body, `"List-Unsubscribe":"<`)
	if code != 200 || !found {
		t.Fatal(code, body)
	}
	oneClick, _, _ := strings.Cut(rest, ">")
	for range 2 {
		res, err := http.Post(oneClick, "application/x-www-form-urlencoded", strings.NewReader("List-Unsubscribe=One-Click"))
		if err != nil || res.StatusCode != 200 {
			t.Fatal(err, res)
		}
		res.Body.Close()
		if got := letter(); !contains(got, `"status":"withdrawn","allowed":false`) {
			t.Fatal(got)
		}
	}
	if contains(p.err.String(), "exemple.fr") || contains(p.err.String(), strings.TrimPrefix(link, edge)) {
		t.Errorf("the log tells of a person:\n%s", p.err.String())
	}
	if n := len(smtp.Wait(t, 1)); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// TestLinksOfOnePerson for somebody who asks by telephone.
func TestLinksOfOnePerson(t *testing.T) {
	data, sites := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(sites, "demo.yaml"), []byte(clubSite), 0o600); err != nil {
		t.Fatal(err)
	}
	_, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"))
	for _, who := range [][2]string{{"--email", "Lea@Exemple.fr"}, {"--phone", "+33612345678"}, {"--external", "crm-7"}} {
		lines := strings.Fields(must(t, "links", "--site", "demo", who[0], who[1], "--data", data, "--sites", sites, "--public-url", edge+"/"))
		if len(lines) != 2 || !strings.HasPrefix(lines[0], edge+"/p/") || !strings.HasPrefix(lines[1], edge+"/u/") {
			t.Fatal(lines)
		}
		for _, address := range lines {
			if code, body := get(t, address, ""); code != 200 || who[0] == "--email" && !contains(body, "lea@exemple.fr") {
				t.Errorf("%s: %d %s", address, code, body)
			}
		}
	}
	for name, args := range map[string][]string{"nobody": {"--site", "demo"}, "no address": {"--site", "demo", "--email", "lea"}, "no such site": {"--site", "nope", "--email", "lea@exemple.fr"}} {
		if out, _, err := command(append([]string{"links", "--data", data, "--sites", sites}, args...)...); err == nil || out != "" {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
}

// must runs consentd once and gives what it prints.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := command(args...)
	if err != nil {
		t.Fatalf("%v: %s %v", args, errs, err)
	}
	return out
}

// send posts JSON with a token.
func send(t *testing.T, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

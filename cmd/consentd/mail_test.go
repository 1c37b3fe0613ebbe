package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/storagetest"
)

const letterSite = `site: demo
name: Maison Lavande
origins: [https://shop.example]
controller: {name: Maison Lavande SAS, contact: dpo@shop.example}
locales: [fr, en]
policy: /privacy
purposes: [{id: letter, ready: newsletter}]
forms:
  - {id: join, fields: [{kind: email}], purposes: [letter], double_opt_in: true, title: {fr: La lettre, en: The letter}, text: {fr: Chaque mois., en: Each month.}}
mail: {name: Maison Lavande, address: bonjour@shop.example}
`

func letterSites(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), []byte(letterSite), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// signUp posts the form of the site's page, from a network of its own, and gives status and body.
func signUp(t *testing.T, edge, sites, email string, network int) (int, string) {
	t.Helper()
	d, err := site.FindDraft("demo", sites)
	if err != nil {
		t.Fatal(err)
	}
	wording := ""
	for _, w := range d.Published {
		if w.Surface == "form:join" && w.Locale == "fr" {
			wording = w.Hash.String()
		}
	}
	body := fmt.Sprintf(`{"id":%q,"subject":{"email":%q},"surface":"form:join","method":"custom","decisions":{"letter":true},"wording":%q,"locale":"fr","page":"https://shop.example/","trap":"","took":4200}`,
		uuid.Must(uuid.NewV7()), email, wording)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, edge+"/v1/sites/demo/consents", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.%d.%d.9", network/250, network%250))
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

func mustSignUp(t *testing.T, edge, sites, email string, network int) {
	t.Helper()
	if code, body := signUp(t, edge, sites, email, network); code != http.StatusCreated || !contains(body, `"status":"pending"`) {
		t.Fatalf("%d %s", code, body)
	}
}

// ask posts JSON with a token, and gives status and body.
func ask(t *testing.T, url, token, body string) (int, string) {
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

// standing is what a sender is told of an address.
func standing(t *testing.T, edge, token, email string) string {
	t.Helper()
	code, body := ask(t, edge+"/v1/sites/demo/lookup", token, fmt.Sprintf(`{"purposes":["letter"],"subjects":[{"email":%q}]}`, email))
	var answer struct {
		Results []struct {
			Decisions map[string]struct{ Status, Grade string }
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 200 || len(answer.Results) != 1 {
		t.Fatalf("%d %s", code, body)
	}
	d := answer.Results[0].Decisions["letter"]
	return d.Status + " " + d.Grade
}

// TestFromTheFormToTheConfirmation: signed up on a page, asked by mail; a scanner opens the link three times, then
// the person presses the button.
func TestFromTheFormToTheConfirmation(t *testing.T) {
	data, sites := t.TempDir(), letterSites(t)
	s := mailtest.Start(t, mailtest.Options{})
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--smtp", s.URL(), "--public-url", "https://consent.shop.example/")
	token := tokenFor(t, data)
	mustSignUp(t, edge, sites, "jeanne@exemple.fr", 1)
	if got := standing(t, edge, token, "jeanne@exemple.fr"); !strings.HasPrefix(got, "pending") {
		t.Errorf("before: %s", got)
	}
	m := s.Wait(t, 1)[0]
	if m.To != "jeanne@exemple.fr" || m.Hello != "consent.shop.example" {
		t.Errorf("%+v", m)
	}
	path, ours := strings.CutPrefix(m.Read(t).Link(t), "https://consent.shop.example/c/")
	if !ours {
		t.Fatal(m.Read(t).Link(t))
	}
	for range 3 {
		if code, body := get(t, edge+"/c/"+path, ""); code != 200 || !contains(body, "Confirmer") {
			t.Errorf("%d %s", code, body)
		}
	}
	if got := standing(t, edge, token, "jeanne@exemple.fr"); !strings.HasPrefix(got, "pending") {
		t.Errorf("after a scanner: %s", got)
	}
	for range 2 {
		res, err := http.Post(edge+"/c/"+path, "application/x-www-form-urlencoded", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := standing(t, edge, token, "jeanne@exemple.fr"); res.StatusCode != 200 || got != "granted verified" {
			t.Errorf("%d, after the button: %s", res.StatusCode, got)
		}
	}
	if _, body := get(t, edge+"/readyz", ""); !contains(body, `{"name":"mail","essential":false,"ok":true}`) {
		t.Errorf("%s", body)
	}
	admin := p.says(t, `admin=(\S+)`)
	eventually(t, "metrics", func() (bool, string) {
		_, body := get(t, admin+"/metrics", "")
		return contains(body, "consentd_mail_sent_total 1", "consentd_mail_waiting 0", "consentd_mail_oldest_seconds 0"), body
	})
	for part, want := range map[string]string{"html": "Confirmez votre choix</h1>", "text": "Subject: Maison Lavande"} {
		if code, body := get(t, admin+"/mail/preview/demo?locale=fr&part="+part, ""); code != 200 || !contains(body, want) {
			t.Errorf("%s: %d %s", part, code, body)
		}
	}
	for _, path := range []string{"/mail/preview/nowhere", "/mail/preview/demo?kind=other"} {
		if code, _ := get(t, admin+path, ""); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if contains(p.err.String(), "exemple.fr") || contains(p.err.String(), path) {
		t.Errorf("the log tells of a person:\n%s", p.err.String())
	}
}

// killable is a consentd in a process of its own.
type killable struct {
	t   *testing.T
	cmd *exec.Cmd
	err storagetest.Log
}

// programArgs names the arguments of a consentd that this test binary shall be.
const programArgs = "CONSENTD_TEST_ARGS"

// TestProgram is that process; as a test it does nothing.
func TestProgram(t *testing.T) {
	if args := os.Getenv(programArgs); args != "" {
		mailTurn = 10 * time.Minute // however slow the disk, one mail at a time
		if err := run(t.Context(), strings.Split(args, "\n"), os.Stdout, os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
}

func startKillable(t *testing.T, args ...string) (k *killable, edge string) {
	t.Helper()
	k = &killable{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestProgram$")}
	k.cmd.Env = append(os.Environ(), programArgs+"="+strings.Join(args, "\n"))
	k.cmd.Stderr = &k.err
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.kill)
	says := regexp.MustCompile(`msg="consentd serves" url=(\S+)`)
	eventually(t, "the program serves", func() (bool, string) {
		if m := says.FindStringSubmatch(k.err.String()); m != nil {
			edge = m[1]
		}
		return edge != "", k.err.String()
	})
	return k, edge
}

// kill is kill -9.
func (k *killable) kill() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

// TestMailsOutliveKills: people sign up while the mail server is down; the program is killed with -9, and again in
// the middle of sending. Each of them has a mail in the end, one has it twice at most, as the same mail, and its link
// confirms.
func TestMailsOutliveKills(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "DATA" { // a mail takes its time, so that the kill comes in the middle of some
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	}})
	proxy := storagetest.NewProxy(t, s.Addr)
	proxy.Refuse()
	data, sites := t.TempDir(), letterSites(t)
	args := []string{"serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", filepath.Join(data, "none"),
		"--trusted-proxies", "127.0.0.1", "--smtp", "smtp://" + proxy.Addr()}
	const people = 80
	k, edge := startKillable(t, args...)
	for i := range people / 2 {
		mustSignUp(t, edge, sites, fmt.Sprintf("p%d@exemple.fr", i), i)
	}
	if _, body := get(t, edge+"/readyz", ""); !contains(body, `"status":"degraded"`, `{"name":"mail","essential":false,"ok":false}`) {
		t.Errorf("%s", body)
	}
	k.kill()
	k, edge = startKillable(t, args...)
	for i := people / 2; i < people; i++ {
		mustSignUp(t, edge, sites, fmt.Sprintf("p%d@exemple.fr", i), i)
	}
	proxy.Heal(t)
	s.Wait(t, people/4)
	k.kill()
	_, edge = startKillable(t, args...)
	ids, copies := map[string]string{}, map[string]int{}
	eventually(t, "everybody has a mail", func() (bool, string) {
		clear(copies)
		for _, m := range s.Mails() {
			id := m.Read(t).Header.Get("Message-Id")
			if first, known := ids[m.To]; known && first != id {
				t.Errorf("two mails to one person are told apart: %s, %s", first, id)
			}
			ids[m.To] = id
			copies[m.To]++
		}
		return len(copies) == people, fmt.Sprint(len(copies), " ", k.err.String())
	})
	twice := 0
	for to, n := range copies {
		if n > 2 {
			t.Errorf("%s has %d mails", to, n)
		} else if n == 2 {
			twice++
		}
	}
	if twice > 1 { // kills while it was sending
		t.Errorf("%d have two", twice)
	}
	t.Logf("%d mails came twice", twice)
	m := s.Mails()[0]
	_, code, _ := strings.Cut(m.Read(t).Link(t), "/c/")
	res, err := http.Post(edge+"/c/"+code, "application/x-www-form-urlencoded", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := standing(t, edge, tokenFor(t, data), m.To); got != "granted verified" {
		t.Errorf("%d %s", res.StatusCode, got)
	}
}

// TestDeadLettersAreSeenAndTriedAgain with consentd mail.
func TestDeadLettersAreSeenAndTriedAgain(t *testing.T) {
	data, sites := t.TempDir(), letterSites(t)
	var taken atomic.Bool
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "RCPT" && !taken.Load() {
			return mailtest.Refusal(550, 5, 1, 1)
		}
		return nil
	}})
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--smtp", s.URL())
	mustSignUp(t, edge, sites, "jeanne@exemple.fr", 1)
	admin := strings.TrimPrefix(p.says(t, `admin=(\S+)`), "http://")
	if !contains(p.err.String(), "--public-url") {
		t.Errorf("nobody is told where links lead:\n%s", p.err.String())
	}
	var out string
	eventually(t, "consentd mail lists it", func() (bool, string) {
		var errs string
		var err error
		out, errs, err = command("mail", "--data", data, "--admin", admin)
		return contains(out, "given up      1", "demo", "join", "refused", "550 5.1.1"), fmt.Sprint(out, errs, err)
	})
	raw, _, err := command("mail", "--data", data, "--admin", admin, "--json")
	if err != nil || contains(raw+out, "exemple") || !contains(raw, `"dead":1`) {
		t.Errorf("%s %s %v", out, raw, err)
	}
	id := strings.Fields(out[strings.Index(out, "550 5.1.1"):])[3]
	taken.Store(true)
	if out, errs, err := command("mail", "--data", data, "--admin", admin, "--retry", id); err != nil || out != "1 tried again\n" {
		t.Errorf("%s %s %v", out, errs, err)
	}
	s.Wait(t, 1)
	if out, _, err := command("mail", "--data", data, "--admin", admin, "--retry", "all"); err != nil || out != "0 tried again\n" {
		t.Errorf("%s %v", out, err)
	}
	eventually(t, "nothing waits", func() (bool, string) { // it is forgotten once that is on disk
		out, errs, err := command("mail", "--data", data, "--admin", admin)
		return err == nil && contains(out, "given up      0", "waiting       0", s.Addr), fmt.Sprint(out, errs, err)
	})
	for name, args := range map[string][]string{"an id that is none": {"--data", data, "--admin", admin, "--retry", "x"}, "nobody there": {"--data", data, "--admin", "127.0.0.1:1"}} {
		if _, _, err := command(append([]string{"mail"}, args...)...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWithoutAMailServer mails wait; it is said at the start and in /readyz.
func TestWithoutAMailServer(t *testing.T) {
	data, sites := t.TempDir(), letterSites(t)
	p, edge := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"))
	mustSignUp(t, edge, sites, "jeanne@exemple.fr", 1)
	if !contains(p.err.String(), "no mail server is named: mails wait", "sites=demo") {
		t.Error(p.err.String())
	}
	if code, body := get(t, p.says(t, `admin=(\S+)`)+"/readyz", ""); code != 200 || !contains(body, `"status":"degraded"`, "1 confirmation mails wait", "--smtp") {
		t.Errorf("%d %s", code, body)
	}
}

// TestCheckTriesMailTemplates: each mistake at its line, and a directory of nobody.
func TestCheckTriesMailTemplates(t *testing.T) {
	sites := letterSites(t)
	for name, source := range map[string]string{"demo.mail/confirm.fr.txt": "Bonjour\n{{.Lien}}", "demo.mail/confirm.en.html": "<p>{{.Button}}</p>", "demo.mail/confirm.en.txt": "{{.Link}}", "dmo.mail/confirm.fr.txt": "x"} {
		path := filepath.Join(sites, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, err := command("check", "--browser", "none", sites)
	if err == nil || !contains(errs, "2 errors, 1 warnings") || !contains(out, "confirm.fr.txt:2:1: error:", "Lien", "confirm.en.html: error: ", "the link is missing", "dmo.mail: warning") {
		t.Errorf("%s%s%v", out, errs, err)
	}
}

// TestLinksAreRevoked with their key.
func TestLinksAreRevoked(t *testing.T) {
	data := t.TempDir()
	if out, _, err := command("links", "--data", data); err != nil || out != "1 makes links\n" {
		t.Errorf("%q %v", out, err)
	}
	if _, _, err := command("links", "--data", data, "--retire", "1"); err == nil || !contains(err.Error(), "the only one") {
		t.Error(err)
	}
	for _, args := range [][]string{{"--rotate"}, {"--retire", "1"}} {
		if _, errs, err := command(append([]string{"links", "--data", data}, args...)...); err != nil {
			t.Errorf("%v: %s %v", args, errs, err)
		}
	}
	if out, _, err := command("links", "--data", data); err != nil || out != "2 makes links\n" {
		t.Errorf("%q %v", out, err)
	}
}

func TestMailOptionsAreRefused(t *testing.T) {
	data, sites := t.TempDir(), letterSites(t)
	for _, row := range [][3]string{
		{"--smtp", "smtp://club:hunter2@mx.example:587?tls=off", "in the clear"},
		{"--smtp", "mx.example", "smtp://user:password@host:587"},
		{"--public-url", "consent.shop.example", "https://"},
		{"--public-url", "https://user@consent.shop.example", "https://"},
	} {
		_, _, err := command("serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", filepath.Join(data, "none"), row[0], row[1])
		if err == nil || !contains(err.Error(), row[0], row[2]) || contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v", row, err)
		}
	}
}

package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/mail"
	"github.com/consentd/consentd/server/mail/mailtest"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

const letterSite = `site: demo
name: Maison Lavande
origins: [https://shop.example]
controller: {name: Maison Lavande SAS, contact: dpo@shop.example}
locales: [fr, en]
policy: /privacy
purposes: [{id: letter, ready: newsletter}]
forms:
  - {id: join, markup: yours, fields: [{kind: email}], purposes: [letter], double_opt_in: true}
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

// queued puts a job and what it confirms into a data directory nobody serves, as an earlier run left them, and gives
// the code of its link.
func queued(t *testing.T, data, to string) (code string) {
	t.Helper()
	flags := dataFlags{Data: data}
	keys, err := site.OpenSealKeys(flags.seal())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := link.Open(flags.linkKeys())
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ledger.Options{Dir: flags.ledger()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	now := consent.ToMillis(time.Now())
	j := mail.Job{ID: uuid.Must(uuid.NewV7()), Kind: mail.Confirm, Site: "demo", Form: "join", Locale: "fr", Purposes: []string{"letter"},
		To: keys.Ring().Seal("demo", consent.KindEmail, to), Created: now, Expires: now + 48*3600*1000}
	code = ring.Code(append([]byte("optin"), j.ID[:]...))
	sum := sha256.Sum256([]byte(code))
	if err := l.SetNotes(t.Context(), new(mail.Queue).Note(j), ledger.Note{Space: "optin", Key: sum[:], Value: fmt.Appendf(nil, `{"expires":%q}`, j.Expires)}); err != nil {
		t.Fatal(err)
	}
	return code
}

// TestServeSendsWhatWasQueued by an earlier run, with a link to the public address; one key of links was added since.
func TestServeSendsWhatWasQueued(t *testing.T) {
	data := t.TempDir()
	code := queued(t, data, "jeanne@exemple.fr")
	if _, errs, err := command("links", "--rotate", "--data", data); err != nil || !contains(errs, "key 2") {
		t.Fatalf("%s %v", errs, err)
	}
	s := mailtest.Start(t, mailtest.Options{})
	p, edge := serve(t, data, letterSites(t), "--engine-lib", filepath.Join(data, "none"), "--smtp", s.URL(), "--public-url", "https://consent.shop.example/")
	m := s.Wait(t, 1)[0]
	if got, want := m.Read(t).Link(t), "https://consent.shop.example/c/"+code; got != want || m.To != "jeanne@exemple.fr" || m.Hello != "consent.shop.example" {
		t.Errorf("%s, want %s; %+v", got, want, m)
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
	if contains(p.err.String(), "exemple.fr") || contains(p.err.String(), code) {
		t.Errorf("the log tells of a person:\n%s", p.err.String())
	}
}

// TestDeadLettersAreSeenAndTriedAgain with consentd mail.
func TestDeadLettersAreSeenAndTriedAgain(t *testing.T) {
	data := t.TempDir()
	queued(t, data, "jeanne@exemple.fr")
	var taken atomic.Bool
	s := mailtest.Start(t, mailtest.Options{Answer: func(command, _ string) error {
		if command == "RCPT" && !taken.Load() {
			return mailtest.Refusal(550, 5, 1, 1)
		}
		return nil
	}})
	p, _ := serve(t, data, letterSites(t), "--engine-lib", filepath.Join(data, "none"), "--smtp", s.URL())
	admin := strings.TrimPrefix(p.says(t, `admin=(\S+)`), "http://")
	if !contains(p.err.String(), "--public-url") {
		t.Errorf("nobody is told where links lead:\n%s", p.err.String())
	}
	var out string
	eventually(t, "consentd mail lists it", func() (bool, string) {
		var errs string
		var err error
		out, errs, err = command("mail", "--admin", admin)
		return contains(out, "given up      1", "demo", "join", "refused", "550 5.1.1"), fmt.Sprint(out, errs, err)
	})
	raw, _, err := command("mail", "--admin", admin, "--json")
	if err != nil || contains(raw+out, "exemple") || !contains(raw, `"dead":1`) {
		t.Errorf("%s %s %v", out, raw, err)
	}
	id := strings.Fields(out[strings.Index(out, "550 5.1.1"):])[3]
	taken.Store(true)
	if out, errs, err := command("mail", "--admin", admin, "--retry", id); err != nil || out != "1 tried again\n" {
		t.Errorf("%s %s %v", out, errs, err)
	}
	s.Wait(t, 1)
	if out, _, err := command("mail", "--admin", admin, "--retry", "all"); err != nil || out != "0 tried again\n" {
		t.Errorf("%s %v", out, err)
	}
	if out, _, err := command("mail", "--admin", admin); err != nil || !contains(out, "given up      0", "waiting       0", s.Addr) {
		t.Errorf("%s %v", out, err)
	}
	for name, args := range map[string][]string{"an id that is none": {"--admin", admin, "--retry", "x"}, "nobody there": {"--admin", "127.0.0.1:1"}} {
		if _, _, err := command(append([]string{"mail"}, args...)...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWithoutAMailServer mails wait; it is said at the start and in /readyz.
func TestWithoutAMailServer(t *testing.T) {
	data := t.TempDir()
	queued(t, data, "jeanne@exemple.fr")
	p, edge := serve(t, data, letterSites(t), "--engine-lib", filepath.Join(data, "none"))
	if !contains(p.err.String(), "no mail server is named: mails wait", "sites=demo") {
		t.Error(p.err.String())
	}
	if code, body := get(t, edge+"/readyz", ""); code != 200 || !contains(body, `"status":"degraded"`, "1 confirmation mails wait", "--smtp") {
		t.Errorf("%d %s", code, body)
	}
}

// TestTheDemoWritesMailsToFiles and prints them with their link.
func TestTheDemoWritesMailsToFiles(t *testing.T) {
	data := t.TempDir()
	p := start(t, "demo", "--data", data, "--addr", "127.0.0.1:0", "--shop", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--engine-lib", filepath.Join(data, "none"))
	p.says(t, `Confirmation mails go to (file://\S+/mail);`)
	p.end(t)
	code := queued(t, data, "jeanne@exemple.fr")
	sites := letterSites(t)
	p, _ = serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--smtp", "file://"+filepath.Join(data, "mail"))
	raw, err := os.ReadFile(p.says(t, `the mail is in a file" path=(\S+\.eml)`))
	if err != nil {
		t.Fatal(err)
	}
	if got := mailtest.Read(t, raw).Link(t); !strings.HasPrefix(got, "http://127.0.0.1:") || !strings.HasSuffix(got, "/c/"+code) {
		t.Error(got)
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

package server

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/mail"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// mailbox is a real queue of mails that writes them into a directory.
type mailbox struct {
	queue *mail.Queue
	mu    sync.Mutex
	mails []letter
}

// letter is one mail: its text as it was written, and the link it carries.
type letter struct{ text, link string }

func openMailbox(t testing.TB, k *kit, seal *consent.KeyRing) *mailbox {
	t.Helper()
	m := &mailbox{}
	var err error
	m.queue, err = mail.New(mail.Options{Store: k.ledger, Open: seal, Server: "file://" + filepath.ToSlash(t.TempDir()), Now: k.clock.now,
		Sites: func(id string) (*mail.Site, bool) {
			st, ok := k.sites.Get(id)
			if !ok {
				return nil, false
			}
			return &mail.Site{Site: st.Site, Theme: st.Theme}, true
		},
		Link: func(j mail.Job) (string, error) { return k.ConfirmLink(j) },
		Wrote: func(path, link string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			m.mails = append(m.mails, letter{string(text), link})
		}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// open sends mails until the test ends.
func (m *mailbox) open(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.queue.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sending mails: %v", err)
		}
	})
}

// got waits for the n-th mail.
func (m *mailbox) got(t testing.TB, n int) letter {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if all := m.all(); len(all) >= n {
			return all[n-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("mail %d never came; %d did", n, len(m.all()))
		}
	}
}

func (m *mailbox) all() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]letter(nil), m.mails...)
}

// settled waits until no mail waits, and gives all that came.
func (m *mailbox) settled(t testing.TB) []letter {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); m.queue.Status().Waiting > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(m.queue.Status())
		}
	}
	return m.all()
}

const ofAtelier = "Origin: https://atelier.example"

// signUp is the body of a form of the atelier's own pages, with double opt-in; change edits it first.
func (k *kit) signUp(email string, change ...func(choice)) string {
	k.t.Helper()
	c := choice{"id": uuid.Must(uuid.NewV7()).String(), "subject": map[string]any{"email": email}, "surface": "form:lettre", "method": "custom",
		"decisions": map[string]any{"newsletter": true, "partners": false, "sms": false}, "wording": k.wordingOf("atelier", "form:lettre", "fr"),
		"locale": "fr", "page": "https://atelier.example/", "trap": "", "took": 4200}
	for _, f := range change {
		f(c)
	}
	b, err := json.Marshal(c)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

// sign records a form from a page of the atelier.
func (k *kit) sign(body string) reply {
	k.t.Helper()
	return k.do("POST", "/v1/sites/atelier/consents", body, asPlain, ofAtelier)
}

// requested signs an address up and gives the path of the link in its mail.
func (k *kit) requested(email string) string {
	k.t.Helper()
	before := len(k.mail.settled(k.t))
	if r := k.sign(k.signUp(email)); r.status != 201 {
		k.t.Fatal(r.body)
	}
	return k.path(k.mail.got(k.t, before+1).link)
}

// path is the part of an address behind this server's own.
func (k *kit) path(address string) string {
	k.t.Helper()
	path, ok := strings.CutPrefix(address, k.url)
	if !ok || !strings.HasPrefix(path, "/") {
		k.t.Fatalf("%q is not an address of %s", address, k.url)
	}
	return path
}

// standing is what a lookup says of one purpose of an address: "pending awaiting_confirmation proven".
func (k *kit) standing(email, purpose string) string {
	k.t.Helper()
	return k.standingOf(map[string]any{"email": email}, purpose)
}

func (k *kit) standingOf(subject map[string]any, purpose string) string {
	k.t.Helper()
	body, err := json.Marshal(map[string]any{"purposes": []string{purpose}, "subjects": []any{subject}})
	if err != nil {
		k.t.Fatal(err)
	}
	r := k.do("POST", "/v1/sites/atelier/lookup", string(body), asJSON, k.bearerFor("atelier", "lookup"))
	var answer struct {
		Results []struct {
			Decisions map[string]struct{ Status, Reason, Grade string }
		}
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || len(answer.Results) != 1 {
		k.t.Fatal(r.status, r.body, err)
	}
	d := answer.Results[0].Decisions[purpose]
	return d.Status + " " + d.Reason + " " + d.Grade
}

// linksOf asks for the links of one address: the paths of its preference centre and its unsubscribe page.
func (k *kit) linksOf(email string, purposes ...string) (centre, unsubscribe string) {
	k.t.Helper()
	order := map[string]any{"subjects": []any{map[string]any{"email": email}}}
	if len(purposes) > 0 {
		order["purposes"] = purposes
	}
	body, err := json.Marshal(order)
	if err != nil {
		k.t.Fatal(err)
	}
	r := k.do("POST", "/v1/sites/atelier/links", string(body), asJSON, k.bearerFor("atelier", "links"))
	var answer struct {
		Results []struct{ Preferences, Unsubscribe string }
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || len(answer.Results) != 1 {
		k.t.Fatal(r.status, r.body, err)
	}
	return k.path(answer.Results[0].Preferences), k.path(answer.Results[0].Unsubscribe)
}

// seq is how many proofs there are: what must not move when nothing is to be written.
func (k *kit) seq() uint64 { return k.ledger.Next(consent.StreamProofs) }

// last is the latest proof.
func (k *kit) last() *consent.Proof {
	k.t.Helper()
	var p *consent.Proof
	err := k.ledger.Scan(consent.StreamProofs, k.seq()-1, k.seq(), func(_ uint64, raw []byte) (err error) {
		p, err = consent.ParseProof(raw)
		return err
	})
	if err != nil || p == nil {
		k.t.Fatal(err)
	}
	return p
}

// get reads a page.
func (k *kit) get(path string, header ...string) reply {
	k.t.Helper()
	r := k.do("GET", path, "", header...)
	k.checkPage(r)
	return r
}

// press sends a form of a page: the hidden fields of the form that has the button, and what is typed.
func (k *kit) press(path string, page reply, button string, typed ...string) reply {
	k.t.Helper()
	r := k.do("POST", path, k.fill(page, button, typed...).Encode(), asForm, "Origin: "+k.url)
	if r.status != 303 {
		k.checkPage(r)
	}
	return r
}

const asForm = "Content-Type: application/x-www-form-urlencoded"

var (
	formPattern   = regexp.MustCompile(`(?s)<form .*?</form>`)
	hiddenPattern = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// fill gives what a browser sends for the form of a page that contains button.
func (k *kit) fill(page reply, button string, typed ...string) url.Values {
	k.t.Helper()
	for _, form := range formPattern.FindAllString(page.body, -1) {
		if !strings.Contains(form, button) {
			continue
		}
		v := url.Values{}
		for _, m := range hiddenPattern.FindAllStringSubmatch(form, -1) {
			v.Set(m[1], m[2])
		}
		for i := 0; i+1 < len(typed); i += 2 {
			v.Set(typed[i], typed[i+1])
		}
		return v
	}
	k.t.Fatalf("no form has %q:\n%s", button, page.body)
	return nil
}

// checkPage holds what every page for a person keeps to.
func (k *kit) checkPage(r reply) {
	k.t.Helper()
	csp := r.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		k.t.Errorf("policy %q", csp)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Referrer-Policy") != "same-origin" ||
		r.header.Get("Content-Type") != "text/html; charset=utf-8" {
		k.t.Errorf("headers %v", r.header)
	}
	for _, bad := range []string{"<script", "ZgotmplZ", "{{", " style=", "javascript:"} {
		if strings.Contains(r.body, bad) {
			k.t.Errorf("the page has %q:\n%s", bad, r.body)
		}
	}
	if braces := regexp.MustCompile(`\{[a-z]+\}`).FindString(strings.SplitN(r.body, "</style>", 2)[1]); braces != "" {
		k.t.Errorf("nothing stands for %s:\n%s", braces, r.body)
	}
	if empty := regexp.MustCompile(`<(h1|h2|p|button|label|summary|title|span|footer)( [^>]*)?>\s*</`).FindString(r.body); empty != "" {
		k.t.Errorf("an empty %s:\n%s", empty, r.body)
	}
}

// token seals a link as the server would.
func (k *kit) token(t link.Token) string { return k.links.Seal(&t) }

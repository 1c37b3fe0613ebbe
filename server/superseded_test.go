package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// withNews is the demo site with a newsletter, which a form asks for.
const withNews = `
  - id: news
    basis: consent
    channel: email
    title: {fr: Lettre, en: Newsletter}
    text: {fr: Une lettre par mois., en: A letter a month.}
`

// editable starts a server whose one site is the demo site in a file of its own; rewrite replaces old by new in it.
func editable(t *testing.T, more string) (k *kit, rewrite func(old, new string)) {
	t.Helper()
	text, err := os.ReadFile("testdata/sites/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text = append(text, more...)
	write := func() {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	sites, err := site.Open(site.Options{Dir: dir, Secret: func(string) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sites.Close() })
	if p := sites.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	k = start(t, func(o *Options) { o.Sites = sites })
	k.sites.Close()
	k.sites = sites
	return k, func(old, new string) {
		t.Helper()
		if !strings.Contains(string(text), old) {
			t.Fatalf("no %q in the file", old)
		}
		text = bytes.Replace(text, []byte(old), []byte(new), 1)
		write()
		sites.Reload()
		if p := sites.Problems(); len(p) > 0 {
			t.Fatal(p)
		}
	}
}

// reasons looks a subject up, alone and in a batch, and gives "purpose=reason allowed" for each purpose named.
func (k *kit) reasons(key consent.SubjectKey, purposes ...string) string {
	k.t.Helper()
	one := k.lookup("key=" + key.String() + "&purpose=" + strings.Join(purposes, "&purpose="))
	many := k.do("POST", "/v1/sites/demo/lookup", fmt.Sprintf(`{"purposes":["%s"],"subjects":[{"key":"%s"}]}`, strings.Join(purposes, `","`), key), asJSON, k.bearer("lookup"))
	var all []string
	for _, p := range purposes {
		all = append(all, fmt.Sprintf("%s=%s %v", p, field[string](k.t, one.body, "decisions", p, "reason"), field[bool](k.t, one.body, "decisions", p, "allowed")))
	}
	if _, rest, _ := strings.Cut(one.body, `"decisions"`); !strings.Contains(many.body, strings.TrimSuffix(rest, "}")) {
		k.t.Fatalf("one: %s\nmany: %s", one.body, many.body)
	}
	return strings.Join(all, ", ")
}

// said records what a person or device decided on one purpose, as the ledger has it once a form, a mail or a page has
// done its part.
func (k *kit) said(kind consent.Kind, key consent.SubjectKey, surface string, m consent.Method, purpose string, granted bool) {
	k.t.Helper()
	p := &consent.Proof{Facts: consent.Facts{ID: uuid.Must(uuid.NewV7()), Site: "demo", Edge: k.ledger.Edge(), RecordedAt: k.ledger.Now(), Surface: surface, Method: m,
		Device: consent.DeviceMobile, Grade: consent.GradeProven, Decisions: []consent.Choice{{Purpose: purpose, Granted: granted}}}}
	if m == consent.MethodConfirm {
		p.Grade = consent.GradeVerified
	}
	p.Personal = consent.Personal{Subject: key, Kind: kind, Salt: consent.NewSalt()}
	p.Commitment = p.Personal.Commit()
	if _, err := k.ledger.Append(k.t.Context(), p); err != nil {
		k.t.Fatal(err)
	}
}

func TestAGrantUnderAnOldTextIsSuperseded(t *testing.T) {
	k, rewrite := editable(t, "")
	agree := func(surface string) consent.SubjectKey {
		t.Helper()
		device := uuid.NewString()
		r := k.post(k.choice(set("subject", map[string]any{"device": device}), set("surface", surface), set("wording", k.wordingOf("demo", surface, "fr")),
			set("method", "accept_all"), set("decisions", map[string]any{"analytics": true, "ads": true})))
		if r.status != 201 {
			t.Fatal(r.body)
		}
		st, _ := k.sites.Get("demo")
		return st.Keyer.Key(consent.Subject{Kind: consent.KindDevice, Value: device})
	}
	both := func(key consent.SubjectKey, want string) {
		t.Helper()
		for range 2 { // the second time from memory
			if got := k.reasons(key, "analytics", "ads"); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
	banner, preferences := agree("banner"), agree("preferences")
	both(banner, "analytics=granted true, ads=granted true")

	rewrite("We count visits.", "We count every visit.")
	both(banner, "analytics=granted true, ads=granted true") // a corrected text asks nobody again
	both(preferences, "analytics=granted true, ads=granted true")

	rewrite("    keep: 30d", "    services: [{name: Ad Net, policy: \"https://ads.example/privacy\"}]\n    keep: 30d")
	both(preferences, "analytics=granted true, ads=wording_superseded false")
	both(banner, "analytics=granted true, ads=granted true") // the banner had named no services
	both(agree("preferences"), "analytics=granted true, ads=granted true")

	rewrite("basis: consent", "basis: legitimate_interest\n    objection: true")
	both(banner, "analytics=wording_superseded false, ads=granted true")

	rewrite("region: FR", "region: FR\nrevision: 2")
	both(banner, "analytics=wording_superseded false, ads=wording_superseded false")
	both(preferences, "analytics=wording_superseded false, ads=wording_superseded false")
	both(agree("banner"), "analytics=granted true, ads=granted true")
	r := k.lookup("key=" + banner.String() + "&purpose=ads")
	if field[string](t, r.body, "decisions", "ads", "status") != "expired" || field[string](t, r.body, "decisions", "ads", "proof") == "" {
		t.Fatal(r.body)
	}
}

func TestANewsletterIsPendingThenGrantedThenEndsInSilence(t *testing.T) {
	k, _ := editable(t, withNews)
	key, ms := consent.SubjectKey{15: 1}, func(d time.Duration) consent.Millis { return consent.Millis(d.Milliseconds()) }
	expect := func(want string) {
		t.Helper()
		if got := k.reasons(key, "news"); got != "news="+want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	form := consent.SurfaceForm("signup")
	expect("never_asked false")
	k.said(consent.KindEmail, key, form, consent.MethodRequest, "news", true)
	expect("awaiting_confirmation false")
	k.clock.advance(consent.ConfirmWithin)
	expect("never_asked false")
	k.said(consent.KindEmail, key, form, consent.MethodRequest, "news", true)
	k.said(consent.KindEmail, key, form, consent.MethodConfirm, "news", true)
	expect("granted true")
	if r := k.lookup("key=" + key.String()); field[string](t, r.body, "decisions", "news", "grade") != "verified" {
		t.Fatal(r.body)
	}
	k.said(consent.KindEmail, key, form, consent.MethodRequest, "news", true)
	k.said(consent.KindEmail, key, form, consent.MethodRejectAll, "news", false)
	expect("granted true")
	k.clock.advance(consent.DefaultInactive - time.Hour)
	expect("granted true")
	if err := k.ledger.Touch(t.Context(), "demo", k.ledger.Now()-ms(24*time.Hour), key); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(2 * time.Hour)
	expect("granted true") // without the contact it would have ended
	k.clock.advance(consent.DefaultInactive)
	expect("expired false")
	k.said(consent.KindEmail, key, consent.SurfaceUnsubscribe, consent.MethodWithdraw, "news", false)
	expect("withdrawn false")
}

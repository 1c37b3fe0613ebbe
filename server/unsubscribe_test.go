package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
)

// oneClick is a mailbox provider's POST, byte for byte: no cookie, no Origin, no language, either encoding.
func (k *kit) oneClick(path, contentType, body string) *http.Response {
	k.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(k.url, "http://"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: consent.example\r\nContent-Type: %s\r\nContent-Length: %d\r\nUser-Agent: one-click\r\n\r\n%s", path, contentType, len(body), body)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err != nil {
		k.t.Fatal(err)
	}
	return res
}

const (
	urlencoded    = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data; boundary=----b"
	multipartBody = "------b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n------b--\r\n"
)

// RFC 8058: withdrawn at once, without a redirect; the same again is harmless.
func TestOneClickUnsubscribe(t *testing.T) {
	for name, tc := range map[string][2]string{"plain": {urlencoded, "List-Unsubscribe=One-Click"}, "multipart": {multipartType, multipartBody}} {
		t.Run(name, func(t *testing.T) {
			k := start(t)
			const marie = "marie@atelier.example"
			centre, path := k.linksOf(marie, "newsletter")
			for _, purpose := range []string{"newsletter", "partners"} {
				k.press(centre, k.get(centre), `value="`+purpose+`"`, "do", "on")
			}
			before := k.seq()
			for i := range 3 {
				res := k.oneClick(path, tc[0], tc[1])
				if res.StatusCode != 200 || res.Header.Get("Location") != "" || res.Header.Get("Set-Cookie") != "" {
					t.Fatal(res.StatusCode, res.Header)
				}
				if got := k.standing(marie, "newsletter"); got != "withdrawn withdrawn proven" {
					t.Fatal(i, got)
				}
			}
			if k.seq() != before+1 {
				t.Errorf("%d proofs", k.seq()-before)
			}
			if got := k.standing(marie, "partners"); got != "granted granted proven" {
				t.Error("more than was asked for:", got)
			}
			p := k.last()
			if p.Surface != "unsubscribe" || p.Method != consent.MethodWithdraw || !p.Wording.IsZero() || p.Locale != "" || len(p.Decisions) != 1 || p.Personal.Subject != k.keyOf(marie) || len(p.Personal.Identifier) == 0 || p.Personal.Page != k.url+"/u" {
				t.Errorf("%+v", p)
			}
		})
	}
}

// Without purposes the link ends everything; an address that never decided anything can be ended too.
func TestOneClickForEverything(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	_, path := k.linksOf(marie)
	if res := k.oneClick(path, urlencoded, "List-Unsubscribe=One-Click"); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	for _, purpose := range []string{"newsletter", "partners", "sms", "post"} {
		if got := k.standing(marie, purpose); got != "withdrawn withdrawn proven" {
			t.Error(purpose, got)
		}
	}
}

// An unsubscribed address that signs up again and then unsubscribes again is unsubscribed again.
func TestUnsubscribingTwiceOverTime(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	centre, path := k.linksOf(marie, "newsletter")
	for range 2 {
		k.press(centre, k.get(centre), `value="newsletter"`, "do", "on")
		k.oneClick(path, urlencoded, "List-Unsubscribe=One-Click")
		if got := k.standing(marie, "newsletter"); got != "withdrawn withdrawn proven" {
			t.Error(got)
		}
	}
	if k.seq() != 4 {
		t.Errorf("%d proofs", k.seq())
	}
}

// What is no click of a button does nothing: scanners post, too.
func TestWhatIsNoUnsubscribing(t *testing.T) {
	k := start(t)
	_, path := k.linksOf("marie@atelier.example", "newsletter")
	for name, tc := range map[string]struct {
		method, kind, body string
		status             int
	}{
		"GET":               {"GET", urlencoded, "", 200},
		"HEAD":              {"HEAD", urlencoded, "", 200},
		"OPTIONS":           {"OPTIONS", urlencoded, "", 204},
		"PUT":               {"PUT", urlencoded, "List-Unsubscribe=One-Click", 405},
		"nothing":           {"POST", urlencoded, "", 422},
		"something else":    {"POST", urlencoded, "List-Unsubscribe=Two-Clicks", 422},
		"JSON":              {"POST", "application/json", `{"List-Unsubscribe":"One-Click"}`, 415},
		"no type":           {"POST", "", "List-Unsubscribe=One-Click", 415},
		"a broken boundary": {"POST", "multipart/form-data", multipartBody, 422},
		"cut short":         {"POST", multipartType, multipartBody[:60], 422},
		"far too large":     {"POST", urlencoded, "List-Unsubscribe=One-Click&x=" + strings.Repeat("a", 20<<10), 413},
	} {
		if r := k.do(tc.method, path, tc.body, "Content-Type: "+tc.kind); r.status != tc.status || k.seq() != 0 {
			t.Errorf("%s: %d, %d written", name, r.status, k.seq())
		}
	}
}

// The page: one button for what the mail was about, one for everything, and a way to all choices.
func TestTheUnsubscribePage(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	centre, path := k.linksOf(marie, "newsletter")
	for _, purpose := range []string{"newsletter", "partners"} {
		k.press(centre, k.get(centre), `value="`+purpose+`"`, "do", "on")
	}
	page := k.get(path)
	for _, s := range []string{"Se désabonner", marie, "La lettre de l’atelier", "Me désabonner", "Tout arrêter", "Voir tous mes choix", `href="/p/`} {
		if !strings.Contains(page.body, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
	done := k.press(path, page, "Me désabonner")
	if done.status != 200 || !strings.Contains(done.body, "Vous ne recevrez plus") || !strings.Contains(done.body, "La lettre de l’atelier") || strings.Contains(done.body, "partenaires") {
		t.Fatal(done.status, done.body)
	}
	p := k.last()
	if w := k.docOf("atelier", p.Wording); w.Surface != "unsubscribe" || len(w.Purposes) != 1 || w.Buttons["stop"] != "Me désabonner" || p.Locale != "fr" {
		t.Errorf("%+v", w)
	}
	before := k.seq()
	if again := k.press(path, page, "Me désabonner"); again.status != 200 || k.seq() != before {
		t.Error("pressed twice", again.status)
	}
	all := k.press(path+"?lang=en", k.get(path+"?lang=en"), "Stop everything")
	if all.status != 200 || !strings.Contains(all.body, "Offers from our partners") || !strings.HasPrefix(k.standing(marie, "partners"), "withdrawn") {
		t.Error(all.status, all.body)
	}
	if p := k.last(); p.Locale != "en" || len(p.Decisions) != 4 {
		t.Errorf("%+v", p)
	}
	href := done.body[strings.Index(done.body, `href="/p/`)+6:]
	if r := k.get(href[:strings.IndexByte(href, '"')]); r.status != 200 || !strings.Contains(r.body, "Arrêté le") {
		t.Error("the way to all choices", r.status)
	}
}

// A link about several purposes, and one about purposes that are gone.
func TestUnsubscribingFromSome(t *testing.T) {
	k := start(t)
	const marie = "marie@atelier.example"
	_, path := k.linksOf(marie, "newsletter", "sms")
	k.press(path, k.get(path), "do", "do", "one")
	if p := k.last(); len(p.Decisions) != 2 || len(k.docOf("atelier", p.Wording).Purposes) != 2 {
		t.Errorf("%+v", p)
	}
	if got := k.standing(marie, "newsletter") + ", " + k.standing(marie, "partners"); got != "withdrawn withdrawn proven, unknown never_asked none" {
		t.Error(got)
	}
	old := "/u/" + k.token(link.Token{Kind: link.Unsubscribe, Site: "atelier", Subject: k.keyOf(marie), SubjectKind: consent.KindEmail, Purposes: []string{"gone"}, Expires: 1 << 45})
	if page := k.get(old); !strings.Contains(page.body, "Tout arrêter") || strings.Contains(page.body, "Me désabonner") {
		t.Error(page.body)
	}
	if r := k.get("/u/" + k.token(link.Token{Kind: link.Unsubscribe, Site: "demo", Expires: 1 << 45})); r.status != 404 {
		t.Error("a site without anything to end", r.status)
	}
	if r := k.get("/u/" + k.token(link.Token{Kind: link.Unsubscribe, Site: "gone", Expires: 1 << 45})); r.status != 404 {
		t.Error("a site that is gone", r.status)
	}
}

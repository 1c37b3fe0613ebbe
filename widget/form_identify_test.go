package widget_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/consentd/consentd/widget/widgettest"
)

// decided is what the edge answers of an account: an undecided purpose is the empty status.
func decided(analytics, ads, audience string) string {
	return fmt.Sprintf(`{"as_of":"2026-11-22T00:00:00.000Z","decisions":{"analytics":{"status":%q},"ads":{"status":%q},"audience":{"status":%q}}}`, analytics, ads, audience)
}

// visitSignedIn opens a page of a site with identify, on a device that has accepted analytics alone.
func visitSignedIn(t *testing.T, p page) (*stand, *widgettest.Tab) {
	t.Helper()
	in := input(t, shop())
	in.Options.Identify = true
	s := newStand(t, in, p)
	s.accounts = map[string]string{
		"tok-refused": decided("denied", "withdrawn", "denied"), "tok-all": decided("granted", "granted", "granted"),
		"tok-new": decided("unknown", "expired", "unknown"),
	}
	tab := newTab(t)
	tab.BeforeScripts(s.chosen("1"))
	tab.Open(s.site.URL)
	tab.Until("window.consentd?.get")
	return s, tab
}

const allowedNow = `["analytics", "ads", "audience"].filter(consentd.has).join(" ")`

func (s *stand) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.identified)
}

func TestTheAccountsChoiceAppliesWhileSignedIn(t *testing.T) {
	s, tab := visitSignedIn(t, page{head: `<script>(window.consentd = window.consentd || []).push(["on", "change", c => (window.changes ||= []).push(c.decisions.analytics)])</script>`, body: gated})
	tab.NothingShown()
	tab.Until(ran + `.endsWith("last")`)
	cookie := widgettest.Eval[string](tab, "document.cookie + localStorage.consentd_shop")
	widgettest.Eval[bool](tab, `(consentd.identify("tok-refused"), true)`)
	tab.Until(allowedNow + ` === ""`)
	tab.NothingShown()
	if got := s.asked(); !slices.Equal(got, []string{"tok-refused "}) {
		t.Errorf("the edge was asked %q", got)
	}
	// The next page of the tab begins as the account has chosen: nothing runs that it refused.
	tab.Reload()
	tab.NothingShown()
	if got := widgettest.Eval[string](tab, allowedNow+" + consentd.get().device"); got != "" {
		t.Errorf("on the next page %q", got)
	}
	tab.Until(ran + ` === "necessary"`)
	// What is chosen now is the account's.
	widgettest.Eval[bool](tab, `(consentd.open(), true)`)
	tab.Press("dialog #accept")
	tab.NothingShown()
	c := got(t, s, &s.consents, 1)[0]
	if c.Subject.Person != "tok-refused" || c.Subject.Device != "" || c.Method != "accept_all" || c.Surface != "preferences" {
		t.Errorf("consent %+v", c)
	}
	if got := widgettest.Eval[string](tab, allowedNow); got != "analytics ads audience" {
		t.Errorf("allowed: %q", got)
	}
	// Signed out, the device's own choice is as it was.
	widgettest.Eval[bool](tab, `(consentd.identify(null), true)`)
	tab.Until(allowedNow + ` === "analytics"`)
	if now := widgettest.Eval[string](tab, "document.cookie + localStorage.consentd_shop"); now != cookie {
		t.Errorf("the device kept %s, keeps %s", cookie, now)
	}
	if left := widgettest.Eval[string](tab, "Object.keys(sessionStorage).join()"); left != "" {
		t.Errorf("sessionStorage still holds %s", left)
	}
	tab.Reload()
	tab.NothingShown()
	tab.Until(allowedNow + ` === "analytics"`)
	got(t, s, &s.consents, 1)
	quiet(t, tab)
}

// An account that was never asked is asked, whatever the device has said; and the device is left as it was.
func TestAnAccountIsAskedForItself(t *testing.T) {
	s, tab := visitSignedIn(t, page{})
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.push(["identify", "tok-new"]), true)`)
	tab.BannerShown()
	if got := widgettest.Eval[string](tab, allowedNow); got != "" {
		t.Errorf("allowed before the account has decided: %q", got)
	}
	got(t, s, &s.prompts, 1)
	tab.Press("#refuse")
	tab.NothingShown()
	if c := got(t, s, &s.consents, 1)[0]; c.Subject.Person != "tok-new" || c.Method != "reject_all" || !maps.Equal(c.Decisions, nothing) {
		t.Errorf("consent %+v", c)
	}
	tab.Reload()
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.identify(null), true)`)
	tab.Until(allowedNow + ` === "analytics"`)
}

func TestWhenTheEdgeDoesNotKnowThePerson(t *testing.T) {
	s, tab := visitSignedIn(t, page{})
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.identify("forged"), true)`)
	tab.Heard("identify refused: 422")
	if got := widgettest.Eval[string](tab, allowedNow); got != "analytics" {
		t.Errorf("allowed: %q", got)
	}
	// An account whose token has run out is nobody's any more.
	widgettest.Eval[bool](tab, `(consentd.identify("tok-all"), true)`)
	tab.Until(allowedNow + ` === "analytics ads audience"`)
	widgettest.Eval[bool](tab, `(consentd.identify("forged"), true)`)
	tab.Until(allowedNow + ` === "analytics"`)
	// No answer is no news.
	widgettest.Eval[bool](tab, `(consentd.identify("tok-all"), true)`)
	tab.Until(allowedNow + ` === "analytics ads audience"`)
	s.set(func(s *stand) { s.refuse = hangUp })
	widgettest.Eval[bool](tab, `(consentd.identify("tok-refused"), true)`)
	tab.Heard("ERR_EMPTY_RESPONSE")
	if got := widgettest.Eval[string](tab, allowedNow); got != "analytics ads audience" {
		t.Errorf("allowed: %q", got)
	}
}

// Only the last call counts, in whatever order the answers come.
func TestTheLastCallOfIdentifyCounts(t *testing.T) {
	s, tab := visitSignedIn(t, page{})
	tab.NothingShown()
	release := make(chan bool)
	s.set(func(s *stand) {
		s.refuse = func(http.ResponseWriter, post) bool { <-release; return false }
	})
	widgettest.Eval[bool](tab, `(consentd.identify("tok-refused"), consentd.identify(null), true)`)
	close(release)
	for len(s.asked()) == 0 {
		tab.Until("true")
	}
	widgettest.Eval[bool](tab, `new Promise(done => setTimeout(() => done(true), 50))`)
	if got := widgettest.Eval[string](tab, allowedNow); got != "analytics" {
		t.Errorf("allowed: %q", got)
	}
}

// A choice of an account that met no edge goes with the tab too.
func TestAChoiceOfAnAccountMadeOffline(t *testing.T) {
	s, tab := visitSignedIn(t, page{})
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(consentd.identify("tok-all"), true)`)
	tab.Until(allowedNow + ` === "analytics ads audience"`)
	s.set(func(s *stand) { s.refuse = hangUp })
	widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
	tab.Until(allowedNow + ` === ""`)
	tab.Heard("/consents")
	if kept := widgettest.Eval[string](tab, "JSON.stringify(localStorage)"); strings.Contains(kept, "tok-all") {
		t.Errorf("the device keeps %s", kept)
	}
	s.set(func(s *stand) { s.refuse = nil })
	tab.Reload()
	if c := got(t, s, &s.consents, 1)[0]; c.Subject.Person != "tok-all" || c.Method != "withdraw" {
		t.Errorf("consent %+v", c)
	}
}

func TestIdentifyIsThereWhereTheSiteHasIt(t *testing.T) {
	_, tab := visit(t, page{})
	tab.BannerShown()
	if widgettest.Eval[bool](tab, `"identify" in consentd`) {
		t.Error("a site without it has identify()")
	}
	in := input(t, shop())
	if inBundle(t, build(t, in), "signedIn") {
		t.Error("signedIn.ts is in a script that has no use for it")
	}
	in.Options.Identify = true
	with := build(t, in)
	if !inBundle(t, with, "signedIn") {
		t.Error("signedIn.ts is not in the script that needs it")
	}
	in.Options.Identify = false
	t.Logf("identify adds %d bytes of brotli", len(with.Brotli)-len(build(t, in).Brotli))
}

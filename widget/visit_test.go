package widget_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

// gated is a page whose trackers wait: files and inline scripts in turn, the first file slow.
const gated = `<main><h1>Alba</h1><button data-consentd="open">Cookies</button></main>
<script type="text/plain" data-consent="necessary">(window.ran ||= []).push("necessary")</script>
<script type="text/plain" data-consent="analytics" data-src="/slow.js"></script>
<script type="text/plain" data-consent="analytics" data-src="/fast.js"></script>
<script type="text/plain" data-consent="analytics">(window.ran ||= []).push("inline")</script>
<script type="text/plain" data-consent="ads" data-src="/ads.js"></script>
<script type="text/plain" data-consent="ads analytics">(window.ran ||= []).push("both")</script>
<script type="text/plain" data-consent="analytics" data-type="module" data-src="/module.js"></script>
<script type="text/plain" data-consent="analytics">(window.ran ||= []).push("last")</script>`

const ran = `(window.ran ?? []).join(" ")`

var (
	nothing = map[string]bool{"ads": false, "analytics": false, "audience": false}
	all     = map[string]bool{"ads": true, "analytics": true, "audience": true}
)

func visit(t *testing.T, p page) (*stand, *widgettest.Tab) {
	t.Helper()
	s := newStand(t, input(t, shop()), p)
	tab := newTab(t)
	tab.Open(s.site.URL + "/rayon?utm=1#top")
	return s, tab
}

// answered is true when no choice waits for its answer; a page left before would send it again.
const answered = `!localStorage.consentd_shop_outbox`

const stored = `document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage)`

func TestFirstVisitShowsTheBannerAndReportsOnePrompt(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.BannerShown()
	p := got(t, s, &s.prompts, 1)[0]
	if version(t, p.Prompt) != 4 || p.Surface != "banner" || p.Locale != "en" || p.Wording != s.hash("banner", "en") ||
		p.Page != s.site.URL+"/rayon" || !strings.HasPrefix(p.Type, "text/plain") {
		t.Errorf("prompt %+v", p)
	}
	if kept := widgettest.Eval[string](tab, stored); kept != "" {
		t.Errorf("kept before any choice: %s", kept)
	}
	tab.Until(ran + ` === "necessary"`)
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("asked for before any choice: %s", got)
	}
	if widgettest.Eval[bool](tab, `consentd.has("analytics") || consentd.has("audience") || consentd.get() !== undefined || !consentd.has("necessary")`) {
		t.Error("something is allowed before any choice")
	}
	if widgettest.Eval[bool](tab, `document.body.firstElementChild.localName !== "consentd-widget" || document.activeElement !== document.body`) {
		t.Error("the banner is not first in the document, or took the focus")
	}
	if n := widgettest.Eval[int](tab, `1 + `+widgettest.Root+`.querySelectorAll("*").length`); n > 25 {
		t.Errorf("%d elements before the preferences are opened, at most 25", n)
	} else {
		t.Logf("%d elements", n)
	}
	quiet(t, tab)
}

// A tab nobody looks at has no frames: whoever closes it, or chooses in another one, was not asked there.
func TestATabNobodyLooksAtAsksNobody(t *testing.T) {
	s := newStand(t, input(t, shop()), page{body: gated})
	tab := newTab(t)
	tab.BeforeScripts(`const frames = []; window.requestAnimationFrame = f => frames.push(f); window.look = () => { for (const f of frames.splice(0)) f(0); }`)
	tab.Open(s.site.URL + "/rayon")
	tab.BannerShown()
	idle := func() {
		t.Helper()
		widgettest.Eval[bool](tab, `new Promise(done => setTimeout(() => requestIdleCallback(() => done(true)), 100))`)
	}
	idle()
	got(t, s, &s.prompts, 0)
	widgettest.Eval[bool](tab, `(look(), true)`)
	got(t, s, &s.prompts, 1)

	tab.Reload()
	tab.BannerShown()
	other := tab.Second()
	other.Open(s.site.URL + "/rayon")
	other.Press("#refuse")
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(look(), true)`)
	idle()
	got(t, s, &s.consents, 1)
	got(t, s, &s.prompts, 2)
}

func TestRefusing(t *testing.T) {
	s, tab := visit(t, page{body: gated, lang: "fr-CA"})
	tab.Press("#refuse")
	tab.NothingShown()
	prompt := got(t, s, &s.prompts, 1)[0]
	c := got(t, s, &s.consents, 1)[0]
	if version(t, c.ID) != 7 || version(t, c.Subject.Device) != 4 || c.Surface != "banner" || c.Method != "reject_all" || c.Locale != "fr" ||
		c.Prompt != prompt.Prompt || c.Wording != s.hash("banner", "fr") || c.Page != s.site.URL+"/rayon" || !strings.HasPrefix(c.Type, "text/plain") {
		t.Errorf("consent %+v", c)
	}
	if age := time.Since(consent.IDTime(uuid.MustParse(c.ID)).Time()); age < 0 || age > time.Minute {
		t.Errorf("the id is %s old", age)
	}
	if !maps.Equal(c.Decisions, nothing) {
		t.Errorf("decisions %v", c.Decisions)
	}
	tab.Until(ran + ` === "necessary"`)
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	tab.Until(ran + ` === "necessary"`)
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("asked for after a refusal: %s", got)
	}
	got(t, s, &s.prompts, 1)
	got(t, s, &s.consents, 1)
	quiet(t, tab)
}

func TestAcceptingRunsScriptsOnceAndInOrder(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.Press("#accept")
	tab.NothingShown()
	c := got(t, s, &s.consents, 1)[0]
	if c.Method != "accept_all" || c.Surface != "banner" || !maps.Equal(c.Decisions, all) {
		t.Errorf("consent %+v", c)
	}
	const order = "necessary /slow.js /fast.js inline /ads.js both /module.js last"
	tab.Until(ran + `.endsWith("last")`)
	if got := widgettest.Eval[string](tab, ran); got != order {
		t.Errorf("ran %q, want %q", got, order)
	}
	want := []string{"/ads.js", "/fast.js", "/module.js", "/slow.js"}
	files := s.scripts()
	slices.Sort(files)
	if !slices.Equal(files, want) {
		t.Errorf("asked for %s", files)
	}

	widgettest.Eval[bool](tab, `(() => { // later: one inserted, one inside a subtree, one moved that has run
		const late = document.createElement("script");
		Object.assign(late, {type: "text/plain", text: 'window.ran.push("late")'});
		late.dataset.consent = "ads";
		const box = document.createElement("div");
		const deep = late.cloneNode(true);
		deep.text = 'window.ran.push("deep")';
		box.append(deep);
		document.body.append(late, box, document.querySelector("script[data-consent=ads]"));
		return true;
	})()`)
	tab.Until(ran + `.endsWith("late deep")`)
	if got := widgettest.Eval[string](tab, ran); got != order+" late deep" {
		t.Errorf("ran %q", got)
	}
	tab.Until(answered)
	tab.Reload()
	tab.Until(ran + `.endsWith("last")`)
	if got := widgettest.Eval[string](tab, ran); got != order {
		t.Errorf("the next page ran %q", got)
	}
	got(t, s, &s.prompts, 1)
	got(t, s, &s.consents, 1)
	quiet(t, tab)
}

func TestChoosing(t *testing.T) {
	s, tab := visit(t, page{body: gated, lang: "fr"})
	tab.Press("#choose")
	tab.PreferencesShown()
	before := widgettest.Eval[map[string]bool](tab, `Object.fromEntries([...`+widgettest.Root+`.querySelectorAll("input")].map(i => [i.name, i.checked]))`)
	if want := map[string]bool{"ads": false, "analytics": false, "audience": true}; !maps.Equal(before, want) {
		t.Errorf("switches stand at %v, want %v", before, want)
	}
	tab.Press(`dialog [name="analytics"]`)
	tab.Press("#save")
	tab.NothingShown()
	prompts := got(t, s, &s.prompts, 2)
	c := got(t, s, &s.consents, 1)[0]
	want := map[string]bool{"ads": false, "analytics": true, "audience": true}
	if c.Method != "custom" || c.Surface != "preferences" || !maps.Equal(c.Decisions, want) || c.Wording != s.hash("preferences", "fr") ||
		prompts[1].Surface != "preferences" || prompts[1].Wording != c.Wording || c.Prompt != prompts[1].Prompt {
		t.Errorf("consent %+v, prompts %+v", c, prompts)
	}
	tab.Until(ran + ` === "necessary /slow.js /fast.js inline /module.js last"`)

	// It is as easy to find again, and to take back.
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	widgettest.Eval[bool](tab, `(document.addEventListener("consentd:change", e => window.told = e.detail.decisions), document.querySelector("[data-consentd]").click(), true)`)
	tab.PreferencesShown()
	if !widgettest.Eval[bool](tab, widgettest.Find(`[name="analytics"]`)+".checked") {
		t.Error("the preferences do not stand as chosen")
	}
	tab.Press("dialog #refuse")
	tab.NothingShown()
	c = got(t, s, &s.consents, 2)[1]
	if c.Method != "withdraw" || c.Surface != "preferences" || !maps.Equal(c.Decisions, nothing) || c.Prompt != got(t, s, &s.prompts, 3)[2].Prompt {
		t.Errorf("withdrawal %+v", c)
	}
	if told := widgettest.Eval[map[string]bool](tab, "window.told"); !maps.Equal(told, nothing) {
		t.Errorf("consentd:change told %v", told)
	}
	quiet(t, tab)
}

func TestPreferencesAreAModalDialog(t *testing.T) {
	const focus = `(() => { let el = document.activeElement; while (el?.shadowRoot?.activeElement) el = el.shadowRoot.activeElement; return el.id || el.name || el.href || el.localName })()`
	s, tab := visit(t, page{body: gated})
	tab.BannerShown()
	widgettest.Eval[bool](tab, "("+widgettest.Find("#choose")+".focus(), true)")
	tab.Key("\r")
	tab.PreferencesShown()
	if got := widgettest.Eval[string](tab, focus); got != "heading" {
		t.Errorf("the focus goes to %q", got)
	}
	var path []string
	for range 14 {
		tab.Key("\t")
		path = append(path, widgettest.Eval[string](tab, focus))
	}
	// Past the last control the focus may visit the browser's own (body), never the page or the banner.
	trip := strings.Join(path, " ")
	if want := "back analytics https://loupe.example/privacy ads https://adriver.example/datenschutz https://panneau.example/vie-privee audience " +
		s.site.URL + "/en/privacy accept refuse save "; !strings.HasPrefix(trip, want) {
		t.Errorf("the keyboard's path is %s", trip)
	}
	for _, stop := range path[11:] {
		if !slices.Contains([]string{"body", "dialog", "heading", "back", "analytics", "https://loupe.example/privacy"}, stop) {
			t.Errorf("the focus left for %q: %s", stop, trip)
		}
	}
	tab.Key("\x1b")
	tab.Until("!(" + widgettest.Find("dialog") + ")")
	if got := widgettest.Eval[string](tab, focus); got != "choose" {
		t.Errorf("the focus returns to %q", got)
	}
	if kept := widgettest.Eval[string](tab, stored); kept != "" || len(got(t, s, &s.consents, 0)) > 0 {
		t.Errorf("Esc is no choice, but it kept %s", kept)
	}
	tab.Key(" ")
	tab.PreferencesShown()
	tab.Press("#back")
	tab.Until("!(" + widgettest.Find("dialog") + ")")
	tab.BannerShown()
	got(t, s, &s.prompts, 2)
	got(t, s, &s.consents, 0)
	quiet(t, tab)
}

func TestAPI(t *testing.T) {
	stub := `<script>(window.consentd = window.consentd || []).push(
		api => { window.early = typeof api.open },
		["on", "change", c => (window.told ||= []).push(c.decisions.ads)],
		() => { throw new Error("a mistake of the page") },
		["nonsense"], api => { window.after = true })</script>`
	s, tab := visit(t, page{head: stub, body: gated})
	tab.BannerShown()
	tab.Until(`window.early === "function" && window.after`)
	widgettest.Eval[bool](tab, `(consentd.acceptAll(), true)`)
	tab.NothingShown()
	c := got(t, s, &s.consents, 1)[0]
	if c.Method != "accept_all" || c.Surface != "banner" {
		t.Errorf("acceptAll on the banner posted %+v", c)
	}
	if !widgettest.Eval[bool](tab, `consentd.has("ads") && consentd.get().decisions.ads && consentd.get().device === "`+c.Subject.Device+`" && !consentd.has("constructor")`) {
		t.Error("get or has does not know")
	}
	widgettest.Eval[bool](tab, `(consentd.withdraw(), true)`)
	if c := got(t, s, &s.consents, 2)[1]; c.Method != "withdraw" || c.Surface != "preferences" || !maps.Equal(c.Decisions, nothing) {
		t.Errorf("withdraw posted %+v", c)
	}
	widgettest.Eval[bool](tab, `(consentd.push(api => api.acceptAll()), true)`)
	tab.PreferencesShown() // nothing was on the screen to agree to
	got(t, s, &s.consents, 2)
	widgettest.Eval[bool](tab, `(consentd.refuseAll(), true)`)
	tab.NothingShown()
	got(t, s, &s.consents, 3)
	if told := widgettest.Eval[[]bool](tab, `window.told`); !slices.Equal(told, []bool{true, false, false}) {
		t.Errorf("on(change) told %v", told)
	}
	if msgs := tab.Messages(); len(msgs) != 1 || !strings.Contains(msgs[0], "a mistake of the page") || strings.HasPrefix(msgs[0], "uncaught") {
		t.Errorf("messages %q", msgs)
	}
}

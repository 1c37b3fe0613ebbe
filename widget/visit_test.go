package widget_test

import (
	"encoding/json"
	"maps"
	"net/http"
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
<script type="text/plain" data-consent="analytics">(window.ran ||= []).push("last")</script>
<script type="text/plain" data-consent="nobody-knows">(window.ran ||= []).push("unknown")</script>`

const ran = `(window.ran ?? []).join(" ")`

var (
	asked   = []string{"ads", "analytics", "audience"}
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

func TestAChoiceMadeOfflineArrivesOnce(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.BannerShown()
	got(t, s, &s.prompts, 1)
	var tried post
	s.set(func(s *stand) {
		s.refuse = func(w http.ResponseWriter, p post) bool { s.set(func(*stand) { tried = p }); return hangUp(w, p) }
	})
	tab.Press("#accept")
	tab.NothingShown()
	tab.Until(ran + `.endsWith("last")`) // it applies at once
	tab.Until(`localStorage.consentd_shop_outbox`)
	got(t, s, &s.consents, 0)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var id string
		s.set(func(*stand) { id = tried.ID })
		if id != "" {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("it was never tried")
		}
	}
	s.set(func(s *stand) { s.refuse = nil })
	tab.Reload()
	c := got(t, s, &s.consents, 1)[0]
	if c.ID != tried.ID || !maps.Equal(c.Decisions, all) {
		t.Errorf("tried %+v, then came %+v", tried, c)
	}
	tab.Until(`!localStorage.consentd_shop_outbox`)
	tab.Reload()
	tab.NothingShown()
	got(t, s, &s.consents, 1)
}

func TestAnswersOfTheEdge(t *testing.T) {
	problem := func(status int, code string) func(http.ResponseWriter, post) bool {
		return func(w http.ResponseWriter, _ post) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]string{"code": code})
			return true
		}
	}
	for name, c := range map[string]struct {
		status int
		code   string
		kept   bool
	}{
		"503 is tried again on the next page": {503, "busy", true},
		"429 is tried again on the next page": {429, "rate_limited", true},
		"422 is not tried again":              {422, "unknown_purpose", false},
		"409 is not tried again":              {409, "id_conflict", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, tab := visit(t, page{})
			tab.BannerShown()
			got(t, s, &s.prompts, 1)
			s.set(func(s *stand) { s.refuse = problem(c.status, c.code) })
			tab.Press("#refuse")
			tab.NothingShown()
			if !c.kept {
				tab.Until(`!localStorage.consentd_shop_outbox`)
			}
			s.set(func(s *stand) { s.refuse = nil })
			tab.Reload()
			tab.NothingShown()
			if c.kept {
				got(t, s, &s.consents, 1)
			}
			tab.Until(`!localStorage.consentd_shop_outbox`)
			if !c.kept {
				got(t, s, &s.consents, 0)
			}
		})
	}
}

func TestAnIDFromTheFutureIsDatedByTheEdge(t *testing.T) {
	s := newStand(t, input(t, shop()), page{})
	s.refuse = func(w http.ResponseWriter, p post) bool {
		id, err := uuid.Parse(p.ID)
		if err != nil || consent.CheckProofID(id, consent.ToMillis(time.Now())) == nil {
			return false
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		w.Write([]byte(`{"code":"id_in_future"}`))
		return true
	}
	tab := newTab(t)
	tab.BeforeScripts(`{ const now = Date.now; Date.now = () => now() + 3e8; }`)
	tab.Open(s.site.URL)
	tab.Press("#accept")
	c := got(t, s, &s.consents, 1)[0]
	if err := consent.CheckProofID(uuid.MustParse(c.ID), consent.ToMillis(time.Now())); err != nil {
		t.Errorf("id %s: %v", c.ID, err)
	}
	tab.Until(`!localStorage.consentd_shop_outbox`)
}

func TestPeopleAreAskedAgainWhenPurposesChange(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.Press("#accept")
	first := got(t, s, &s.consents, 1)[0]

	typo := shop()
	typo.Banner.Title["en"] = "Your data and you"
	s.set(func(s *stand) { s.bundle = build(t, input(t, typo)) })
	tab.Reload()
	tab.NothingShown()

	more := shop()
	more.Purposes[3].Services = []consent.Service{{Name: "Compteur"}}
	s.set(func(s *stand) { s.bundle, s.fetched = build(t, input(t, more)), nil })
	tab.Reload()
	tab.BannerShown()
	tab.Until(ran + ` === "necessary"`)
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("an agreement to other purposes let through %s", got)
	}
	tab.Press("#refuse")
	if again := got(t, s, &s.consents, 2)[1]; again.Subject.Device != first.Subject.Device || again.Method != "reject_all" {
		t.Errorf("first %+v, again %+v", first, again)
	}
}

func TestAChoiceIsKeptSixMonthsAndNoLonger(t *testing.T) {
	s, tab := visit(t, page{})
	tab.Press("#accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	// aged moves the kept choice back by some days, in both places.
	aged := func(days string) string {
		return `(() => {
			const parts = localStorage.consentd_shop.split(".");
			parts[2] = (Date.now() - ` + days + ` * 864e5).toString(36);
			localStorage.consentd_shop = parts.join(".");
			document.cookie = "consentd_shop=" + parts.join(".") + ";path=/";
			return parts.length;
		})()`
	}
	widgettest.Eval[int](tab, aged("181"))
	tab.Reload()
	tab.NothingShown()
	if widgettest.Eval[string](tab, `document.cookie`) != "consentd_shop="+widgettest.Eval[string](tab, `localStorage.consentd_shop`) {
		t.Error("cookie and localStorage differ")
	}
	widgettest.Eval[int](tab, aged("182"))
	tab.Reload()
	tab.BannerShown()
	if widgettest.Eval[bool](tab, `"consentd_shop" in localStorage`) {
		t.Error("what has run out is still kept")
	}
	for name, left := range map[string]string{"the cookie": `localStorage.clear()`, "localStorage": `document.cookie = "consentd_shop=;max-age=0;path=/"`} {
		tab.Press("#refuse")
		tab.NothingShown()
		widgettest.Eval[bool](tab, "("+left+", true)")
		tab.Reload()
		tab.NothingShown()
		if !widgettest.Eval[bool](tab, `consentd.get().decisions.ads === false`) {
			t.Errorf("%s alone does not keep the choice", name)
		}
		widgettest.Eval[bool](tab, `(localStorage.clear(), document.cookie = "consentd_shop=;max-age=0;path=/", true)`)
		tab.Reload()
	}
}

func TestTabsAgree(t *testing.T) {
	s, one := visit(t, page{body: gated})
	one.BannerShown()
	two := one.Second()
	two.Open(s.site.URL)
	two.BannerShown()
	one.Press("#accept")
	two.NothingShown()
	two.Until(ran + `.endsWith("last")`)
	got(t, s, &s.consents, 1)
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

func TestStrictPolicies(t *testing.T) {
	const policy = "default-src 'none'; img-src data:; script-src 'nonce-x'; connect-src EDGE; require-trusted-types-for 'script'"
	body := strings.ReplaceAll(gated, "<script ", `<script nonce="x" `) +
		`<script type="text/plain" data-consent="analytics" data-src="/smuggled.js"></script>`
	s, tab := visit(t, page{policy: policy, body: body})
	tab.BannerShown()
	if w := widgettest.Eval[float64](tab, widgettest.Find("#accept")+".offsetWidth"); w < 100 {
		t.Errorf("the banner is without its style: a button is %v wide", w)
	}
	got(t, s, &s.prompts, 1)
	tab.Press("#choose")
	tab.PreferencesShown()
	tab.Press("dialog #accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	tab.Until(ran + ` === "necessary /slow.js /fast.js inline /ads.js both /module.js last"`)
	if slices.Contains(s.scripts(), "/smuggled.js") {
		t.Error("a script without the page's nonce was run")
	}
	for _, m := range tab.Messages() {
		if !strings.HasPrefix(m, "warning: consentd: not run, it lacks the nonce") {
			t.Error(m)
		}
	}
}

// A page may list the Trusted Types policies it takes. Without "consentd" among them its scripts stay held, and
// that is all that happens.
func TestAPageThatTakesNoPolicy(t *testing.T) {
	const policy = "script-src 'nonce-x'; connect-src EDGE; require-trusted-types-for 'script'; trusted-types 'none'"
	s, tab := visit(t, page{policy: policy, body: strings.ReplaceAll(gated, "<script ", `<script nonce="x" `)})
	tab.Press("#accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	if got := s.scripts(); len(got) > 0 {
		t.Errorf("asked for %s", got)
	}
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") {
			t.Error(m)
		}
	}
}

func TestHostilePages(t *testing.T) {
	for name, p := range map[string]page{
		"everything hidden and reset": {head: `<style>body * { all: unset !important; display: none !important } consentd-widget { opacity: 0 !important; transform: scale(0) !important }</style>`},
		"a tiny root font":            {head: `<style>html { font-size: 1px } body { font-size: 2px; text-transform: uppercase; color: red }</style>`},
	} {
		t.Run(name, func(t *testing.T) {
			s, tab := visit(t, p)
			tab.BannerShown()
			if h := widgettest.Eval[float64](tab, widgettest.Find("#accept")+".getBoundingClientRect().height"); h < 40 {
				t.Errorf("a button is %v high", h)
			}
			if got := widgettest.Eval[string](tab, "getComputedStyle("+widgettest.Find("#accept")+").textTransform"); got != "none" {
				t.Errorf("the page's text-transform reaches in: %s", got)
			}
			tab.Press("#refuse")
			got(t, s, &s.consents, 1)
		})
	}
}

// A frame without an origin has neither cookies nor storage.
func TestAFrameWithoutStorage(t *testing.T) {
	s := newStand(t, input(t, shop()), page{policy: "sandbox allow-scripts", body: gated})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#refuse")
	tab.NothingShown()
	if widgettest.Eval[bool](tab, `consentd.get().decisions.ads !== false`) {
		t.Error("the choice does not hold for the page")
	}
	for _, m := range tab.Messages() {
		if strings.HasPrefix(m, "uncaught") || strings.HasPrefix(m, "error:") {
			t.Error(m)
		}
	}
}

func TestAnyTextIsText(t *testing.T) {
	site := saying(hostile)
	s := newStand(t, input(t, site), page{})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.Press("#choose")
	tab.PreferencesShown()
	want := strings.ReplaceAll(hostile, "\x00", "\x00")
	for _, selector := range []string{"h2", "section p", "section li b", "#accept", ".legal a", ".legal span", "dialog #heading", "dialog #about1", "dialog label b", "dialog li li a", "dialog li li span", "dialog i", "#save"} {
		if got := widgettest.Eval[string](tab, widgettest.Find(selector)+".textContent"); got != want {
			t.Errorf("%s says %q", selector, got)
		}
	}
	if n := widgettest.Eval[int](tab, widgettest.Root+`.querySelectorAll("script,style,img").length`); n != 0 {
		t.Errorf("%d elements came out of text", n)
	}
	quiet(t, tab)
}

func TestASecondTagChangesNothing(t *testing.T) {
	s := newStand(t, input(t, shop()), page{})
	s.page.head = `<script src="` + s.edge.URL + `/s/shop.js" defer></script>`
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.BannerShown()
	if n := widgettest.Eval[int](tab, `document.querySelectorAll("consentd-widget").length`); n != 1 {
		t.Errorf("%d banners", n)
	}
	tab.Press("#refuse")
	got(t, s, &s.consents, 1)
	got(t, s, &s.prompts, 1)
	quiet(t, tab)
}

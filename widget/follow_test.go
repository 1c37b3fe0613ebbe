package widget_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

func TestWhatServicesKeepGoesWithTheirConsent(t *testing.T) {
	const plant = `(() => {
		document.cookie = "_lp_id=1;path=/"; document.cookie = "_lp_deep=1;path=/rayon"; document.cookie = "lp.session=1;path=/";
		document.cookie = "lpXsession=1;path=/"; document.cookie = "basket=1;path=/";
		localStorage._lp_queue = sessionStorage._lp_tab = localStorage.basket = "1";
		return true;
	})()`
	const left = `[document.cookie.split("; ").map(c => c.split("=")[0]), Object.keys(localStorage), Object.keys(sessionStorage)].flat().filter(k => !k.startsWith("consentd")).sort().join(" ")`
	_, tab := visit(t, page{body: `<button data-consentd="withdraw">Withdraw</button>`})
	tab.Press("#accept")
	tab.NothingShown()
	widgettest.Eval[bool](tab, plant)
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	const everything = "_lp_deep _lp_id _lp_queue _lp_tab basket basket lp.session lpXsession"
	if got := widgettest.Eval[string](tab, left); got != everything {
		t.Fatalf("with consent there is %q", got) // the control
	}
	widgettest.Eval[bool](tab, `(document.querySelector("[data-consentd]").click(), true)`) // one click, as accepting was
	tab.Until(`!consentd.has("analytics")`)
	tab.Until(left + ` === "basket basket lpXsession"`)
	widgettest.Eval[bool](tab, plant) // a tag that was still running
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	tab.Until(left + ` === "basket basket lpXsession"`) // in an idle moment of the next page
}

func TestSignals(t *testing.T) {
	in := input(t, shop())
	in.Options.Signals = signals
	in.Options.Signals.UET, in.Options.Signals.DataLayer = "ads", true
	in.Options.Signals.Clarity = widget.Clarity{AdStorage: "ads", AnalyticsStorage: "analytics"}
	in.Options.Signals.Matomo = widget.Matomo{Tracking: "analytics", Cookies: "ads"}
	s := newStand(t, in, page{})
	tab := newTab(t)
	tab.Open(s.site.URL)
	tab.BannerShown()
	const heard = `JSON.stringify([(window.dataLayer ?? []).map(e => e.event ? e : [...e]), window.uetq, window._paq, [...(window.clarity?.q ?? [])].map(e => [...e])])`
	states := func(ads, analytics string) string {
		b, _ := json.Marshal(map[string]string{"ad_storage": ads, "ad_user_data": ads, "ad_personalization": ads, "analytics_storage": analytics,
			"functionality_storage": "granted", "personalization_storage": "denied", "security_storage": "granted"})
		return string(b)
	}
	check := func(when, want string) {
		t.Helper()
		if got := widgettest.Eval[string](tab, heard); got != want {
			t.Errorf("%s\n got %s\nwant %s", when, got, want)
		}
	}
	def := `["consent","default",` + states("denied", "denied") + `]`
	uet := `"consent","default",{"ad_storage":"denied"}`
	check("before a choice", `[[`+def+`],[`+uet+`],null,[]]`)
	tab.Press("#choose")
	tab.PreferencesShown()
	tab.Press(`dialog [name="analytics"]`)
	tab.Press("#save")
	tab.NothingShown()
	update := `["consent","update",` + states("denied", "granted") + `],{"event":"consentd_change","consentd":{"analytics":true,"ads":false,"audience":true}}`
	tools := `["setConsentGiven"],["forgetCookieConsentGiven"]],[["consentv2",{"ad_Storage":"denied","analytics_Storage":"granted"}]]]`
	check("on the choice", `[[`+def+`,`+update+`],[`+uet+`,"consent","update",{"ad_storage":"denied"}],[`+tools)
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()
	check("on return", `[[`+update+`],["consent","update",{"ad_storage":"denied"}],[`+tools)
	quiet(t, tab)
}

func TestGlobalPrivacyControl(t *testing.T) {
	const on = `Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`
	in := input(t, shop())
	s := newStand(t, in, page{body: gated})
	tab := newTab(t)
	tab.BeforeScripts(on)
	tab.Open(s.site.URL)
	tab.NothingShown()
	c := got(t, s, &s.consents, 1)[0]
	if c.Surface != "signal" || c.Method != "reject_all" || c.Wording != "" || !maps.Equal(c.Decisions, nothing) {
		t.Errorf("consent %+v", c)
	}
	got(t, s, &s.prompts, 0)
	// An explicit choice comes later, and stands.
	widgettest.Eval[bool](tab, `(consentd.open(), true)`)
	tab.PreferencesShown()
	tab.Press("dialog #accept")
	tab.NothingShown()
	got(t, s, &s.consents, 2)
	tab.Until(answered)
	tab.Reload()
	tab.Until(ran + `.endsWith("last")`)
	if !widgettest.Eval[bool](tab, `consentd.has("ads")`) {
		t.Error("the signal has overridden an explicit choice")
	}
	got(t, s, &s.consents, 2)

	in.Options.IgnoreGPC = true
	ignoring := newStand(t, in, page{})
	other := newTab(t)
	other.BeforeScripts(on)
	other.Open(ignoring.site.URL)
	other.BannerShown()
}

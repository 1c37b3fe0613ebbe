package widget_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget/widgettest"
)

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
	tab.Heard("/consents") // it was tried, and failed
	s.set(func(s *stand) { s.refuse = nil })
	tab.Reload()
	c := got(t, s, &s.consents, 1)[0]
	if c.ID != tried.ID || !maps.Equal(c.Decisions, all) {
		t.Errorf("tried %+v, then came %+v", tried, c)
	}
	tab.Until(answered)
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
			tab.Heard("/consents")
			if !c.kept {
				tab.Until(answered)
			}
			s.set(func(s *stand) { s.refuse = nil })
			tab.Reload()
			tab.NothingShown()
			if c.kept {
				got(t, s, &s.consents, 1)
			}
			tab.Until(answered)
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
	tab.Until(answered)
}

func TestPeopleAreAskedAgainWhenPurposesChange(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.Press("#accept")
	first := got(t, s, &s.consents, 1)[0]

	typo := shop()
	typo.Banner.Title["en"] = "Your data and you"
	s.set(func(s *stand) { s.bundle = build(t, input(t, typo)) })
	tab.Until(answered)
	tab.Reload()
	tab.NothingShown()

	more := shop()
	more.Purposes[3].Services = []consent.Service{{Name: "Compteur"}}
	s.set(func(s *stand) { s.bundle, s.fetched = build(t, input(t, more)), nil })
	tab.Until(answered)
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
		t.Logf("%s alone", name)
		tab.Until(`window.consentd?.get?.()?.decisions.ads === false`) // a cookie is looked up meanwhile
		tab.NothingShown()
		widgettest.Eval[bool](tab, `(localStorage.clear(), document.cookie = "consentd_shop=;max-age=0;path=/", true)`)
		tab.Reload()
	}
}

// A choice that only the cookie still has counts before a signal decides, and is kept in both places from then on.
func TestASignalDoesNotOverrideAChoiceThatOnlyTheCookieHas(t *testing.T) {
	s, tab := visit(t, page{body: gated})
	tab.Press("#accept")
	tab.NothingShown()
	got(t, s, &s.consents, 1)
	tab.Until(answered)
	widgettest.Eval[bool](tab, `(localStorage.clear(), true)`)
	tab.BeforeScripts(`Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`)
	tab.Reload()
	tab.Until(ran + `.endsWith("last")`)
	tab.NothingShown()
	tab.Until(`"consentd_shop=" + localStorage.consentd_shop === document.cookie`)
	got(t, s, &s.consents, 1)
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

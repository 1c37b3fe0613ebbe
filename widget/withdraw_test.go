package widget_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
	"github.com/consentd/consentd/widget/widgettest"
)

// Accepting takes one press on the banner; taking it back takes one press on what stands in the corner, on this page
// and on any other (GDPR art. 7(3): as easy to withdraw as to give).
func TestTakingBackTakesOnePress(t *testing.T) {
	in := input(t, shop())
	in.Options.Reopen = widget.ReopenStart
	s := newStand(t, in, page{body: gated})
	tab := newTab(t)
	tab.Open(s.site.URL)
	const corner = `[...` + widgettest.Root + `.querySelectorAll("aside button")].map(b => b.textContent).join()`
	open, refuse := in.Site.Banner.Reopen["en"], in.Site.Banner.Refuse["en"]
	tab.Press("#refuse")
	tab.Until(corner + " === " + strconv.Quote(open)) // nothing was given
	tab.Press("#reopen")
	tab.Press("dialog #accept")
	tab.Until(corner + " === " + strconv.Quote(open+","+refuse))
	got(t, s, &s.consents, 2)
	tab.Until(answered)
	tab.Reload()
	tab.Until(corner + " === " + strconv.Quote(open+","+refuse))
	tab.Press("#withdraw")
	tab.Until(corner + " === " + strconv.Quote(open))
	c := got(t, s, &s.consents, 3)[2]
	if c.Method != "withdraw" || c.Surface != consent.SurfacePreferences || !maps.Equal(c.Decisions, nothing) {
		t.Errorf("withdrawal %+v", c)
	}
	if focus := widgettest.Eval[string](tab, widgettest.Root+".activeElement.id"); focus != "reopen" {
		t.Errorf("the focus is on %q", focus)
	}
	if widgettest.Eval[bool](tab, `consentd.has("ads")`) {
		t.Error("the acceptance still holds")
	}
	quiet(t, tab)
}

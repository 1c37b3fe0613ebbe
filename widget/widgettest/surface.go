package widgettest

import (
	"fmt"

	"github.com/chromedp/chromedp"
)

// Root is a JavaScript expression for the widget's shadow root; undefined while nothing is shown.
const Root = `document.querySelector("consentd-widget")?.shadowRoot`

// Find is a JavaScript expression for the first element of the widget that matches a selector.
func Find(selector string) string { return fmt.Sprintf("%s?.querySelector(%q)", Root, selector) }

// Press clicks an element of the widget with a real mouse: "#accept", "#refuse", "#choose" of the banner;
// "dialog #save", `dialog [name="ads"]` of the preferences. It waits for the element and for what moves to have stopped.
func (t *Tab) Press(selector string) {
	t.tb.Helper()
	t.Until(Find(selector))
	at := Eval[[2]float64](t, `(async () => {
		await Promise.all(document.querySelector("consentd-widget").shadowRoot.getAnimations().map(a => a.finished));
		const el = `+Find(selector)+`;
		el.scrollIntoView({block: "nearest"});
		const box = el.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`)
	t.do(chromedp.MouseClickXY(at[0], at[1]))
}

// Point moves the mouse.
func (t *Tab) Point(x, y float64) {
	t.tb.Helper()
	t.do(chromedp.MouseEvent(chromedp.MouseMoved, x, y))
}

// BannerShown waits for the first layer.
func (t *Tab) BannerShown() { t.tb.Helper(); t.Until(Find("#banner")) }

// PreferencesShown waits for the preferences.
func (t *Tab) PreferencesShown() { t.tb.Helper(); t.Until(Find("dialog") + "?.open") }

// NothingShown waits for the widget to be gone.
func (t *Tab) NothingShown() { t.tb.Helper(); t.Until("window.consentd && !(" + Root + ")") }

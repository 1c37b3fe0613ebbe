package widgettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is one tab. Its methods fail the test they were made for.
type Tab struct {
	tb  testing.TB
	own context.Context // the tab's life
	ctx context.Context // own with a deadline
	end func()          // closes the tab; harmless again

	mu       sync.Mutex
	messages []string // guarded by mu
}

func newTab(tb testing.TB, own context.Context, closeTab func()) *Tab {
	tb.Helper()
	tab := &Tab{tb: tb, own: own}
	if err := chromedp.Do(own); err != nil {
		closeTab()
		tb.Fatalf("opening a tab: %v", err)
	}
	var cancel func()
	tab.ctx, cancel = context.WithTimeout(own, patience)
	tab.end = func() { cancel(); closeTab() }
	tb.Cleanup(tab.end)
	tab.must(chromedp.Listen(own, tab.hear))
	_, err := chromedp.Call(tab.ctx, log.Enable, struct{}{})
	tab.must(err)
	return tab
}

// Second opens another tab of the same visitor: same cookies, same storage.
func (t *Tab) Second() *Tab {
	t.tb.Helper()
	ctx, cancel := chromedp.NewContext(t.own)
	return newTab(t.tb, ctx, cancel)
}

// Close closes the tab before the end of its test.
func (t *Tab) Close() { t.end() }

// Context is for chromedp's own functions; it has a deadline.
func (t *Tab) Context() context.Context { return t.ctx }

// hear notes what goes wrong on the page, and what it says on the console.
func (t *Tab) hear(ev any) {
	var line string
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		line = "uncaught: " + ev.ExceptionDetails.Text
		if ev.ExceptionDetails.Exception != nil {
			line += " " + ev.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		line = string(ev.Type) + ":"
		for _, arg := range ev.Args {
			line += " " + strings.Trim(string(arg.Value), `"`) + arg.Description
		}
	case *log.EventEntryAdded:
		line = fmt.Sprintf("%s %s: %s %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages = append(t.messages, line)
}

// Messages gives what the page has thrown ("uncaught: …"), logged ("error: …") and what the browser had to say
// about it ("security error: …"), in order.
func (t *Tab) Messages() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.messages...)
}

// Heard waits for a message that contains text. The browser reports each request that failed, with its address:
// "network error: Failed to load resource: … https://edge.example/v1/sites/shop/consents".
func (t *Tab) Heard(text string) {
	t.tb.Helper()
	for !slices.ContainsFunc(t.Messages(), func(m string) bool { return strings.Contains(m, text) }) {
		select {
		case <-t.ctx.Done():
			t.tb.Fatalf("never heard: %s\n%s", text, strings.Join(t.Messages(), "\n"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Open goes to url and waits for the page's load event.
func (t *Tab) Open(url string) { t.tb.Helper(); t.do(chromedp.Navigate(url)) }

// Reload loads the page again.
func (t *Tab) Reload() { t.tb.Helper(); t.do(chromedp.Reload()) }

// Width sets the size of the page, in CSS pixels; phones also get a phone's viewport rules.
func (t *Tab) Width(width, height int64, phone bool) {
	t.tb.Helper()
	var opts []chromedp.EmulateViewportOption
	if phone {
		opts = append(opts, chromedp.EmulateMobile)
	}
	t.do(chromedp.EmulateViewport(width, height, opts...))
}

// Prefer sets media features: "prefers-color-scheme", "dark".
func (t *Tab) Prefer(feature, value string) {
	t.tb.Helper()
	_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	t.must(err)
}

// BeforeScripts runs js in each page opened from now on, before any script of the page.
func (t *Tab) BeforeScripts(js string) {
	t.tb.Helper()
	_, err := chromedp.Call(t.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: js})
	t.must(err)
}

// Key presses keys as a keyboard does; see chromedp's package kb for the names of special ones.
func (t *Tab) Key(keys string, opts ...chromedp.KeyOption) {
	t.tb.Helper()
	t.do(chromedp.KeyEvent(keys, opts...))
}

// Screenshot gives a PNG of what is on the screen.
func (t *Tab) Screenshot() []byte {
	t.tb.Helper()
	png, err := chromedp.Run(t.ctx, chromedp.CaptureScreenshot())
	t.must(err)
	return png
}

// Eval gives the value of a JavaScript expression; a promise is awaited.
func Eval[T any](t *Tab, js string) T {
	t.tb.Helper()
	v, err := chromedp.Run(t.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.tb.Fatalf("evaluating %s: %v\n%s", js, err, strings.Join(t.Messages(), "\n"))
	}
	return v
}

// Until waits for a JavaScript expression to be truthy. A page that is just being left is asked again once the next
// one is there.
func (t *Tab) Until(js string) {
	t.tb.Helper()
	for {
		is, err := chromedp.Run(t.ctx, chromedp.Evaluate[bool]("!!("+js+")"))
		if err == nil && is {
			return
		}
		if err != nil && !leaving(err) {
			t.tb.Fatalf("evaluating %s: %v\n%s", js, err, strings.Join(t.Messages(), "\n"))
		}
		select {
		case <-t.ctx.Done():
			t.tb.Fatalf("never came true: %s\n%s", js, strings.Join(t.Messages(), "\n"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// leaving reports whether an expression met the end of its page.
func leaving(err error) bool {
	for _, said := range []string{"navigated or closed", "context was destroyed", "Cannot find context", "Cannot find default execution context"} {
		if strings.Contains(err.Error(), said) {
			return true
		}
	}
	return false
}

func (t *Tab) do(a chromedp.Action[chromedp.Void]) { t.tb.Helper(); t.must(chromedp.Do(t.ctx, a)) }

func (t *Tab) must(err error) {
	t.tb.Helper()
	if err != nil {
		t.tb.Fatalf("%v\n%s", err, strings.Join(t.Messages(), "\n"))
	}
}

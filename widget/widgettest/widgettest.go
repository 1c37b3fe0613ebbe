// Package widgettest drives a real Chromium in tests: the widget's own, and the end-to-end tests of other
// packages.
//
// It guarantees that each Tab has cookies and storage of its own, and that every wait has a deadline. Chromium
// missing is an error that says what to install, never a skipped test. It is imported by tests alone.
//
// # Files
//
//	widgettest.go  Browser: starting Chromium
//	tab.go         Tab: opening pages, asking the page, waiting, looking
//	surface.go     what a visitor does with the widget: press, toggle, read
//
// # Why chromedp
//
// It speaks the DevTools protocol to whichever Chromium a machine has, in Go, with no driver to install.
package widgettest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/consentd/consentd/widget/measure"
)

// patience bounds a test's use of one tab. It is only reached when something is wrong: a machine busy with other
// packages' tests takes ten times as long as an idle one.
const patience = 5 * time.Minute

// Browser is one running Chromium.
type Browser struct {
	ctx    context.Context
	cancel func()
}

// Start finds Chromium and starts it without a window. The sandbox is off: tests run as root in containers and
// open nothing but their own pages. Input reaches a page before its first frame, as puppeteer has it: Chromium drops
// it otherwise, and a test has no way to know. flags are further ones, without dashes: "host-resolver-rules=MAP * 127.0.0.1".
func Start(flags ...string) (*Browser, error) {
	path, err := measure.Find()
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("allow-pre-commit-input", true))
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		opts = append(opts, chromedp.Flag(name, value))
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, closeBrowser := chromedp.NewContext(alloc)
	b := &Browser{ctx: ctx, cancel: func() { closeBrowser(); stop() }}
	if err := chromedp.Do(ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return b, nil
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() { b.cancel() }

// Tab opens a tab with cookies and storage of its own; it closes with the test.
func (b *Browser) Tab(tb testing.TB) *Tab {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tab := newTab(tb, ctx, cancel)
	return tab
}

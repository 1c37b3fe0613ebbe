// Package widgettest drives a real Chromium in tests: the widget's own, and the end-to-end tests of other
// packages.
//
// It guarantees that each Tab has cookies and storage of its own, and that every wait has a deadline. Chromium
// missing is an error that says what to install, never a skipped test. It is imported by tests alone.
//
// # Files
//
//	widgettest.go  Browser: finding and starting Chromium
//	tab.go         Tab: opening pages, asking the page, waiting, looking
//	surface.go     what a visitor does with the widget: press, toggle, read
//
// # Why chromedp
//
// It speaks the DevTools protocol to whichever Chromium a machine has, in Go, with no driver to install.
package widgettest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// ErrMissing means that no Chromium was found.
var ErrMissing = errors.New("widgettest: no Chromium: install the package chromium, or name a binary in CONSENTD_CHROMIUM")

// patience bounds a test's use of one tab. It is only reached when something is wrong.
const patience = 20 * time.Second

// Browser is one running Chromium.
type Browser struct {
	ctx    context.Context
	cancel func()
}

// Start finds Chromium and starts it without a window. The sandbox is off: tests run as root in containers and
// open nothing but their own pages.
func Start() (*Browser, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
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

// find looks at CONSENTD_CHROMIUM, then for the names distributions give.
func find() (string, error) {
	if path := os.Getenv("CONSENTD_CHROMIUM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrMissing, err)
		}
		return path, nil
	}
	for _, name := range []string{
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
	} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}

// Tab opens a tab with cookies and storage of its own; it closes with the test.
func (b *Browser) Tab(tb testing.TB) *Tab {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	tab := newTab(tb, ctx, cancel)
	return tab
}

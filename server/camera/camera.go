// Package camera photographs pages of this program in a headless Chromium: what a wording looked like to somebody who
// saw it.
//
// It guarantees that each picture is taken in a profile of its own, with nothing moving any more, of everything there
// is to see: a surface that scrolls is given a window it fits into. It opens no address but those it is given, keeps
// nothing, and knows nothing of consent.
//
// # Why chromedp, in the program itself
//
// A picture in the dark, of a phone, taken when the page is ready needs the DevTools protocol: Chromium's own
// --screenshot knows no colour scheme, no phone and no moment. This package is the only one outside tests that
// imports it.
package camera

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Patience bounds one picture: a page of ours is ready in tens of milliseconds, a machine may be slow.
const Patience = 30 * time.Second

// startPatience bounds the start of Chromium, the first of which after a boot reads hundreds of megabytes.
const startPatience = 2 * time.Minute

// MaxHeight bounds the window a surface is given, in CSS pixels.
const MaxHeight = 8000

// Camera is a running Chromium. Its methods may be called one after another.
type Camera struct {
	ctx   context.Context
	close func()
}

// Open starts the Chromium at path. The sandbox is off only for root, whom Chromium refuses otherwise.
func Open(ctx context.Context, path string) (*Camera, error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.WSURLReadTimeout(startPatience),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	alloc, stop := chromedp.NewExecAllocator(ctx, opts...)
	own, closeBrowser := chromedp.NewContext(alloc)
	c := &Camera{ctx: own, close: func() { closeBrowser(); stop() }}
	if err := chromedp.Do(own); err != nil {
		c.Close()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return c, nil
}

// Close ends the browser and removes its profile.
func (c *Camera) Close() { c.close() }

// Shot says what to photograph, and how.
type Shot struct {
	URL           string
	Width, Height int64 // of the window, CSS pixels
	Phone         bool
	Scheme        string // light, dark
	Ready         string // JavaScript expression that is true once there is something to see
}

// Take gives a PNG, and the height of the window it was taken in: at least the one asked for, more where something
// would have been cut off.
func (c *Camera) Take(s Shot) (png []byte, height int64, err error) {
	own, closeTab := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	defer closeTab()
	ctx, cancel := context.WithTimeout(own, Patience)
	defer cancel()
	if err := chromedp.Do(own); err != nil {
		return nil, 0, fmt.Errorf("opening a tab: %w", err)
	}
	if err := prepare(ctx, s); err != nil {
		return nil, 0, fmt.Errorf("opening %s: %w", s.URL, err)
	}
	if height, err = fit(ctx, s); err != nil {
		return nil, 0, fmt.Errorf("fitting %s: %w", s.URL, err)
	}
	if png, err = chromedp.Run(ctx, chromedp.CaptureScreenshot()); err != nil {
		return nil, 0, fmt.Errorf("photographing %s: %w", s.URL, err)
	}
	return png, height, nil
}

func prepare(ctx context.Context, s Shot) error {
	if err := resize(ctx, s, s.Height); err != nil {
		return err
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: s.Scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL)); err != nil {
		return err
	}
	_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](waitFor(s.Ready), chromedp.EvalAwaitPromise))
	return err
}

func resize(ctx context.Context, s Shot, height int64) error {
	var opts []chromedp.EmulateViewportOption
	if s.Phone {
		opts = append(opts, chromedp.EmulateMobile)
	}
	return chromedp.Do(ctx, chromedp.EmulateViewport(s.Width, height, opts...))
}

// waitFor resolves once an expression is true and nothing moves.
func waitFor(expression string) string {
	return `(async () => {
		while (!(` + expression + `)) await new Promise(r => setTimeout(r, 20));
		await document.fonts.ready;
		await Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})));
		await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
		return true;
	})()`
}

// hidden is how many pixels of anything on the page, shadow roots included, lie outside what can be seen.
const hidden = `(() => {
	let most = document.scrollingElement.scrollHeight - innerHeight;
	const look = root => root.querySelectorAll("*").forEach(el => {
		if (/auto|scroll/.test(getComputedStyle(el).overflowY)) most = Math.max(most, el.scrollHeight - el.clientHeight);
		if (el.shadowRoot) look(el.shadowRoot);
	});
	look(document);
	return Math.ceil(most);
})()`

// fit makes the window as high as what it shows. A surface may take a part of the window's height only, so it is
// asked again after each step.
func fit(ctx context.Context, s Shot) (height int64, err error) {
	height = s.Height
	for range 6 {
		over, err := chromedp.Run(ctx, chromedp.Evaluate[int64](hidden))
		if err != nil || over <= 1 || height >= MaxHeight {
			return height, err
		}
		height = min(height+over+over/4, MaxHeight)
		if err := resize(ctx, s, height); err != nil {
			return height, err
		}
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](waitFor("true"), chromedp.EvalAwaitPromise)); err != nil {
			return height, err
		}
	}
	return height, nil
}

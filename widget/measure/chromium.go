package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// ErrNoBrowser means that no Chromium was found.
var ErrNoBrowser = errors.New("no Chromium: install the package chromium, or name a binary in CONSENTD_CHROMIUM")

// Find gives the path of a Chromium: the one CONSENTD_CHROMIUM names, else one of the names distributions give.
func Find() (string, error) {
	if path := os.Getenv("CONSENTD_CHROMIUM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrNoBrowser, err)
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
	return "", ErrNoBrowser
}

// Launch starts Chromium on an address, without a window and without anybody attached to it, with a profile of its
// own. ended tells when it is gone; end ends it, waits for that and removes the profile.
func Launch(ctx context.Context, path, address string) (ended <-chan error, end func(), err error) {
	profile, err := os.MkdirTemp("", "consentd-measure-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a browser profile: %w", err)
	}
	args := []string{"--headless", "--user-data-dir=" + profile, "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb", "--window-size=1400,1000"}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // Chromium refuses to run as root with one; it opens nothing but the pages above
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, append(args, address)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		os.RemoveAll(profile)
		return nil, nil, fmt.Errorf("starting %s: %w", path, err)
	}
	gone, told := make(chan struct{}), make(chan error, 1)
	go func() { told <- cmd.Wait(); close(gone) }()
	return told, func() {
		cancel()
		<-gone
		os.RemoveAll(profile)
	}, nil
}

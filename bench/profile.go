package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/google/pprof/profile"
)

// profiling starts taking a CPU profile of t while it is measured, if one was asked for. What it returns waits for the
// profile's end.
func (b *bench) profiling(ctx context.Context, t target) (wait func() error) {
	if b.profile == "" || !t.admin.IsValid() {
		return func() error { return nil }
	}
	type taken struct {
		*profile.Profile
		error
	}
	done := make(chan taken, 1)
	go func() {
		p, err := takeProfile(ctx, t.admin, b.length)
		done <- taken{p, err}
	}()
	return func() error {
		got := <-done
		if got.error == nil {
			b.taken = append(b.taken, got.Profile)
		}
		return got.error
	}
}

// takeProfile asks a server what its processors do during d, a second at least.
func takeProfile(ctx context.Context, admin netip.AddrPort, d time.Duration) (*profile.Profile, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, max(1, int(d.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("taking a profile: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("taking a profile: %s", resp.Status)
	}
	p, err := profile.Parse(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading a profile: %w", err)
	}
	return p, nil
}

// writeProfile writes what was taken as one profile, for the compiler: it says nothing of the machine it comes from.
func (b *bench) writeProfile() error {
	p, err := profile.Merge(b.taken)
	if err != nil {
		return fmt.Errorf("merging profiles: %w", err)
	}
	for _, m := range p.Mapping {
		m.File = "consentd"
	}
	f, err := os.Create(b.profile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.Write(f); err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	return f.Close()
}

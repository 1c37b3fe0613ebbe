package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// How long a start may take: opening ten million states is seconds, the first start of the embedded
// ClickHouse too; a full minute is a fault.
const (
	startLimit = time.Minute
	stopLimit  = time.Minute
)

// Consentd is one data directory with one site, and the program over them when it runs.
type Consentd struct {
	*Process // nil while it does not run

	Binary string
	Dir    string // holds data/, sites/ and consentd.log
	Addr   netip.AddrPort
	Admin  netip.AddrPort
}

// New lays out dir, and picks free ports that stay the same over restarts.
func New(binary, dir string) (*Consentd, error) {
	binary, err := exec.LookPath(binary)
	if err != nil {
		return nil, fmt.Errorf("finding the program (make build makes it): %w", err)
	}
	c := &Consentd{Binary: binary, Dir: dir}
	if c.Addr, err = FreeAddr(); err != nil {
		return nil, err
	}
	if c.Admin, err = FreeAddr(); err != nil {
		return nil, err
	}
	for _, d := range []string{c.Data(), c.sites()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	return c, os.WriteFile(filepath.Join(c.sites(), Site+".yaml"), siteFile, 0o600)
}

// Data is the program's data directory.
func (c *Consentd) Data() string { return filepath.Join(c.Dir, "data") }

func (c *Consentd) sites() string { return filepath.Join(c.Dir, "sites") }

// NoWarehouse is the argument that holds ClickHouse off: an address nobody listens on.
const NoWarehouse = "--clickhouse=clickhouse://127.0.0.1:1/default"

// Start runs the program until it answers /healthz. More arguments are passed on.
func (c *Consentd) Start(ctx context.Context, more ...string) (err error) {
	args := append([]string{"serve", "--data", c.Data(), "--addr", c.Addr.String(), "--admin", c.Admin.String(),
		"--sites", c.sites(), "--snapshots", "off"}, more...)
	if c.Process, err = Start(c.Binary, args, filepath.Join(c.Dir, "consentd.log")); err != nil {
		return err
	}
	if err := c.AwaitOK(ctx, c.URL("/healthz"), startLimit); err != nil {
		c.Kill()
		return err
	}
	return nil
}

// AwaitReady waits until the program says that everything works, ClickHouse included.
func (c *Consentd) AwaitReady(ctx context.Context) error {
	return c.AwaitOK(ctx, c.URL("/readyz"), startLimit)
}

// Stop ends the program in good order; not running is no error.
func (c *Consentd) Stop() error {
	if c.Process == nil {
		return nil
	}
	p := c.Process
	c.Process = nil
	return p.Stop(stopLimit)
}

// URL is an address of the public port.
func (c *Consentd) URL(path string) string { return "http://" + c.Addr.String() + path }

// Metrics reads the admin port's /metrics.
func (c *Consentd) Metrics(ctx context.Context) (Metrics, error) {
	return ReadMetrics(ctx, "http://"+c.Admin.String()+"/metrics")
}

// Token issues an API token for the site with every scope a measurement needs.
func (c *Consentd) Token(ctx context.Context) (string, error) {
	var out bytes.Buffer
	err := c.command(ctx, &out, "token", "--site", Site, "--scope", "lookup record rates proofs", "--ttl", "1d", "--name", "bench",
		"--data", c.Data())
	return strings.TrimSpace(out.String()), err
}

// command runs a subcommand beside the server.
func (c *Consentd) command(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, c.Binary, args...)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("consentd %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

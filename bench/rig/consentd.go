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

// Launch runs the program and does not wait for it. The command line of wrap, such as a tracer's, comes before it; more
// arguments are passed on.
func (c *Consentd) Launch(wrap []string, more ...string) (err error) {
	args := append(append([]string{}, wrap...), c.Binary, "serve", "--data", c.Data(), "--addr", c.Addr.String(),
		"--admin", c.Admin.String(), "--sites", c.sites(), "--snapshots", "off")
	args = append(args, more...)
	c.Process, err = Start(args[0], args[1:], c.Log())
	return err
}

// Log is the file of the program's own log.
func (c *Consentd) Log() string { return filepath.Join(c.Dir, "consentd.log") }

// Start runs the program until it answers /healthz. More arguments are passed on.
func (c *Consentd) Start(ctx context.Context, more ...string) (err error) {
	if err := c.Launch(nil, more...); err != nil {
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
	err := c.Command(ctx, &out, "token", "--site", Site, "--scope", "lookup record rates proofs", "--ttl", "1d", "--name", "bench",
		"--data", c.Data())
	return strings.TrimSpace(out.String()), err
}

// Command runs a subcommand beside the server.
func (c *Consentd) Command(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, c.Binary, args...)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("consentd %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

// Operate runs a subcommand that asks the running server to do something, and returns what it prints. The server is named
// by as much of --data and --admin as the subcommand knows.
func (c *Consentd) Operate(ctx context.Context, name string, args ...string) (string, error) {
	var help, out bytes.Buffer
	if err := c.Command(ctx, &help, name, "--help"); err != nil {
		return "", err
	}
	args = append([]string{name}, args...)
	for flag, value := range map[string]string{"--data": c.Data(), "--admin": c.Admin.String()} {
		if bytes.Contains(help.Bytes(), []byte(flag+"=")) {
			args = append(args, flag, value)
		}
	}
	err := c.Command(ctx, &out, args...)
	return strings.TrimSpace(out.String()), err
}

// Knows reports whether the program has a subcommand.
func (c *Consentd) Knows(ctx context.Context, name string) bool {
	return c.Command(ctx, io.Discard, name, "--help") == nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/consentd/consentd/server/token"
)

// running is DATA/run.json: where the server of a data directory is reached, for the commands that ask it something. It
// is written when the server begins to serve and removed when it stops; a killed one leaves it behind. No secret is in it.
type running struct {
	PID     int       `json:"pid"`
	Public  string    `json:"public"` // http://host:port
	Admin   string    `json:"admin"`  // http://host:port
	Edge    string    `json:"edge"`
	Sites   string    `json:"sites"` // directory of the site files
	Started time.Time `json:"started"`
}

func runningFile(data string) string { return filepath.Join(data, "run.json") }

// writeRunning writes the file whole, or not at all.
func (n *node) writeRunning() error {
	r := running{PID: os.Getpid(), Public: hostURL(n.public), Admin: hostURL(n.admin), Edge: n.flags.Edge, Sites: n.siteDir, Started: time.Now().UTC().Truncate(time.Second)}
	return writeJSON(runningFile(n.flags.Data), r)
}

// writeJSON writes a small file whole, or not at all; only its owner reads it. It is not synced.
func writeJSON(path string, v any) error {
	doc, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*.json") // 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(append(doc, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// removeRunning is called by the process that holds the data directory: the file is its own.
func removeRunning(data string) error {
	if err := os.Remove(runningFile(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// findRunning finds the server of a data directory. flag is what names it instead.
func findRunning(data, flag string) (*running, error) {
	doc, err := os.ReadFile(runningFile(data))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no server runs on the data directory %s; start it with: consentd serve --data %s, name another with --data, or the server with %s", data, data, flag)
	}
	if err != nil {
		return nil, err
	}
	var r running
	if err := json.Unmarshal(doc, &r); err != nil || r.PID <= 0 {
		return nil, fmt.Errorf("%s says nothing of use; start the server again, or name it with %s", runningFile(data), flag)
	}
	if err := syscall.Kill(r.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return nil, fmt.Errorf("the server of %s is gone (process %d, started %s); start it with: consentd serve --data %s, or name another with %s",
			data, r.PID, r.Started.Format(time.DateTime), data, flag)
	}
	return &r, nil
}

// adminFlags are how a command finds the admin address of the running server, and what it shows there.
type adminFlags struct {
	dataFlags
	Admin string `help:"Admin address of the running server." unset:"that of the server that runs on --data" env:"CONSENTD_ADMIN" placeholder:"HOST:PORT"`
	Token string `help:"Token of scope admin, for a server whose data directory is not here. Secret: give it in the environment." unset:"one is issued for a minute from the keys in --data" env:"CONSENTD_TOKEN" placeholder:"TOKEN"`
}

// adminURL is http://host:port. A port 0 is none to go to: it is in the environment for serve, which chose another.
func (f *adminFlags) adminURL() (string, error) {
	if host, port, err := net.SplitHostPort(f.Admin); err == nil && port != "0" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		return "http://" + net.JoinHostPort(host, port), nil
	} else if err != nil && f.Admin != "" {
		return "", fmt.Errorf("--admin %s: an address is written HOST:PORT", f.Admin)
	}
	r, err := findRunning(f.Data, "--admin")
	if err != nil {
		return "", err
	}
	return r.Admin, nil
}

// bearer is a token for the admin address.
func (f *adminFlags) bearer() (string, error) {
	if f.Token != "" {
		return f.Token, nil
	}
	return f.issueOwn(token.AllSites, token.ScopeAdmin)
}

// issueOwn issues a token for this command, good for a minute. It makes no keys: where there are none, there is no server.
func (d dataFlags) issueOwn(site, scope string) (string, error) {
	if _, err := os.Stat(d.tokens()); err != nil {
		return "", fmt.Errorf("the keys that tokens are issued with are not in --data %s: name the data directory of the server (%w)", d.Data, err)
	}
	ring, err := token.OpenRing(d.tokens())
	if err != nil {
		return "", err
	}
	raw, _, err := ring.Issue(token.Grant{Name: "the consentd command", Sites: []string{site}, Scopes: []string{scope}, TTL: time.Minute})
	return raw, errors.Join(err, ring.Close())
}

// ask asks the running server something on its admin address, and gives its answer when that is a 2xx.
func (f *adminFlags) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	answer, err := f.open(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return io.ReadAll(io.LimitReader(answer, 4<<20))
}

// open is ask for an answer that is read as it comes.
func (f *adminFlags) open(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	base, err := f.adminURL()
	if err != nil {
		return nil, err
	}
	bearer, err := f.bearer()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, notAnswering(base, "--admin", err)
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		answer, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // the status says enough
		return nil, fmt.Errorf("the server answers %d: %s", res.StatusCode, strings.TrimSpace(string(answer)))
	}
	return res.Body, nil
}

// notAnswering is what a command says of a server it cannot reach.
func notAnswering(base, flag string, err error) error {
	return fmt.Errorf("asking the server at %s (is it running? start it with consentd serve, or name its address with %s): %w", base, flag, err)
}

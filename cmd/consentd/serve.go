package main

import (
	"context"
	"fmt"
	"net"
	"strings"
)

type serveCmd struct {
	nodeFlags
	Addr  string `help:"Address the public port listens on." default:"127.0.0.1:8080" env:"CONSENTD_ADDR" placeholder:"HOST:PORT"`
	Sites string `help:"Directory of site files, one YAML file per site; changes are noticed." default:"sites" type:"path" env:"CONSENTD_SITES" placeholder:"DIR"`
}

func (c *serveCmd) Help() string {
	return `Example: consentd serve --data /var/lib/consentd --sites /etc/consentd/sites --addr 127.0.0.1:8080

Put a TLS proxy in front and name its network in --trusted-proxies. SIGTERM, SIGINT and SIGHUP
stop it within five seconds: requests under way are answered, what else does not end in time is named in the log and
left; everything acknowledged is on disk in any case. A second signal ends it at once.

While it runs, DATA/run.json says where: consentd erase, mail, snapshot, backup and evidence find it by --data.`
}

func (c *serveCmd) Run(ctx context.Context, s streams) error {
	log := c.logger(s.err)
	n, err := open(ctx, &c.nodeFlags, c.Addr, c.Sites, log)
	if err != nil {
		return err
	}
	var ids []string
	for _, st := range n.sites.All() {
		ids = append(ids, st.ID)
	}
	if len(ids) == 0 {
		log.Warn("no site is served; add a file and check it with: consentd check", "sites", c.Sites)
	}
	return n.run(ctx, func() {
		log.Info("consentd serves", "url", "http://"+n.public.Addr().String(), "admin", "http://"+n.admin.Addr().String(),
			"sites", strings.Join(ids, " "), "proofs", n.ledger.Next(0), "version", versionString())
	})
}

// hostURL is how a browser on this machine reaches a listener.
func hostURL(ln net.Listener) string {
	addr := ln.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", addr.Port)
	}
	return "http://" + addr.String()
}

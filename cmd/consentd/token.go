package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/token"
)

type tokenCmd struct {
	dataFlags
	Site   []string `help:"Site the token is for; may be repeated, * for all." placeholder:"ID"`
	Scope  []string `help:"What it may do: lookup, record, proofs, rates, links; admin, with --site *, opens the admin address (erasing, backups, mails)." placeholder:"SCOPE" sep:" "`
	TTL    string   `name:"ttl" help:"How long it is good: 90d, 12h; at most 400d." default:"90d"`
	Name   string   `help:"Who holds it, for people." placeholder:"NAME"`
	Sites  string   `help:"Directory of site files: a site that none of them names is warned of." default:"sites" type:"path" env:"CONSENTD_SITES" placeholder:"DIR"`
	Keys   bool     `help:"List the signing keys and stop."`
	Rotate bool     `help:"Make a new signing key and stop; tokens signed before stay good."`
	Retire string   `help:"Delete a signing key: every token it signed is refused." placeholder:"KID"`
	Revoke string   `help:"Refuse one token by its id (jti)." placeholder:"JTI"`
}

func (c *tokenCmd) Help() string {
	return `Example: consentd token --site demo --scope "lookup rates" --ttl 90d --name crm

The token is printed alone on standard output; its id, which --revoke takes, on standard error. A running
server notices new keys and revocations within two seconds. Tokens are not stored: who loses one issues
another and revokes the first.`
}

func (c *tokenCmd) Run(s streams) error {
	ring, err := token.OpenRing(c.tokens())
	if err != nil {
		return err
	}
	defer ring.Close()
	switch {
	case c.Keys:
		for _, k := range ring.Keys() {
			fmt.Fprintln(s.out, k.ID, map[bool]string{true: "signs", false: "verifies"}[k.Signs])
		}
		return nil
	case c.Rotate:
		return ring.Rotate()
	case c.Retire != "":
		return ring.Retire(c.Retire)
	case c.Revoke != "":
		return ring.Revoke(c.Revoke)
	}
	ttl, err := site.ParseDuration(c.TTL)
	if err != nil {
		return fmt.Errorf("--ttl %s: %w", c.TTL, err)
	}
	if len(c.Site) == 0 || len(c.Scope) == 0 || c.Name == "" {
		return fmt.Errorf(`a token needs --site, --scope and --name, as in: consentd token --site demo --scope "lookup rates" --name crm`)
	}
	raw, claims, err := ring.Issue(token.Grant{Name: c.Name, Sites: c.Site, Scopes: words(c.Scope), TTL: ttl})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, raw)
	fmt.Fprintf(s.err, "id %s, sites %s, scopes %s, expires %s\n", claims.ID, strings.Join(claims.Sites, " "),
		strings.Join(claims.Scopes, " "), claims.ExpiresAt.UTC().Format(time.RFC3339))
	c.warnOfUnknown(s)
	return nil
}

// warnOfUnknown names sites of the token that no site file names, here or where the running server reads them. It is
// no error: the file may come later, or lie on another machine.
func (c *tokenCmd) warnOfUnknown(s streams) {
	dirs := []string{c.Sites}
	if r, err := findRunning(c.Data, ""); err == nil && r.Sites != c.Sites {
		dirs = append(dirs, r.Sites)
	}
	for _, id := range c.Site {
		known := id == token.AllSites
		for _, dir := range dirs {
			_, err := site.FindDraft(id, dir)
			known = known || err == nil || !errors.Is(err, site.ErrNoSite) && !errors.Is(err, fs.ErrNotExist) // a file with mistakes names it all the same
		}
		if !known {
			fmt.Fprintf(s.err, "warning: no site file in %s names the site %s; until one does the token opens nothing (--sites, or check the spelling)\n", strings.Join(dirs, " or "), id)
		}
	}
}

// words splits at commas and white space: both are natural between scopes.
func words(list []string) []string {
	return strings.FieldsFunc(strings.Join(list, " "), func(r rune) bool { return r == ',' || r == ' ' })
}

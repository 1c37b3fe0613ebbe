package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/storage/consent"
)

// openLinks reads the keys of links, and goes on doing so: another process may add or remove some.
func (n *node) openLinks() (err error) {
	if n.links, err = link.Open(n.flags.linkKeys()); err != nil {
		return err
	}
	n.work("watching the keys of links", func(ctx context.Context) error {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				if err := n.links.Reload(); err != nil {
					n.log.Error("reading the keys of links again; those known stay in use", "error", err)
				}
			case <-ctx.Done():
				tick.Stop()
				return nil
			}
		}
	})
	return nil
}

type linksCmd struct {
	dataFlags
	Rotate bool `help:"Make a new key, which makes links from now on; links made before stay good."`
	Retire int  `help:"Remove a key: every link it made is refused from now on." placeholder:"NUMBER"`

	Site      string `help:"Make the links of one person on this site, good for a week; with --email, --phone or --external." placeholder:"ID"`
	Email     string `help:"Whose: an e-mail address." placeholder:"ADDRESS" xor:"who"`
	Phone     string `help:"Whose: a telephone number." placeholder:"NUMBER" xor:"who"`
	External  string `help:"Whose: the site's own id." placeholder:"ID" xor:"who"`
	Sites     string `help:"Directory of the site files." default:"sites" type:"path" env:"CONSENTD_SITES" placeholder:"DIR"`
	PublicURL string `name:"public-url" help:"Address people reach the server at." default:"http://127.0.0.1:8080" env:"CONSENTD_PUBLIC_URL" placeholder:"URL"`
}

func (c *linksCmd) Help() string {
	return `Links in mails (preferences, unsubscribe, confirmation) are made with a key, and nothing else is kept of them. Without
flags this lists the keys. A running server notices a change within two seconds. One key is good for four thousand
million links: who sends a million a day makes a new one each year.

With --site and a person it prints the address of their preference centre and of their unsubscribe page, for somebody
who asks by telephone or by post. Programs get theirs from POST /v1/sites/SITE/links.

Examples: consentd links --rotate
          consentd links --site shop --email jean@exemple.fr --public-url https://consent.shop.example`
}

func (c *linksCmd) Run(s streams) error {
	ring, err := link.Open(c.linkKeys())
	if err != nil {
		return err
	}
	if c.Site != "" {
		return c.ofPerson(s, ring)
	}
	if c.Rotate {
		number, err := ring.Rotate()
		if err == nil {
			fmt.Fprintf(s.err, "key %d makes links from now on\n", number)
		}
		return err
	}
	if c.Retire != 0 {
		return ring.Retire(c.Retire)
	}
	numbers, newest := ring.Numbers()
	slices.Sort(numbers)
	for _, n := range numbers {
		fmt.Fprintln(s.out, n, map[bool]string{true: "makes links", false: "opens links"}[n == newest])
	}
	return nil
}

// goodForAWeek is how long links made on the command line are good: they are passed on at once, by hand.
const goodForAWeek = 7 * 24 * time.Hour

// ofPerson prints the links of one person.
func (c *linksCmd) ofPerson(s streams, ring *link.Ring) error {
	draft, err := site.FindDraft(c.Site, c.Sites)
	if err != nil {
		return fmt.Errorf("--sites %s: %w", c.Sites, err)
	}
	who, err := c.who(draft.Region)
	if err != nil {
		return err
	}
	secrets, err := site.OpenSecrets(c.secrets())
	if err != nil {
		return err
	}
	secret, err := secrets.Site(c.Site)
	if err != nil {
		return err
	}
	keyer, err := consent.NewKeyer(secret)
	if err != nil {
		return err
	}
	t := link.Token{Kind: link.Centre, Site: c.Site, Subject: keyer.Key(who), SubjectKind: who.Kind, Expires: consent.ToMillis(time.Now().Add(goodForAWeek))}
	if who.Kind != consent.KindExternal {
		t.Identifier = who.Value
	}
	base := strings.TrimSuffix(c.PublicURL, "/")
	fmt.Fprintln(s.out, base+"/p/"+ring.Seal(&t))
	t.Kind = link.Unsubscribe
	fmt.Fprintln(s.out, base+"/u/"+ring.Seal(&t))
	return nil
}

func (c *linksCmd) who(region string) (consent.Subject, error) {
	kind, value := given(map[consent.Kind]string{consent.KindEmail: c.Email, consent.KindPhone: c.Phone, consent.KindExternal: c.External})
	if value == "" {
		return consent.Subject{}, errors.New("whose links? name --email, --phone or --external")
	}
	who, err := consent.ParseSubject(kind, value, region)
	if err != nil {
		return who, fmt.Errorf("--%s: %w", kind, err)
	}
	return who, nil
}

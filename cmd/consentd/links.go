package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/consentd/consentd/server/link"
)

// openLinks reads the keys of links, and goes on doing so: another process may add or remove some.
func (n *node) openLinks() (err error) {
	if n.links, err = link.Open(n.flags.linkKeys()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-tick.C:
				if err := n.links.Reload(); err != nil {
					n.log.Error("reading the keys of links again; those known stay in use", "error", err)
				}
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	}()
	n.later(func() error { stop(); return nil })
	return nil
}

type linksCmd struct {
	dataFlags
	Rotate bool `help:"Make a new key, which makes links from now on; links made before stay good."`
	Retire int  `help:"Remove a key: every link it made is refused from now on." placeholder:"NUMBER"`
}

func (c *linksCmd) Help() string {
	return `Links in mails (preferences, unsubscribe, confirmation) are made with a key, and nothing else is kept of them. Without
flags this lists the keys. A running server notices a change within two seconds. One key is good for four thousand
million links: who sends a million a day makes a new one each year.

Example: consentd links --rotate`
}

func (c *linksCmd) Run(s streams) error {
	ring, err := link.Open(c.linkKeys())
	if err != nil {
		return err
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

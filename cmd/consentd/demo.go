package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	texttemplate "text/template"
	"time"

	"github.com/consentd/consentd/server/token"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/widget"
)

// demoFiles is a shop in French and English, and its site file; {{.Edge}} and {{.Shop}} stand for the two addresses.
//
//go:embed demo
var demoFiles embed.FS

type demoCmd struct {
	nodeFlags
	Addr string `help:"Address consentd listens on." default:"127.0.0.1:8080" env:"CONSENTD_ADDR" placeholder:"HOST:PORT"`
	Shop string `help:"Address the demo shop listens on: another origin, as in life." default:"127.0.0.1:8081" env:"CONSENTD_SHOP" placeholder:"HOST:PORT"`
}

func (c *demoCmd) Help() string {
	return `Starts everything on this machine, data in --data, and prints the shop's address, a token and a lookup to copy.
Nothing in it differs from "serve" but the shop in front.`
}

const demoSite = "demo"

func (c *demoCmd) Run(ctx context.Context, s streams) error {
	shop, err := listen("--shop", c.Shop)
	if err != nil {
		return err
	}
	defer shop.Close()
	sites, err := c.writeSite(hostURL(shop))
	if err != nil {
		return err
	}
	if c.SMTP == "" {
		c.SMTP = "file://" + filepath.Join(c.Data, "mail")
	}
	n, err := open(ctx, &c.nodeFlags, c.Addr, sites, c.logger(s.err))
	if err != nil {
		return err
	}
	n.tellMail.Store(new(func(path, link string) {
		fmt.Fprintf(s.out, "\n  %s  a mail asks to confirm: %s\n  its link: %s\n", time.Now().UTC().Format(time.TimeOnly), path, link)
	}))
	raw, _, err := n.tokens.Issue(token.Grant{Name: "demo", Sites: []string{demoSite}, Scopes: []string{"lookup", "record", "proofs", "rates", "links"}, TTL: 24 * time.Hour})
	if err != nil {
		return errors.Join(err, n.close(time.Now().Add(forRequests), nil))
	}
	st, ok := n.sites.Get(demoSite)
	if !ok {
		return errors.Join(siteErrors(n.sites.Problems()), n.close(time.Now().Add(forRequests), nil))
	}
	pages, err := shopPages(hostURL(n.public), st.Options.Signals)
	if err != nil {
		return errors.Join(err, n.close(time.Now().Add(forRequests), nil))
	}
	front := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}
	go front.Serve(shop)
	defer front.Close()
	told := make(chan struct{})
	telling, stop := context.WithCancel(ctx)
	go func() { defer close(told); tell(telling, s.out, n) }()
	err = n.run(ctx, func() { c.print(s, n, shop, raw) })
	stop()
	<-told
	return err
}

// tell prints each choice once it is durable, with the lookup that finds it.
func tell(ctx context.Context, out io.Writer, n *node) {
	for next := n.ledger.Next(consent.StreamProofs); n.ledger.Wait(ctx, consent.StreamProofs, next) == nil; {
		end := n.ledger.Next(consent.StreamProofs)
		err := n.ledger.Scan(consent.StreamProofs, next, end, func(seq uint64, raw []byte) error {
			p, err := consent.ParseProof(raw)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "\n  %s  proof %d  %s %s  %s\n  curl -s -H \"Authorization: Bearer $TOKEN\" \"%s/v1/sites/%s/lookup?key=%s\"\n",
				p.RecordedAt.Time().Format(time.TimeOnly), seq, p.Surface, p.Method, consent.AppendDecisions(nil, p.Decisions), hostURL(n.public), p.Site, p.Personal.Subject)
			return err
		})
		if err != nil {
			n.log.Error("printing choices", "error", err)
			return
		}
		next = end
	}
}

func (c *demoCmd) print(s streams, n *node, shop net.Listener, token string) {
	edge := hostURL(n.public)
	fmt.Fprintf(s.out, `
  consentd demo

  Shop (French)      %[2]s/fr/
  Shop (English)     %[2]s/en/
  A form by itself   %[1]s/f/demo/newsletter
  API documentation  %[1]s/docs
  Health             %[1]s/readyz
  Metrics            %[3]s/metrics
  Every look         %[3]s/preview/demo

  1. A token, good for a day (lookup, record, proofs, rates, links):

  TOKEN=%[4]s

  2. Open the shop and choose. Each choice is printed here with its lookup. One that works now:

  curl -s -H "Authorization: Bearer $TOKEN" "%[1]s/v1/sites/demo/lookup?external=customer-42"

  3. Consent rates, and the proofs in ClickHouse:

  curl -s -H "Authorization: Bearer $TOKEN" "%[1]s/v1/sites/demo/rates?by=purpose"
  %[5]s sql --data %[6]s "SELECT recorded_at, surface, method, decisions FROM consents ORDER BY recorded_at DESC LIMIT 10"

  4. Sign up for the letter. The mail that asks to confirm goes to %[7]s; where that is a directory, it is printed
     here with its link. Afterwards, the addresses a mailing carries: all choices of a person, and unsubscribing:

  curl -s -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" %[1]s/v1/sites/demo/links -d '{"subjects":[{"email":"you@shop.example"}]}'

  Ctrl-C stops. Data stays in %[6]s
`, edge, hostURL(shop), hostURL(n.admin), token, os.Args[0], c.Data, n.mail.Redacted())
}

// writeSite puts the demo's site file where the registry reads it, with the shop's real origin.
func (c *demoCmd) writeSite(shop string) (dir string, err error) {
	dir = filepath.Join(c.Data, "demo-sites")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	var b bytes.Buffer
	t, err := texttemplate.ParseFS(demoFiles, "demo/site.yaml")
	if err != nil {
		return "", err
	}
	if err := t.Execute(&b, map[string]string{"Shop": shop}); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "demo.yaml"), b.Bytes(), 0o600)
}

// shopPages serves the shop. Its pages carry what the snippet command prints, under a policy that lets nothing else
// run: what is asked of the network goes to the shop itself and to edge.
func shopPages(edge string, signals widget.Signals) (http.Handler, error) {
	files, err := fs.Sub(demoFiles, "demo/shop")
	if err != nil {
		return nil, err
	}
	pages, err := template.ParseFS(files, "*.html")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("/fr/", http.StatusFound))
	mux.Handle("GET /assets/", http.FileServerFS(files))
	for _, locale := range []string{"fr", "en"} {
		for path, page := range map[string]string{"/{$}": "shop.html", "/privacy": "privacy.html", "/film": "film.html"} {
			mux.HandleFunc("GET /"+locale+path, func(w http.ResponseWriter, r *http.Request) {
				nonce := rand.Text()
				snippet, err := widget.Snippet(edge, demoSite, locale, nonce, widget.Options{Signals: signals})
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'nonce-"+nonce+"'; connect-src 'self' "+edge+"; style-src 'self'; img-src 'self' data:; require-trusted-types-for 'script'")
				pages.ExecuteTemplate(w, page, map[string]any{"Edge": edge, "Fr": locale == "fr", "Locale": locale, "Nonce": nonce,
					"Snippet": template.HTML(snippet), "SnippetText": snippet})
			})
		}
	}
	return mux, nil
}

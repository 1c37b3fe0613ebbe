package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/consentd/consentd/server"
	"github.com/consentd/consentd/server/mail"
	"github.com/consentd/consentd/server/site"
)

// publicURL is what links begin with, without a slash at its end.
func (n *node) publicURL() (string, error) {
	if n.flags.PublicURL == "" {
		return hostURL(n.public), nil
	}
	u, err := server.PublicURL(strings.TrimSuffix(n.flags.PublicURL, "/"))
	if err != nil {
		return "", fmt.Errorf("--public-url %q: write the address people reach this server at, like https://consent.shop.example", n.flags.PublicURL)
	}
	return u.String(), nil
}

// mailTurn is mail.Options.Turn; tests wait longer.
var mailTurn time.Duration

// openMail readies the queue of mails; what an earlier run left in it is there.
func (n *node) openMail() error {
	base, err := n.publicURL()
	if err != nil {
		return err
	}
	q, err := mail.New(mail.Options{Store: n.ledger, Sites: n.mailSite, Open: n.seal, Link: func(j mail.Job) (string, error) { return n.server.Load().ConfirmLink(j) },
		Server: n.flags.SMTP, Hello: helloName(base), Wrote: n.mailWritten, Turn: mailTurn, Grace: forPart * 3 / 4, Log: n.log, Metrics: n.registry})
	if err != nil {
		return fmt.Errorf("--smtp: %w", err)
	}
	n.mail = q
	n.warnOfMail(base)
	return nil
}

// sendMail starts sending, once there is a server that makes links.
func (n *node) sendMail() error {
	n.work("sending mails", n.mail.Run)
	return nil
}

// helloName is what this server calls itself before a mail server: the name people know it by, if that is one.
func helloName(base string) string {
	u, err := url.Parse(base)
	if err != nil || !strings.Contains(u.Hostname(), ".") {
		return ""
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return ""
	}
	return u.Hostname()
}

// warnOfMail says once what would keep people from confirming.
func (n *node) warnOfMail(base string) {
	var asking []string
	for _, s := range n.sites.All() {
		for _, f := range s.Forms {
			if f.DoubleOptIn && !slices.Contains(asking, s.ID) {
				asking = append(asking, s.ID)
			}
		}
	}
	if len(asking) == 0 {
		return
	}
	if n.flags.SMTP == "" {
		n.log.Warn("forms ask people to confirm by mail, and no mail server is named: mails wait", "sites", strings.Join(asking, " "), "name it with", "--smtp")
	}
	if n.flags.PublicURL == "" && n.mail.Redacted() != "" && !strings.HasPrefix(n.mail.Redacted(), "file:") {
		n.log.Warn("links in mails lead to the address this server listens on", "links", base, "name the public one with", "--public-url")
	}
}

func (n *node) mailSite(id string) (*mail.Site, bool) {
	s, ok := n.sites.Get(id)
	if !ok {
		return nil, false
	}
	return mailSite(s), true
}

func mailSite(s *site.Site) *mail.Site {
	return &mail.Site{Site: s.Site, Theme: s.Theme, Templates: mail.TemplatesOf(s.File, s.ID)}
}

// mailWritten tells of a mail that went to a file.
func (n *node) mailWritten(path, link string) {
	n.log.Info("no mail server is used: the mail is in a file", "path", path)
	if tell := n.tellMail.Load(); tell != nil {
		(*tell)(path, link)
	}
}

// mailAnswer is what GET /mail on the admin address answers.
type mailAnswer struct {
	Server  string            `json:"server"`  // "": none is named
	Waiting int               `json:"waiting"` // mails
	Oldest  float64           `json:"oldest_seconds"`
	Wrong   string            `json:"wrong,omitempty"`
	Dead    int               `json:"dead"`
	Letters []mail.DeadLetter `json:"letters"` // the latest, without the person
}

// mailRoutes are the admin address's part of consentd mail.
func (n *node) mailRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /mail", func(w http.ResponseWriter, _ *http.Request) {
		s := n.mail.Status()
		a := mailAnswer{Server: s.Server, Waiting: s.Waiting, Oldest: s.Oldest.Seconds(), Wrong: s.Wrong}
		var err error
		if a.Letters, a.Dead, err = n.mail.Dead(100); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answerJSON(w, a)
	})
	mux.HandleFunc("POST /mail/retry", func(w http.ResponseWriter, r *http.Request) {
		var ask struct{ IDs []uuid.UUID }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&ask); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		retried, err := n.mail.Retry(r.Context(), ask.IDs...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answerJSON(w, map[string]int{"retried": retried})
	})
	mux.HandleFunc("GET /mail/preview/{site}", n.mailPreview)
}

// mailPreview shows the mail of a site: ?kind=confirm|address&locale=fr&part=html|text.
func (n *node) mailPreview(w http.ResponseWriter, r *http.Request) {
	st, ok := n.mailSite(r.PathValue("site"))
	kind := mail.Kind(r.FormValue("kind"))
	if kind == "" {
		kind = mail.Confirm
	}
	if !ok || !kind.Valid() {
		http.Error(w, "there is no site of this name, or no mail of this kind", http.StatusNotFound)
		return
	}
	p, err := mail.Preview(st, kind, r.FormValue("locale"))
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src https:")
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case r.FormValue("part") == "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "Subject: %s\n\n%s", p.Subject, p.Text)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, p.HTML)
	}
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // whoever asked is gone if this fails
}

type mailCmd struct {
	adminFlags
	Retry []string `help:"Try mails again that were given up: their ids, or all." placeholder:"ID|all"`
	JSON  bool     `help:"Print what the server answers, as JSON."`
}

func (c *mailCmd) Help() string {
	return `Confirmation mails of the running server: how many wait, what is wrong, and those it has given up (the last 100), with
the reason and the codes of the mail server, never with the address. One whose confirmation has expired cannot be
tried again.

Reasons: refused (by the mail server, for good), policy (refused, and not because of the address: it waits), expired (it could not be sent in time), smtputf8 (the address needs an
extension the mail server does not have), unsure (handed over twice without an answer), address.

GET /mail/preview/SITE?locale=fr&part=html on the admin address shows what a site sends. A site's own templates stand
beside its file, in SITE.mail/confirm.fr.html, confirm.fr.txt, address.fr.html and address.fr.txt; consentd check tries them.

Example: consentd mail --retry all`
}

func (c *mailCmd) Run(ctx context.Context, s streams) error {
	if len(c.Retry) > 0 {
		return c.retry(ctx, s)
	}
	body, err := c.ask(ctx, http.MethodGet, "/mail", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := s.out.Write(body)
		return err
	}
	var a mailAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return a.print(s.out)
}

func (c *mailCmd) retry(ctx context.Context, s streams) error {
	ids := []uuid.UUID{}
	for _, r := range c.Retry {
		if r == "all" {
			ids = nil
			break
		}
		id, err := uuid.Parse(r)
		if err != nil {
			return fmt.Errorf("--retry %q: an id as consentd mail lists them, or all", r)
		}
		ids = append(ids, id)
	}
	ask, err := json.Marshal(map[string]any{"ids": ids})
	if err != nil {
		return err
	}
	body, err := c.ask(ctx, http.MethodPost, "/mail/retry", ask)
	if err != nil {
		return err
	}
	var a struct{ Retried int }
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	fmt.Fprintf(s.out, "%d tried again\n", a.Retried)
	return nil
}

func (a *mailAnswer) print(out io.Writer) error {
	server := a.Server
	if server == "" {
		server = "none (--smtp)"
	}
	fmt.Fprintf(out, "mail server   %s\nwaiting       %d", server, a.Waiting)
	if a.Waiting > 0 {
		fmt.Fprintf(out, ", the oldest for %s", time.Duration(a.Oldest*float64(time.Second)).Round(time.Second))
	}
	fmt.Fprintf(out, "\ngiven up      %d\n", a.Dead)
	if a.Wrong != "" {
		fmt.Fprintf(out, "wrong         %s\n", a.Wrong)
	}
	if len(a.Letters) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GIVEN UP\tSITE\tFORM\tLANG\tWHY\tCODES\tTRIES\tID")
	reasons := map[mail.Reason]bool{}
	for _, l := range a.Letters {
		reasons[l.Why], reasons[l.After] = true, true
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", l.Died.Time().Format(time.DateTime), l.Site, dash(l.Form), l.Locale, reason(l), dash(l.Said), l.Attempts, l.ID)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	delete(reasons, "")
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(out, "\n%s: %s", why, why.Text())
	}
	fmt.Fprintln(out)
	return nil
}

// reason names what kept a mail that expired.
func reason(l mail.DeadLetter) string {
	if l.After == "" {
		return string(l.Why)
	}
	return string(l.Why + "/" + l.After)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// templateProblems tries the mail templates of every site in paths, and finds those of no site.
func templateProblems(drafts []*site.Draft, paths []string) (all []site.Problem) {
	known := map[string]bool{}
	for _, d := range drafts {
		known[mail.TemplatesOf(d.File, d.ID)] = true
		for _, m := range mail.Check(mailSite(d.Site)) {
			all = append(all, site.Problem{File: m.File, Line: m.Line, Column: min(m.Line, 1), Severity: site.Error, Code: "mail_template", Text: m.Text})
		}
	}
	for _, dir := range paths {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // a file, or nothing: site.Check says so
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.IsDir() && filepath.Ext(e.Name()) == ".mail" && !known[path] {
				all = append(all, site.Problem{File: path, Severity: site.Warning, Code: "mail_template", Text: "is of no site whose file is good; it is named for the site's id, like shop.mail"})
			}
		}
	}
	return all
}

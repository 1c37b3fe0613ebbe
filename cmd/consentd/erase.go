package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

type eraseCmd struct {
	Site    string `help:"Id of the site." required:"" placeholder:"ID"`
	Subject string `help:"Whom: device:UUID, email:ADDRESS, phone:NUMBER, external:ID or key:HEX." required:"" placeholder:"KIND:VALUE"`
	Admin   string `help:"Admin address of the running server." default:"127.0.0.1:9090" env:"CONSENTD_ADMIN" placeholder:"HOST:PORT"`
}

func (c *eraseCmd) Help() string {
	return `Has the running server forget a person: where they stand, the personal part of every proof (who, IP address, browser,
page), in the ledger and in ClickHouse, mails that wait for them and requests they have not confirmed. What was chosen
under which words stays, without a name: the log still verifies, and evidence says "erased".

A person is erased one identifier at a time: the address, the phone, the account, the device. Run it again if it is
interrupted or ClickHouse does not answer: it goes on with what is left. It rewrites the ledger, which takes a while
where that is large. It does not reach copies: backups under DATA/backups and elsewhere, and what other tools were told.

Example: consentd erase --site shop --subject email:jean@exemple.fr`
}

// erasure is what the command asks for.
type erasure struct {
	Site  string       `json:"site"`
	Kind  consent.Kind `json:"kind"`
	Value string       `json:"value"`
}

// erased is one line of the answer: a step that is done, or the last line.
type erased struct {
	Step  string `json:"step,omitempty"` // in words
	Error string `json:"error,omitempty"`
	Done  bool   `json:"done,omitempty"`
}

func (c *eraseCmd) Run(ctx context.Context, s streams) error {
	kind, value, ok := strings.Cut(c.Subject, ":")
	if !ok {
		return fmt.Errorf("--subject %q: write what it is in front, such as email:jean@exemple.fr", c.Subject)
	}
	body, err := json.Marshal(erasure{c.Site, consent.Kind(kind), value})
	if err != nil {
		return err
	}
	res, err := adminAnswer(ctx, http.MethodPost, c.Admin, "/erase", body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		var line erased
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		switch {
		case line.Done:
			return nil
		case line.Error != "":
			return errors.New(line.Error)
		}
		fmt.Fprintln(s.out, line.Step)
	}
	return errors.New("the server broke off; run it again, it goes on with what is left")
}

// eraseHandler answers with a line for each step as it is done.
func (n *node) eraseHandler(w http.ResponseWriter, r *http.Request) {
	var e erasure
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&e); err != nil {
		http.Error(w, "a body says site, kind and value", http.StatusBadRequest)
		return
	}
	st, ok := n.sites.Get(e.Site)
	if !ok {
		http.Error(w, fmt.Sprintf("no site %q is served here", e.Site), http.StatusNotFound)
		return
	}
	subject, err := consent.ParseSubject(e.Kind, e.Value, st.Region)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	tell := func(line erased) {
		lines.Encode(line) // a client that has gone away changes nothing: what was begun is done
		http.NewResponseController(w).Flush()
	}
	// Half an erasure is worse than one nobody waits for.
	err = n.erase(context.WithoutCancel(r.Context()), e.Site, st.Keyer.Key(subject), func(format string, args ...any) { tell(erased{Step: fmt.Sprintf(format, args...)}) })
	if err != nil {
		n.log.Error("erasing a person ended early", "site", e.Site, "error", err)
		tell(erased{Error: err.Error()})
		return
	}
	n.log.Info("a person was erased", "site", e.Site)
	tell(erased{Done: true})
}

// erase forgets a subject everywhere this edge knows of. It can be begun again after any error.
func (n *node) erase(ctx context.Context, site string, key consent.SubjectKey, tell func(format string, args ...any)) error {
	requests, err := n.server.Load().ForgetRequests(site, key)
	if err != nil {
		return err
	}
	mails, err := n.mail.Forget(ctx, site, key)
	if err != nil {
		return err
	}
	tell("%d unconfirmed requests and %d waiting mails forgotten", requests, mails)
	done, err := n.ledger.Erase(ctx, site, key)
	if err != nil {
		return err
	}
	tell("ledger: state forgotten, personal part of %d proofs removed", done.Proofs)
	if err := n.ledger.Scrub(ctx); err != nil {
		return err
	}
	tell("ledger: rewritten, so that nothing is left on the disk")
	rows, err := n.eraseShipped(ctx, site, key, done.Before)
	if err != nil {
		return fmt.Errorf("the ledger is done; ClickHouse is not: %w; run it again when it answers", err)
	}
	tell("ClickHouse: personal part of %d proofs removed", rows)
	return nil
}

// How long ClickHouse may take to be sent what came before the erasure, and how often that is looked at.
const (
	shippingPatience = time.Minute
	shippingPoll     = 100 * time.Millisecond
)

// eraseShipped waits until the drain has sent everything before a seq, as it was read before the ledger's erasure, and
// erases in ClickHouse.
func (n *node) eraseShipped(ctx context.Context, site string, key consent.SubjectKey, before uint64) (int, error) {
	if n.warehouse == nil {
		c, err := n.ledger.Cursor(consent.StreamProofs)
		if err == nil && c.Next > 0 {
			err = fmt.Errorf("%d proofs were sent to one that is not in use now", c.Next)
		}
		return 0, err
	}
	late := time.After(shippingPatience)
	for {
		c, err := n.ledger.Cursor(consent.StreamProofs)
		if err != nil {
			return 0, err
		}
		if c.Next >= before {
			return n.warehouse.Erase(ctx, site, key)
		}
		select {
		case <-late:
			return 0, errors.Join(fmt.Errorf("%d proofs still wait to be sent", before-c.Next), n.drain.Health())
		case <-time.After(shippingPoll):
		}
	}
}

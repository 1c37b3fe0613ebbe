package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// erasure forgets one subject of a site wherever this edge keeps something of it. Every step stands by itself and can
// be repeated: who runs all of them again finishes what was interrupted.
type erasure struct {
	n     *node
	site  string
	key   consent.SubjectKey
	scrub bool
	here  *ledger.Erased // what the ledger has forgotten; nil: nothing yet
	say   func(eraseLine)
}

// eraseLine is a line of what POST /erase/{site} answers, as JSON, each as it happens. The last one has Step done: an
// answer without it was cut off.
type eraseLine struct {
	Step string `json:"step"`
	Text string `json:"text"`
	Left bool   `json:"left,omitempty"` // the step is not done: to be run again
}

// stepDone is the last line's.
const stepDone = "done"

// run does every step, also after one that failed: what can be forgotten is. It begins with what would make something
// new of the person.
func (e *erasure) run(ctx context.Context) {
	left := 0
	for _, step := range []struct {
		name string
		do   func(context.Context) (said string, err error)
	}{
		{"opt-ins", e.requests}, {"mails", e.mails}, {"ledger", e.proofs}, {"journal", e.note}, {"ClickHouse", e.warehouse}, {"disk", e.disk},
	} {
		line := eraseLine{Step: step.name}
		var err error
		if line.Text, err = step.do(ctx); err != nil {
			line.Text, line.Left = err.Error(), true
			left++
		}
		e.say(line)
	}
	for _, note := range e.elsewhere() {
		e.say(eraseLine{Step: "elsewhere", Text: note})
	}
	e.say(eraseLine{Step: stepDone, Left: left > 0})
	e.n.log.Info("a person was erased", "site", e.site, "steps left", left)
}

func (e *erasure) requests(context.Context) (string, error) {
	n, err := e.n.server.Load().ForgetRequests(e.site, e.key)
	return fmt.Sprintf("%d requests to confirm forgotten", n), err
}

func (e *erasure) mails(ctx context.Context) (string, error) {
	n, err := e.n.mail.Forget(ctx, e.site, e.key)
	return fmt.Sprintf("%d mails forgotten, waiting or given up", n), err
}

func (e *erasure) proofs(ctx context.Context) (string, error) {
	done, err := e.n.ledger.Erase(ctx, e.site, e.key)
	if err != nil {
		return "", err
	}
	e.here = &done
	return fmt.Sprintf("state forgotten; %d proofs lost their personal part", done.Proofs), nil
}

// note remembers the erasure where a restored backup does not undo it.
func (e *erasure) note(ctx context.Context) (string, error) {
	if e.here == nil {
		return "", errors.New("the ledger comes first")
	}
	secret, err := e.n.secrets.Site(e.site)
	if err != nil {
		return "", err
	}
	one := consent.Erasure{Site: e.site, Who: backup.Fingerprint(secret, e.key), At: e.n.ledger.Now()}
	if err := e.n.noteErasures(ctx, one); err != nil {
		return "", err
	}
	return "noted, so that a backup that is restored is rid of this person again", nil
}

// errNotErased begins what is said where rows of the person may be left.
var errNotErased = errors.New("rows of this person may still be there")

// warehouse erases rows, once all that was read of the ledger before the erasure has arrived.
func (e *erasure) warehouse(ctx context.Context) (string, error) {
	switch {
	case e.n.warehouse == nil:
		return "", fmt.Errorf("%w: %w", errNotErased, e.n.noEngine)
	case e.here == nil:
		return "", fmt.Errorf("%w: the ledger comes first", errNotErased)
	}
	if err := e.shipped(ctx); err != nil {
		return "", fmt.Errorf("%w: %w", errNotErased, err)
	}
	n, err := e.n.warehouse.Erase(ctx, e.site, e.key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotErased, err)
	}
	return fmt.Sprintf("%d rows erased; it clears the files that held them within about eight minutes", n), nil
}

// shippedWithin bounds the wait for a ClickHouse that is well.
const shippedWithin = 30 * time.Second

func (e *erasure) shipped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shippedWithin)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		c, err := e.n.ledger.Cursor(consent.StreamProofs)
		if err != nil || c.Next >= e.here.Before {
			tick.Stop()
			return errors.Join(err, e.n.drain.Settle(ctx)) // what is being sent again was read before, too
		}
		if err := e.n.drain.Health(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d proofs wait to be shipped first", e.here.Before-c.Next)
		}
	}
}

func (e *erasure) disk(ctx context.Context) (string, error) {
	if !e.scrub {
		return "not scrubbed: bytes of what was forgotten go when the ledger next rewrites its files, or with an erasure that scrubs", nil
	}
	return "the ledger's files were rewritten", e.n.ledger.Scrub(ctx)
}

// elsewhere names what this server has put where it does not look again.
func (e *erasure) elsewhere() (notes []string) {
	backups := filepath.Join(e.n.flags.Data, "backups")
	if made, _ := os.ReadDir(backups); len(made) > 0 {
		notes = append(notes, "backups under "+backups+" hold what they held; consentd restore erases it again")
	}
	if to := e.n.mail.Redacted(); strings.HasPrefix(to, "file:") {
		notes = append(notes, "mails that were written to "+to+" stay there")
	}
	return notes
}

// eraseAsk is the body of POST /erase/{site}.
type eraseAsk struct {
	Kind  consent.Kind `json:"kind"`
	Value string       `json:"value"`
	Scrub bool         `json:"scrub"`
}

// eraseHandler is the admin address's part of consentd erase.
func (n *node) eraseHandler(w http.ResponseWriter, r *http.Request) {
	var ask eraseAsk
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<12))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ask); err != nil {
		http.Error(w, "the body is {kind, value, scrub}: "+err.Error(), http.StatusBadRequest)
		return
	}
	st, ok := n.sites.Get(r.PathValue("site"))
	if !ok {
		http.Error(w, "there is no site of this name", http.StatusNotFound)
		return
	}
	who, err := consent.ParseSubject(ask.Kind, ask.Value, st.Region)
	if err != nil {
		http.Error(w, fmt.Sprintf("--%s: %v", ask.Kind, err), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	e := &erasure{n: n, site: st.ID, key: st.Keyer.Key(who), scrub: ask.Scrub, say: func(l eraseLine) {
		out.Encode(l) // whoever asked is gone if this fails, and the context with them
		flush.Flush()
	}}
	e.run(r.Context())
}

type eraseCmd struct {
	adminFlags
	Site     string `help:"Id of the site." required:"" placeholder:"ID"`
	Email    string `help:"Whom: an e-mail address." placeholder:"ADDRESS" xor:"who"`
	Phone    string `help:"Whom: a telephone number." placeholder:"NUMBER" xor:"who"`
	External string `help:"Whom: the site's own id." placeholder:"ID" xor:"who"`
	Device   string `help:"Whom: the id a browser keeps." placeholder:"UUID" xor:"who"`
	Key      string `help:"Whom: the subject key, 32 hex digits." placeholder:"HEX" xor:"who"`
	Scrub    bool   `help:"Rewrite the ledger's files, so that nothing is left in them: with many people to erase, only for the last." default:"true" negatable:""`
}

func (c *eraseCmd) Help() string {
	return `Has the running server forget a person (GDPR art. 17): where they stand, the personal part of every proof in the
ledger and in ClickHouse, requests to confirm and mails that wait. Facts stay, and with them the log: evidence of
these proofs verifies, and says that the person was erased. Afterwards a lookup answers never_asked.

Each step says what it did. What could not be done now (ClickHouse is down, the command was interrupted) is done by
running the same command again; it exits 1 until nothing is left. Somebody known by several identifiers is erased by
each of them. It asks the server that runs on --data, with a token it issues itself for a minute. Other edges have
ledgers of their own: run it there too.

Example: consentd erase --site shop --email jean@exemple.fr`
}

func (c *eraseCmd) Run(ctx context.Context, s streams) error {
	kind, value := given(map[consent.Kind]string{consent.KindEmail: c.Email, consent.KindPhone: c.Phone, consent.KindExternal: c.External,
		consent.KindDevice: c.Device, consent.KindKey: c.Key})
	if value == "" {
		return errors.New("erase whom? name --email, --phone, --external, --device or --key")
	}
	ask, err := json.Marshal(eraseAsk{Kind: kind, Value: value, Scrub: c.Scrub})
	if err != nil {
		return err
	}
	answer, err := c.open(ctx, http.MethodPost, "/erase/"+url.PathEscape(c.Site), bytes.NewReader(ask))
	if err != nil {
		return err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var l eraseLine
		if err := lines.Decode(&l); err != nil {
			return fmt.Errorf("the server's answer ends before the last step (%w): run this again", err)
		}
		if l.Step == stepDone {
			if l.Left {
				return errors.New("not everything is erased: run this again")
			}
			return nil
		}
		fmt.Fprintf(s.out, "%-10s  %s%s\n", l.Step, map[bool]string{true: "NOT DONE: "}[l.Left], l.Text)
	}
}

// given is the one identifier among flags that was given; "": none.
func given(flags map[consent.Kind]string) (consent.Kind, string) {
	for kind, value := range flags {
		if value != "" {
			return kind, value
		}
	}
	return "", ""
}

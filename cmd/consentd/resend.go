package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
)

// resendLine is a line of what POST /resend answers, as JSON, each as it happens. The last one has Done.
type resendLine struct {
	Stream string `json:"stream,omitempty"`
	Sent   uint64 `json:"sent"`
	Of     uint64 `json:"of"`
	Done   bool   `json:"done,omitempty"`
	Wrong  string `json:"wrong,omitempty"` // of the last: what is missing still, or why it ended early
}

// resendHandler is the admin address's part of consentd resend: ?stream= (none: all) and ?from=; without from only what is
// missing is sent.
func (n *node) resendHandler(w http.ResponseWriter, r *http.Request) {
	if n.drain == nil {
		http.Error(w, "no ClickHouse is in use", http.StatusServiceUnavailable)
		return
	}
	streams, from, err := readResend(r.FormValue("stream"), r.FormValue("from"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	say := func(l resendLine) {
		out.Encode(l) // whoever asked is gone if this fails, and the context with them
		flush.Flush()
	}
	if from != nil {
		err = n.drain.Resend(r.Context(), streams, *from, func(s drain.Resent) { say(resendLine{Stream: s.Stream, Sent: s.Sent, Of: s.Of}) })
	}
	if err == nil {
		err = n.drain.Compare(r.Context())
	}
	if err == nil {
		err = n.drain.Rows()
	}
	last := resendLine{Done: true}
	if err != nil {
		last.Wrong = err.Error()
	}
	say(last)
}

// readResend reads the parameters; from is nil when only what is missing is to be sent.
func readResend(stream, from string) (streams []consent.Stream, first *uint64, err error) {
	for _, s := range consent.Streams() {
		if stream == "" || stream == s.String() {
			streams = append(streams, s)
		}
	}
	if len(streams) == 0 {
		return nil, nil, fmt.Errorf("--stream %q: proofs, prompts or wordings", stream)
	}
	if from == "" {
		return streams, nil, nil
	}
	seq, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		return nil, nil, fmt.Errorf("--from %q: a seq, counted from 0", from)
	}
	return streams, &seq, nil
}

type resendCmd struct {
	adminFlags
	Stream string `help:"Only this stream: proofs, prompts or wordings." unset:"all" enum:",proofs,prompts,wordings" default:"" placeholder:"NAME"`
	From   string `help:"Send everything again from this seq on, also what is there." unset:"only what is missing" placeholder:"SEQ" xor:"from"`
	All    bool   `help:"Send everything again that the ledger holds, also what is there." xor:"from"`
}

func (c *resendCmd) Help() string {
	return `Has the running server compare what ClickHouse holds with what it was sent, and send again what is missing, as far as the
ledger still has it (--keep-shipped). It does so by itself whenever ClickHouse was away, and once an hour; this is for
those who do not want to wait. Nothing is counted twice, and what was erased stays erased.

Exits 1 when something is missing all the same, and says what.

Examples: consentd resend
          consentd resend --stream proofs --from 120000`
}

func (c *resendCmd) Run(ctx context.Context, s streams) error {
	q := url.Values{}
	if c.Stream != "" {
		q.Set("stream", c.Stream)
	}
	if c.All {
		c.From = "0"
	}
	if c.From != "" {
		q.Set("from", c.From)
	}
	answer, err := c.open(ctx, http.MethodPost, "/resend?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var l resendLine
		switch err := lines.Decode(&l); {
		case err != nil:
			return fmt.Errorf("the server's answer ends early (%w): run this again", err)
		case l.Done && l.Wrong != "":
			return fmt.Errorf("not everything is there: %s", l.Wrong)
		case l.Done:
			fmt.Fprintln(s.out, "ClickHouse holds everything it was sent")
			return nil
		}
		fmt.Fprintf(s.out, "%-8s  %d of %d sent again\n", l.Stream, l.Sent, l.Of)
	}
}

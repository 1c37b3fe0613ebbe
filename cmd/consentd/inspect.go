package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
)

// inspectLine is a line of what POST /check answers, as JSON, each as it happens. The last has Done.
type inspectLine struct {
	Text  string `json:"text,omitempty"`  // progress
	Wrong string `json:"wrong,omitempty"` // a finding
	Done  bool   `json:"done,omitempty"`
}

// inspection looks through all of a data directory.
type inspection struct {
	ledger *ledger.Ledger
	data   dataFlags
	say    func(inspectLine)
	wrong  int
}

func (i *inspection) found(errs ...error) {
	for _, err := range errs {
		if err != nil {
			i.wrong++
			i.say(inspectLine{Wrong: err.Error()})
		}
	}
}

// run finds what is wrong; an error is that it could not look.
func (i *inspection) run(ctx context.Context) error {
	tables, err := i.ledger.CheckTables(ctx, func(uint64) error { return ctx.Err() })
	if err != nil {
		return err
	}
	i.found(tables.Wrong...)
	i.say(inspectLine{Text: fmt.Sprintf("%d tables, %d bytes read through", tables.Tables, tables.Bytes)})
	said := time.Now()
	wrong, err := i.ledger.CheckEntries(ctx, func(read, of uint64) {
		if time.Since(said) > 2*time.Second || read == of {
			said = time.Now()
			i.say(inspectLine{Text: fmt.Sprintf("%d of %d entries read", read, of)})
		}
	})
	if err != nil {
		return err
	}
	i.found(wrong...)
	keys := &keyRegister{dir: i.data.keys(), ledger: i.ledger}
	if err := keys.look(); err != nil {
		i.found(err)
	} else {
		i.say(inspectLine{Text: "the keys are those the ledger knows"})
	}
	generations := i.ledger.Generations()
	checked, err := checkSigned(ctx, i.ledger, i.data, generations[len(generations)-1].Number)
	i.found(err)
	i.say(inspectLine{Text: fmt.Sprintf("%d checkpoints of the log hold", checked)})
	_, torn, err := i.data.journal().Read()
	i.found(err)
	if torn > 1 { // one may be what a crash left
		i.found(fmt.Errorf("%d lines of %s are not whole", torn, i.data.journal().Path))
	}
	return nil
}

// inspectHandler is the admin address's part of consentd check --data.
func (n *node) inspectHandler(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	i := &inspection{ledger: n.ledger, data: n.flags.dataFlags, say: func(l inspectLine) {
		out.Encode(l) // whoever asked is gone if this fails, and the context with them
		flush.Flush()
	}}
	if err := i.run(r.Context()); err != nil {
		i.found(err)
	}
	i.say(inspectLine{Done: true})
}

// ofData looks through the data directory: of the server that runs on it, or by itself.
func (c *checkCmd) ofData(ctx context.Context, s streams) error {
	wrong := 0
	say := func(l inspectLine) {
		switch {
		case l.Wrong != "":
			wrong++
			fmt.Fprintln(s.out, "WRONG:", l.Wrong)
		case l.Text != "":
			fmt.Fprintln(s.err, l.Text)
		}
	}
	d := dataFlags{Data: c.Data}
	var err error
	if _, notRunning := findRunning(c.Data, "--admin"); notRunning == nil {
		err = (&adminFlags{dataFlags: d}).inspect(ctx, say)
	} else {
		err = d.inspect(ctx, c.Edge, say)
	}
	if err != nil {
		say(inspectLine{Wrong: err.Error()})
	}
	if wrong > 0 {
		fmt.Fprintf(s.out, "%d found in %s\n", wrong, c.Data)
		return exitCode(1)
	}
	fmt.Fprintf(s.out, "%s is sound\n", c.Data)
	return nil
}

// inspect asks the running server.
func (f *adminFlags) inspect(ctx context.Context, say func(inspectLine)) error {
	answer, err := f.open(ctx, http.MethodPost, "/check", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	for lines := json.NewDecoder(answer); ; {
		var l inspectLine
		if err := lines.Decode(&l); err != nil {
			return fmt.Errorf("the server's answer ends before the last step: %w", err)
		}
		if l.Done {
			return nil
		}
		say(l)
	}
}

// inspect opens the ledger itself.
func (d dataFlags) inspect(ctx context.Context, edge string, say func(inspectLine)) (err error) {
	release, err := holdData(d)
	if err != nil {
		return err
	}
	if err := release(); err != nil {
		return err
	}
	l, err := ledger.Open(ledger.Options{Dir: d.ledger(), Edge: edge, Log: quiet})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if l.Next(consent.StreamProofs)+l.Next(consent.StreamPrompts)+l.Next(consent.StreamWordings) == 0 {
		say(inspectLine{Text: "the ledger holds nothing"})
	}
	i := &inspection{ledger: l, data: d, say: say}
	return i.run(ctx)
}

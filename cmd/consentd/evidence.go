package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/consentd/consentd/server/token"
	"github.com/google/uuid"
)

type evidenceCmd struct {
	dataFlags
	Site    string `help:"Id of the site." required:"" placeholder:"ID"`
	Proof   string `help:"Id of one proof." placeholder:"UUID" xor:"what"`
	Subject string `help:"Every proof of a subject: device:UUID, email:ADDRESS, phone:NUMBER, external:ID or key:HEX." placeholder:"KIND:VALUE" xor:"what"`
	Format  string `help:"json, the file; html, a dossier to read and print." enum:"json,html" default:"json"`
	Lang    string `help:"Language of the dossier: fr or en." unset:"that of the first choice, else the site's" placeholder:"LANG"`
	Since   uint64 `help:"Size of an earlier checkpoint: the file shows that the log only grew since." placeholder:"SIZE"`
	Out     string `help:"File to write." unset:"standard output" short:"o" type:"path" placeholder:"FILE"`
	Server  string `help:"Public address of the running server." unset:"that of the server that runs on --data" env:"CONSENTD_SERVER" placeholder:"URL"`
}

func (c *evidenceCmd) Help() string {
	return `Asks the running server for evidence, with a token it issues itself for a minute.

Examples: consentd evidence --site shop --proof 01936f0e-2f4c-7cc3-98c8-9a3a2b1c0d4e -o evidence.json
          consentd evidence --site shop --subject email:jean@exemple.fr --format html --lang fr -o dossier.html`
}

// startPatience is how long a server that has just started may take to look at what it signed before.
const startPatience = 30 * time.Second

func (c *evidenceCmd) Run(ctx context.Context, s streams) error {
	if c.Server == "" {
		r, err := findRunning(c.Data, "--server")
		if err != nil {
			return err
		}
		c.Server = r.Public
	}
	bearer, err := c.issueOwn(c.Site, token.ScopeProofs)
	if err != nil {
		return err
	}
	var status int
	var b []byte
	for deadline := time.Now().Add(startPatience); ; {
		if status, b, err = c.ask(ctx, bearer); err != nil {
			return err
		}
		if !bytes.Contains(b, []byte(`"code":"not_sealed"`)) || time.Now().After(deadline) {
			break
		}
		select {
		case <-time.After(time.Second / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if status != http.StatusOK {
		return fmt.Errorf("the server answers %d: %s", status, bytes.TrimSpace(b))
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, b, 0o600)
	}
	_, err = s.out.Write(b)
	return err
}

func (c *evidenceCmd) ask(ctx context.Context, bearer string) (status int, body []byte, err error) {
	req, err := c.request(ctx)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, notAnswering(c.Server, "--server", err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxEvidenceFile))
	return res.StatusCode, body, err
}

// request names one proof in the path, and a subject in a body: addresses do not belong into URLs.
func (c *evidenceCmd) request(ctx context.Context) (*http.Request, error) {
	q := url.Values{"format": {c.Format}}
	if c.Lang != "" {
		q.Set("lang", c.Lang)
	}
	if c.Since > 0 {
		q.Set("since", fmt.Sprint(c.Since))
	}
	base := strings.TrimSuffix(c.Server, "/") + "/v1/sites/" + url.PathEscape(c.Site)
	if c.Proof != "" {
		if _, err := uuid.Parse(c.Proof); err != nil {
			return nil, fmt.Errorf("--proof %q: a proof is named by its UUID", c.Proof)
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, base+"/proofs/"+c.Proof+"/evidence?"+q.Encode(), nil)
	}
	kind, value, ok := strings.Cut(c.Subject, ":")
	if !ok {
		return nil, errors.New("name one --proof, or a --subject such as email:jean@exemple.fr")
	}
	body, err := json.Marshal(map[string]any{"subject": map[string]string{kind: value}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/evidence?"+q.Encode(), strings.NewReader(string(body)))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

package main

import (
	"encoding/json"
	"fmt"

	"github.com/consentd/consentd/server/site"
)

type checkCmd struct {
	Paths  []string `arg:"" optional:"" help:"Site files or directories of them." default:"sites" type:"path"`
	JSON   bool     `help:"Print one JSON object a line: file, line, column, severity, code, key, text."`
	Schema bool     `help:"Print the JSON Schema of a site file, for editors, and stop."`
}

func (c *checkCmd) Run(s streams) error {
	if c.Schema {
		_, err := s.out.Write(site.Schema())
		return err
	}
	errors, warnings := 0, 0
	for _, p := range site.Check(c.Paths...) {
		if p.Severity == site.Error {
			errors++
		} else {
			warnings++
		}
		if c.JSON {
			if err := json.NewEncoder(s.out).Encode(p); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintln(s.out, p)
	}
	fmt.Fprintf(s.err, "%d errors, %d warnings\n", errors, warnings)
	if errors > 0 {
		return exitCode(1)
	}
	return nil
}

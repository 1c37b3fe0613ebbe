package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/consentd/consentd/bench/load"
	"github.com/consentd/consentd/bench/rig"
)

// row is one line of the table; empty cells stay empty.
type row struct {
	what     string
	goal     string
	measured string
	bare     string // the bare Fiber server in the same run
	ratio    string
	verdict  string
	latency  string // p50 / p99 / p99.9
	micros   string // server processor time per request
	shares   string // of all processors: generator / server / ClickHouse / others / idle
}

var header = row{"what", "goal", "measured", "bare Fiber", "ratio", "verdict", "p50 / p99 / p99.9",
	"server µs/request (bare)", "% of CPU: generator / server / ClickHouse / other / idle"}

func (r row) cells() []string {
	return []string{r.what, r.goal, r.measured, r.bare, r.ratio, r.verdict, r.latency, r.micros, r.shares}
}

// atLeast and atMost say whether a goal is met, or by what part of it it is missed.
func atLeast(goal, got float64) string { return verdict(got >= goal, (goal-got)/goal) }
func atMost(goal, got float64) string  { return verdict(got <= goal, (got-goal)/goal) }

func verdict(met bool, off float64) string {
	if met {
		return "met"
	}
	if off > 1 {
		return fmt.Sprintf("missed, %.1f times the bound", 1+off)
	}
	return fmt.Sprintf("missed by %.0f %%", 100*off)
}

func latencies(h *load.Histogram) string {
	ms := func(q float64) string { return fmt.Sprintf("%.2f", h.Quantile(q).Seconds()*1e3) }
	return ms(0.5) + " / " + ms(0.99) + " / " + ms(0.999) + " ms"
}

func shares(s rig.Spent) string {
	pct := func(d time.Duration) string { return fmt.Sprintf("%.0f", 100*s.Share(d)) }
	return strings.Join([]string{pct(s.Generator), pct(s.Server), pct(s.Engine), pct(s.Other + s.Stolen), pct(s.Idle)}, " / ")
}

// thousands writes n with a comma every three digits.
func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// table is everything one run says.
type table struct {
	date    time.Time
	commit  string
	machine string
	setting string // connections, rounds, subjects …
	rows    []row
	notes   []string
}

// String writes a Markdown section whose columns also line up as plain text.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s, %s\n\n%s. %s.\n\n", t.date.UTC().Format("2006-01-02 15:04 UTC"), t.commit, t.machine, t.setting)
	all := append([]row{header}, t.rows...)
	widths := make([]int, len(header.cells()))
	for _, r := range all {
		for i, c := range r.cells() {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for i, r := range all {
		line(&b, r.cells(), widths, " ")
		if i == 0 {
			line(&b, make([]string, len(widths)), widths, "-")
		}
	}
	if len(t.notes) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range t.notes {
		b.WriteString("- " + n + "\n")
	}
	return b.String()
}

func line(b *strings.Builder, cells []string, widths []int, fill string) {
	for i, c := range cells {
		b.WriteString("|" + fill + c + strings.Repeat(fill, widths[i]-utf8.RuneCountInString(c)+1))
	}
	b.WriteString("|\n")
}

const (
	resultsHead = `# Results

Written by ` + "`make bench`" + `, newest first, the last runs only; bench/doc.go says how to read them. Goals: DESIGN §11.

`
	resultsKept = 4 // sections; older ones are in the history of this file
)

// writeResults puts t's section in front of those the file has.
func writeResults(path string, t *table) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	sections := strings.Split(string(old), "\n## ")[1:] // the first is the head
	out := resultsHead + t.String()
	for i, s := range sections {
		if i < resultsKept-1 && strings.TrimSpace(s) != "" {
			out += "\n## " + strings.TrimRight(s, "\n") + "\n"
		}
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// writeTable prints kinds of files against verdicts.
func writeTable(out io.Writer, all []outcome) (bad []outcome) {
	cells, sum := map[string]map[string]int{}, map[string]int{}
	for _, o := range all {
		if cells[o.kind] == nil {
			cells[o.kind] = map[string]int{}
		}
		cells[o.kind][o.verdict]++
		sum[o.verdict]++
		if red(o.verdict) {
			bad = append(bad, o)
		}
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "damaged\t")
	for _, v := range verdicts {
		if red(v) {
			v = strings.ToUpper(v)
		}
		fmt.Fprintf(t, "%s\t", v)
	}
	fmt.Fprintln(t)
	for _, kind := range slices.Sorted(maps.Keys(cells)) {
		writeLine(t, kind, cells[kind])
	}
	writeLine(t, "all", sum)
	t.Flush()
	return bad
}

func writeLine(t io.Writer, name string, n map[string]int) {
	fmt.Fprintf(t, "%s\t", name)
	for _, v := range verdicts {
		fmt.Fprintf(t, "%d\t", n[v])
	}
	fmt.Fprintln(t)
}

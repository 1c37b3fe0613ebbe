package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// writeTable prints phases and calls against faults: how many runs in which the fault struck came to which verdict. Runs
// in which it did not are not counted.
func writeTable(out io.Writer, all []outcome) {
	type line struct{ phase, call string }
	cells := map[line]map[string]map[string]int{}
	on := map[line][]string{}
	for _, o := range all {
		if o.hits == 0 && !red(o.verdict) {
			continue
		}
		l := line{o.phase, o.injection.syscall}
		if cells[l] == nil {
			cells[l] = map[string]map[string]int{}
		}
		if cells[l][o.injection.fault.name] == nil {
			cells[l][o.injection.fault.name] = map[string]int{}
		}
		cells[l][o.injection.fault.name][o.verdict]++
		on[l] = slices.Compact(slices.Sorted(slices.Values(append(on[l], o.on...))))
	}
	lines := slices.SortedFunc(maps.Keys(cells), func(a, b line) int { return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.call, b.call)) })
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "phase\tcall\t")
	for _, f := range faults() {
		fmt.Fprintf(t, "%s\t", f.name)
	}
	fmt.Fprintln(t, "on")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t", l.phase, l.call)
		for _, f := range faults() {
			fmt.Fprintf(t, "%s\t", cell(cells[l][f.name]))
		}
		fmt.Fprintln(t, strings.Join(on[l], " "))
	}
	t.Flush()
}

// cell says "3 held, 1 HANG".
func cell(verdicts map[string]int) string {
	if len(verdicts) == 0 {
		return "-"
	}
	var parts []string
	for _, v := range []string{held, ended, lost, changed, hang, mute, stuck} {
		if n := verdicts[v]; n > 0 && red(v) {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToUpper(v)))
		} else if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}

// totals counts verdicts over everything.
func totals(all []outcome) (text string, bad []outcome) {
	n, struck := map[string]int{}, 0
	for _, o := range all {
		n[o.verdict]++
		if o.hits > 0 {
			struck++
		}
		if red(o.verdict) {
			bad = append(bad, o)
		}
	}
	return fmt.Sprintf("%d runs, the fault struck in %d: %s", len(all), struck, cell(n)), bad
}

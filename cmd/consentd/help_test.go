package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestHelpShowsEveryDefault walks every option of every command.
func TestHelpShowsEveryDefault(t *testing.T) {
	app, err := kong.New(&cli{}, kong.Configuration(yamlConfig), kong.ValueFormatter(helpOf))
	if err != nil {
		t.Fatal(err)
	}
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") } // lines are broken anywhere
	flags := 0
	for _, c := range app.Model.Children {
		out, _, err := command(c.Name, "--help")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range c.Flags {
			if f.Hidden {
				continue
			}
			flags++
			help := words(helpOf(f.Value))
			if !strings.Contains(words(out), help) {
				t.Errorf("%s --help does not show of --%s: %s", c.Name, f.Name, help)
			}
			for _, want := range append(wantsShown(f), f.Envs...) {
				if !strings.Contains(help, want) {
					t.Errorf("%s --%s: no %q in %s", c.Name, f.Name, want, help)
				}
			}
			if strings.Contains(f.Help, "efault:") || strings.Contains(f.Help, "Empty:") {
				t.Errorf("%s --%s tells its default in the text, beside the one that is shown: %s", c.Name, f.Name, f.Help)
			}
		}
	}
	if flags < 60 {
		t.Errorf("%d options seen", flags)
	}
}

func wantsShown(f *kong.Flag) []string {
	switch {
	case f.Required:
		return []string{"(required"}
	case f.IsBool() && f.Default == "true":
		return []string{"(default: on", "--no-" + f.Name}
	case f.IsBool():
		return []string{"(default: off"}
	case f.Default != "":
		return []string{"(default: " + f.Default}
	}
	return []string{"(default: "}
}

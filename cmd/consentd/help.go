package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// helpOf is the help of an option with what holds when it is not given, and the environment variable it is read from.
// kong shows a default only where no placeholder is.
func helpOf(v *kong.Value) string {
	if v.Flag == nil || v.Flag.Name == "help" {
		return v.Help
	}
	notes := []string{whenUnset(v)}
	for _, name := range v.Tag.Envs {
		notes = append(notes, "$"+name)
	}
	text, stop := strings.CutSuffix(v.Help, ".")
	text += " (" + strings.Join(notes, "; ") + ")"
	if stop {
		text += "."
	}
	return text
}

// whenUnset says what holds when an option is not given. Where that is worked out from something else, the tag unset
// says how.
func whenUnset(v *kong.Value) string {
	switch {
	case v.Required:
		return "required"
	case v.Tag.Has("unset"):
		return "default: " + v.Tag.Get("unset")
	case v.IsBool() && v.Default == "true":
		return "default: on; --no-" + v.Flag.Name + " turns it off"
	case v.IsBool():
		return "default: off"
	case v.Default != "":
		return "default: " + v.Default
	}
	return "default: none"
}

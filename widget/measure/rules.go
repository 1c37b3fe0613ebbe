package measure

import (
	"cmp"
	"fmt"
	"slices"
)

// Codes of findings.
const (
	TargetSmall    = "target_small"    // something to press is under MinTarget, and close to something else to press
	TextSmall      = "text_small"      // letters under MinText
	ChoicesUnequal = "choices_unequal" // accepting and refusing differ in size, weight or colour, or are not side by side
	TextCutOff     = "text_cut_off"    // words, or a part of them, cannot be seen
)

const (
	// MinTarget is the least side of what can be pressed, in CSS pixels (WCAG 2.2, 2.5.8 "Target size (minimum)"): what
	// is smaller needs a free circle of that diameter around it.
	MinTarget = 24
	// MinText is the least size of letters, in CSS pixels: 12 are 9 points, under which browsers' own audits call text
	// illegible (Lighthouse, "font-size"). WCAG names no least size; a condition nobody can read is no information
	// (GDPR art. 12(1): "easily accessible form").
	MinText = 12
)

// look is a surface in a width, as the page measured it.
type look struct {
	Page, Width int
	Surface     string
	Controls    []control
	Texts       []text
}

type control struct {
	ID, Kind, Label    string
	Width, Height, Top float64
	Crowded, Cut       bool
	Look               string
}

type text struct {
	Text string
	In   string // id of the button it is in, or ""
	Size float64
	Cut  bool
}

// judge applies the rules to everything measured.
func judge(pages []Page, looks []look) []Finding {
	var all []Finding
	for _, l := range looks {
		locale := pages[l.Page].Locale
		where := fmt.Sprintf("at %d px in %s, on the %s: ", l.Width, locale, l.Surface)
		add := func(code, key, format string, args ...any) {
			if !slices.ContainsFunc(all, func(o Finding) bool { return o.Page == l.Page && o.Code == code && o.Key == key }) {
				all = append(all, Finding{l.Page, code, key, where + fmt.Sprintf(format, args...)})
			}
		}
		l.controls(locale, add)
		l.choices(locale, add)
		l.letters(locale, add)
	}
	return all
}

type adder func(code, key, format string, args ...any)

func (l look) controls(locale string, add adder) {
	for _, c := range l.Controls {
		if (c.Width < MinTarget || c.Height < MinTarget) && c.Crowded {
			add(TargetSmall, keyOf(c.ID, locale), "%q is %.0f × %.0f px and has no room around it; %d px are the least to press", c.Label, c.Width, c.Height, MinTarget)
		}
		if c.Cut {
			add(TextCutOff, keyOf(c.ID, locale), "%q does not fit its button", c.Label)
		}
	}
}

// choices compares the two answers wherever both are offered.
func (l look) choices(locale string, add adder) {
	find := func(id string) *control {
		i := slices.IndexFunc(l.Controls, func(c control) bool { return c.ID == id })
		if i < 0 {
			return nil
		}
		return &l.Controls[i]
	}
	accept, refuse := find("accept"), find("refuse")
	if l.Surface != "banner" && l.Surface != "preferences" {
		return
	}
	key := keyOf("refuse", locale)
	if accept == nil || refuse == nil {
		add(ChoicesUnequal, key, "accepting and refusing are not both offered")
		return
	}
	same := func(a, b float64) bool { return max(a-b, b-a) <= 0.5 }
	switch {
	case !same(accept.Width, refuse.Width) || !same(accept.Height, refuse.Height):
		add(ChoicesUnequal, key, "accepting has %.0f × %.0f px, refusing %.0f × %.0f", accept.Width, accept.Height, refuse.Width, refuse.Height)
	case !same(accept.Top, refuse.Top):
		add(ChoicesUnequal, key, "accepting and refusing do not stand side by side")
	case accept.Look != refuse.Look:
		add(ChoicesUnequal, key, "accepting looks otherwise than refusing: %s; %s", accept.Look, refuse.Look)
	}
}

func (l look) letters(locale string, add adder) {
	for _, t := range l.Texts {
		if t.Size < MinText {
			add(TextSmall, cmp.Or(labelKey(t.In, locale), "theme"), "%q is in letters of %.1f px; %d are the least", t.Text, t.Size, MinText)
		}
		if t.Cut {
			add(TextCutOff, "theme.radius", "%q cannot be seen whole: the corners cut it off, or something covers it", t.Text)
		}
	}
}

// keyOf is the key of a site's file that changes a control most.
func keyOf(id, locale string) string { return cmp.Or(labelKey(id, locale), "theme.space") }

// labelKey is the key of a button's words; "" for what is none of the buttons a file words.
func labelKey(id, locale string) string {
	key := map[string]string{"accept": "accept", "refuse": "refuse", "choose": "choose", "save": "save", "back": "back", "reopen": "reopen",
		"continue": "continue_without", "once": "load_once", "always": "always_allow", "receipt": "receipt_button"}[id]
	if key == "" {
		return ""
	}
	return "banner." + key + "." + locale
}

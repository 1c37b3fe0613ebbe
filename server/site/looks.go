package site

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// seen trims a text, and gives nothing for one in which there is nothing to see: a button without words is one
// that is not there, however many characters it has.
func seen(s string) string {
	if !strings.ContainsFunc(s, visible) {
		return ""
	}
	return strings.TrimSpace(s)
}

func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != brailleBlank && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// What the style sheet gives, in CSS pixels (widget/src/css; widget/measure holds it to what a browser draws).
const (
	letters    = 15.0  // an em of the banner
	narrowSide = 18.75 // the most room beside words on a phone
	headSpace  = 15.0  // room above the title of the preferences
	spaceSide  = 1.5   // theme.space of a file that names none, in em
)

// checkCorners refuses corners so round that they cut off the words between them: a word that begins a beside and
// b below the corner of a frame is whole while the radius is at most a + b + √(2ab).
func (v *validator) checkCorners() {
	const path = "theme.radius"
	if !v.has(path) || v.bad[path] {
		return
	}
	space, ok := pixels(v.c.Theme.Space)
	if !ok {
		space = spaceSide * letters
	}
	a, b := min(space, narrowSide), min(space, headSpace)
	most := math.Floor(a + b + math.Sqrt(2*a*b))
	if radius, ok := pixels(v.c.Theme.Radius); ok && radius > most {
		v.errorf(CodeTextCutOff, path, "rounds corners by %.0f px, which cuts words off; the most is %.0fpx here", radius, most)
	}
}

// pixels reads a length of a theme.
func pixels(length string) (px float64, ok bool) {
	unit := 1.0
	number, em := strings.CutSuffix(length, "em")
	if em {
		unit = letters
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(number, "px"), 64)
	return n * unit, err == nil
}

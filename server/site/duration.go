package site

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A month is the twelfth of a year of 365 days: twelve make a year, 36 three.
const (
	day   = 24 * time.Hour
	month = 730 * time.Hour
	year  = 12 * month
)

// ErrDuration means that a text is no length of time.
var ErrDuration = errors.New("site: a length of time is written like 182d, 26w, 6mo, 2y or 12h")

// ParseDuration reads a length of time: days (182d), weeks (26w), months (6mo), years (2y), or anything
// time.ParseDuration reads. A day has 24 hours, a month 730, a year 365 days.
func ParseDuration(s string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": day, "w": 7 * day, "mo": month, "y": year} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok { // minutes end in m, months in mo
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 16) // 179 years of days
		if err != nil {
			return 0, fmt.Errorf("%w, not %.40q", ErrDuration, s)
		}
		return time.Duration(n) * length, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%w, not %.40q", ErrDuration, s)
	}
	return d, nil
}

// duration is a length of time in a file.
type duration time.Duration

// UnmarshalText reads what ParseDuration reads, but not zero or less.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no length of time; write it like 182d, 26w or 6mo", text)
	}
	if v <= 0 {
		return fmt.Errorf("%q is no time at all; write it like 182d, 26w or 6mo", text)
	}
	*d = duration(v)
	return nil
}

package server

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAChoiceIsKeptOverHTTPForTheRestOfItsTime(t *testing.T) {
	k := start(t)
	day := 24 * time.Hour
	kept := func(age time.Duration, wording string) string {
		return "1.8d0f4c1a-0b52-4b8e-9f5e-3f0a4be1d2c3." + strconv.FormatInt(time.Now().Add(-age).UnixMilli(), 36) + ".0123456789abcdef." + wording + ".ads:0.analytics:1"
	}
	hash := strings.Repeat("0a", 32)
	for name, tc := range map[string]struct {
		cookie string
		days   int // 0: none is set
	}{
		"made now":                              {kept(0, hash), 182},
		"made a hundred days ago":               {kept(100*day, hash), 82},
		"a signal":                              {kept(0, "signal"), 182},
		"over":                                  {kept(183*day, hash), 0},
		"from the future":                       {kept(-3*day, hash), 0},
		"something with an attribute behind it": {kept(0, hash) + "x", 0},
		"something else":                        {"hello", 0},
		"none":                                  {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			header := []string{asPlain, ofShop}
			if tc.cookie != "" {
				header = append(header, "Cookie: consentd_demo="+tc.cookie)
			}
			r := k.do("POST", "/v1/sites/demo/consents", k.choice(), header...)
			got := r.header.Get("Set-Cookie")
			if tc.days == 0 {
				if got != "" {
					t.Errorf("set %q", got)
				}
				return
			}
			_, after, _ := strings.Cut(got, "Max-Age=")
			seconds, err := strconv.Atoi(strings.Split(after, ";")[0])
			if err != nil || (seconds+3600)/86400 != tc.days || !strings.HasPrefix(got, "consentd_demo="+tc.cookie+"; Path=/; ") || !strings.HasSuffix(got, "; SameSite=Lax; Secure") {
				t.Errorf("set %q, want %d days", got, tc.days)
			}
		})
	}
}

package token_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/server/token"
)

// clock is a clock that a test sets.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 11, 21, 20, 6, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) Advance(d time.Duration) { c.ns.Add(int64(d)) }

func open(t testing.TB, dir string, now func() time.Time) *token.Ring {
	t.Helper()
	r, err := token.Open(token.Options{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "tokens") }

func grant() token.Grant {
	return token.Grant{Name: "crm", Sites: []string{"demo"}, Scopes: []string{"rates", "lookup"}, TTL: 90 * 24 * time.Hour}
}

func issue(t testing.TB, r *token.Ring, g token.Grant) (string, *token.Claims) {
	t.Helper()
	raw, claims, err := r.Issue(g)
	if err != nil {
		t.Fatal(err)
	}
	return raw, claims
}

func TestAnIssuedTokenSaysWhatWasGranted(t *testing.T) {
	c := newClock()
	r := open(t, newDir(t), c.Now)
	raw, issued := issue(t, r, grant())
	for range 2 { // first verified, then remembered
		got, err := r.Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != issued.ID || got.Name != "crm" || !slices.Equal(got.Sites, []string{"demo"}) ||
			!slices.Equal(got.Scopes, []string{"lookup", "rates"}) || got.KeyID != r.Keys()[0].ID ||
			!got.IssuedAt.Equal(c.Now()) || !got.ExpiresAt.Equal(c.Now().Add(90*24*time.Hour)) {
			t.Errorf("verified %+v, issued %+v", got, issued)
		}
	}
}

func TestATokenAllowsItsSitesAndScopesAlone(t *testing.T) {
	r := open(t, newDir(t), nil)
	for _, tc := range []struct {
		name, site, scope string
		sites             []string
		want              error
	}{
		{"its site and scope", "demo", "lookup", []string{"demo"}, nil},
		{"one of several sites", "shop", "lookup", []string{"demo", "shop"}, nil},
		{"any site with a star", "shop", "lookup", []string{"*"}, nil},
		{"another site", "shop", "lookup", []string{"demo"}, token.ErrWrongSite},
		{"a site whose name it begins", "dem", "lookup", []string{"demo"}, token.ErrWrongSite},
		{"another scope", "demo", "proofs", []string{"demo"}, token.ErrWrongScope},
		{"no scope", "demo", "", []string{"demo"}, token.ErrWrongScope},
		{"another scope with a star", "demo", "proofs", []string{"*"}, token.ErrWrongScope},
		{"the wrong site is said before the wrong scope", "shop", "proofs", []string{"demo"}, token.ErrWrongSite},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := grant()
			g.Sites = tc.sites
			raw, _ := issue(t, r, g)
			c, err := r.Verify(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Allows(tc.site, tc.scope); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAGrantThatIsNotIssued(t *testing.T) {
	r := open(t, newDir(t), nil)
	many := make([]string, 200)
	for i := range many {
		many[i] = "site-with-a-long-name-" + strings.Repeat("a", 1+i%10) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	for _, tc := range []struct {
		name   string
		change func(*token.Grant)
		says   string
	}{
		{"without a name", func(g *token.Grant) { g.Name = " " }, "a name of 1 to 100"},
		{"with a name too long", func(g *token.Grant) { g.Name = strings.Repeat("a", 101) }, "a name of 1 to 100"},
		{"with a line end in its name", func(g *token.Grant) { g.Name = "a\nb" }, "a name of 1 to 100"},
		{"for no site", func(g *token.Grant) { g.Sites = nil }, "name the sites"},
		{"for a site no site can be called", func(g *token.Grant) { g.Sites = []string{"Demo!"} }, `"Demo!" is no site id`},
		{"for all sites and one more", func(g *token.Grant) { g.Sites = []string{"*", "demo"} }, `"*" is no site id`},
		{"for more sites than fit", func(g *token.Grant) { g.Sites = many }, "with 200 sites it takes"},
		{"without a scope", func(g *token.Grant) { g.Scopes = nil }, "name its scopes"},
		{"with a scope there is not", func(g *token.Grant) { g.Scopes = []string{"lookup", "write"} }, `"write" is no scope; there are lookup, record, proofs, rates, links`},
		{"with a life over 400 days", func(g *token.Grant) { g.TTL = 400*24*time.Hour + 1 }, "the longest 400 days"},
		{"with no life", func(g *token.Grant) { g.TTL = 0 }, "the shortest is 1 s"},
		{"with a negative life", func(g *token.Grant) { g.TTL = -time.Hour }, "the shortest is 1 s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := grant()
			tc.change(&g)
			raw, _, err := r.Issue(g)
			if !errors.Is(err, token.ErrGrant) || !strings.Contains(err.Error(), tc.says) || raw != "" {
				t.Errorf("got %q, %v; want ErrGrant that says %q", raw, err, tc.says)
			}
		})
	}
}

func TestAllMistakesOfAGrantAreSaidAtOnce(t *testing.T) {
	_, _, err := open(t, newDir(t), nil).Issue(token.Grant{})
	if n := strings.Count(err.Error(), token.ErrGrant.Error()); n != 4 {
		t.Errorf("%d mistakes reported, want 4: %v", n, err)
	}
}

func TestTheLongestGrantIsIssued(t *testing.T) {
	r := open(t, newDir(t), nil)
	g := token.Grant{Name: strings.Repeat("é", 50), Sites: []string{"*"}, Scopes: token.Scopes(), TTL: token.MaxTTL}
	raw, _ := issue(t, r, g)
	if _, err := r.Verify(raw); err != nil {
		t.Error(err)
	}
}

func TestBearer(t *testing.T) {
	for _, tc := range []struct {
		name, header, want string
		err                error
	}{
		{"the scheme and a token", "Bearer a.b-c_d.9", "a.b-c_d.9", nil},
		{"the scheme in another case", "bEARER abc", "abc", nil},
		{"no header", "", "", token.ErrMissing},
		{"another scheme", "Basic dXNlcjpwYXNz", "", token.ErrMissing},
		{"a scheme that begins like it", "Bearerx abc", "", token.ErrMissing},
		{"the scheme alone", "Bearer", "", token.ErrMissing},
		{"the scheme and nothing after the space", "Bearer ", "", token.ErrInvalid},
		{"two spaces", "Bearer  abc", "", token.ErrInvalid},
		{"a tab for a space", "Bearer\tabc", "", token.ErrMissing},
		{"two tokens", "Bearer abc def", "", token.ErrInvalid},
		{"two tokens by a comma", "Bearer abc,def", "", token.ErrInvalid},
		{"a space at the end", "Bearer abc ", "", token.ErrInvalid},
		{"a line end inside", "Bearer a\r\nbc", "", token.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := token.Bearer(tc.header)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}

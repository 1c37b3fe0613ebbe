package token_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/consentd/consentd/server/keyfile"
	"github.com/consentd/consentd/server/token"
)

// forger signs whatever it is asked to with the ring's own key, as an attacker who holds the key could not be
// stopped from doing, and as one who does not can only try with keys of his own.
type forger struct {
	private ed25519.PrivateKey
	header  map[string]any // of a good token
	claims  map[string]any
}

func newForger(t testing.TB, dir string, r *token.Ring, now time.Time) forger {
	t.Helper()
	d, err := keyfile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := d.Get("0001")
	if err != nil {
		t.Fatal(err)
	}
	return forger{
		private: ed25519.NewKeyFromSeed(seed),
		header:  map[string]any{"alg": "Ed25519", "typ": "consentd-access+jwt", "kid": r.Keys()[0].ID},
		claims: map[string]any{"iss": "consentd", "aud": []string{"consentd-api"}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			"jti": "0197a000-0000-7000-8000-000000000001", "name": "crm", "sites": []string{"demo"}, "scope": "lookup"},
	}
}

func (f forger) with(header, claims map[string]any) forger {
	f.header, f.claims = merged(f.header, header), merged(f.claims, claims)
	return f
}

// merged is a with the entries of b; a nil in b removes.
func merged(a, b map[string]any) map[string]any {
	a = maps.Clone(a)
	maps.Copy(a, b)
	maps.DeleteFunc(a, func(_ string, v any) bool { return v == nil })
	return a
}

func (f forger) signed() string {
	s := segment(f.header) + "." + segment(f.claims)
	return s + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(f.private, []byte(s)))
}

// by signs with any method and key of the library.
func (f forger) by(m jwt.SigningMethod, key any) string {
	s := segment(merged(f.header, map[string]any{"alg": m.Alg()})) + "." + segment(f.claims)
	sig, err := m.Sign(s, key)
	if err != nil {
		panic(err)
	}
	return s + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func segment(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

type object = map[string]any

func TestATokenIsRefused(t *testing.T) {
	c, dir := newClock(), newDir(t)
	r := open(t, dir, c.Now)
	f := newForger(t, dir, r, c.Now())
	now, good := c.Now(), f.signed()
	public := f.private.Public().(ed25519.PublicKey)
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger := f
	stranger.private = foreign
	parts := strings.Split(good, ".")

	for _, tc := range []struct {
		name string
		raw  string
		want error
		says string
	}{
		{"never, when nothing is wrong", good, nil, ""},
		{"never, under the older name of the algorithm", f.by(jwt.SigningMethodEdDSA, f.private), nil, ""},

		{"when it is empty", "", token.ErrInvalid, "malformed"},
		{"when it is no JWT", "hello", token.ErrInvalid, "malformed"},
		{"when it has four parts", good + ".x", token.ErrInvalid, "malformed"},
		{"when it is over 4 KiB", good + strings.Repeat("A", token.MaxLen), token.ErrInvalid, "longer than 4096 bytes"},
		{"when it has a line end inside", parts[0] + "\n." + parts[1] + "." + parts[2], token.ErrInvalid, "not a compact JWS"},
		{"when it is padded", parts[0] + "." + parts[1] + "." + parts[2] + "==", token.ErrInvalid, "not a compact JWS"},
		{"when its last bits differ, though they decode to the same bytes", respelled(good), token.ErrInvalid, "malformed"},

		{"when its algorithm is none", f.by(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), token.ErrInvalid, "algorithm"},
		{"when its algorithm is NONE", f.with(object{"alg": "NONE"}, nil).signed(), token.ErrInvalid, "algorithm"},
		{"when it is HS256 with the public key as its secret", f.by(jwt.SigningMethodHS256, []byte(public)), token.ErrInvalid, "algorithm"},
		{"when it is HS512 with the public key as its secret", f.by(jwt.SigningMethodHS512, []byte(public)), token.ErrInvalid, "algorithm"},
		{"when it is RS256", f.by(jwt.SigningMethodRS256, rsaKey), token.ErrInvalid, "algorithm"},
		{"when it is PS256", f.by(jwt.SigningMethodPS256, rsaKey), token.ErrInvalid, "algorithm"},
		{"when its algorithm is unheard of", f.with(object{"alg": "Ed448"}, nil).signed(), token.ErrInvalid, "unknown algorithm"},
		{"when its algorithm is no string", f.with(object{"alg": 7}, nil).signed(), token.ErrInvalid, "unknown algorithm"},
		{"when it names no algorithm", f.with(object{"alg": nil}, nil).signed(), token.ErrInvalid, "unknown algorithm"},

		{"when its type is JWT", f.with(object{"typ": "JWT"}, nil).signed(), token.ErrInvalid, "typ is not"},
		{"when its type is at+jwt", f.with(object{"typ": "at+jwt"}, nil).signed(), token.ErrInvalid, "typ is not"},
		{"when it has no type", f.with(object{"typ": nil}, nil).signed(), token.ErrInvalid, "typ is not"},
		{"when it has a critical extension", f.with(object{"crit": []string{"exp"}}, nil).signed(), token.ErrInvalid, "crit names"},
		{"when it names no key", f.with(object{"kid": nil}, nil).signed(), token.ErrInvalid, "kid is missing"},
		{"when its key id is a number", f.with(object{"kid": 1}, nil).signed(), token.ErrInvalid, "kid is missing"},
		{"when it names a key that is not in the ring", f.with(object{"kid": "0123456789abcdef"}, nil).signed(), token.ErrInvalid, "not in the ring"},
		{"when it brings its own key", stranger.with(object{"jwk": object{"kty": "OKP", "crv": "Ed25519",
			"x": base64.RawURLEncoding.EncodeToString(foreign.Public().(ed25519.PublicKey))}}, nil).signed(), token.ErrInvalid, "wrong signature"},
		{"when a stranger signed it under our key id", stranger.signed(), token.ErrInvalid, "wrong signature"},
		{"when its claims were changed after signing", parts[0] + "." + segment(merged(f.claims, object{"scope": "proofs"})) + "." + parts[2], token.ErrInvalid, "wrong signature"},
		{"when it has no signature", parts[0] + "." + parts[1] + ".", token.ErrInvalid, "wrong signature"},

		{"when it has no issuer", f.with(nil, object{"iss": nil}).signed(), token.ErrInvalid, "iss, aud or exp is missing"},
		{"when another issued it", f.with(nil, object{"iss": "someone"}).signed(), token.ErrInvalid, "another issuer"},
		{"when it has no audience", f.with(nil, object{"aud": nil}).signed(), token.ErrInvalid, "iss, aud or exp is missing"},
		{"when it is for another audience", f.with(nil, object{"aud": "consentd-receipts"}).signed(), token.ErrInvalid, "another audience"},
		{"when it never expires", f.with(nil, object{"exp": nil}).signed(), token.ErrInvalid, "iss, aud or exp is missing"},
		{"when its expiry is a text", f.with(nil, object{"exp": "tomorrow"}).signed(), token.ErrInvalid, "malformed"},
		{"when it has expired", f.with(nil, object{"exp": now.Unix()}).signed(), token.ErrExpired, ""},
		{"as invalid when it has expired and is for another audience", f.with(nil, object{"exp": now.Unix(), "aud": "x"}).signed(), token.ErrInvalid, "another audience"},
		{"as invalid when it has expired and a stranger signed it", stranger.with(nil, object{"exp": now.Unix()}).signed(), token.ErrInvalid, "wrong signature"},
		{"when it does not say when it was issued", f.with(nil, object{"iat": nil}).signed(), token.ErrInvalid, "iat is missing"},
		{"when it was issued in the future", f.with(nil, object{"iat": now.Unix() + 61}).signed(), token.ErrInvalid, "issued in the future"},
		{"when it is not valid yet", f.with(nil, object{"nbf": now.Unix() + 10}).signed(), token.ErrInvalid, "not valid yet"},
		{"when it lives over 400 days", f.with(nil, object{"exp": now.Add(token.MaxTTL).Unix() + 1}).signed(), token.ErrInvalid, "lives longer"},
		{"when it has no id", f.with(nil, object{"jti": nil}).signed(), token.ErrInvalid, "jti is missing"},
		{"when it names no site", f.with(nil, object{"sites": []string{}}).signed(), token.ErrInvalid, "no site or no scope"},
		{"when its sites are one text", f.with(nil, object{"sites": "demo"}).signed(), token.ErrInvalid, "malformed"},
		{"when it has no scope", f.with(nil, object{"scope": ""}).signed(), token.ErrInvalid, "no site or no scope"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // the second time from the cache, if it were there
				_, err := r.Verify(tc.raw)
				if !errors.Is(err, tc.want) {
					t.Fatalf("got %v, want %v", err, tc.want)
				}
				if err != nil && !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("got %q, want it to say %q", err, tc.says)
				}
			}
		})
	}
}

// respelled changes bits of the last character that base64 ignores unless it is strict.
func respelled(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + string(alphabet[last^1])
}

func TestARefusalNeverQuotesTheToken(t *testing.T) {
	c, dir := newClock(), newDir(t)
	r := open(t, dir, c.Now)
	f := newForger(t, dir, r, c.Now())
	const mark = "SENSITIVE"
	for _, raw := range []string{
		mark, f.with(object{"alg": mark}, nil).signed(), f.with(object{"typ": mark}, nil).signed(), f.with(object{"kid": mark}, nil).signed(),
		f.with(nil, object{"iss": mark}).signed(), f.with(nil, object{"aud": mark}).signed(), f.with(nil, object{"exp": mark}).signed(),
	} {
		if _, err := r.Verify(raw); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("got %v", err)
		}
	}
}

func TestExpiryIsExactAlsoFromTheCache(t *testing.T) {
	c := newClock()
	r := open(t, newDir(t), c.Now)
	g := grant()
	g.TTL = 10 * time.Second
	raw, _ := issue(t, r, g)
	for range 2 {
		if _, err := r.Verify(raw); err != nil {
			t.Fatal(err)
		}
		c.Advance(9 * time.Second / 2)
	}
	c.Advance(time.Second - 1)
	if _, err := r.Verify(raw); err != nil {
		t.Fatalf("1 ns before its end: %v", err)
	}
	c.Advance(1)
	if _, err := r.Verify(raw); !errors.Is(err, token.ErrExpired) {
		t.Fatalf("at its end: got %v, want ErrExpired", err)
	}
}

func TestTheCallerMayReuseTheBytesOfAToken(t *testing.T) {
	r := open(t, newDir(t), nil)
	raw, _ := issue(t, r, grant())
	buf := []byte(raw)
	shared := unsafeString(buf)
	c, err := r.Verify(shared)
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 'A'
	}
	if _, err := r.Verify(shared); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("other bytes at the same address: got %v, want ErrInvalid", err)
	}
	if again, err := r.Verify(raw); err != nil || again != c {
		t.Errorf("the token itself: got %v, want the remembered claims", err)
	}
	if c.Name != "crm" || c.Allows("demo", "lookup") != nil {
		t.Errorf("the claims changed with the bytes: %+v", c)
	}
}

func TestManyTokensAreToldApart(t *testing.T) {
	r := open(t, newDir(t), nil)
	const n = 1500 // more than the cache holds
	raws, ids := make([]string, n), make([]string, n)
	for i := range raws {
		raw, c := issue(t, r, grant())
		raws[i], ids[i] = raw, c.ID
	}
	for range 2 {
		for i, raw := range raws {
			c, err := r.Verify(raw)
			if err != nil || c.ID != ids[i] {
				t.Fatalf("token %d: got %+v, %v; want id %s", i, c, err, ids[i])
			}
		}
	}
}

func TestARememberedTokenCostsNoAllocation(t *testing.T) {
	r := open(t, newDir(t), nil)
	raw, _ := issue(t, r, grant())
	header := "Bearer " + raw
	n := testing.AllocsPerRun(1000, func() {
		raw, err := token.Bearer(header)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Verify(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Allows("demo", "lookup"); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzVerify: a token that the ring did not issue is never accepted.
func FuzzVerify(f *testing.F) {
	c, dir := newClock(), filepath.Join(f.TempDir(), "tokens")
	r := open(f, dir, c.Now)
	forge := newForger(f, dir, r, c.Now())
	good := forge.signed()
	f.Add("")
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(segment(forge.header) + "." + segment(forge.claims) + ".")
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := r.Verify(raw); err == nil && raw != good {
			t.Errorf("accepted %q", raw)
		}
	})
}

// FuzzSignedClaims: whatever was signed with the ring's key, what is accepted keeps every promise of Claims.
func FuzzSignedClaims(f *testing.F) {
	c, dir := newClock(), filepath.Join(f.TempDir(), "tokens")
	r := open(f, dir, c.Now)
	forge := newForger(f, dir, r, c.Now())
	good, _ := json.Marshal(forge.claims)
	f.Add(string(good))
	f.Add(`{"iss":"consentd","aud":"consentd-api","exp":1e300,"iat":-1e300,"jti":"a","sites":["*"],"scope":" "}`)
	f.Add(`{"iss":"consentd","aud":["consentd-api"],"exp":1795293960.5,"iat":1795290000,"jti":"a","sites":[null],"scope":"x"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, claims string) {
		s := segment(forge.header) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		raw := s + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(forge.private, []byte(s)))
		got, err := r.Verify(raw)
		if err != nil {
			return
		}
		life := got.ExpiresAt.Sub(got.IssuedAt)
		if !got.ExpiresAt.After(c.Now()) || life > token.MaxTTL || got.ID == "" || len(got.Sites) == 0 || len(got.Scopes) == 0 {
			t.Errorf("accepted %s as %+v", claims, got)
		}
	})
}

func BenchmarkVerifyRemembered(b *testing.B) {
	r := open(b, filepath.Join(b.TempDir(), "tokens"), nil)
	raw, _ := issue(b, r, grant())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyRememberedParallel(b *testing.B) {
	r := open(b, filepath.Join(b.TempDir(), "tokens"), nil)
	raw, _ := issue(b, r, grant())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Verify(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerifyFirst is the price of a token not seen for a minute, or forged.
func BenchmarkVerifyFirst(b *testing.B) {
	r := open(b, filepath.Join(b.TempDir(), "tokens"), nil)
	raw, _ := issue(b, r, grant())
	forged := raw[:len(raw)-2] + "AA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Verify(forged); err == nil {
			b.Fatal("accepted")
		}
	}
}

package link

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/consentd/consentd/storage/consent"
)

const day = consent.Millis(24 * 3600 * 1000)

func newRing(t testing.TB) *Ring {
	t.Helper()
	r, err := Open(t.TempDir() + "/links")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tokens() map[string]Token {
	long := strings.Repeat("l", 64) + "@" + strings.Repeat("d", 180) + ".example"
	return map[string]Token{
		"of the preference centre":         {Kind: Centre, Site: "shop", Subject: consent.SubjectKey{1, 2, 3}, SubjectKind: consent.KindEmail, Identifier: "marie@shop.example", Expires: 90 * day},
		"of the longest address":           {Kind: Centre, Site: strings.Repeat("s", 40), SubjectKind: consent.KindEmail, Identifier: long, Expires: 90 * day},
		"that ends one purpose":            {Kind: Unsubscribe, Site: "shop", Subject: consent.SubjectKey{9}, SubjectKind: consent.KindPhone, Identifier: "+33612345678", Purposes: []string{"newsletter"}, Expires: 1000},
		"that ends many purposes":          {Kind: Unsubscribe, Site: "shop", SubjectKind: consent.KindKey, Purposes: slices.Repeat([]string{strings.Repeat("p", 40)}, 64), Expires: day},
		"of an account":                    {Kind: Identify, Site: "shop", Subject: consent.SubjectKey{7}, SubjectKind: consent.KindExternal, Expires: day},
		"of a form that was displayed":     {Kind: Form, Site: "shop", ID: [16]byte{1, 15: 2}, Made: 12345, Expires: day},
		"of a site and nothing but that":   {Kind: Centre, Site: "s", Expires: 1000},
		"with characters beyond the ASCII": {Kind: Centre, Site: "shop", SubjectKind: consent.KindEmail, Identifier: "zoë@xn--bcher-kva.example", Expires: day},
	}
}

func TestATokenComesBackAsItWas(t *testing.T) {
	r := newRing(t)
	for name, tok := range tokens() {
		t.Run(name, func(t *testing.T) {
			text := r.Seal(&tok)
			got, err := r.Open(tok.Kind, text, tok.Expires-1)
			if err != nil || !reflect.DeepEqual(*got, tok) {
				t.Fatalf("%v\n%+v\n%+v", err, got, tok)
			}
			if strings.ContainsAny(text, "+/=&?#") {
				t.Errorf("%s does not fit an address", text)
			}
			raw, _ := base64.RawURLEncoding.DecodeString(text)
			for _, secret := range []string{tok.Site + "x", tok.Identifier, string(tok.Subject[:3])} {
				if len(secret) > 3 && bytes.Contains(raw, []byte(secret)) {
					t.Errorf("%q can be read", secret)
				}
			}
			if again := r.Seal(&tok); again == text {
				t.Error("two tokens of one subject are alike")
			}
		})
	}
}

func TestATokenEnds(t *testing.T) {
	r := newRing(t)
	tok := Token{Kind: Centre, Site: "shop", Expires: 5000}
	text := r.Seal(&tok)
	for now, want := range map[consent.Millis]error{0: nil, 4999: nil, 5000: ErrExpired, 1 << 40: ErrExpired} {
		got, err := r.Open(Centre, text, now)
		if !errors.Is(err, want) || got == nil || got.Site != "shop" {
			t.Errorf("at %d: %v %+v", now, err, got)
		}
	}
}

func TestWhatWasNotMadeHereIsRefused(t *testing.T) {
	r, other := newRing(t), newRing(t)
	tok := Token{Kind: Centre, Site: "shop", SubjectKind: consent.KindEmail, Identifier: "marie@shop.example", Expires: day}
	text := r.Seal(&tok)
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	all := map[string]string{
		"nothing":                      "",
		"no base64":                    "?" + text[1:],
		"padding":                      text + "=",
		"a token of another ring":      other.Seal(&tok),
		"something far too long":       strings.Repeat("A", 1<<20),
		"a line feed inside":           text[:10] + "\n" + text[10:],
		"a token and one more byte":    text + "AA",
		"another version":              base64.RawURLEncoding.EncodeToString(append([]byte{2}, raw[1:]...)),
		"a key number there is not":    base64.RawURLEncoding.EncodeToString(append([]byte{1, 0, 9}, raw[3:]...)),
		"a header and nothing":         base64.RawURLEncoding.EncodeToString(raw[:3]),
		"a header and half of a nonce": base64.RawURLEncoding.EncodeToString(raw[:9]),
	}
	for i := range len(text) {
		all["a token cut at "+text[:i]] = text[:i]
	}
	for i := range raw {
		forged := bytes.Clone(raw)
		forged[i] ^= 1
		all["a token with a bit turned at "+text[:i]] = base64.RawURLEncoding.EncodeToString(forged)
	}
	for name, text := range all {
		if got, err := r.Open(Centre, text, 0); !errors.Is(err, ErrInvalid) || got != nil {
			t.Errorf("%s: %v %+v", name, err, got)
		}
	}
	for _, k := range []Kind{Unsubscribe, Identify, Form, 0, 99} {
		if got, err := r.Open(k, text, 0); !errors.Is(err, ErrInvalid) || got != nil {
			t.Errorf("opened as %d: %v", k, err)
		}
	}
	// The last character of base64 may carry bits that decode to nothing: only one spelling is a token.
	last := text[len(text)-1]
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		if byte(c) == last {
			continue
		}
		if _, err := r.Open(Centre, text[:len(text)-1]+string(c), 0); err == nil {
			t.Errorf("a second spelling: %c for %c", c, last)
		}
	}
}

func TestRotationKeepsLinksAndRetiringEndsThem(t *testing.T) {
	dir := t.TempDir() + "/links"
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tok := Token{Kind: Unsubscribe, Site: "shop", Expires: day}
	about := []byte("a sign-up")
	old, oldCode := r.Seal(&tok), r.Code(about)
	second, err := Open(dir) // another process
	if err != nil {
		t.Fatal(err)
	}
	if n, err := second.Rotate(); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	fresh := second.Seal(&tok)
	if _, err := r.Open(Unsubscribe, fresh, 0); !errors.Is(err, ErrInvalid) {
		t.Error("known before it was read:", err)
	}
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"old": old, "fresh": fresh} {
		if _, err := r.Open(Unsubscribe, text, 0); err != nil {
			t.Errorf("%s after the rotation: %v", what, err)
		}
	}
	if codes := r.Codes(about); len(codes) != 2 || codes[0] != r.Code(about) || codes[1] != oldCode || codes[0] == oldCode {
		t.Errorf("codes %v, was %s", codes, oldCode)
	}
	if all, newest := r.Numbers(); len(all) != 2 || newest != 2 {
		t.Error(all, newest)
	}
	if err := r.Retire(7); err == nil {
		t.Error("a key that is not there was retired")
	}
	if err := r.Retire(1); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(Unsubscribe, old, 0); !errors.Is(err, ErrInvalid) {
		t.Error("a retired key opens:", err)
	}
	if _, err := r.Open(Unsubscribe, fresh, 0); err != nil {
		t.Error("the other one does not:", err)
	}
	if err := r.Retire(2); err == nil {
		t.Error("the last key was retired")
	}
}

func TestCodesTellThingsApart(t *testing.T) {
	r := newRing(t)
	a, b := r.Code([]byte("a")), r.Code([]byte("b"))
	if a == b || len(a) != 43 || a != r.Code([]byte("a")) {
		t.Errorf("%s %s", a, b)
	}
	if a == newRing(t).Code([]byte("a")) {
		t.Error("two rings agree")
	}
}

func TestManySealAtOnceWhileKeysChange(t *testing.T) {
	r := newRing(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				tok := Token{Kind: Centre, Site: "shop", Expires: day, Subject: consent.SubjectKey{byte(i)}}
				if _, err := r.Open(Centre, r.Seal(&tok), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		if _, err := r.Rotate(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// parse meets only what was sealed here, but never trusts it.
func FuzzParse(f *testing.F) {
	for _, tok := range tokens() {
		f.Add(tok.append(nil))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := parse(b)
		if err != nil {
			return
		}
		if again, err := parse(tok.append(nil)); err != nil || !reflect.DeepEqual(again, tok) {
			t.Fatalf("%x: %+v, again %+v (%v)", b, tok, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	r := newRing(f)
	for _, tok := range tokens() {
		f.Add(r.Seal(&tok))
	}
	other := newRing(f)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := other.Open(Centre, text, 0); !errors.Is(err, ErrInvalid) {
			t.Fatalf("%q was opened", text)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r := newRing(b)
	tok := Token{Kind: Unsubscribe, Site: "shop", Subject: consent.SubjectKey{1}, SubjectKind: consent.KindEmail, Identifier: "marie.dupont@shop.example", Purposes: []string{"newsletter"}, Expires: 400 * day}
	var room [512]byte
	b.ReportAllocs()
	for b.Loop() {
		r.Append(room[:0], &tok)
	}
}

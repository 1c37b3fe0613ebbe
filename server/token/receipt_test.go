package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// keySet reads a JWKS as its users do.
func keySet(t *testing.T, r *Ring) map[string]ed25519.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Crv, Alg, Use, Kid, X string }
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize || k.Kty != "OKP" || k.Crv != "Ed25519" || k.Alg != "Ed25519" || k.Use != "sig" {
			t.Fatalf("%+v %v", k, err)
		}
		keys[k.Kid] = x
	}
	return keys
}

func openReceipts(t *testing.T) *Ring {
	t.Helper()
	r, err := OpenRing(filepath.Join(t.TempDir(), "receipts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestAReceiptVerifiesWithThePublishedKeysAlsoAfterARotation(t *testing.T) {
	r := openReceipts(t)
	raw, err := r.SignReceipt(struct {
		Version string `json:"version"`
		At      int64  `json:"consentTimestamp"`
	}{"KI-CR-v1.1.0", 1793484000})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	keys := keySet(t, r)
	if len(keys) != 2 {
		t.Fatalf("%d keys published, want 2", len(keys))
	}
	parsed, err := jwt.Parse(raw, func(tok *jwt.Token) (any, error) { return keys[tok.Header["kid"].(string)], nil }, jwt.WithValidMethods([]string{"Ed25519"}))
	if err != nil {
		t.Fatal(err)
	}
	claims := parsed.Claims.(jwt.MapClaims)
	if parsed.Header["typ"] != "consent-receipt+jwt" || parsed.Header["alg"] != "Ed25519" || claims["version"] != "KI-CR-v1.1.0" || claims["consentTimestamp"] != 1793484000.0 {
		t.Errorf("%v %v", parsed.Header, claims)
	}
	again, err := r.SignReceipt(claims)
	if err != nil || strings.Split(again, ".")[0] == strings.Split(raw, ".")[0] {
		t.Errorf("the old key still signs: %v", err)
	}
}

func TestAReceiptIsNoToken(t *testing.T) {
	r := openReceipts(t)
	raw, err := r.SignReceipt(map[string]any{"iss": issuer, "aud": audience, "sites": []string{AllSites}, "scope": "proofs", "name": "x", "jti": "x",
		"iat": 1, "exp": 99999999999})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(raw); !errors.Is(err, ErrInvalid) {
		t.Errorf("a receipt passes for a token of the same ring: %v", err)
	}
}

func TestAReceiptIsAnObject(t *testing.T) {
	r := openReceipts(t)
	for _, v := range []any{"text", 7, []int{1}, make(chan int)} {
		if raw, err := r.SignReceipt(v); err == nil {
			t.Errorf("%v is signed: %s", v, raw)
		}
	}
}

package token

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// ReceiptType is the typ of a receipt: nothing but a receipt has it, and no verifier of API tokens accepts it.
const ReceiptType = "consent-receipt+jwt"

// SignReceipt signs a document as a receipt with the newest key of the ring. claims is anything that encodes as a JSON
// object. A ring that signs receipts signs nothing else: it has its own directory.
func (r *Ring) SignReceipt(claims any) (string, error) {
	doc, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding a receipt: %w", err)
	}
	var m jwt.MapClaims
	if err := json.Unmarshal(doc, &m); err != nil {
		return "", fmt.Errorf("encoding a receipt: %w", err)
	}
	signer := r.state.Load().signer
	t := jwt.NewWithClaims(fullySpecified{jwt.SigningMethodEdDSA}, m)
	t.Header["typ"], t.Header["kid"] = ReceiptType, signer.id
	raw, err := t.SignedString(signer.private)
	if err != nil {
		return "", fmt.Errorf("signing a receipt: %w", err)
	}
	return raw, nil
}

// jwk is a public key as RFC 8037 §2 writes it.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Alg string `json:"alg"`
	Use string `json:"use"`
	Kid string `json:"kid"`
	X   string `json:"x"`
}

// JWKS lists the public halves of every key of the ring (RFC 7517 §5), newest first: those that sign no more still
// verify what they signed.
func (r *Ring) JWKS() []byte {
	all := slices.SortedFunc(maps.Values(r.state.Load().keys), func(a, b key) int { return b.number - a.number })
	set := struct {
		Keys []jwk `json:"keys"`
	}{make([]jwk, len(all))}
	for i, k := range all {
		set.Keys[i] = jwk{Kty: "OKP", Crv: "Ed25519", Alg: algName, Use: "sig", Kid: k.id, X: base64.RawURLEncoding.EncodeToString(k.public)}
	}
	doc, err := json.Marshal(set)
	if err != nil {
		panic(err) // nothing but strings
	}
	return doc
}

package token

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// What every token of consentd says of itself. The type is its own (RFC 8725 §3.11): a receipt or any other
// JWT signed by this program, now or later, cannot pass for an API token. It is not RFC 9068's at+jwt, which
// promises claims about an authorization server that there is none of.
const (
	tokenType = "consentd-access+jwt"
	issuer    = "consentd"
	audience  = "consentd-api"
)

// wire is the claims set as signed.
type wire struct {
	Name  string   `json:"name"`
	Sites []string `json:"sites"` // site ids, or ["*"]
	Scope string   `json:"scope"` // separated by spaces, RFC 8693 §4.2
	jwt.RegisteredClaims
}

// Issue signs a token for g with the newest key. ErrGrant lists everything wrong with g.
func (r *Ring) Issue(g Grant) (token string, claims *Claims, err error) {
	if err := g.check(); err != nil {
		return "", nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", nil, fmt.Errorf("making a token id: %w", err)
	}
	signer := r.state.Load().signer
	now := r.now().Truncate(time.Second) // NumericDate counts whole seconds here
	w := wire{Name: g.Name, Sites: unique(g.Sites), Scope: strings.Join(unique(g.Scopes), " "),
		RegisteredClaims: jwt.RegisteredClaims{Issuer: issuer, Audience: jwt.ClaimStrings{audience}, ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(g.TTL))}}
	t := jwt.NewWithClaims(fullySpecified{jwt.SigningMethodEdDSA}, w)
	t.Header["typ"], t.Header["kid"] = tokenType, signer.id
	token, err = t.SignedString(signer.private)
	if err != nil {
		return "", nil, fmt.Errorf("signing a token: %w", err)
	}
	if len(token) > MaxLen {
		return "", nil, fmt.Errorf("%w: with %d sites it takes %d bytes, the most is %d; use %q or several tokens",
			ErrGrant, len(g.Sites), len(token), MaxLen, AllSites)
	}
	return token, w.claims(signer.id), nil
}

func (w *wire) claims(kid string) *Claims {
	return &Claims{ID: w.ID, Name: w.Name, Sites: w.Sites, Scopes: strings.Fields(w.Scope), KeyID: kid,
		IssuedAt: w.IssuedAt.UTC(), ExpiresAt: w.ExpiresAt.UTC()}
}

func unique(in []string) []string {
	in = slices.Clone(in)
	slices.Sort(in)
	return slices.Compact(in)
}

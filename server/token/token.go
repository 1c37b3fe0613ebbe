// Package token issues and verifies the API tokens of consentd: JSON Web Tokens signed with Ed25519, that name
// the sites and the scopes their holder may use. It also signs receipts, with keys of their own.
//
// It guarantees that a token is accepted only when its type, algorithm, key, signature, issuer, audience, times
// and id are all as this package writes them; that a revoked token, or one whose key was retired, is refused at
// once by the process that did it and within two seconds by every other on the same directory; and that a token
// accepted from the cache is byte for byte one that was verified less than a minute before.
//
// It does not know which sites exist, does not limit the rate of attempts, and does not keep the tokens it
// issued: who loses one issues another and revokes the first by its id.
//
// # Files
//
//	token.go    Grant, Claims and what they allow; the limits
//	ring.go     Ring: the signing keys of a directory, rotation, notice of changes made by others
//	issue.go    Issue
//	receipt.go  SignReceipt and JWKS: a ring of another directory, for receipts
//	verify.go   Verify, step by step
//	cache.go    verified tokens, remembered for a short time
//	revoked.go  the directory of revoked ids
//	alg.go      the two names of one algorithm
//	bearer.go   the Authorization header
//
// # Why golang-jwt
//
// It is small, has no dependencies, and checks time and audience with options that fail closed when they are
// set. What it leaves to its user (typ, crit, length, strict alphabet, required iat and jti) is checked here.
//
// # Why asymmetric keys, when one program signs and verifies
//
// Verifiers never need the private half, so edges that only answer lookups can be given public keys alone the
// day that is wanted; and a shared secret would invite the confusion of RS256 and HS256 that RFC 8725 §2.1
// describes. A signature check costs 50 µs, which the cache pays once a minute per token.
package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/consentd/consentd/storage/consent"
)

// What a token may do (DESIGN §8).
const (
	ScopeLookup = "lookup" // ask for the standing of subjects
	ScopeRecord = "record" // record choices from a server
	ScopeProofs = "proofs" // read proofs and histories
	ScopeRates  = "rates"  // read consent rates
	ScopeLinks  = "links"  // make confirmation and unsubscribe links
	ScopeAdmin  = "admin"  // the admin address: erase, back up, read the list of mails; for all sites only
)

// Scopes lists every scope of the API: all but ScopeAdmin, which opens the admin address.
func Scopes() []string {
	return []string{ScopeLookup, ScopeRecord, ScopeProofs, ScopeRates, ScopeLinks}
}

// AllSites in Grant.Sites, alone, stands for every site, also those added later.
const AllSites = "*"

// Limits of a token.
const (
	// MaxTTL lets a yearly renewal come a month late; a token that lives longer is a token nobody remembers.
	MaxTTL = 400 * 24 * time.Hour
	// MaxLen is checked before anything is parsed, in bytes. A token for one site takes about 400.
	MaxLen = 4 << 10

	maxName = 100 // bytes
)

// Errors of Verify. What was wrong follows in the text; it never quotes the token.
var (
	ErrMissing = errors.New("token: none given")
	ErrInvalid = errors.New("token: not valid")
	ErrExpired = errors.New("token: expired")
	ErrRevoked = errors.New("token: revoked")
)

// Errors of Claims.Allows.
var (
	ErrWrongSite  = errors.New("token: not for this site")
	ErrWrongScope = errors.New("token: lacks the scope")
)

// ErrGrant means that a token as asked for is not issued; the text says why.
var ErrGrant = errors.New("token: not issued")

// Grant is what a new token shall allow.
type Grant struct {
	Name   string        // who will hold it, for people: "crm"; 1 to 100 bytes
	Sites  []string      // site ids, or AllSites alone
	Scopes []string      // of Scopes(), or ScopeAdmin, which goes with AllSites
	TTL    time.Duration // 1 s to MaxTTL, whole seconds count
}

// Claims is what a verified token says. It is shared between requests: read only.
type Claims struct {
	ID        string // jti, a UUIDv7: what Revoke takes
	Name      string
	Sites     []string
	Scopes    []string
	IssuedAt  time.Time
	ExpiresAt time.Time
	KeyID     string // of the key that signed it
}

// Allows is nil when the token covers site and scope; ErrWrongSite comes first.
func (c *Claims) Allows(site, scope string) error {
	if !slices.Contains(c.Sites, site) && !slices.Contains(c.Sites, AllSites) {
		return ErrWrongSite
	}
	if !slices.Contains(c.Scopes, scope) {
		return ErrWrongScope
	}
	return nil
}

// check reports every mistake of g at once.
func (g Grant) check() error {
	return errors.Join(g.checkName(), g.checkSites(), g.checkScopes(), g.checkTTL())
}

func (g Grant) checkName() error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }
	if strings.TrimSpace(g.Name) == "" || len(g.Name) > maxName || strings.ContainsFunc(g.Name, control) {
		return fmt.Errorf("%w: a name of 1 to %d bytes says who holds it, such as crm", ErrGrant, maxName)
	}
	return nil
}

func (g Grant) checkSites() error {
	if len(g.Sites) == 0 {
		return fmt.Errorf("%w: name the sites it is for, or %q for all", ErrGrant, AllSites)
	}
	if len(g.Sites) == 1 && g.Sites[0] == AllSites {
		return nil
	}
	for _, s := range g.Sites {
		if !consent.ValidSiteID(s) {
			return fmt.Errorf("%w: %.60q is no site id (a-z, 0-9 and -; %q stands alone)", ErrGrant, s, AllSites)
		}
	}
	return nil
}

func (g Grant) checkScopes() error {
	known := append(Scopes(), ScopeAdmin)
	if len(g.Scopes) == 0 {
		return fmt.Errorf("%w: name its scopes, of %s", ErrGrant, strings.Join(known, ", "))
	}
	for _, s := range g.Scopes {
		if !slices.Contains(known, s) {
			return fmt.Errorf("%w: %.60q is no scope; there are %s", ErrGrant, s, strings.Join(known, ", "))
		}
	}
	if slices.Contains(g.Scopes, ScopeAdmin) && !slices.Contains(g.Sites, AllSites) {
		return fmt.Errorf("%w: the scope %s is for the whole server; it goes with %q for the sites", ErrGrant, ScopeAdmin, AllSites)
	}
	return nil
}

func (g Grant) checkTTL() error {
	if g.TTL < time.Second || g.TTL > MaxTTL {
		return fmt.Errorf("%w: it lives %v; the shortest is 1 s, the longest %d days", ErrGrant, g.TTL, MaxTTL/(24*time.Hour))
	}
	return nil
}

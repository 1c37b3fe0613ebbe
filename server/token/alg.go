package token

import "github.com/golang-jwt/jwt/v5"

// RFC 9864 §2.2 names the algorithm "Ed25519" and deprecates the polymorphic "EdDSA", under which golang-jwt
// knows it. Tokens are signed under the new name; both verify, with the same key and the same bytes.
const (
	algName    = "Ed25519"
	algOldName = "EdDSA"
)

// fullySpecified is golang-jwt's Ed25519 under its RFC 9864 name.
type fullySpecified struct{ *jwt.SigningMethodEd25519 }

func (fullySpecified) Alg() string { return algName }

// registerAlg makes the new name known to golang-jwt, whose parser looks names up in a table of its own and
// offers no other way in. Writing the same entry again changes nothing, and the table has a lock.
func registerAlg() {
	jwt.RegisterSigningMethod(algName, func() jwt.SigningMethod { return fullySpecified{jwt.SigningMethodEdDSA} })
}

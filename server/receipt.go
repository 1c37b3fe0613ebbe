package server

// Receipts signs receipts, and publishes the keys they are verified with; *token.Ring is one, with keys of its own.
type Receipts interface {
	SignReceipt(claims any) (string, error)
	JWKS() []byte
}

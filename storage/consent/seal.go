package consent

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// KeyRing seals identifiers (e-mail, phone) with AES-256-GCM wherever they are stored (DESIGN §6). The
// newest key seals; every key of the ring opens, so that keys rotate without rewriting what is stored.
//
// A sealed value is: version 1 │ key id 1 │ nonce 12 │ ciphertext ‖ tag 16. Site and kind are authenticated
// with it: a value moved to another site does not open.
type KeyRing struct {
	keys   map[byte]cipher.AEAD
	newest byte
}

// Errors of a KeyRing.
var (
	ErrNoKey  = errors.New("consent: the key ring has no key for this sealed value")
	ErrSealed = errors.New("consent: a sealed value is damaged, or belongs to another site")
)

const sealVersion = 1

// NewKeyRing takes 32-byte keys by id; the highest id seals.
func NewKeyRing(keys map[byte][]byte) (*KeyRing, error) {
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	r := &KeyRing{keys: make(map[byte]cipher.AEAD, len(keys))}
	for id, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("consent: sealing key %d has %d bytes, not 32", id, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		r.keys[id], r.newest = aead, max(r.newest, id)
	}
	return r, nil
}

// Seal encrypts value for site and kind under the newest key.
func (r *KeyRing) Seal(site string, kind Kind, value string) []byte {
	out := make([]byte, 14, 14+len(value)+16)
	out[0], out[1] = sealVersion, r.newest
	rand.Read(out[2:])
	return r.keys[r.newest].Seal(out, out[2:14], []byte(value), sealContext(site, kind))
}

// Open decrypts what Seal wrote.
func (r *KeyRing) Open(site string, kind Kind, sealed []byte) (string, error) {
	if len(sealed) < 14+16 || sealed[0] != sealVersion {
		return "", ErrSealed
	}
	aead, ok := r.keys[sealed[1]]
	if !ok {
		return "", ErrNoKey
	}
	value, err := aead.Open(nil, sealed[2:14], sealed[14:], sealContext(site, kind))
	if err != nil {
		return "", ErrSealed
	}
	return string(value), nil
}

func sealContext(site string, kind Kind) []byte {
	return append(append([]byte(site), 0), kind...)
}

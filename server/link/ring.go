package link

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/consentd/consentd/server/keyfile"
)

// Ring is the keys that make tokens: files 0001.key, 0002.key … of one directory. The newest seals, all of them
// open. It is safe for concurrent use.
type Ring struct {
	dir   *keyfile.Dir
	state atomic.Pointer[keys] // replaced as a whole by Reload
	work  sync.Pool            // of *work
}

type keys struct {
	keys   map[uint16]*key
	newest *key
}

type key struct {
	number uint16
	aead   cipher.AEAD // tokens
	mac    []byte      // codes
}

// Open opens a directory of keys, making the first when there is none.
func Open(dir string) (*Ring, error) {
	d, err := keyfile.Open(dir)
	if err != nil {
		return nil, err
	}
	r := &Ring{dir: d}
	return r, r.Reload()
}

// Reload reads the directory again, for keys another process added or removed.
func (r *Ring) Reload() error {
	files, err := r.dir.Numbered()
	if err != nil {
		return fmt.Errorf("reading link keys: %w", err)
	}
	next := &keys{keys: make(map[uint16]*key, len(files))}
	for n, secret := range files {
		if n > math.MaxUint16 {
			return fmt.Errorf("reading link keys: number %d; the highest is %d", n, math.MaxUint16)
		}
		k, err := newKey(uint16(n), secret)
		if err != nil {
			return fmt.Errorf("reading link keys: %w", err)
		}
		next.keys[k.number] = k
		if next.newest == nil || k.number > next.newest.number {
			next.newest = k
		}
	}
	r.state.Store(next)
	return nil
}

// newKey derives one key per duty (NIST SP 800-108: a key serves one purpose).
func newKey(number uint16, secret []byte) (*key, error) {
	enc, err := hkdf.Key(sha256.New, secret, nil, "consentd link token v1", 32)
	if err != nil {
		return nil, err
	}
	mac, err := hkdf.Key(sha256.New, secret, nil, "consentd link code v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &key{number: number, aead: aead, mac: mac}, nil
}

// Rotate adds a key, which seals from now on in this process; others follow when they Reload. What the keys
// before it sealed stays good.
func (r *Ring) Rotate() (number int, err error) {
	if number, err = r.dir.Add(math.MaxUint16); err != nil {
		return 0, fmt.Errorf("rotating the link key: %w", err)
	}
	return number, r.Reload()
}

// Retire removes a key: every link it made is refused from now on. The last key cannot be removed.
func (r *Ring) Retire(number int) error {
	st := r.state.Load()
	if number < 1 || number > math.MaxUint16 || st.keys[uint16(number)] == nil {
		return fmt.Errorf("retiring link key %d: there is no such key", number)
	}
	if len(st.keys) == 1 {
		return fmt.Errorf("retiring link key %d: it is the only one; rotate first", number)
	}
	if err := r.dir.RemoveNumber(number); err != nil {
		return fmt.Errorf("retiring link key %d: %w", number, err)
	}
	return r.Reload()
}

// Numbers lists the keys, and which of them seals.
func (r *Ring) Numbers() (all []int, newest int) {
	st := r.state.Load()
	for n := range st.keys {
		all = append(all, int(n))
	}
	return all, int(st.newest.number)
}

// Code is the secret of a one-time link: whoever knows what it is about can make it again, so that it never has to
// be stored, and nobody without the key can guess it. 43 characters of base64url.
func (r *Ring) Code(about []byte) string { return r.state.Load().newest.code(about) }

// Codes gives the code under every key of the ring, the newest first: the one that was handed out before a
// rotation is among them.
func (r *Ring) Codes(about []byte) []string {
	st := r.state.Load()
	all := []string{st.newest.code(about)}
	for _, k := range st.keys {
		if k != st.newest {
			all = append(all, k.code(about))
		}
	}
	return all
}

func (k *key) code(about []byte) string {
	h := hmac.New(sha256.New, k.mac)
	h.Write(about)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

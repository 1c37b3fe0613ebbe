package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/consentd/consentd/server/keyfile"
)

// pollEvery is how often the directory is looked at for what another process did: two stat calls, none of them
// in a request. Two seconds is the promise; this leaves room for a slow disk.
const pollEvery = 500 * time.Millisecond

// settledAfter: a directory changed so recently that a further change could carry the same time stamp is read
// again, whatever its time stamp says.
const settledAfter = 2 * time.Second

// revokedDir is the name of the revocations inside the ring's directory.
const revokedDir = "revoked"

// Errors of the key ring's own management.
var (
	ErrUnknownKey = errors.New("token: the ring has no such key")
	ErrSigningKey = errors.New("token: this key signs new tokens; rotate first, then retire it")
	ErrTokenID    = errors.New("token: a token id (jti) is a UUID in lower case")
)

// Options opens a Ring. Only Dir has no default.
type Options struct {
	Dir string           // 0700; keys named 0001.key …, and the folder revoked
	Now func() time.Time // the clock; nil: time.Now
	Log *slog.Logger     // told of keys and revocations noticed, and of a directory that cannot be read; nil: silent
}

// Ring is the signing keys of one directory. The newest signs; every key verifies until it is retired. It is
// safe for concurrent use, also by several processes on one directory.
type Ring struct {
	keys    *keyfile.Dir
	revoked revocations
	now     func() time.Time
	log     *slog.Logger
	parser  *jwt.Parser // never changes

	state atomic.Pointer[state] // replaced as a whole; read by every request
	err   atomic.Pointer[error] // why the directory could not be read last time; nil inside: it could

	mu      sync.Mutex    // one reload at a time; covers seen
	seen    [2]dirStamp   // of keys and revocations at the last reload
	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when the poll has ended
	once    sync.Once     // of Close
}

// state is everything Verify needs. Its fields never change, but for the cache.
type state struct {
	keys    map[string]key // by id
	signer  key
	revoked map[string]struct{}
	cache   cache
}

type key struct {
	id      string
	number  int
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// Key describes one key of a ring.
type Key struct {
	ID    string // kid: 16 hex digits of the SHA-256 of the public key
	Signs bool   // the newest: signs new tokens
}

// OpenRing opens the ring of a directory, making the first key when there is none.
func OpenRing(dir string) (*Ring, error) { return Open(Options{Dir: dir}) }

// Open opens the ring of o.Dir, making the first key when there is none. Processes that do so at once end with
// the same key.
func Open(o Options) (*Ring, error) {
	registerAlg()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	keys, err := keyfile.Open(o.Dir)
	if err != nil {
		return nil, err
	}
	revoked, err := openRevocations(filepath.Join(o.Dir, revokedDir))
	if err != nil {
		return nil, err
	}
	r := &Ring{keys: keys, revoked: revoked, now: o.Now, log: o.Log, parser: newParser(o.Now),
		stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := r.reload(); err != nil {
		return nil, err
	}
	go r.poll()
	return r, nil
}

// Close ends the watch of the directory.
func (r *Ring) Close() error {
	r.once.Do(func() { close(r.stop) })
	<-r.stopped
	return nil
}

// Err says why the directory could not be read when it was last looked at. While it is not nil, the keys and
// revocations known before stay in force, and new ones go unnoticed.
func (r *Ring) Err() error {
	if err := r.err.Load(); err != nil {
		return *err
	}
	return nil
}

// Keys lists the ring, oldest first.
func (r *Ring) Keys() []Key {
	st := r.state.Load()
	all := slices.SortedFunc(maps.Values(st.keys), func(a, b key) int { return a.number - b.number })
	out := make([]Key, len(all))
	for i, k := range all {
		out[i] = Key{ID: k.id, Signs: k.id == st.signer.id}
	}
	return out
}

// Rotate makes a new key, which signs from now on. Tokens signed before stay good.
func (r *Ring) Rotate() error {
	if _, err := r.keys.Add(math.MaxInt32); err != nil {
		return fmt.Errorf("rotating the token key: %w", err)
	}
	return r.reload()
}

// Retire deletes a key: every token it signed is refused from now on. The signing key is not retired, so that
// a ring always has one and a number is never given twice.
func (r *Ring) Retire(kid string) error {
	if err := r.reload(); err != nil { // another process may have rotated
		return err
	}
	st := r.state.Load()
	k, ok := st.keys[kid]
	switch {
	case !ok:
		return fmt.Errorf("%w: %.40q", ErrUnknownKey, kid)
	case kid == st.signer.id:
		return ErrSigningKey
	}
	if err := r.keys.RemoveNumber(k.number); err != nil {
		return fmt.Errorf("retiring a token key: %w", err)
	}
	return r.reload()
}

// Revoke refuses the token with this id (Claims.ID) from now on. It is durable when Revoke returns.
func (r *Ring) Revoke(jti string) error {
	if id, err := uuid.Parse(jti); err != nil || id.String() != jti {
		return ErrTokenID
	}
	if _, done := r.state.Load().revoked[jti]; done {
		return nil
	}
	if err := r.revoked.add(jti, r.now()); err != nil {
		return err
	}
	return r.reload()
}

// poll notices what other processes do to the directory.
func (r *Ring) poll() {
	defer close(r.stopped)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
			r.look()
		}
	}
}

// look reloads when the directory may have changed, and reports trouble once, not at every tick.
func (r *Ring) look() {
	if !r.stale() {
		return
	}
	before, after := r.Err(), r.reload()
	if after != nil && (before == nil || before.Error() != after.Error()) {
		r.log.Error("token keys cannot be read; those known before stay in force", "error", after)
	}
}

// dirStamp is when a directory last changed, as far as that is known.
type dirStamp struct {
	modified time.Time
	settled  bool // a later change is sure to show a later time
}

func stampOf(path string) (dirStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return dirStamp{}, err
	}
	return dirStamp{info.ModTime(), time.Since(info.ModTime()) > settledAfter}, nil
}

// stamps looks at both directories. What cannot be seen has the zero stamp, which is never settled.
func (r *Ring) stamps() (s [2]dirStamp) {
	for i, path := range []string{r.keys.Path(), string(r.revoked)} {
		s[i], _ = stampOf(path) // reading the directory will say what is wrong
	}
	return s
}

func (r *Ring) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, now := range r.stamps() {
		if !r.seen[i].settled || !now.modified.Equal(r.seen[i].modified) {
			return true
		}
	}
	return false
}

// reload reads the directory. A half that cannot be read keeps what was known of it: a bad key file does not
// hide revocations.
func (r *Ring) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = r.stamps() // before reading: a change in between shows at the next look
	old := r.state.Load()
	keys, keysErr := r.readKeys()
	revoked, revokedErr := r.revoked.read(r.now())
	err := errors.Join(keysErr, revokedErr)
	r.err.Store(&err)
	if old == nil && err != nil {
		return err
	}
	if keysErr != nil {
		keys = old.keys
	}
	if revokedErr != nil {
		revoked = old.revoked
	}
	if old != nil && sameKeys(old.keys, keys) && maps.Equal(old.revoked, revoked) {
		return err
	}
	r.state.Store(&state{keys: keys, signer: newest(keys), revoked: revoked, cache: cache{seed: maphash.MakeSeed()}})
	r.log.Info("token keys loaded", "keys", len(keys), "revoked", len(revoked))
	return err
}

func (r *Ring) readKeys() (map[string]key, error) {
	seeds, err := r.keys.Numbered()
	if err != nil {
		return nil, fmt.Errorf("reading token keys: %w", err)
	}
	keys := make(map[string]key, len(seeds))
	for n, seed := range seeds {
		k := newKey(n, seed)
		if twin, ok := keys[k.id]; ok {
			return nil, fmt.Errorf("reading token keys in %s: numbers %d and %d are the same key; remove one", r.keys.Path(), min(n, twin.number), max(n, twin.number))
		}
		keys[k.id] = k
	}
	return keys, nil
}

// newKey derives the pair from its seed (RFC 8032 §5.1.5), and its id from the public half: an id can only ever
// mean one key.
func newKey(number int, seed []byte) key {
	private := ed25519.NewKeyFromSeed(seed)
	public := private.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	return key{id: hex.EncodeToString(sum[:8]), number: number, private: private, public: public}
}

func newest(keys map[string]key) key {
	var k key
	for _, other := range keys {
		if other.number > k.number {
			k = other
		}
	}
	return k
}

func sameKeys(a, b map[string]key) bool {
	return maps.EqualFunc(a, b, func(x, y key) bool { return x.id == y.id && x.number == y.number })
}

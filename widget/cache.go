package widget

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// keptVersions is how many bundles of a site, for each choice of locales, stay at hand: a page printed before a
// change of configuration goes on asking for the script of its time.
const keptVersions = 8

// Cache builds each version of a site once and keeps the latest few of each site
// and choice of locales. It is safe for concurrent
// use; those who ask for a bundle that is being built wait for that build.
type Cache struct {
	mu    sync.Mutex
	sites map[string][]*version // newest last
}

// version is one bundle, built by whoever comes first.
type version struct {
	key     [sha256.Size]byte // of parts: what the bundle is made of
	locales string            // Input.Locales
	build   func() (*Bundle, error)
	bundle  *Bundle // set by build, read after it
}

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{sites: map[string][]*version{}} }

// Build is Build, done once for equal input. A change that does not reach the script (origins, say) builds
// nothing.
func (c *Cache) Build(in Input) (*Bundle, error) {
	p, err := prepare(in)
	if err != nil {
		return nil, err
	}
	return c.version(in.Site.ID, strings.Join(in.Locales, " "), p).build()
}

func (c *Cache) version(site, locales string, p parts) *version {
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%v\n%s", p.theme, p.place, p.features, p.data)) // maps print sorted
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.sites[site]
	if i := slices.IndexFunc(all, func(v *version) bool { return v.key == key }); i >= 0 {
		return all[i]
	}
	v := &version{key: key, locales: locales}
	v.build = sync.OnceValues(func() (*Bundle, error) {
		b, err := p.build()
		c.mu.Lock()
		defer c.mu.Unlock()
		v.bundle = b
		return b, err
	})
	c.sites[site] = append(forgetOldest(all, locales), v)
	return v
}

// forgetOldest makes room for one more version of some locales.
func forgetOldest(all []*version, locales string) []*version {
	same, oldest := 0, 0
	for i, v := range slices.Backward(all) {
		if v.locales == locales {
			same, oldest = same+1, i
		}
	}
	if same < keptVersions {
		return all
	}
	return slices.Delete(all, oldest, oldest+1)
}

// Find gives a bundle that was built for a site, by its Hash.
func (c *Cache) Find(site, hash string) (*Bundle, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.sites[site] {
		if v.bundle != nil && v.bundle.Hash == hash {
			return v.bundle, true
		}
	}
	return nil, false
}

package server

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
)

// browsers remembers what was made of the User-Agents seen lately: visitors share a few hundred, and reading one
// through costs a microsecond and a string. Each hash has one place; a later agent takes it over.
type browsers struct {
	seed   maphash.Seed
	places [browserPlaces]atomic.Pointer[userAgent]
}

const browserPlaces = 1 << 10

// userAgent is a User-Agent as it is kept, with the kind of device it speaks of.
type userAgent struct {
	raw   string // as it was sent, cut to maxUserAgent
	agent string // valid UTF-8
	class consent.DeviceClass
}

// maxUserAgent in bytes: browsers send 80 to 250.
const maxUserAgent = 512

func newBrowsers() *browsers { return &browsers{seed: maphash.MakeSeed()} }

// of reads the header of a request; raw is not kept.
func (b *browsers) of(raw []byte) *userAgent {
	raw = raw[:min(len(raw), maxUserAgent)]
	place := &b.places[maphash.Bytes(b.seed, raw)%browserPlaces]
	if known := place.Load(); known != nil && known.raw == string(raw) {
		return known
	}
	fresh := &userAgent{raw: string(raw)}
	fresh.agent = strings.ToValidUTF8(fresh.raw, "")
	fresh.class = admit.DeviceClass(fresh.agent)
	place.Store(fresh)
	return fresh
}

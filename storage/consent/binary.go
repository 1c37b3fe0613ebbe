package consent

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/google/uuid"
)

// The ledger stores nouns in these encodings; each starts with a version byte. Integers are unsigned
// varints, strings are length-prefixed, ids and hashes are raw bytes.
//
//	proof   1 │ id 16 │ site │ edge │ at │ logical │ surface │ method │ locale │ country │ device │ wording 32 │ grade 1 │
//	        prompt 16 │ follows 0 or 16 │ commitment 32 │ n │ n × (purpose │ granted 1) │
//	        subject 16 │ kind │ device 0 or 16 │ ip │ user agent │ page │ identifier │ salt 16
//	prompt  1 │ id 16 │ site │ edge │ at │ surface │ locale │ country │ device │ wording 32 │ page
//	publication 1 │ at │ hash 32 │ site │ surface │ locale │ doc           (of a wording)
//	            2 │ at │ hash 32 │ site │ surface │ locale │ doc │ kind │ about
//
// States are in state_binary.go.

const binaryVersion = 1

// ErrBinary means that stored bytes are not an encoding this version wrote: damage, or a newer program.
var ErrBinary = errors.New("consent: stored bytes are damaged or of another version")

// AppendProof appends the binary form of p.
func AppendProof(b []byte, p *Proof) []byte {
	b = append(b, binaryVersion)
	b = append(b, p.ID[:]...)
	b = appendString(b, p.Site)
	b = appendString(b, p.Edge)
	b = binary.AppendUvarint(b, uint64(p.RecordedAt))
	b = binary.AppendUvarint(b, uint64(p.Logical))
	b = appendString(b, p.Surface)
	b = appendString(b, string(p.Method))
	b = appendString(b, p.Locale)
	b = appendString(b, p.Country)
	b = appendString(b, string(p.Device))
	b = append(b, p.Wording[:]...)
	b = append(b, byte(p.Grade))
	b = append(b, p.Prompt[:]...)
	b = appendOptional(b, p.Follows)
	b = append(b, p.Commitment[:]...)
	b = binary.AppendUvarint(b, uint64(len(p.Decisions)))
	for _, d := range p.Decisions {
		b = appendString(b, d.Purpose)
		b = appendBool(b, d.Granted)
	}
	m := &p.Personal
	b = append(b, m.Subject[:]...)
	b = appendString(b, string(m.Kind))
	b = appendOptional(b, m.Device)
	b = appendIP(b, m.IP)
	b = appendString(b, m.UserAgent)
	b = appendString(b, m.Page)
	b = appendString(b, string(m.Identifier))
	return append(b, m.Salt[:]...)
}

// ParseProof reads what AppendProof wrote; it copies, so b may be reused.
func ParseProof(b []byte) (*Proof, error) {
	d := decoder{b: b}
	d.version()
	p := &Proof{}
	copy(p.ID[:], d.take(16))
	p.Site, p.Edge = d.string(), d.string()
	p.RecordedAt, p.Logical = Millis(d.uvarint()), uint32(d.uvarint())
	p.Surface, p.Method, p.Locale = d.string(), Method(d.string()), d.string()
	p.Country, p.Device = d.string(), DeviceClass(d.string())
	copy(p.Wording[:], d.take(32))
	p.Grade = Grade(d.byte())
	copy(p.Prompt[:], d.take(16))
	p.Follows = uuid.UUID(d.optional())
	copy(p.Commitment[:], d.take(32))
	if n := d.count(2); n > 0 {
		p.Decisions = make([]Choice, n)
		for i := range p.Decisions {
			p.Decisions[i] = Choice{Purpose: d.string(), Granted: d.byte() == 1}
		}
	}
	m := &p.Personal
	copy(m.Subject[:], d.take(16))
	m.Kind = Kind(d.string())
	m.Device = SubjectKey(d.optional())
	m.IP = d.ip()
	m.UserAgent, m.Page = d.string(), d.string()
	if id := d.string(); id != "" {
		m.Identifier = []byte(id)
	}
	copy(m.Salt[:], d.take(16))
	return p, d.end()
}

// AppendPrompt appends the binary form of p.
func AppendPrompt(b []byte, p *Prompt) []byte {
	b = append(b, binaryVersion)
	b = append(b, p.ID[:]...)
	b = appendString(b, p.Site)
	b = appendString(b, p.Edge)
	b = binary.AppendUvarint(b, uint64(p.ShownAt))
	b = appendString(b, p.Surface)
	b = appendString(b, p.Locale)
	b = appendString(b, p.Country)
	b = appendString(b, string(p.Device))
	b = append(b, p.Wording[:]...)
	return appendString(b, p.Page)
}

// ParsePrompt reads what AppendPrompt wrote.
func ParsePrompt(b []byte) (*Prompt, error) {
	d := decoder{b: b}
	d.version()
	p := &Prompt{}
	copy(p.ID[:], d.take(16))
	p.Site, p.Edge = d.string(), d.string()
	p.ShownAt = Millis(d.uvarint())
	p.Surface, p.Locale, p.Country = d.string(), d.string(), d.string()
	p.Device = DeviceClass(d.string())
	copy(p.Wording[:], d.take(32))
	p.Page = d.string()
	return p, d.end()
}

// AppendPublication appends the binary form of p: version 1 of a wording, version 2 of anything else.
func AppendPublication(b []byte, p *Publication) []byte {
	plain := p.Kind == PublishedWording && len(p.About) == 0
	if plain {
		b = append(b, binaryVersion)
	} else {
		b = append(b, publicationVersion)
	}
	b = binary.AppendUvarint(b, uint64(p.PublishedAt))
	b = append(b, p.Hash[:]...)
	b = appendString(b, p.Site)
	b = appendString(b, p.Surface)
	b = appendString(b, p.Locale)
	b = appendString(b, string(p.Doc))
	if plain {
		return b
	}
	return appendString(appendString(b, string(p.Kind)), string(p.About))
}

// publicationVersion is the form that names its kind.
const publicationVersion = 2

// ParsePublication reads what AppendPublication wrote.
func ParsePublication(b []byte) (*Publication, error) {
	d := decoder{b: b}
	version := d.byte()
	if version != binaryVersion && version != publicationVersion {
		d.fail()
	}
	p := &Publication{PublishedAt: Millis(d.uvarint()), Kind: PublishedWording}
	copy(p.Hash[:], d.take(32))
	p.Site, p.Surface, p.Locale = d.string(), d.string(), d.string()
	p.Doc = []byte(d.string())
	if version == publicationVersion {
		p.Kind = PublicationKind(d.string())
		if about := d.string(); about != "" {
			p.About = []byte(about)
		}
	}
	return p, d.end()
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendOptional writes 16 bytes that are mostly zero: their length, 0 or 16, and them.
func appendOptional(b []byte, v [16]byte) []byte {
	if v == [16]byte{} {
		return append(b, 0)
	}
	return append(append(b, 16), v[:]...)
}

func appendIP(b []byte, ip netip.Addr) []byte {
	if !ip.IsValid() {
		return append(b, 0)
	}
	raw := ip.WithZone("").AsSlice()
	return append(append(b, byte(len(raw))), raw...)
}

// decoder reads an encoding front to back; the first mistake sticks and empties it.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	d.b, d.err = nil, ErrBinary
}

func (d *decoder) version() {
	if d.byte() != binaryVersion {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

// uvarint takes one byte at once: nearly all numbers of a state are lengths and counts.
func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	return d.longUvarint()
}

func (d *decoder) longUvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of items of at least size bytes each, so that damage cannot ask for memory.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) optional() (v [16]byte) {
	switch d.byte() {
	case 0:
	case 16:
		v = d.fixed16()
	default:
		d.fail()
	}
	return v
}

func (d *decoder) ip() netip.Addr {
	raw := d.take(int(d.byte()))
	if len(raw) == 0 {
		return netip.Addr{}
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		d.fail()
	}
	return ip
}

func (d *decoder) fixed16() (v [16]byte) {
	copy(v[:], d.take(16))
	return v
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail()
	}
	return d.err
}

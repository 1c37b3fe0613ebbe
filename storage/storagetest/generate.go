package storagetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// Generator makes proofs and prompts that look like one site's: few wordings and languages, a hundred
// browsers, thousands of pages with the popular ones far ahead, random ids, keys, salts and addresses. The
// same seed gives the same rows.
type Generator struct {
	Site  string
	Edge  string
	At    consent.Millis // of the next row
	Step  consent.Millis // between rows; 0: RowsPerMillisecond rows share each
	Shift int            // rows made, for RowsPerMillisecond

	r        *rand.Rand
	pages    *rand.Zipf
	agents   *rand.Zipf
	wordings []*consent.Published
}

// RowsPerMillisecond is how many rows of a Generator without Step share a millisecond: 10,000 a second.
const RowsPerMillisecond = 10

// Start is the time of a Generator's first row: 2026-10-31 22:00 UTC, so that longer runs cross an hour, a
// day and a month.
const Start consent.Millis = 1793484000000

// NewGenerator makes a generator for site "shop" on edge "e1".
func NewGenerator(seed uint64) *Generator {
	r := rand.New(rand.NewPCG(seed, 0))
	return &Generator{
		Site: "shop", Edge: "e1", At: Start, r: r,
		pages: rand.NewZipf(r, 1.2, 3, 4999), agents: rand.NewZipf(r, 1.3, 2, 199), wordings: wordings("shop"),
	}
}

func wordings(site string) []*consent.Published {
	var all []*consent.Published
	for _, locale := range []string{"fr", "en"} {
		w := consent.Wording{
			V: 1, Site: site, Surface: consent.SurfaceBanner, Locale: locale, Revision: 1,
			Controller: consent.Controller{Name: "Shop", Contact: "privacy@shop.example"},
			Title:      "Cookies", Text: "We ask first. (" + locale + ")", Links: []consent.Link{},
			Buttons: map[string]string{"accept": "Accept all", "refuse": "Refuse all", "choose": "Choose"},
		}
		for _, id := range []string{"ads", "analytics", "personalisation"} {
			w.Purposes = append(w.Purposes, consent.ShownPurpose{ID: id, Title: id, Text: id, Basis: consent.BasisConsent, Services: []consent.ShownService{}})
		}
		p, err := w.Publish()
		if err != nil {
			panic(err) // constant input
		}
		all = append(all, p)
	}
	return all
}

// Wordings are the ones the proofs refer to.
func (g *Generator) Wordings() []*consent.Publication {
	var all []*consent.Publication
	for _, p := range g.wordings {
		all = append(all, &consent.Publication{Kind: consent.PublishedWording, PublishedAt: Start, Hash: p.Hash, Site: g.Site, Surface: p.Surface, Locale: p.Locale, Doc: p.Doc})
	}
	return all
}

// Published are the same, as the ledger takes them.
func (g *Generator) Published() []*consent.Published { return g.wordings }

func (g *Generator) tick() consent.Millis {
	at := g.At
	g.Shift++
	if g.Step > 0 {
		g.At += g.Step
	} else if g.Shift%RowsPerMillisecond == 0 {
		g.At++
	}
	return at
}

func (g *Generator) bytes(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, g.r.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
}

// uuidV7 is RFC 9562 §5.7: 48 bits of time, the rest random.
func (g *Generator) uuidV7(at consent.Millis) uuid.UUID {
	var id uuid.UUID
	g.bytes(id[:])
	for i := range 6 {
		id[i] = byte(at >> (40 - 8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// Proof makes the next proof, complete with commitment.
func (g *Generator) Proof() *consent.Proof {
	at := g.tick()
	w := g.wordings[g.r.IntN(len(g.wordings))]
	p := &consent.Proof{Facts: consent.Facts{
		ID: g.uuidV7(at - consent.Millis(g.r.IntN(300))), Site: g.Site, Edge: g.Edge, RecordedAt: at,
		Surface: w.Surface, Locale: w.Locale, Country: g.country(), Device: g.device(), Wording: w.Hash,
		Grade: consent.GradeProven,
	}}
	g.bytes(p.Prompt[:])
	p.Prompt[6], p.Prompt[8] = p.Prompt[6]&0x0f|0x40, p.Prompt[8]&0x3f|0x80
	p.Method, p.Decisions = g.choice()
	g.personal(&p.Personal)
	p.Commitment = p.Personal.Commit()
	return p
}

func (g *Generator) personal(m *consent.Personal) {
	g.bytes(m.Subject[:])
	g.bytes(m.Salt[:])
	m.Kind = consent.KindDevice
	var ip [4]byte
	g.bytes(ip[:])
	m.IP = netip.AddrFrom4(ip)
	m.UserAgent = g.agent()
	m.Page = g.page()
}

// WithEmail turns p's subject into one known by e-mail, with an identifier of the size a sealed address has.
func (g *Generator) WithEmail(p *consent.Proof) *consent.Proof {
	p.Personal.Kind = consent.KindEmail
	p.Personal.Identifier = make([]byte, 50)
	g.bytes(p.Personal.Identifier)
	p.Commitment = p.Personal.Commit()
	return p
}

// Proofs makes n proofs.
func (g *Generator) Proofs(n int) []*consent.Proof {
	all := make([]*consent.Proof, n)
	for i := range all {
		all[i] = g.Proof()
	}
	return all
}

// Prompt makes the next prompt.
func (g *Generator) Prompt() *consent.Prompt {
	at := g.tick()
	w := g.wordings[g.r.IntN(len(g.wordings))]
	p := &consent.Prompt{Site: g.Site, Edge: g.Edge, ShownAt: at, Surface: w.Surface, Locale: w.Locale,
		Country: g.country(), Device: g.device(), Wording: w.Hash, Page: g.page()}
	g.bytes(p.ID[:])
	p.ID[6], p.ID[8] = p.ID[6]&0x0f|0x40, p.ID[8]&0x3f|0x80
	return p
}

// Prompts makes n prompts.
func (g *Generator) Prompts(n int) []*consent.Prompt {
	all := make([]*consent.Prompt, n)
	for i := range all {
		all[i] = g.Prompt()
	}
	return all
}

func (g *Generator) choice() (consent.Method, []consent.Choice) {
	m, ads, analytics, personal := consent.MethodRejectAll, false, false, false
	switch n := g.r.IntN(100); {
	case n < 50:
		m, ads, analytics, personal = consent.MethodAcceptAll, true, true, true
	case n < 60:
		m, analytics, personal = consent.MethodCustom, true, g.r.IntN(2) == 0
	case n < 63:
		m = consent.MethodWithdraw
	}
	return m, []consent.Choice{{Purpose: "ads", Granted: ads}, {Purpose: "analytics", Granted: analytics}, {Purpose: "personalisation", Granted: personal}}
}

func (g *Generator) country() string {
	all := [...]string{"FR", "FR", "FR", "FR", "FR", "FR", "BE", "CH", "CA", "DE", "GB", "US", "ES", "IT", "NL", ""}
	return all[g.r.IntN(len(all))]
}

func (g *Generator) device() consent.DeviceClass {
	all := [...]consent.DeviceClass{consent.DeviceMobile, consent.DeviceMobile, consent.DeviceDesktop, consent.DeviceTablet}
	return all[g.r.IntN(len(all))]
}

func (g *Generator) agent() string {
	n := g.agents.Uint64()
	return fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.%d", 90+n%60, n/60)
}

func (g *Generator) page() string {
	n := g.pages.Uint64()
	return fmt.Sprintf("https://shop.example/category-%d/product-%d", n%40, n)
}

// Hash is a SHA-256 of text, where a test needs some hash.
func Hash(text string) consent.Hash { return sha256.Sum256([]byte(text)) }

package server

import (
	"strings"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/google/uuid"
)

// deed is what the holder of a link does on one of our pages. Nothing of it was sent by the browser but which
// button was pressed: the rest comes from the link and the configuration, so there is nothing left to admit.
type deed struct {
	id        uuid.UUID
	surface   string
	method    consent.Method
	locale    string
	wording   consent.Hash
	decisions []consent.Choice // sorted by purpose
	grade     consent.Grade    // GradeNone: proven
	follows   uuid.UUID
	page      string // "": the page's own address, without the secret

	kind   consent.Kind // who: "": as the link says
	key    consent.SubjectKey
	sealed []byte
}

// act makes the proof of a deed.
func (s *Server) act(vis *visit, d deed) *consent.Proof {
	v := vis.v
	if d.kind == "" {
		d.kind, d.key = vis.token.SubjectKind, vis.token.Subject
		if vis.token.Identifier != "" {
			d.sealed = s.opt.Seal.Seal(v.site.ID, d.kind, vis.token.Identifier)
		}
	}
	if d.grade == consent.GradeNone {
		d.grade = consent.GradeProven
	}
	if d.page == "" {
		path := string(vis.ctx.Path()) // its last part is the secret
		d.page = s.opt.PublicURL + path[:strings.LastIndexByte(path, '/')]
	}
	p := &consent.Proof{Facts: consent.Facts{ID: d.id, Site: v.site.ID, Edge: s.opt.Ledger.Edge(), RecordedAt: s.opt.Ledger.Now(), Surface: d.surface, Method: d.method,
		Locale: d.locale, Wording: d.wording, Decisions: d.decisions, Grade: d.grade, Follows: d.follows}}
	s.trace(vis.ctx, v, p)
	p.Personal.Subject, p.Personal.Kind, p.Personal.Page, p.Personal.Identifier = d.key, d.kind, d.page, d.sealed
	p.Personal.Salt = consent.NewSalt()
	p.Commitment = p.Personal.Commit()
	return p
}

// perform makes a deed durable, with notes in the same batch. A proof never names a text that is not kept: the
// wordings of the site are published before.
func (s *Server) perform(vis *visit, d deed, notes ...ledger.Note) (ledger.Receipt, error) {
	if err := s.publish(vis.v); err != nil {
		return ledger.Receipt{}, err
	}
	r, err := s.opt.Ledger.AppendWith(s.ctx, s.act(vis, d), notes...)
	if err == nil {
		s.metrics.count(admit.Hosted, r.Replayed)
	}
	return r, err
}

// buttonID reads the id a button of our pages sends. One that could not have come from there is replaced: an id from
// the future would make the ledger look up every other one.
func (s *Server) buttonID(sent string) uuid.UUID {
	id, err := uuid.Parse(sent)
	if err != nil || consent.CheckProofID(id, s.opt.Ledger.Now()) != nil {
		return newID(s.opt.Ledger.Now())
	}
	return id
}

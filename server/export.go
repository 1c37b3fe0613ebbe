package server

import (
	"maps"
	"slices"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// maxExported is how many proofs a copy holds, newest first: more than anybody makes by hand.
const maxExported = 1000

// export gives the person of a link a copy of what is known of their choices, in a form machines read (GDPR art.
// 20): where each purpose stands, every proof, and the texts they were shown. complete is false when the warehouse
// does not answer and older proofs are missing.
func (s *Server) export(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterLink(c, link.Centre)
	if err != nil {
		return err
	}
	stands, err := s.stands(vis, vis.token.Subject)
	if err != nil {
		return err
	}
	proofs, complete := s.allProofs(vis)
	b := append(begin(vis.ctx), `{"site":`...)
	b = consent.AppendJSONString(b, vis.v.site.ID)
	b = append(b, `,"controller":{"name":`...)
	b = consent.AppendJSONString(b, vis.v.site.Controller.Name)
	b = append(b, `,"contact":`...)
	b = consent.AppendJSONString(b, vis.v.site.Controller.Contact)
	b = append(b, `},"as_of":`...)
	b = consent.AppendMillis(b, s.opt.Ledger.Now())
	b = appendWho(append(b, `,"subject":`...), vis.token)
	b = appendStands(append(b, `,"decisions":`...), stands)
	b = append(b, `,"proofs":[`...)
	for i := range proofs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.appendProof(b, vis.v, &proofs[i]), '}')
	}
	b = append(b, `],"complete":`...)
	b = append(b, map[bool]string{true: "true", false: "false"}[complete]...)
	b = s.appendTexts(append(b, `,"wordings":`...), vis, stands, proofs)
	finish(vis.ctx, fasthttp.StatusOK, mimeJSON, append(b, '}'))
	vis.ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, `attachment; filename="consents-`+vis.v.site.ID+`.json"`)
	vis.ctx.Response.Header.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	return nil
}

// exportOf is the address of the copy: the visited page's own, and one step further.
func (s *Server) exportOf(vis *visit) string { return s.prefix + string(vis.ctx.Path()) + "/export" }

// appendWho appends {"kind","value"?,"key"}.
func appendWho(b []byte, t *link.Token) []byte {
	b = append(b, `{"kind":"`...)
	b = append(b, t.SubjectKind...)
	if t.Identifier != "" {
		b = append(b, `","value":`...)
		b = consent.AppendJSONString(b, t.Identifier)
		b = append(b, `,"key":"`...)
	} else {
		b = append(b, `","key":"`...)
	}
	return append(consent.AppendHex(b, t.Subject[:]), `"}`...)
}

func appendStands(b []byte, stands map[string]stand) []byte {
	b = append(b, '{')
	for i, id := range slices.Sorted(maps.Keys(stands)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(consent.AppendJSONString(b, id), ':')
		b = stands[id].AppendJSON(b)
	}
	return append(b, '}')
}

// allProofs are those of the ledger and of the warehouse; when that does not answer, those still in the ledger.
func (s *Server) allProofs(vis *visit) (proofs []warehouse.Recorded, complete bool) {
	q := historyQuery{key: vis.token.Subject, limit: maxExported}
	if s.opt.Warehouse != nil {
		if proofs, _, err := s.proofsOf(vis.v, q); err == nil {
			return proofs, true
		}
	}
	known := map[uuid.UUID]bool{}
	add := func(seq uint64, p *consent.Proof) error {
		known[p.ID] = true
		proofs = append(proofs, warehouse.Recorded{Proof: *p, Generation: consent.FirstGeneration, Seq: seq})
		return nil
	}
	if err := s.opt.Ledger.Unshipped(vis.v.site.ID, q.key, add); err != nil {
		return nil, false
	}
	stands, err := s.stands(vis, q.key)
	if err != nil {
		return proofs, false
	}
	for _, st := range stands { // shipped, and still here
		if p, seq, err := s.opt.Ledger.Proof(st.Proof); err == nil && !known[p.ID] {
			add(seq, p)
		}
	}
	slices.SortFunc(proofs, func(a, b warehouse.Recorded) int { return comparePositions(b.Position(), a.Position()) })
	return proofs, false
}

// appendTexts appends every wording named above, by hash.
func (s *Server) appendTexts(b []byte, vis *visit, stands map[string]stand, proofs []warehouse.Recorded) []byte {
	named := map[consent.Hash]bool{}
	for _, st := range stands {
		named[st.Wording] = true
	}
	for i := range proofs {
		named[proofs[i].Wording] = true
	}
	b = append(b, '{')
	first := true
	for _, h := range slices.SortedFunc(maps.Keys(named), func(a, b consent.Hash) int { return slices.Compare(a[:], b[:]) }) {
		doc, err := s.wordingDoc(vis.v, h)
		if h.IsZero() || err != nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(consent.AppendHex(b, h[:]), `":`...)
		b = append(b, doc...)
	}
	return append(b, '}')
}

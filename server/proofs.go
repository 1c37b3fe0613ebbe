package server

import (
	"errors"
	"strconv"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// proof shows one proof with the wording that was shown. What is still in the ledger is answered from there,
// also when the warehouse is down.
func (s *Server) proof(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	r, err := s.proofNamed(c, v)
	if err != nil {
		return err
	}
	doc := []byte("null")
	if !r.Wording.IsZero() {
		switch kept, err := s.wordingDoc(v, r.Wording); {
		case err == nil:
			doc = kept
		case !errors.Is(err, ledger.ErrNotFound):
			return err
		}
	}
	b := s.appendProof(begin(ctx), v, r)
	b = append(b, `,"wording_document":`...)
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(append(b, doc...), '}'))
	return nil
}

// proofNamed finds the proof a path names.
func (s *Server) proofNamed(c *fiber.Ctx, v *view) (*warehouse.Recorded, error) {
	id, err := uuid.Parse(c.Params("id"))
	if err != nil || len(c.Params("id")) != 36 {
		return nil, refuse(404, codeUnknownProof, "a proof is named by its UUID")
	}
	return s.findProof(v, id)
}

// errUnknownProof is the answer for a proof that does not exist, and for one that is none of the caller's business.
func errUnknownProof() error {
	return refuse(404, codeUnknownProof, "no proof with this id was recorded on this site")
}

func (s *Server) findProof(v *view, id uuid.UUID) (*warehouse.Recorded, error) {
	p, seq, err := s.opt.Ledger.Proof(id)
	switch {
	case err == nil && p.Site == v.site.ID:
		r := s.asRecorded(p, seq)
		return &r, nil
	case err == nil:
		return nil, errUnknownProof()
	case !errors.Is(err, ledger.ErrNotFound):
		return nil, err
	case s.opt.Warehouse == nil:
		return nil, errNoWarehouse()
	}
	ctx, cancel := asking()
	defer cancel()
	r, err := s.opt.Warehouse.Proof(ctx, v.site.ID, id)
	if errors.Is(err, warehouse.ErrNotFound) {
		if len(s.gaps(consent.GapBacklog, consent.GapLost)) > 0 {
			return nil, later(codeWarehouse, "the proof is not in ClickHouse, which may lack rows at the moment, see /readyz", 5, err)
		}
		return nil, errUnknownProof()
	}
	if err != nil {
		return nil, warehouseError(err)
	}
	return r, nil
}

// appendProof appends {"generation","seq","facts","personal","salt","identifier","erased" without the closing brace. facts
// and personal are the canonical documents themselves: SHA-256(0x00 ‖ facts) is the leaf of the log,
// SHA-256(salt ‖ personal) the commitment in facts, so that whoever holds the answer can check it.
func (s *Server) appendProof(b []byte, v *view, r *warehouse.Recorded) []byte {
	b = append(b, `{"generation":`...)
	b = strconv.AppendUint(b, uint64(r.Generation), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"facts":`...)
	b = r.AppendFacts(b)
	if r.Erased {
		return append(b, `,"erased":true`...)
	}
	b = append(b, `,"erased":false,"personal":`...)
	b = r.Personal.AppendPersonal(b)
	b = append(b, `,"salt":"`...)
	b = consent.AppendHex(b, r.Personal.Salt[:])
	b = append(b, '"')
	if len(r.Personal.Identifier) == 0 {
		return b
	}
	b = append(b, `,"identifier":`...)
	plain, err := s.opt.Seal.Open(v.site.ID, r.Personal.Kind, r.Personal.Identifier)
	if err != nil { // sealed under a key that is gone: the proof is shown all the same
		return append(b, "null"...)
	}
	return consent.AppendJSONString(b, plain)
}

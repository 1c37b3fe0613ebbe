package server

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/evidence"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Evidence is what the server asks of the sealed logs; *evidence.Keeper is one.
type Evidence interface {
	Keys() []evidence.Key
	Checkpoint(log consent.Stream) (note []byte, c evidence.Checkpoint, err error)
	Tile(ctx context.Context, log consent.Stream, t evidence.Tile) ([]byte, error)
	Make(ctx context.Context, r evidence.Request) (*evidence.File, error)
}

// evidenceError maps what the logs refuse.
func evidenceError(err error) error {
	switch {
	case errors.Is(err, evidence.ErrNotSettled):
		return later(codeNotSealed, "the log is compared with what was signed before; it takes a moment after a start", 2, err)
	case errors.Is(err, evidence.ErrRestored):
		return refuse(410, codeLogRestored, "this proof was recorded before the edge was restored from a backup that did not hold it: the log it stood in is gone")
	case errors.Is(err, evidence.ErrNotInLog), errors.Is(err, evidence.ErrArchive):
		return &problem{status: 500, code: codeLogMismatch, detail: "it has been logged", cause: err}
	case errors.Is(err, evidence.ErrNotFound):
		return refuse(404, codeNotFound, "the log has not grown so far, or this is no longer kept")
	}
	return err
}

// errNoEvidence is the answer where no log is sealed at all.
func errNoEvidence() error {
	return later(codeNotSealed, "this server seals no log", 60, nil)
}

// maxEvidence bounds the proofs of one file: some 10 MiB.
const maxEvidence = 2000

// evidenceOf makes a file about one proof.
func (s *Server) evidenceOf(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	how, err := readHow(c)
	if err != nil {
		return err
	}
	if s.opt.Evidence == nil {
		return errNoEvidence()
	}
	r, err := s.proofNamed(c, v)
	if err != nil {
		return err
	}
	if r.Edge != s.opt.Ledger.Edge() {
		return refuse(404, codeOtherEdge, "it was recorded by "+r.Edge+"; ask that one")
	}
	return s.answerEvidence(ctx, v, evidence.Request{Proofs: []evidence.Recorded{s.recorded(v, r)}}, how, r.ID.String())
}

// evidenceOfSubject makes a file about every proof of a subject. Asked by POST, as a history is.
func (s *Server) evidenceOfSubject(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	how, err := readHow(c)
	if err != nil {
		return err
	}
	doc, err := s.body(ctx, maxBody)
	if err != nil {
		return err
	}
	key, err := decodeSubject(doc, v)
	if err != nil {
		return err
	}
	if s.opt.Evidence == nil {
		return errNoEvidence()
	}
	if s.opt.Warehouse == nil {
		return errNoWarehouse()
	}
	request := evidence.Request{Subject: key.String()}
	q := historyQuery{key: key, limit: maxHistory}
	for more := true; more; {
		page, err := s.proofsOf(v, q)
		if err != nil {
			return err
		}
		if len(page.gaps) > 0 { // a file of all proofs must not look like one when it is not
			return later(codeWarehouse, "proofs of this subject may be missing at the moment, see /readyz; ask for those you know one by one", 5, nil)
		}
		for i := range page.proofs {
			request.Proofs = append(request.Proofs, s.recorded(v, &page.proofs[i]))
		}
		if len(request.Proofs) > maxEvidence {
			return refuse(422, codeTooManyProofs, "at most "+strconv.Itoa(maxEvidence)+" in one file; ask for them one by one, see history")
		}
		if more = page.more; more {
			q.before = page.proofs[len(page.proofs)-1].Position()
		}
	}
	return s.answerEvidence(ctx, v, request, how, key.String())
}

// decodeSubject reads {"subject":{…}}.
func decodeSubject(doc string, v *view) (consent.SubjectKey, error) {
	var raw admit.RawSubject
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			if r.Name() == "subject" {
				raw = readSubject(&r)
			} else {
				r.Unknown()
			}
		}
		if raw.Kind == "" && len(r.Mistakes()) == 0 {
			r.Missing("subject")
		}
	}
	if err := readErrors(&r); err != nil {
		return consent.SubjectKey{}, err
	}
	return v.keyOf(raw)
}

// recorded makes a proof ready for a file: its identifier in plain, where it can be opened.
func (s *Server) recorded(v *view, r *warehouse.Recorded) evidence.Recorded {
	out := evidence.Recorded{Proof: &r.Proof, Seq: r.Seq, Generation: r.Generation}
	if m := &r.Personal; len(m.Identifier) > 0 {
		if plain, err := s.opt.Seal.Open(v.site.ID, m.Kind, m.Identifier); err == nil { // a key that is gone: the proof stands without
			out.Identifier = plain
		}
	}
	return out
}

// how says in which form evidence is wanted.
type how struct {
	html                  bool
	lang                  string
	since, sincePublished uint64
}

func readHow(c *fiber.Ctx) (h how, err error) {
	if h.since, err = readSize(c, "since"); err != nil {
		return h, err
	}
	if h.sincePublished, err = readSize(c, "since_published"); err != nil {
		return h, err
	}
	switch c.Query("format", "json") {
	case "json":
	case "html":
		h.html = true
	default:
		return h, refuse(400, codeBadQuery, "format is json or html")
	}
	h.lang = strings.Clone(c.Query("lang"))
	return h, nil
}

func readSize(c *fiber.Ctx, name string) (uint64, error) {
	text := c.Query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, refuse(400, codeBadQuery, name+" is the size of an earlier checkpoint")
	}
	return n, nil
}

func (s *Server) answerEvidence(ctx *fasthttp.RequestCtx, v *view, r evidence.Request, h how, name string) error {
	r.Site = evidence.Site{ID: v.site.ID, Name: v.site.Name, Controller: v.site.Controller}
	r.SinceProofs, r.SincePublished = h.since, h.sincePublished
	f, err := s.opt.Evidence.Make(s.ctx, r)
	if err != nil {
		return evidenceError(err)
	}
	if h.html {
		return s.answerDossier(ctx, v, f, h.lang)
	}
	b, err := f.Encode()
	if err != nil {
		return err
	}
	begin(ctx)
	finish(ctx, fasthttp.StatusOK, mimeJSON, b)
	ctx.Response.Header.Set(fasthttp.HeaderContentDisposition, `attachment; filename="evidence-`+name+`.json"`)
	return nil
}

package server

import (
	"bufio"
	"maps"
	"slices"
	"strconv"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// exportPage is how many proofs are asked for at once; one more is asked for, to see whether there are more.
const exportPage = warehouse.MaxHistory - 1

// export gives the person of a link a copy of all that is known of their choices, in a form machines read (GDPR art.
// 20): where each purpose stands, every proof, and the texts they were shown. It is sent page by page, so that it takes the
// same memory however much there is. complete is false, and incomplete says why, when proofs may be missing.
func (s *Server) export(c *fiber.Ctx, _ *view) error {
	vis, err := s.enterLink(c, link.Centre)
	if err != nil {
		return err
	}
	stands, err := s.stands(vis, vis.token.Subject)
	if err != nil {
		return err
	}
	// The first page is asked for while an error can still be answered.
	x := &exporting{s: s, v: vis.v, texts: map[consent.Hash]bool{}, q: historyQuery{key: vis.token.Subject, limit: exportPage}}
	page, err := s.proofsOf(x.v, x.q)
	if err != nil {
		return err
	}
	for _, st := range stands {
		x.texts[st.Wording] = true
	}
	head := s.appendExportHead(nil, vis, stands)
	h := &vis.ctx.Response.Header
	h.SetContentType(mimeJSON)
	h.SetCanonical(headerCacheControl, noStore)
	h.SetCanonical(headerNosniff, nosniff)
	h.Set(fasthttp.HeaderContentDisposition, `attachment; filename="consents-`+vis.v.site.ID+`.json"`)
	h.Set(fasthttp.HeaderReferrerPolicy, "no-referrer")
	// Runs after this has returned: it uses nothing of the request.
	vis.ctx.Response.SetBodyStreamWriter(func(w *bufio.Writer) {
		if err := x.write(w, head, page); err != nil { // the file ends in the middle: it is no JSON, and seen to be broken
			s.opt.Log.Warn("an export broke off", "site", x.v.site.ID, "error", err)
		}
	})
	return nil
}

// appendExportHead appends what comes before the proofs.
func (s *Server) appendExportHead(b []byte, vis *visit, stands map[string]stand) []byte {
	b = append(b, `{"site":`...)
	b = consent.AppendJSONString(b, vis.v.site.ID)
	b = append(b, `,"controller":{"name":`...)
	b = consent.AppendJSONString(b, vis.v.site.Controller.Name)
	b = append(b, `,"contact":`...)
	b = consent.AppendJSONString(b, vis.v.site.Controller.Contact)
	b = append(b, `},"as_of":`...)
	b = consent.AppendMillis(b, s.opt.Ledger.Now())
	b = appendWho(append(b, `,"subject":`...), vis.token)
	b = appendStands(append(b, `,"decisions":`...), stands)
	return append(b, `,"proofs":[`...)
}

// exporting is a copy being sent.
type exporting struct {
	s     *Server
	v     *view
	q     historyQuery
	texts map[consent.Hash]bool // that were named
	gaps  []consent.Gap
	sent  int
	room  []byte
}

func (x *exporting) write(w *bufio.Writer, head []byte, page proofPage) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	for {
		x.gaps = append(x.gaps, page.gaps...)
		if err := x.proofs(w, page.proofs); err != nil {
			return err
		}
		if !page.more {
			break
		}
		x.q.before = page.proofs[len(page.proofs)-1].Position()
		var err error
		if page, err = x.s.proofsOf(x.v, x.q); err != nil {
			return err
		}
	}
	b := strconv.AppendBool(append(x.room[:0], `],"complete":`...), len(x.gaps) == 0)
	b = append(appendIncomplete(b, x.gaps), `,"wordings":{`...)
	if _, err := w.Write(b); err != nil {
		return err
	}
	return x.wordings(w)
}

func (x *exporting) proofs(w *bufio.Writer, all []warehouse.Recorded) error {
	for i := range all {
		b := x.room[:0]
		if x.sent > 0 {
			b = append(b, ',')
		}
		x.sent++
		x.texts[all[i].Wording] = true
		x.room = append(x.s.appendProof(b, x.v, &all[i]), '}')
		if _, err := w.Write(x.room); err != nil {
			return err
		}
	}
	return w.Flush()
}

// wordings writes every wording named above, by hash, and the end.
func (x *exporting) wordings(w *bufio.Writer) error {
	first := true
	for _, h := range slices.SortedFunc(maps.Keys(x.texts), func(a, b consent.Hash) int { return slices.Compare(a[:], b[:]) }) {
		doc, err := x.s.wordingDoc(x.v, h)
		if h.IsZero() || err != nil {
			continue
		}
		b := x.room[:0]
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(consent.AppendHex(append(b, '"'), h[:]), `":`...)
		x.room = append(b, doc...)
		if _, err := w.Write(x.room); err != nil {
			return err
		}
	}
	_, err := w.WriteString("}}")
	return err
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

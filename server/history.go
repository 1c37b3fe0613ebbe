package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/consentd/consentd/storage/warehouse"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// Warehouse is what the server asks of ClickHouse; *warehouse.Warehouse is one.
type Warehouse interface {
	Rates(ctx context.Context, q warehouse.RatesQuery) (*warehouse.Rates, error)
	History(ctx context.Context, site string, key consent.SubjectKey, before warehouse.Position, limit int) ([]warehouse.Recorded, error)
	Proof(ctx context.Context, site string, id uuid.UUID) (*warehouse.Recorded, error)
}

// warehouseTimeout bounds one question; a console that waits longer has given up.
const warehouseTimeout = 30 * time.Second

// asking is the context of a question to the warehouse. It is not the request's: a driver may look at it after
// the handler has returned, when the request already belongs to somebody else.
func asking() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), warehouseTimeout)
}

// warehouseError says what is the matter in words of this server; the cause is for the log.
func warehouseError(err error) error {
	if errors.Is(err, warehouse.ErrQuery) {
		return refuse(400, codeBadQuery, strings.TrimPrefix(err.Error(), warehouse.ErrQuery.Error()+": "))
	}
	return later(codeWarehouse, "choices are recorded and lookups answered all the same; /readyz says what is wrong", 5, err)
}

// errNoWarehouse is the answer where none was configured or could be started.
func errNoWarehouse() error {
	return later(codeWarehouse, "no ClickHouse is in use; install the engine or give an address, see /readyz", 60, nil)
}

// History pages, in proofs.
const (
	defaultHistory = 50
	maxHistory     = 200
)

// history lists all proofs of a subject, newest first: what is not shipped yet from the ledger, the rest from
// the warehouse; without it, what the ledger holds. Asked by POST, so that an address is never in a URL.
func (s *Server) history(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	doc, err := s.body(ctx, maxBody)
	if err != nil {
		return err
	}
	q, err := decodeHistory(doc, v)
	if err != nil {
		return err
	}
	page, err := s.proofsOf(v, q)
	if err != nil {
		return err
	}
	proofs := page.proofs
	b := append(begin(ctx), `{"proofs":[`...)
	for i := range proofs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.appendProof(b, v, &proofs[i]), '}')
	}
	b = append(b, ']')
	if page.more {
		b = append(b, `,"next":"`...)
		b = append(b, encodeCursor(proofs[len(proofs)-1].Position())...)
		b = append(b, '"')
	}
	b = appendIncomplete(b, page.gaps)
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, '}'))
	return nil
}

// historyQuery asks for limit proofs of key before a place.
type historyQuery struct {
	key    consent.SubjectKey
	before warehouse.Position
	limit  int
}

func decodeHistory(doc string, v *view) (historyQuery, error) {
	q := historyQuery{limit: defaultHistory}
	var raw admit.RawSubject
	var cursor string
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "subject":
				raw = readSubject(&r)
			case "limit":
				q.limit = r.Int(1, maxHistory)
			case "cursor":
				cursor = r.Text(maxCursor)
			default:
				r.Unknown()
			}
		}
		if raw.Kind == "" && len(r.Mistakes()) == 0 {
			r.Missing("subject")
		}
	}
	if err := readErrors(&r); err != nil {
		return q, err
	}
	var err error
	if q.key, err = v.keyOf(raw); err != nil {
		return q, err
	}
	if cursor != "" {
		var ok bool
		if q.before, ok = decodeCursor(cursor); !ok {
			return q, invalid([]admit.Refusal{{Pointer: "/cursor", Code: codeInvalidCursor, Detail: "take it from next, as it is"}})
		}
	}
	return q, nil
}

// keyOf derives the key of the subject a body names at /subject.
func (v *view) keyOf(raw admit.RawSubject) (consent.SubjectKey, error) {
	subject, err := consent.ParseSubject(raw.Kind, raw.Value, v.site.Region)
	if err != nil {
		return consent.SubjectKey{}, invalid([]admit.Refusal{{Pointer: "/subject/" + string(raw.Kind), Code: admit.InvalidSubject, Detail: admit.SubjectHelp(err)}})
	}
	return v.site.Keyer.Key(subject), nil
}

// proofPage is an answer to a historyQuery.
type proofPage struct {
	proofs []warehouse.Recorded // newest first
	more   bool
	gaps   []consent.Gap // of what may be missing
}

// proofsOf merges the two stores. The ledger's tail is read first: a proof shipped in between is then in both,
// and told apart by its place, never in neither. What waits to be shipped is no gap here.
func (s *Server) proofsOf(v *view, q historyQuery) (page proofPage, err error) {
	page.gaps = s.gaps(consent.GapBacklog)
	if page.proofs, err = s.unshipped(v, q); err != nil {
		return page, err
	}
	shipped, err := s.shipped(v, q)
	switch p, _ := errors.AsType[*problem](err); {
	case err == nil:
		page.gaps = append(page.gaps, s.gaps(consent.GapBacklog)...)
	case p != nil && p.code == codeWarehouse:
		page.gaps = away()
		if shipped, err = s.standing(v, q); err != nil {
			return page, err
		}
	default:
		return page, err
	}
	page.proofs = append(page.proofs, shipped...)
	slices.SortFunc(page.proofs, func(a, b warehouse.Recorded) int { return comparePositions(b.Position(), a.Position()) })
	page.proofs = slices.CompactFunc(page.proofs, func(a, b warehouse.Recorded) bool { return a.Position() == b.Position() })
	if page.more = len(page.proofs) > q.limit; page.more {
		page.proofs = page.proofs[:q.limit]
	}
	return page, nil
}

// unshipped are those the warehouse cannot know.
func (s *Server) unshipped(v *view, q historyQuery) (all []warehouse.Recorded, err error) {
	err = s.opt.Ledger.Unshipped(v.site.ID, q.key, func(seq uint64, p *consent.Proof) error {
		if r := s.asRecorded(p, seq); q.takes(&r) {
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

func (s *Server) shipped(v *view, q historyQuery) ([]warehouse.Recorded, error) {
	if s.opt.Warehouse == nil {
		return nil, errNoWarehouse()
	}
	ctx, cancel := asking()
	defer cancel()
	all, err := s.opt.Warehouse.History(ctx, v.site.ID, q.key, q.before, q.limit+1)
	if err != nil {
		return nil, warehouseError(err)
	}
	return all, nil
}

// standing are the proofs that decide where the subject stands today, as far as the ledger holds them.
func (s *Server) standing(v *view, q historyQuery) (all []warehouse.Recorded, err error) {
	state, err := s.opt.Ledger.State(v.site.ID, q.key)
	if err != nil {
		return nil, err
	}
	for i := range state {
		p, seq, err := s.opt.Ledger.Proof(state[i].Proof)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if r := s.asRecorded(p, seq); p.Site == v.site.ID && p.Personal.Subject == q.key && q.takes(&r) {
			all = append(all, r)
		}
	}
	return all, nil
}

// asRecorded is a proof of the ledger as the warehouse would have it.
func (s *Server) asRecorded(p *consent.Proof, seq uint64) warehouse.Recorded {
	return warehouse.Recorded{Proof: *p, Generation: s.opt.Ledger.Generation(consent.StreamProofs, seq), Seq: seq, Erased: p.Erased()}
}

// takes reports whether r comes before the place the page begins at.
func (q *historyQuery) takes(r *warehouse.Recorded) bool {
	return q.before == (warehouse.Position{}) || older(r.Position(), q.before)
}

func older(a, b warehouse.Position) bool { return comparePositions(a, b) < 0 }

func comparePositions(a, b warehouse.Position) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Edge, b.Edge), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Seq, b.Seq))
}

// maxCursor in bytes: three numbers and the name of an edge.
const maxCursor = 256

func encodeCursor(p warehouse.Position) string {
	return base64.RawURLEncoding.EncodeToString(appendPosition(nil, p))
}

func appendPosition(b []byte, p warehouse.Position) []byte {
	b = strconv.AppendInt(b, int64(p.At), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(p.Generation), 10)
	b = strconv.AppendUint(append(b, ' '), p.Seq, 10)
	return append(append(b, ' '), p.Edge...)
}

func decodeCursor(s string) (p warehouse.Position, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return p, false
	}
	parts := strings.SplitN(string(raw), " ", 4)
	if len(parts) != 4 {
		return p, false
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	generation, err2 := strconv.ParseUint(parts[1], 10, 32)
	seq, err3 := strconv.ParseUint(parts[2], 10, 64)
	p = warehouse.Position{At: consent.Millis(at), Place: consent.Place{Edge: parts[3], Generation: uint32(generation), Seq: seq}}
	return p, errors.Join(err1, err2, err3) == nil && p.Edge != ""
}

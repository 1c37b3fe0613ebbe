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
// the warehouse. Asked by POST, so that an address is never in a URL.
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
	if s.opt.Warehouse == nil {
		return errNoWarehouse()
	}
	proofs, more, err := s.proofsOf(v, q)
	if err != nil {
		return err
	}
	b := append(begin(ctx), `{"proofs":[`...)
	for i := range proofs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(s.appendProof(b, v, &proofs[i]), '}')
	}
	b = append(b, ']')
	if more {
		b = append(b, `,"next":"`...)
		b = append(b, encodeCursor(proofs[len(proofs)-1].Position())...)
		b = append(b, '"')
	}
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

// proofsOf merges the two stores. The ledger's tail is read first: a proof shipped in between is then in both,
// and told apart by its seq, never in neither.
func (s *Server) proofsOf(v *view, q historyQuery) (page []warehouse.Recorded, more bool, err error) {
	err = s.opt.Ledger.Unshipped(v.site.ID, q.key, func(seq uint64, p *consent.Proof) error {
		r := warehouse.Recorded{Proof: *p, Seq: seq}
		if q.before == (warehouse.Position{}) || older(r.Position(), q.before) {
			page = append(page, r)
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := asking()
	defer cancel()
	shipped, err := s.opt.Warehouse.History(ctx, v.site.ID, q.key, q.before, q.limit+1)
	if err != nil {
		return nil, false, warehouseError(err)
	}
	page = append(page, shipped...)
	slices.SortFunc(page, func(a, b warehouse.Recorded) int { return comparePositions(b.Position(), a.Position()) })
	page = slices.CompactFunc(page, func(a, b warehouse.Recorded) bool { return a.Position() == b.Position() })
	if more = len(page) > q.limit; more {
		page = page[:q.limit]
	}
	return page, more, nil
}

func older(a, b warehouse.Position) bool { return comparePositions(a, b) < 0 }

func comparePositions(a, b warehouse.Position) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Edge, b.Edge), cmp.Compare(a.Seq, b.Seq))
}

// maxCursor in bytes: two numbers and the name of an edge.
const maxCursor = 256

func encodeCursor(p warehouse.Position) string {
	return base64.RawURLEncoding.EncodeToString(appendPosition(nil, p))
}

func appendPosition(b []byte, p warehouse.Position) []byte {
	b = strconv.AppendInt(b, int64(p.At), 10)
	b = strconv.AppendUint(append(b, ' '), p.Seq, 10)
	return append(append(b, ' '), p.Edge...)
}

func decodeCursor(s string) (p warehouse.Position, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return p, false
	}
	parts := strings.SplitN(string(raw), " ", 3)
	if len(parts) != 3 {
		return p, false
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	seq, err2 := strconv.ParseUint(parts[1], 10, 64)
	return warehouse.Position{At: consent.Millis(at), Seq: seq, Edge: parts[2]}, err1 == nil && err2 == nil && parts[2] != ""
}

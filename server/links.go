package server

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/site"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// How long links are good when nothing else is said. One that unsubscribes has to work for as long as mails are kept;
// one that shows a person's choices should not lie about for as long. An account's token is fetched with each page.
const (
	centreTTL      = 90 * 24 * time.Hour
	unsubscribeTTL = 400 * 24 * time.Hour
	identifyTTL    = 24 * time.Hour
	minLinkTTL     = time.Hour
	maxLinkTTL     = 3 * 366 * 24 * time.Hour
)

// makeLinks makes the addresses a sender puts into its messages: preference centre, unsubscribing, and the two
// header lines of RFC 8058, for up to 10,000 subjects in the order asked. Nothing is stored and nothing is looked
// up: an address that was never seen gets links like any other. A subject that cannot be read gets its own error.
func (s *Server) makeLinks(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	doc, err := s.body(ctx, maxLargeBody)
	if err != nil {
		return err
	}
	o, err := readLinkOrder(doc)
	if err != nil {
		return err
	}
	if err := o.check(v); err != nil {
		return err
	}
	if err := s.holdBatch(ctx, len(o.subjects), typicalLinks); err != nil {
		return err
	}
	parts := s.fillLinkOrder(v, o)
	b := append(begin(ctx), `{"results":[`...)
	for i, part := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, part...)
	}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, "]}"...))
	s.metrics.links.Add(float64(len(o.subjects)))
	return nil
}

// linkOrder is what a sender asks for.
type linkOrder struct {
	subjects []posed
	purposes []string
	ttl      string
	identify bool

	good time.Duration // of ttl; 0: the defaults
}

// readLinkOrder reads {"subjects":[…],"purposes"?:[…],"ttl"?:"90d","identify"?:true}.
func readLinkOrder(doc string) (*linkOrder, error) {
	o := &linkOrder{}
	named := false
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "subjects":
				named = true
				o.subjects = readAllPosed(&r)
			case "purposes":
				o.purposes = readPurposes(&r)
			case "ttl":
				o.ttl = r.Text(maxWord)
			case "identify":
				o.identify = r.Bool()
			default:
				r.Unknown()
			}
		}
		if !named {
			r.Missing("subjects")
		}
	}
	return o, readErrors(&r)
}

func readAllPosed(r *wire.Reader) (all []posed) {
	if !r.Array() {
		return nil
	}
	for r.Next() {
		if len(all) == maxSubjects {
			r.TooMany(codeTooManySubjects)
			return all
		}
		all = append(all, readPosed(r))
	}
	return all
}

func (o *linkOrder) check(v *view) error {
	h, err := v.hosted()
	if err != nil {
		return err
	}
	var refusals []admit.Refusal
	for i, id := range o.purposes {
		if _, ok := h.purpose(id); !ok {
			at := "/purposes/" + strconv.Itoa(i)
			refusals = append(refusals, admit.Refusal{Pointer: at, Code: admit.UnknownPurpose, Detail: "no purpose that a person decides on away from the banner"})
		}
	}
	if o.ttl != "" {
		o.good, err = site.ParseDuration(o.ttl)
		if err != nil || o.good < minLinkTTL || o.good > maxLinkTTL {
			refusals = append(refusals, admit.Refusal{Pointer: "/ttl", Code: wire.CodeOutOfRange, Detail: "1h to 3y, as in 90d"})
		}
	}
	if refusals != nil {
		return invalid(refusals)
	}
	return nil
}

// fillLinkOrder makes the results, over all cores; each part is the results of a chunk, separated by commas.
func (s *Server) fillLinkOrder(v *view, o *linkOrder) [][]byte {
	parts := make([][]byte, (len(o.subjects)+chunk-1)/chunk)
	w := newLinkMaker(s, v, o)
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(parts) {
				return
			}
			parts[i] = w.results(o.subjects[i*chunk : min((i+1)*chunk, len(o.subjects))])
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return parts
}

// linkMaker is what all links of an order share. It does not change.
type linkMaker struct {
	s                        *Server
	v                        *view
	o                        *linkOrder
	centre, unsubscribe, own consent.Millis // when they end
}

func newLinkMaker(s *Server, v *view, o *linkOrder) *linkMaker {
	now := s.opt.Ledger.Now()
	until := func(usual, most time.Duration) consent.Millis {
		if o.good > 0 {
			usual = min(o.good, most)
		}
		return now + millis(usual)
	}
	return &linkMaker{s: s, v: v, o: o, centre: until(centreTTL, maxLinkTTL), unsubscribe: until(unsubscribeTTL, maxLinkTTL), own: until(identifyTTL, identifyTTL)}
}

// typicalLinks is room for the result of one subject.
const typicalLinks = 900

func (w *linkMaker) results(subjects []posed) []byte {
	b := make([]byte, 0, len(subjects)*typicalLinks)
	for i := range subjects {
		if i > 0 {
			b = append(b, ',')
		}
		b = w.result(b, &subjects[i])
	}
	return b
}

func (w *linkMaker) result(b []byte, p *posed) []byte {
	if p.code != "" {
		return appendSubjectError(b, errPosed(p.code))
	}
	who, err := consent.ParseSubject(p.kind, p.value, w.v.site.Region)
	if err != nil {
		return appendSubjectError(b, err)
	}
	t := link.Token{Kind: link.Centre, Site: w.v.site.ID, Subject: w.v.site.Keyer.Key(who), SubjectKind: who.Kind, Expires: w.centre}
	if who.Kind == consent.KindEmail || who.Kind == consent.KindPhone {
		t.Identifier = who.Value
	}
	ring, base := w.s.opt.Links, w.s.opt.PublicURL
	b = append(append(b, `{"preferences":"`...), base...)
	b = ring.Append(append(b, "/p/"...), &t)
	t.Kind, t.Expires, t.Purposes = link.Unsubscribe, w.unsubscribe, w.o.purposes
	b = append(append(b, `","unsubscribe":"`...), base...)
	at := len(b) - len(base)
	b = ring.Append(append(b, "/u/"...), &t)
	address := b[at:]
	b = append(b, `","headers":{"List-Unsubscribe":"<`...)
	b = append(b, address...)
	b = append(b, `>","List-Unsubscribe-Post":"List-Unsubscribe=One-Click"}`...)
	if w.o.identify {
		b = append(b, `,"identify":"`...)
		b = append(ring.Append(b, &link.Token{Kind: link.Identify, Site: t.Site, Subject: t.Subject, SubjectKind: t.SubjectKind, Expires: w.own}), '"')
	}
	return append(b, '}')
}

package server

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// maxSubjects is how many one call may ask about (DESIGN §8).
const maxSubjects = 10_000

// maxStanding is what the answer about one purpose takes, in bytes: a status, two moments, an id, a hash.
const maxStanding = 320

// chunk is how many subjects one worker takes at a time: enough to forget the cost of taking them, few enough
// that the ledger does not spread them again.
const chunk = 128

// lookupMany answers where up to 10,000 subjects stand, in the order asked. A subject that cannot be read gets
// its own error, and the others their answers.
func (s *Server) lookupMany(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	doc, err := s.body(ctx, maxLargeBody)
	if err != nil {
		return err
	}
	q, _ := s.many.Get().(*many)
	if q == nil {
		q = new(many)
	}
	defer s.release(q)
	about, err := q.decode(doc, v)
	if err != nil {
		return err
	}
	if err := s.holdBatch(ctx, len(q.subjects), 64+maxStanding*len(about.purposes)); err != nil {
		return err
	}
	now := s.opt.Ledger.Now()
	if err := s.answerMany(v, q, about, now); err != nil {
		return err
	}
	b := append(appendAsOf(begin(ctx), now), `"results":[`...)
	for i, part := range q.answers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, part...)
	}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, "]}"...))
	s.metrics.subjects.Add(float64(len(q.subjects)))
	return nil
}

// many is the working memory of one call, reused by later ones.
type many struct {
	subjects []posed
	answers  [][]byte // one per chunk: its results, separated by commas
}

// posed is one subject as asked.
type posed struct {
	kind  consent.Kind
	value string
	code  string // why it cannot be answered; "" if it can
}

// release forgets who was asked about and keeps the room.
func (s *Server) release(q *many) {
	clear(q.subjects)
	q.subjects = q.subjects[:0]
	s.many.Put(q)
}

// decode reads {"purposes":[…],"subjects":[…]}, or "channel" and "use" in place of purposes.
func (q *many) decode(doc string, v *view) (question, error) {
	var names []string
	var by reach
	subjects, named, uses := false, false, false
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			switch r.Name() {
			case "purposes":
				named, names = true, readPurposes(&r)
			case "channel":
				by.channel = r.Text(maxWord)
			case "use":
				uses, by.uses = true, readPurposes(&r)
			case "subjects":
				subjects = true
				q.readSubjects(&r)
			default:
				r.Unknown()
			}
		}
		if !subjects {
			r.Missing("subjects")
		}
		if uses && by.channel == "" {
			r.Missing("channel")
		}
	}
	if err := readErrors(&r); err != nil {
		return question{}, err
	}
	switch {
	case by.channel == "":
		purposes, err := v.pick(names)
		return question{purposes: purposes}, err
	case named:
		return question{}, invalid([]admit.Refusal{{Pointer: "/purposes", Code: codeTwoQuestions, Detail: "name purposes, or a channel and its uses"}})
	}
	purposes, err := v.reached(nil, by, inBody)
	return question{purposes, true}, err
}

// maxPurposes bounds the list; no site asks for as many.
const maxPurposes = 64

func readPurposes(r *wire.Reader) (all []string) {
	if !r.Array() {
		return nil
	}
	for r.Next() {
		if len(all) == maxPurposes {
			r.Wrong(codeTooManyPurposes)
			continue
		}
		all = append(all, r.Text(maxWord))
	}
	return all
}

func (q *many) readSubjects(r *wire.Reader) {
	if !r.Array() {
		return
	}
	for r.Next() {
		if len(q.subjects) == maxSubjects {
			r.TooMany(codeTooManySubjects)
			return
		}
		q.subjects = append(q.subjects, readPosed(r))
	}
}

// readPosed reads one subject. What is wrong with it is its own error, not the document's.
func readPosed(r *wire.Reader) (p posed) {
	if r.Kind() != wire.Object {
		r.Skip()
		return posed{code: wire.CodeWrongType}
	}
	members := 0
	r.Object()
	for r.Next() {
		members++
		kind, known := kindOf(r.Name())
		if !known || r.Kind() != wire.Text {
			p.code = wire.CodeWrongType
			if !known {
				p.code = admit.InvalidSubject
			}
			r.Skip()
			continue
		}
		p.kind, p.value = kind, r.Raw()
	}
	if members != 1 && p.code == "" {
		p.code = admit.InvalidSubject
	}
	return p
}

// answerMany fills q.answers, over all cores when there is enough to do.
func (s *Server) answerMany(v *view, q *many, about question, now consent.Millis) error {
	chunks := (len(q.subjects) + chunk - 1) / chunk
	for len(q.answers) < chunks {
		q.answers = append(q.answers, nil)
	}
	q.answers = q.answers[:chunks]
	ids := make([]string, len(about.purposes))
	for i, p := range about.purposes {
		ids[i] = p.id
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	work := func() {
		w := batchWorker{answerer: answerer{question: about, now: now}, s: s, v: v, ids: ids}
		for failed.Load() == nil {
			i := int(next.Add(1)) - 1
			if i >= chunks {
				return
			}
			var err error
			from := i * chunk
			if q.answers[i], err = w.answer(q.answers[i][:0], q.subjects[from:min(from+chunk, len(q.subjects))]); err != nil {
				failed.Store(&err)
			}
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), chunks) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// batchWorker answers chunks; it belongs to one goroutine.
type batchWorker struct {
	answerer
	s    *Server
	v    *view
	ids  []string
	keys []consent.SubjectKey // of the subjects that could be read
	errs []error              // parallel to the chunk; nil where keys has one
}

// errPosed carries a code found while reading.
type errPosed string

func (e errPosed) Error() string { return string(e) }

func (w *batchWorker) answer(b []byte, subjects []posed) ([]byte, error) {
	w.keys, w.errs = w.keys[:0], w.errs[:0]
	for i := range subjects {
		key, err := w.v.key(&subjects[i])
		if err == nil {
			w.keys = append(w.keys, key)
		}
		w.errs = append(w.errs, err)
	}
	i := 0 // the subject whose turn it is
	err := w.s.opt.Ledger.Standings(w.v.site.ID, w.keys, w.ids, w.now, func(_ int, sts []consent.Standing) {
		for w.errs[i] != nil {
			b = appendSubjectError(comma(b), w.errs[i])
			i++
		}
		b = append(w.append(append(comma(b), '{'), sts), '}')
		i++
	})
	for ; i < len(w.errs) && err == nil; i++ {
		b = appendSubjectError(comma(b), w.errs[i])
	}
	return b, err
}

// key is the subject key of p, or why it has none.
func (v *view) key(p *posed) (consent.SubjectKey, error) {
	if p.code != "" {
		return consent.SubjectKey{}, errPosed(p.code)
	}
	s, err := consent.ParseSubject(p.kind, p.value, v.site.Region)
	if err != nil {
		return consent.SubjectKey{}, err
	}
	return v.site.Keyer.Key(s), nil
}

func comma(b []byte) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	return b
}

// appendSubjectError appends the error of one subject; it never repeats the identifier.
func appendSubjectError(b []byte, err error) []byte {
	code, detail := admit.InvalidSubject, admit.SubjectHelp(err)
	switch err := err.(type) {
	case errPosed:
		code, detail = string(err), "one member, named device, email, phone, external or key, with a text"
	case *contactError:
		code, detail = err.code, err.detail
	}
	b = append(b, `{"error":{"code":"`...)
	b = append(b, code...)
	b = append(b, `","detail":`...)
	b = consent.AppendJSONString(b, detail)
	return append(b, "}}"...)
}

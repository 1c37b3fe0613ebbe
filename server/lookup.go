package server

import (
	"slices"
	"strings"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// lookup answers where one subject stands: the hot path, asked before every send. Several purposes may be
// named, or those of a channel and its uses; none named stands for all the site asks.
func (s *Server) lookup(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	var q query
	if err := q.read(ctx.QueryArgs(), v); err != nil {
		return err
	}
	about, err := q.question(v)
	if err != nil {
		return err
	}
	return s.answerOne(ctx, v, v.site.Keyer.Key(q.subject), about)
}

// query is what a lookup in a URL asks.
type query struct {
	subject  consent.Subject
	purposes [16]*asked // in the order named
	named    int        // none: all
	channel  string     // "": none; a view into the URL, as uses are
	uses     [8]string
	used     int
}

// question is what q asks of its subject.
func (q *query) question(v *view) (question, error) {
	switch {
	case q.channel != "" && q.named > 0:
		return question{}, refuse(400, codeBadQuery, "name purposes, or a channel and its uses")
	case q.channel != "":
		purposes, err := v.reached(q.purposes[:0], reach{q.channel, q.uses[:q.used]}, inQuery)
		return question{purposes, true}, err
	case q.used > 0:
		return question{}, refuse(400, codeBadQuery, "a use is asked for over a channel; name it")
	case q.named > 0:
		return question{purposes: q.purposes[:q.named]}, nil
	}
	return question{purposes: v.all}, nil
}

// read takes the parameters; its views into the URL do not outlive the handler.
func (q *query) read(args *fasthttp.Args, v *view) error {
	for name, value := range args.All() {
		if err := q.param(text(name), text(value), v); err != nil {
			return err
		}
	}
	if q.subject.Kind == "" {
		return refuse(400, codeBadQuery, "name one subject: device, external or key; for e-mail and phone use POST")
	}
	return nil
}

// param takes one parameter. What is well-formed by a narrow rule (a UUID, a key, a purpose of the site) cannot
// be an address; everything else is looked at before anything is said about it.
func (q *query) param(name, value string, v *view) error {
	var err error
	switch name {
	case "device", "key":
		err = q.setSubject(name, value, v)
	case "purpose":
		err = q.addPurpose(v.purpose(value))
	case "channel":
		err = q.setChannel(value)
	case "use":
		err = q.addUse(value)
	case "external":
		if !looksPersonal(value) {
			return q.setSubject(name, value, v)
		}
		return errIdentifierInURL()
	default:
		err = refuse(400, codeBadQuery, "known parameters: device, external, key, purpose, channel, use")
	}
	if err != nil && personal(name, value) {
		return errIdentifierInURL()
	}
	return err
}

func errIdentifierInURL() error {
	return refuse(400, codeIdentifierInURL, "URLs end up in logs; ask with POST …/lookup")
}

func (q *query) setSubject(name, value string, v *view) error {
	if q.subject.Kind != "" {
		return refuse(400, codeBadQuery, "one subject a call; for many use POST …/lookup")
	}
	kind, _ := kindOf(name)
	subject, err := consent.ParseSubject(kind, value, v.site.Region)
	if err != nil {
		return invalid([]admit.Refusal{{Pointer: "/" + string(kind), Code: admit.InvalidSubject, Detail: admit.SubjectHelp(err)}})
	}
	q.subject = subject
	return nil
}

func (q *query) addPurpose(p *asked) error {
	if p == nil {
		return invalid([]admit.Refusal{{Pointer: "/purpose", Code: admit.UnknownPurpose, Detail: "nobody is asked for it"}})
	}
	if q.named == len(q.purposes) {
		return refuse(400, codeBadQuery, "at most 16 purposes in a URL; name none for all, or use POST …/lookup")
	}
	if slices.Contains(q.purposes[:q.named], p) {
		return refuse(400, codeBadQuery, "a purpose is named twice")
	}
	q.purposes[q.named] = p
	q.named++
	return nil
}

func (q *query) setChannel(name string) error {
	switch {
	case q.channel != "":
		return refuse(400, codeBadQuery, "one channel a call")
	case !consent.Channel(name).Valid():
		return invalid([]admit.Refusal{{Pointer: "/channel", Code: codeUnknownChannel, Detail: "there are web, email, sms, phone, post, push"}})
	}
	q.channel = name
	return nil
}

func (q *query) addUse(name string) error {
	switch {
	case !consent.Use(name).Valid():
		return invalid([]admit.Refusal{{Pointer: "/use", Code: codeUnknownUse, Detail: "there are send, track_open, profile, share, locate, measure"}})
	case q.used == len(q.uses):
		return refuse(400, codeBadQuery, "a use is named twice")
	}
	q.uses[q.used] = name
	q.used++
	return nil
}

// personal reports whether a parameter is, or looks like, an e-mail address or a phone number, also under
// another name and also when it was encoded twice.
func personal(name, value string) bool {
	switch name {
	case "email", "e-mail", "mail", "phone", "tel", "mobile":
		return true
	}
	return looksPersonal(value) || looksPersonal(name)
}

func looksPersonal(v string) bool {
	for i := range len(v) {
		switch v[i] {
		case '@':
			return true
		case '%':
			if strings.HasPrefix(v[i:], "%40") {
				return true
			}
		}
	}
	return looksPhone(v)
}

// looksPhone: an international number. A plus in a query string arrives as a space. National numbers cannot be
// told from a site's own ids.
func looksPhone(v string) bool {
	rest := strings.TrimPrefix(v, "%2B")
	if rest == v && (v == "" || (v[0] != '+' && v[0] != ' ')) {
		return false
	}
	digits := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case '0' <= c && c <= '9':
			digits++
		case !strings.ContainsRune("+ -.()", rune(c)):
			return false
		}
	}
	return digits >= 7
}

// answerOne writes {"as_of","decisions":{…}} for one subject.
func (s *Server) answerOne(ctx *fasthttp.RequestCtx, v *view, key consent.SubjectKey, q question) error {
	if len(q.purposes) != 1 {
		return s.answerSeveral(ctx, v, key, q)
	}
	a := answerer{q, s.opt.Ledger.Now()}
	st, _, err := s.opt.Ledger.Standing(v.site.ID, key, q.purposes[0].id, a.now)
	if err != nil {
		return err
	}
	sts := [1]consent.Standing{st}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(a.append(appendAsOf(begin(ctx), a.now), sts[:]), '}'))
	return nil
}

// several is the working memory of a lookup of one subject and several purposes, reused by later ones.
type several struct {
	answerer
	keys  [1]consent.SubjectKey
	ids   []string
	b     []byte
	visit func(int, []consent.Standing)
}

func newSeveral() *several {
	w := new(several)
	w.visit = func(_ int, sts []consent.Standing) { w.b = w.append(w.b, sts) }
	return w
}

func (s *Server) answerSeveral(ctx *fasthttp.RequestCtx, v *view, key consent.SubjectKey, q question) error {
	w, _ := s.several.Get().(*several)
	if w == nil {
		w = newSeveral()
	}
	defer s.several.Put(w)
	w.now, w.together, w.keys[0] = s.opt.Ledger.Now(), q.together, key
	w.purposes, w.ids = append(w.purposes[:0], q.purposes...), w.ids[:0] // copied: q is the stack's
	for _, p := range q.purposes {
		w.ids = append(w.ids, p.id)
	}
	w.b = appendAsOf(begin(ctx), w.now)
	if err := s.opt.Ledger.Standings(v.site.ID, w.keys[:], w.ids, w.now, w.visit); err != nil {
		return err
	}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(w.b, '}'))
	w.b = nil // the response's now
	return nil
}

func appendAsOf(b []byte, now consent.Millis) []byte {
	b = append(b, `{"as_of":`...)
	return append(consent.AppendMillis(b, now), ',')
}

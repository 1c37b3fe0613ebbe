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
// named; none named stands for all the site asks.
func (s *Server) lookup(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	var q query
	if err := q.read(ctx.QueryArgs(), v); err != nil {
		return err
	}
	return s.answerOne(ctx, v, v.site.Keyer.Key(q.subject), q.purposes[:q.named])
}

// query is what a lookup in a URL asks.
type query struct {
	subject  consent.Subject
	purposes [16]*asked // in the order named
	named    int        // none: all
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
	case "external":
		if !looksPersonal(value) {
			return q.setSubject(name, value, v)
		}
		return errIdentifierInURL()
	default:
		err = refuse(400, codeBadQuery, "known parameters: device, external, key, purpose")
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
func (s *Server) answerOne(ctx *fasthttp.RequestCtx, v *view, key consent.SubjectKey, purposes []*asked) error {
	now := s.opt.Ledger.Now()
	if len(purposes) == 1 {
		st, _, err := s.opt.Ledger.Standing(v.site.ID, key, purposes[0].id, now)
		if err != nil {
			return err
		}
		b := appendAsOf(begin(ctx), now)
		b = appendStanding(b, st, purposes[0], now)
		finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, "}}"...))
		return nil
	}
	state, err := s.opt.Ledger.State(v.site.ID, key)
	if err != nil {
		return err
	}
	b := appendAsOf(begin(ctx), now)
	for i := range max(len(purposes), len(v.asked)) {
		p := v.nth(purposes, i)
		if p == nil {
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		st, _ := state.Standing(p.id, now)
		b = appendStanding(b, st, p, now)
	}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, "}}"...))
	return nil
}

// nth is the i-th of the purposes named, or of all when none is.
func (v *view) nth(named []*asked, i int) *asked {
	switch {
	case len(named) == 0 && i < len(v.asked):
		return &v.asked[i]
	case i < len(named):
		return named[i]
	}
	return nil
}

func appendAsOf(b []byte, now consent.Millis) []byte {
	b = append(b, `{"as_of":`...)
	b = consent.AppendMillis(b, now)
	return append(b, `,"decisions":{`...)
}

// appendStanding appends "purpose":{…}. The zero Standing is one that was never asked.
func appendStanding(b []byte, st consent.Standing, p *asked, now consent.Millis) []byte {
	return st.Answer(now, &p.rule).AppendJSON(append(b, p.key...))
}

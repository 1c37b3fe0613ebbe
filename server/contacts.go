package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/consentd/consentd/server/admit"
	"github.com/consentd/consentd/server/wire"
	"github.com/consentd/consentd/storage/consent"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	// maxContacts is how many one call may report.
	maxContacts = 10_000
	// contactSkew is how far the clock of who reports may run ahead of ours; a contact within it counts as now.
	contactSkew = 5 * time.Minute
	// contactWriters is how many moments are made durable at once: what waits together syncs together.
	contactWriters = 64
	// contactWork is what one contact takes until it is answered, in bytes.
	contactWork = 256
)

// Codes of one contact that cannot be taken; the others of its call are.
const (
	codeInvalidTime  = "invalid_time"
	codeTimeInFuture = "time_in_future"
)

// contacts takes note that people were in touch with the site of their own accord (a purchase, a click, a call;
// opening a mail is none): what keeps a consent to be contacted from running out. Nothing is kept about people
// who never decided anything, and the answer does not tell who they are. Sending it again changes nothing.
func (s *Server) contacts(c *fiber.Ctx, v *view) error {
	ctx := c.Context()
	doc, err := s.body(ctx, maxLargeBody)
	if err != nil {
		return err
	}
	now := s.opt.Ledger.Now()
	all, err := readContacts(doc)
	if err != nil {
		return err
	}
	if err := s.holdBatch(ctx, len(all), contactWork); err != nil {
		return err
	}
	moments := map[consent.Millis][]consent.SubjectKey{}
	for i := range all {
		if key, at, err := all[i].judge(v, now); err != nil {
			all[i].err = err
		} else {
			all[i].moment = at
			moments[at] = append(moments[at], key)
		}
	}
	if err := s.touch(v, moments); err != nil {
		return err
	}
	b := append(appendAsOf(begin(ctx), now), `"results":[`...)
	for i := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = all[i].append(b)
	}
	finish(ctx, fasthttp.StatusOK, mimeJSON, append(b, "]}"...))
	return nil
}

// contact is one as reported, and what became of it.
type contact struct {
	who    posed
	at     string
	moment consent.Millis
	err    error
}

// readContacts reads {"contacts":[{"subject":{…},"at":"…"}]}.
func readContacts(doc string) (all []contact, err error) {
	found := false
	r := wire.New(doc, bodyDepth)
	if r.Object() {
		for r.Next() {
			if r.Name() != "contacts" {
				r.Unknown()
				continue
			}
			found = true
			all = readContactList(&r)
		}
		if !found {
			r.Missing("contacts")
		}
	}
	return all, readErrors(&r)
}

func readContactList(r *wire.Reader) (all []contact) {
	if !r.Array() {
		return nil
	}
	for r.Next() {
		if len(all) == maxContacts {
			r.TooMany(codeTooManyContacts)
			return all
		}
		all = append(all, readContact(r))
	}
	return all
}

// readContact reads one contact. What is wrong with it is its own error, not the document's.
func readContact(r *wire.Reader) (c contact) {
	c.who.code = wire.CodeWrongType
	if r.Kind() != wire.Object {
		r.Skip()
		return c
	}
	strange := false
	r.Object()
	for r.Next() {
		switch name := r.Name(); {
		case name == "subject":
			c.who = readPosed(r)
		case name == "at" && r.Kind() == wire.Text:
			c.at = r.Raw()
		default:
			strange = true
			r.Skip()
		}
	}
	if strange {
		c.who.code = wire.CodeWrongType
	}
	return c
}

// judge finds whose contact it is, and when it was.
func (c *contact) judge(v *view, now consent.Millis) (consent.SubjectKey, consent.Millis, error) {
	key, err := v.key(&c.who)
	switch {
	case err != nil:
		return key, 0, err
	case c.who.kind == consent.KindDevice:
		return key, 0, &contactError{admit.SubjectNotAllowed, "a device is nobody who is written to; name email, phone, external or key"}
	case c.at == "":
		return key, now, nil
	}
	t, err := time.Parse(time.RFC3339, c.at)
	at := consent.ToMillis(t)
	switch {
	case err != nil || at <= 0:
		return key, 0, &contactError{codeInvalidTime, "a moment since 1970, as in 2026-11-21T20:06:00Z (RFC 3339)"}
	case at > now+consent.Millis(contactSkew.Milliseconds()):
		return key, 0, &contactError{codeTimeInFuture, "it has not happened yet by this server's clock"}
	}
	return key, min(at, now), nil
}

type contactError struct{ code, detail string }

func (e *contactError) Error() string { return e.code }

// append writes {"at":…}: the moment that counts, or why none does.
func (c *contact) append(b []byte) []byte {
	if c.err != nil {
		return appendSubjectError(b, c.err)
	}
	b = append(b, `{"at":`...)
	return append(consent.AppendMillis(b, c.moment), '}')
}

// touch makes contacts durable, one write per moment, many at once.
func (s *Server) touch(v *view, moments map[consent.Millis][]consent.SubjectKey) error {
	order := make([]consent.Millis, 0, len(moments))
	for at := range moments {
		order = append(order, at)
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(contactWriters, len(order)) {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(order) {
					return
				}
				if err := s.opt.Ledger.Touch(s.ctx, v.site.ID, order[i], moments[order[i]]...); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

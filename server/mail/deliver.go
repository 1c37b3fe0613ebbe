package mail

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/consentd/consentd/storage/consent"
)

// compose turns a job into the message to send now. What it needs is looked up at each attempt: the site's file may
// have been mended since, the link may have been used.
func (q *Queue) compose(r *record) (*message, *failure) {
	if q.now() >= r.Expires {
		return nil, &failure{why: ReasonExpired, final: true, held: true}
	}
	st, ok := q.opt.Sites(r.Site)
	if !ok || st.Mail.Address == "" {
		return nil, &failure{why: ReasonSite, held: true, err: fmt.Errorf("site %s is not served, or has no mail.address", r.Site)}
	}
	to, f := q.recipient(r)
	if f != nil {
		return nil, f
	}
	link, err := q.opt.Link(r.Job)
	switch {
	case errors.Is(err, ErrGone):
		return nil, &failure{gone: true}
	case err != nil:
		return nil, &failure{why: ReasonLink, held: true, err: err}
	}
	l := newLetter(st, r.Kind, r.Locale, r.Purposes, link)
	if r.Kind == Confirm && len(l.Purposes) == 0 {
		return nil, &failure{why: ReasonSite, held: true, err: fmt.Errorf("site %s has none of the purposes any more", r.Site)}
	}
	text, html, err := l.render(st.Templates)
	if err != nil {
		q.templates.Do(func() {
			q.opt.Log.Error("a template of the site does not work; the built-in one is used (consentd check says more)", "site", r.Site, "error", err)
		})
	}
	m := &message{id: messageID(r.ID, st.Mail.Address), asked: r.Created, fromName: cmp.Or(st.Mail.Name, st.Name), from: st.Mail.Address,
		replyTo: st.Mail.ReplyTo, to: to, locale: l.Locale, subject: l.Subject, text: text, html: html, link: link}
	if err := m.write(q.opt.Now()); err != nil {
		return nil, &failure{why: ReasonTemplate, held: true, err: err}
	}
	return m, nil
}

// recipient opens the address of a job. What does not read as an address the server would have taken is none: a
// last barrier between a damaged note and the header of a mail.
func (q *Queue) recipient(r *record) (string, *failure) {
	to, err := q.opt.Open.Open(r.Site, consent.KindEmail, r.To)
	switch {
	case errors.Is(err, consent.ErrNoKey):
		return "", &failure{why: ReasonSealed, held: true, err: err}
	case err != nil:
		return "", &failure{why: ReasonAddress, final: true, held: true}
	}
	if who, err := consent.ParseSubject(consent.KindEmail, to, ""); err != nil || who.Value != to {
		return "", &failure{why: ReasonAddress, final: true, held: true}
	}
	return to, nil
}

// newLetter fills in what a mail says. A locale the site no longer has is its first.
func newLetter(st *Site, kind Kind, locale string, purposes []string, link string) *Letter {
	if !slices.Contains(st.Locales, locale) {
		locale = st.Locales[0]
	}
	word := func(key string) string { return oneLine(st.Words.Of(locale, key)) }
	l := &Letter{Kind: kind, Locale: locale, Site: oneLine(st.Name), Subject: word("mail.subject"), Title: word("confirm.title"), Text: word("confirm.text"),
		Button: word("confirm.button"), Link: link, Copy: word("mail.link"), Expires: word("mail.expires"), Ignore: word("confirm.ignore"),
		Reason: word("mail.reason"), Controller: st.Controller}
	if kind == Address {
		l.Title, l.Text = word("confirm.address_title"), word("confirm.address_text")
	}
	for _, id := range purposes {
		if p, ok := st.Purpose(id); ok && kind == Confirm {
			l.Purposes = append(l.Purposes, oneLine(p.Title[locale]))
		}
	}
	l.dress(st.Theme)
	return l
}

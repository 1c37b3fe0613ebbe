package server

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/consentd/consentd/server/link"
	"github.com/consentd/consentd/server/mail"
	"github.com/consentd/consentd/server/pages"
	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/ledger"
	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// Double opt-in. What a form with it agrees to is recorded at once as a request, which allows nothing; in the same
// batch goes a note of what the link in the mail stands for, and the mail itself as a note to the queue. Only the
// button behind the link confirms. The link's secret is never stored: the note is kept under its SHA-256, and
// whoever sends the mail derives it again (ConfirmLink).

// Mailer sends mails that ask to confirm; *mail.Queue is one. The note of a job is written with what the job is
// about, in one batch; Wake tells that it was.
type Mailer interface {
	Note(mail.Job) ledger.Note
	Wake(mail.Job)
}

// optIn is what a confirmation link stands for.
type optIn struct {
	Site      string           `json:"site"`
	Form      string           `json:"form,omitempty"` // "": another address, asked for in the preference centre
	Request   uuid.UUID        `json:"request,omitzero"`
	Confirm   uuid.UUID        `json:"confirm"`
	Wording   string           `json:"wording,omitempty"`
	Locale    string           `json:"locale"`
	Page      string           `json:"page,omitempty"`
	Kind      consent.Kind     `json:"kind"`
	Key       string           `json:"key"`
	Sealed    []byte           `json:"sealed,omitempty"` // forgotten once the link is used
	Decisions []consent.Choice `json:"decisions,omitempty"`
	From      string           `json:"from,omitempty"` // the subject key whose choices move to Key
	FromKind  consent.Kind     `json:"from_kind,omitempty"`
	Expires   consent.Millis   `json:"expires"`
	Used      consent.Millis   `json:"used,omitempty"`
}

// spaceOptIn is where the notes of open requests are; keys are SHA-256 of the link's secret.
const spaceOptIn = "optin"

// aboutOptIn is what the secret of a confirmation link is made from.
func aboutOptIn(confirm uuid.UUID) []byte { return append([]byte(spaceOptIn), confirm[:]...) }

func optInKey(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func (o *optIn) note(secret string) (ledger.Note, error) {
	value, err := json.Marshal(o)
	if err != nil {
		return ledger.Note{}, fmt.Errorf("writing a request to confirm: %w", err)
	}
	return ledger.Note{Space: spaceOptIn, Key: optInKey(secret), Value: value}, nil
}

// job is the mail that asks.
func (o *optIn) job(v *view, to consent.SubjectKey, now consent.Millis) mail.Job {
	j := mail.Job{ID: o.Confirm, Kind: mail.Confirm, Site: o.Site, Subject: to, Form: o.Form, Locale: pages.Pick(v.site.Locales, o.Locale, ""), To: o.Sealed, Created: now, Expires: o.Expires}
	if o.Form == "" {
		j.Kind = mail.Address
	}
	for _, p := range v.site.Purposes { // in the order shown
		if slices.Contains(o.Decisions, consent.Choice{Purpose: p.ID, Granted: true}) {
			j.Purposes = append(j.Purposes, p.ID)
		}
	}
	return j
}

func (s *Server) findOptIn(secret string) (*optIn, error) {
	value, err := s.opt.Ledger.Note(spaceOptIn, optInKey(secret))
	if err != nil {
		return nil, err
	}
	o := &optIn{}
	if err := json.Unmarshal(value, o); err != nil {
		return nil, fmt.Errorf("reading a request to confirm: %w", err)
	}
	return o, nil
}

// ConfirmLink gives the address that a mail carries. mail.ErrGone: nothing is left to confirm, or the key that made
// the link's secret is retired.
func (s *Server) ConfirmLink(j mail.Job) (string, error) {
	for _, secret := range s.opt.Links.Codes(aboutOptIn(j.ID)) {
		o, err := s.findOptIn(secret)
		switch {
		case err == nil && o.Used == 0:
			return s.opt.PublicURL + "/c/" + secret, nil
		case err != nil && !errors.Is(err, ledger.ErrNotFound):
			return "", err
		}
	}
	return "", mail.ErrGone
}

// request records a choice that a mail has to confirm, and queues the mail unless enough have gone to the address,
// or from the network or site. Either way the answer is the same.
func (s *Server) request(v *view, p *consent.Proof, ip netip.Addr) (ledger.Receipt, error) {
	if s.opt.Mail == nil {
		return ledger.Receipt{}, later(codeNoMail, "this form has to be confirmed by mail, and this server sends none", 60, nil)
	}
	o := &optIn{Site: v.site.ID, Form: strings.TrimPrefix(p.Surface, consent.SurfaceForm("")), Request: p.ID, Wording: p.Wording.String(), Locale: p.Locale, Page: p.Personal.Page,
		Kind: p.Personal.Kind, Key: p.Personal.Subject.String(), Sealed: p.Personal.Identifier, Decisions: p.Decisions}
	var r ledger.Receipt
	err := s.mailed(v, o, p.Personal.Subject, ip, func(notes ...ledger.Note) (written bool, err error) {
		r, err = s.opt.Ledger.AppendWith(s.ctx, p, notes...)
		return !r.Replayed, err
	})
	return r, err
}

// mailed has write store what o stands for, with its mail when one may go out; write reports whether it stored
// anything.
func (s *Server) mailed(v *view, o *optIn, to consent.SubjectKey, ip netip.Addr, write func(...ledger.Note) (bool, error)) error {
	unlock := s.mails.lock(v.site.ID, to)
	defer unlock()
	now := s.opt.Ledger.Now()
	held, counted, err := s.mayMail(v, to, ip, now)
	if err != nil {
		return err
	}
	if held != mailQueued {
		s.metrics.mails[held].Inc()
		_, err := write()
		return err
	}
	o.Confirm, o.Expires = newID(now), now+millis(consent.ConfirmWithin)
	open, err := o.note(s.opt.Links.Code(aboutOptIn(o.Confirm)))
	if err != nil {
		return err
	}
	job := o.job(v, to, now)
	written, err := write(open, s.opt.Mail.Note(job), counted)
	if written && err == nil {
		s.metrics.mails[mailQueued].Inc()
		s.opt.Mail.Wake(job)
	}
	return err
}

// Limits on mails. An address gets one in ten minutes and five a day, over all forms of a site; a network asks for
// twenty at once and one a minute, which is a class that signs up together and no more; a site sends ten a second.
const (
	mailEvery      = 10 * time.Minute
	mailsADay      = 5
	mailsNetwork   = 20
	mailsMinute    = 1.0 / 60
	mailsSite      = 600
	mailsSecond    = 10.0
	spaceMailCount = "mail-counts"
)

// What became of a mail; labels of a metric.
const (
	mailQueued  = "queued"
	mailAddress = "address_limit"
	mailNetwork = "network_limit"
	mailSite    = "site_limit"
)

func mailOutcomes() []string { return []string{mailQueued, mailAddress, mailNetwork, mailSite} }

// mayMail decides whether one more mail may go out; counted is the note that remembers it. ip is invalid when a
// program signs people up: it has a token, and one network.
func (s *Server) mayMail(v *view, to consent.SubjectKey, ip netip.Addr, now consent.Millis) (outcome string, counted ledger.Note, err error) {
	key := mailCountKey(v.site.ID, to)
	value, err := s.opt.Ledger.Note(spaceMailCount, key)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return "", counted, err
	}
	sent := slices.DeleteFunc(readTimes(value), func(t consent.Millis) bool { return now-t >= millis(24*time.Hour) })
	if len(sent) >= mailsADay || len(sent) > 0 && now-sent[len(sent)-1] < millis(mailEvery) {
		return mailAddress, counted, nil
	}
	if ip.IsValid() {
		if ok, _ := s.mails.network.allow(v.site.ID, ip, now.Time(), mailsMinute, mailsNetwork); !ok {
			return mailNetwork, counted, nil
		}
	}
	if ok, _ := s.mails.site.allow(v.site.ID, netip.Addr{}, now.Time(), mailsSecond, mailsSite); !ok {
		return mailSite, counted, nil
	}
	return mailQueued, ledger.Note{Space: spaceMailCount, Key: key, Value: appendTimes(nil, append(sent, now))}, nil
}

func mailCountKey(site string, to consent.SubjectKey) []byte {
	return append(append([]byte(site), 0), to[:]...)
}

func readTimes(b []byte) (all []consent.Millis) {
	for ; len(b) >= 8; b = b[8:] {
		all = append(all, consent.Millis(binary.BigEndian.Uint64(b)))
	}
	return all
}

func appendTimes(b []byte, all []consent.Millis) []byte {
	for _, t := range all {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	return b
}

// mailLimits is what is remembered of mails in memory, and what keeps two requests of one address apart.
type mailLimits struct {
	network, site *limiter
	seed          maphash.Seed
	addresses     [256]sync.Mutex // by site and subject: held from counting to writing
}

func newMailLimits() *mailLimits {
	return &mailLimits{network: newLimiter(), site: newLimiter(), seed: maphash.MakeSeed()}
}

func (m *mailLimits) lock(site string, key consent.SubjectKey) (unlock func()) {
	mu := &m.addresses[maphash.String(m.seed, site+string(key[:]))%uint64(len(m.addresses))]
	mu.Lock()
	return mu.Unlock
}

// enterConfirm begins a visit through a confirmation link.
func (s *Server) enterConfirm(c *fiber.Ctx) (*visit, *optIn, error) {
	o, err := s.findOptIn(c.Params("token"))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil, refuse(404, codeUnknownLink, "the address is not complete, or was never made here")
	}
	if err != nil {
		return nil, nil, err
	}
	v, err := s.site(o.Site)
	if err != nil {
		return nil, nil, refuse(404, codeUnknownLink, "its site is not served here")
	}
	vis, err := s.enterPage(c, v)
	if err == nil && len(vis.ctx.QueryArgs().Peek("lang")) == 0 {
		vis.locale = pages.Pick(v.site.Locales, o.Locale, "") // the language the form was read in
	}
	return vis, o, err
}

// confirmPage shows what is about to be confirmed, with one button. It writes nothing: scanners of mails come here.
func (s *Server) confirmPage(c *fiber.Ctx, _ *view) error {
	vis, o, err := s.enterConfirm(c)
	if err != nil {
		return err
	}
	if over, status := s.overConfirm(vis, o); over != nil {
		return vis.send(status, over)
	}
	m, err := s.drawConfirm(vis, o)
	if err != nil {
		return err
	}
	return vis.send(fasthttp.StatusOK, m)
}

func (s *Server) drawConfirm(vis *visit, o *optIn) (m *pages.Message, err error) {
	m = &pages.Message{Page: vis.switchable(vis.page("confirm.title")), Tone: pages.Plain, Button: pages.Button{Action: vis.here()}}
	m.Text, m.Note, m.Button.Label = m.T("confirm.text"), m.T("confirm.ignore"), m.T("confirm.button")
	if o.Form == "" {
		m.Title, m.Text = m.T("confirm.address_title"), m.T("confirm.address_text")
	}
	m.Purposes, err = s.agreed(vis, o)
	return m, err
}

// overConfirm is the page of a request that cannot be confirmed any more; nil: it can.
func (s *Server) overConfirm(vis *visit, o *optIn) (*pages.Message, int) {
	m := &pages.Message{Page: vis.page("confirm.again_title"), Tone: pages.Good}
	switch {
	case o.Used != 0:
		m.Text = m.T("confirm.again")
		return m, fasthttp.StatusOK
	case s.opt.Ledger.Now() >= o.Expires:
		m.Tone, m.Title, m.Text = pages.Bad, m.T("confirm.expired_title"), m.T("confirm.expired")
		if vis.v.current(consent.SurfaceForm(o.Form), vis.locale) != nil {
			m.Link = consent.Link{Href: s.prefix + "/f/" + o.Site + "/" + o.Form + "?lang=" + vis.locale, Text: m.T("confirm.sign_up_again")}
		}
		return m, fasthttp.StatusGone
	}
	return nil, 0
}

// agreed lists what confirming will agree to, in the words of the form.
func (s *Server) agreed(vis *visit, o *optIn) ([]consent.ShownPurpose, error) {
	if o.Form == "" {
		return s.moving(vis, o)
	}
	h, err := consent.ParseHash(o.Wording)
	if err != nil {
		return nil, nil // a program asked, without naming a text
	}
	doc, err := s.wordingDoc(vis.v, h)
	if err != nil {
		return nil, err
	}
	w, err := consent.ParseWording(doc)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(w.Purposes, func(p consent.ShownPurpose) bool {
		return !slices.Contains(o.Decisions, consent.Choice{Purpose: p.ID, Granted: true})
	}), nil
}

// confirm takes the button. The first time it writes a proof of its own, which follows the request and is verified;
// a second time it says kindly that there is nothing left to do.
func (s *Server) confirm(c *fiber.Ctx, _ *view) error {
	vis, o, err := s.enterConfirm(c)
	if err != nil {
		return err
	}
	if over, status := s.overConfirm(vis, o); over != nil {
		return vis.send(status, over)
	}
	used := *o
	used.Used, used.Sealed = s.opt.Ledger.Now(), nil
	note, err := used.note(c.Params("token"))
	if err != nil {
		return err
	}
	key, err := consent.ParseSubjectKey(o.Key)
	if err != nil {
		return fmt.Errorf("reading a request to confirm: %w", err)
	}
	m := &pages.Message{Page: vis.page("confirm.done_title"), Tone: pages.Good}
	if o.Form == "" {
		m.Text = m.T("confirm.address_done")
		err = s.move(vis, o, key, note)
	} else {
		m.Text = m.T("confirm.done")
		err = s.confirmForm(vis, o, key, note)
	}
	if err != nil {
		return err
	}
	m.Link = consent.Link{Href: s.centreOf(vis, o.Kind, key, o.Sealed), Text: m.T("unsubscribe.centre")}
	return vis.send(fasthttp.StatusOK, m)
}

func (s *Server) confirmForm(vis *visit, o *optIn, key consent.SubjectKey, note ledger.Note) error {
	wording, _ := consent.ParseHash(o.Wording) // none: a program asked, without naming a text
	_, err := s.perform(vis, deed{id: o.Confirm, surface: consent.SurfaceForm(o.Form), method: consent.MethodConfirm, locale: o.Locale, wording: wording,
		decisions: o.Decisions, grade: consent.GradeVerified, follows: o.Request, kind: o.Kind, key: key, sealed: o.Sealed, page: o.Page}, note)
	return err
}

// centreOf makes a short-lived address of the preference centre, for who has just shown that the subject is theirs.
func (s *Server) centreOf(vis *visit, kind consent.Kind, key consent.SubjectKey, sealed []byte) string {
	t := &link.Token{Kind: link.Centre, Site: vis.v.site.ID, Subject: key, SubjectKind: kind, Expires: s.opt.Ledger.Now() + millis(time.Hour)}
	if len(sealed) > 0 {
		if plain, err := s.opt.Seal.Open(vis.v.site.ID, kind, sealed); err == nil {
			t.Identifier = plain
		}
	}
	return s.prefix + "/p/" + s.opt.Links.Seal(t) + "?lang=" + vis.locale
}

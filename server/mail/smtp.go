package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// courier brings messages to where they go, one at a time. It is used by one goroutine.
type courier interface {
	// deliver calls begin before the mail is the other side's, which it must not become when begin fails.
	deliver(ctx context.Context, m *message, begin func(context.Context) *failure) *failure
	rest() // nothing to do for a while, or for good
}

// postman speaks SMTP. Its connection is opened for the first message and kept for those that follow.
type postman struct {
	address *address
	opt     *Options
	line    *line // nil: none is open
}

func (p *postman) deliver(ctx context.Context, m *message, begin func(context.Context) *failure) *failure {
	used := p.line != nil
	f := p.tryOnce(ctx, m, begin)
	// A server may close a connection that rested, or had its number of mails: that is not a failure of either.
	if used && f != nil && f.stale && ctx.Err() == nil {
		f = p.tryOnce(ctx, m, begin)
	}
	return f
}

func (p *postman) tryOnce(ctx context.Context, m *message, begin func(context.Context) *failure) *failure {
	if p.line == nil {
		l, err := dial(ctx, p.address, p.opt)
		if err != nil {
			return &failure{why: ReasonServer, server: true, unheard: true, err: err}
		}
		p.line = l
	}
	f := p.line.send(ctx, m, func() *failure { return begin(ctx) })
	if p.line.broken {
		p.line.conn.Close()
		p.line = nil
	}
	return f
}

func (p *postman) rest() {
	if p.line == nil {
		return
	}
	if p.line.smtp.UpdateDeadline(min(p.opt.Timeout, goodbye)) == nil {
		p.line.smtp.Quit() // whatever it answers, the connection ends
	}
	p.line.conn.Close()
	p.line = nil
}

// goodbye is how long QUIT may take.
const goodbye = 5 * time.Second

// line is an open connection, ready for a mail.
type line struct {
	smtp    *smtp.Client
	conn    net.Conn
	timeout time.Duration
	broken  bool // not to be used again
}

// authentications are those offered, best first. A password is never sent in the clear except to this machine
// (PLAIN and LOGIN refuse to).
var authentications = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5, gomail.SMTPAuthSCRAMSHA1}

// dial connects, encrypts and says who we are, within one timeout.
func dial(ctx context.Context, a *address, o *Options) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var conn net.Conn
	stop := func() bool { return true }
	config := &tls.Config{ServerName: a.host, MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
	options := []gomail.Option{gomail.WithPort(a.port), gomail.WithTimeout(o.Timeout), gomail.WithHELO(o.Hello), gomail.WithTLSConfig(config),
		gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithDialContextFunc(func(dialing context.Context, network, _ string) (_ net.Conn, err error) {
			// The address go-mail gives is host and port glued together, which IPv6 is not written as.
			if conn, err = connect(dialing, network, a.hostPort(), a.implicit, config); err == nil {
				stop = context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		})}
	if a.starttls {
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if a.user != "" {
		options = append(options, gomail.WithUsername(a.user), gomail.WithPassword(a.password), gomail.WithOpportunisticSMTPAuth(authentications...))
	}
	client, err := gomail.NewClient(a.host, options...) // one for each connection: its authentication is not safe to share
	if err != nil {
		return nil, err
	}
	c, err := client.DialToSMTPClientWithContext(ctx)
	stop()
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	return &line{smtp: c, conn: conn, timeout: o.Timeout}, nil
}

func connect(ctx context.Context, network, to string, encrypt bool, config *tls.Config) (net.Conn, error) {
	if encrypt {
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, to)
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// lastAnswer times the timeout is what the answer to a whole mail may take.
const lastAnswer = 10

// send hands over one mail. ctx ends it by closing the connection.
func (l *line) send(ctx context.Context, m *message, begin func() *failure) *failure {
	defer context.AfterFunc(ctx, func() { l.conn.Close() })()
	if offered, _ := l.smtp.Extension("SMTPUTF8"); m.utf8 && !offered {
		return &failure{why: ReasonUTF8, final: true}
	}
	l.smtp.SkipSMTPUTF8(!m.utf8) // asked for without need, a server further on may refuse the mail over it
	if err := l.say(1, func() error { return l.smtp.Mail("<" + m.from + ">") }); err != nil {
		return l.failed(err, toSender)
	}
	if err := l.say(1, func() error { return l.smtp.Rcpt("<" + m.to + ">") }); err != nil {
		return l.failed(err, toMail)
	}
	return l.data(m.raw, begin)
}

// data says the mail itself. The server has it once its end is said, a line with a dot, which is what Close does.
func (l *line) data(raw []byte, begin func() *failure) *failure {
	var w io.WriteCloser
	err := l.say(1, func() (err error) {
		if w, err = l.smtp.Data(); err == nil {
			_, err = w.Write(raw)
		}
		return err
	})
	if err != nil {
		return l.failed(err, toMail)
	}
	if f := begin(); f != nil {
		l.broken = true // there is no other way to take back half a mail
		return f
	}
	if err = l.say(lastAnswer, w.Close); err == nil {
		return nil
	}
	f := l.failed(err, toMail)
	if f.said == "" {
		return &failure{why: ReasonUnsure, server: true, unsure: true, err: err}
	}
	return f
}

// say gives a command its time.
func (l *line) say(times time.Duration, command func() error) error {
	if err := l.smtp.UpdateDeadline(times * l.timeout); err != nil {
		return err
	}
	return command()
}

// What a refusal is about: the sender's refusal says nothing about this mail, and the operator can mend it.
const (
	toSender = iota
	toMail
)

// codeClosing is the answer of a server that ends the connection (RFC 5321 §3.8).
const codeClosing = 421

// failed says what an error of a command means, and readies the connection for another mail if it can have one.
func (l *line) failed(err error, about int) *failure {
	var answer *textproto.Error
	if !errors.As(err, &answer) {
		l.broken = true
		if garbage := textproto.ProtocolError(""); errors.As(err, &garbage) { // it quotes the line, which may quote the address
			err = errors.New("the server answers something that is not SMTP")
		}
		return &failure{why: ReasonServer, server: true, stale: about == toSender, err: err}
	}
	f := &failure{why: ReasonLater, said: said(answer)}
	switch {
	case answer.Code == codeClosing:
		l.broken, f.server, f.stale, f.err = true, true, about == toSender, errors.New("the server answers "+f.said)
		return f
	case about == toSender:
		f.why = ReasonSender
	case answer.Code/100 == 5:
		f.blame = blameOf(answer)
		f.why, f.final = ReasonPolicy, false
		if f.blame == theirs {
			f.why, f.final = ReasonRefused, true
		}
	}
	if l.say(1, l.smtp.Reset) != nil {
		l.broken = true
	}
	return f
}

// enhanced finds an enhanced status code (RFC 3463): in front (RFC 2034), or as qmail writes it, (#5.7.1).
var enhanced = regexp.MustCompile(`^([245]\.\d{1,3}\.\d{1,3})\b|\(#([245]\.\d{1,3}\.\d{1,3})\)`)

func enhancedOf(answer *textproto.Error) string {
	m := enhanced.FindStringSubmatch(answer.Msg)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// said gives the codes of an answer. Its text may quote the address.
func said(answer *textproto.Error) string {
	s := strconv.Itoa(answer.Code)
	if code := enhancedOf(answer); code != "" {
		s += " " + code
	}
	return s
}

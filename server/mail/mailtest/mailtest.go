// Package mailtest runs a real SMTP server for tests, and reads what it received.
//
// It guarantees that what a test sees went over a socket, through SMTP and (where asked for) TLS and authentication,
// and was parsed with net/mail and mime: there is no shortcut in it. It is imported by tests only.
//
// # Why emersion/go-smtp
//
// It is a server people run, strict about the protocol, and has hooks where a test wants to refuse.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/consentd/consentd/storage/storagetest"
)

// Options of Start; the zero Options take every mail, unencrypted.
type Options struct {
	TLS            bool // from the first byte
	STARTTLS       bool // offered; nothing is taken before it
	User, Password string
	UTF8           bool // SMTPUTF8 is offered
	IPv6           bool // it listens on ::1 rather than 127.0.0.1

	// Answer decides on each command: "MAIL" with the sender, "RCPT" with the recipient, "DATA" with the recipient
	// once the mail has been read, "TAKEN" with the recipient once it is kept, before the client hears of that. nil
	// takes everything; an *smtp.SMTPError is the answer. It may block.
	Answer func(command, address string) error
}

// Refusal is an answer: Refusal(550, 5, 1, 1); with -1, -1, -1 it has no enhanced code.
func Refusal(code, a, b, c int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{a, b, c}, Message: "the test does not want this"}
}

// Server is a running SMTP server.
type Server struct {
	Addr  string         // host:port on loopback
	Roots *x509.CertPool // that vouch for it; nil without TLS
	opt   Options
	smtp  *smtp.Server

	mu    sync.Mutex // covers what follows
	mails []*Mail
	open  map[string]int // sessions by the address of the client: TLS begins another one on the same connection
	seen  map[string]bool
	most  int
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{opt: o, open: map[string]int{}, seen: map[string]bool{}}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		_, encrypted := c.TLSConnectionState()
		return s.session(encrypted, c), nil
	}))
	s.smtp.Domain, s.smtp.AllowInsecureAuth, s.smtp.EnableSMTPUTF8 = "mx.test", !o.STARTTLS, o.UTF8
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	host := "127.0.0.1"
	if o.IPv6 {
		host = "::1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = ln.Addr().String()
	if o.TLS || o.STARTTLS {
		var config *tls.Config
		config, s.Roots = certificate(t)
		if o.STARTTLS {
			s.smtp.TLSConfig = config
		} else {
			ln = tls.NewListener(ln, config)
		}
	}
	go s.smtp.Serve(ln)
	t.Cleanup(func() { s.smtp.Close() })
	return s
}

// URL is where mails go, as in --smtp.
func (s *Server) URL() string {
	credentials := ""
	if s.opt.User != "" {
		credentials = s.opt.User + ":" + s.opt.Password + "@"
	}
	switch {
	case s.opt.TLS:
		return "smtps://" + credentials + s.Addr
	case s.opt.STARTTLS:
		return "smtp://" + credentials + s.Addr + "?tls=required"
	}
	return "smtp://" + credentials + s.Addr
}

// Mails gives what was taken so far, in order.
func (s *Server) Mails() []*Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Wait waits until n mails were taken, and gives them.
func (s *Server) Wait(t testing.TB, n int) []*Mail {
	t.Helper()
	storagetest.Dwindles(t, time.Minute, "mails arrive", func() int { return n - len(s.Mails()) })
	return s.Mails()
}

// Connections says how many connections said hello, and how many of them were open at once at most.
func (s *Server) Connections() (all, atOnce int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen), s.most
}

// session is one connection.
type session struct {
	s         *Server
	encrypted bool
	conn      *smtp.Conn
	user      string
	mail      Mail
}

func (s *Server) session(encrypted bool, c *smtp.Conn) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	client := c.Conn().RemoteAddr().String()
	s.open[client]++
	s.seen[client] = true
	s.most = max(s.most, len(s.open))
	return &session{s: s, encrypted: encrypted, conn: c}
}

func (c *session) AuthMechanisms() []string {
	if c.s.opt.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (c *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != c.s.opt.User || password != c.s.opt.Password {
			return smtp.ErrAuthFailed
		}
		c.user = user
		return nil
	}), nil
}

func (c *session) answer(command, address string) error {
	if c.s.opt.Answer == nil {
		return nil
	}
	return c.s.opt.Answer(command, address)
}

func (c *session) Mail(from string, o *smtp.MailOptions) error {
	if c.s.opt.STARTTLS && !c.encrypted {
		return Refusal(530, 5, 7, 0)
	}
	if c.s.opt.User != "" && c.user == "" {
		return smtp.ErrAuthRequired
	}
	c.mail = Mail{From: from, UTF8: o.UTF8, TLS: c.encrypted, User: c.user, Hello: c.conn.Hostname()}
	return c.answer("MAIL", from)
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.mail.To = to
	return c.answer("RCPT", to)
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := c.answer("DATA", c.mail.To); err != nil {
		return err
	}
	m := c.mail
	m.Raw = raw
	c.s.mu.Lock()
	c.s.mails = append(c.s.mails, &m)
	c.s.mu.Unlock()
	return c.answer("TAKEN", m.To)
}

func (*session) Reset() {}

func (c *session) Logout() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	client := c.conn.Conn().RemoteAddr().String()
	if c.s.open[client]--; c.s.open[client] == 0 {
		delete(c.s.open, client)
	}
	return nil
}

// certificate makes one for this machine, signed by itself.
func certificate(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

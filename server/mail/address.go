package mail

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// address is where mails go.
type address struct {
	dir string // file: write them there

	host     string // smtp, smtps
	port     int
	implicit bool // TLS from the first byte
	starttls bool // TLS before anything is said
	user     string
	password string
}

// Ports of RFC 6409 (submission) and RFC 8314 (submissions).
const (
	portSubmission  = 587
	portSubmissions = 465
)

// parseAddress reads Options.Server. Its errors quote no part of it: all of it may be secret.
func parseAddress(s string) (address, error) {
	if s == "" {
		return address{}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return address{}, ErrServer // err quotes s
	}
	switch u.Scheme {
	case "file":
		return fileAddress(u)
	case "smtp", "smtps":
		return smtpAddress(u)
	}
	return address{}, ErrServer
}

func fileAddress(u *url.URL) (address, error) {
	if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" {
		return address{}, fmt.Errorf("%w; a directory is written file:///var/lib/consentd/mail", ErrServer)
	}
	return address{dir: filepath.Clean(u.Path)}, nil
}

func smtpAddress(u *url.URL) (address, error) {
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return address{}, ErrServer // err quotes the host
	}
	a := address{host: host, port: portSubmission, implicit: u.Scheme == "smtps"}
	if a.implicit {
		a.port = portSubmissions
	}
	if a.host == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return address{}, ErrServer
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return address{}, fmt.Errorf("%w; its port is a number up to 65535", ErrServer)
		}
		a.port = int(n)
	}
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
		if a.user == "" || a.password == "" {
			return address{}, fmt.Errorf("%w; a user comes with a password, special characters written as in user%%40example.com", ErrServer)
		}
	}
	return a, a.readTLS(u.Query())
}

// asciiHost is the name as it is looked up and stands in certificates (IDNA).
func asciiHost(host string) (string, error) {
	if ascii(host) {
		return host, nil
	}
	return idna.Lookup.ToASCII(host)
}

// readTLS decides on encryption: always, except to this machine or when told off.
func (a *address) readTLS(query url.Values) error {
	for key := range query {
		if key != "tls" {
			return fmt.Errorf("%w; after the question mark only tls=off or tls=required may stand", ErrServer)
		}
	}
	local := loopback(a.host)
	switch wish := query.Get("tls"); {
	case wish == "off" && a.implicit:
		return fmt.Errorf("%w; smtps:// is TLS: use smtp:// with tls=off", ErrServer)
	case wish == "off" && a.user != "" && !local:
		return fmt.Errorf("%w; with tls=off the password would travel in the clear", ErrServer)
	case wish == "off", wish == "" && local:
	case wish == "required", wish == "":
		a.starttls = !a.implicit
	default:
		return fmt.Errorf("%w; tls is off or required", ErrServer)
	}
	return nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (a *address) hostPort() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

func (a *address) scheme() string {
	if a.implicit {
		return "smtps"
	}
	return "smtp"
}

package server

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/consentd/consentd/server/site"
)

// ErrPublicURL means that links cannot begin with the address given.
var ErrPublicURL = errors.New("server: PublicURL is http(s)://host[:port], with a path or without, and no slash at the end")

// PublicURL reads the address people reach this server at, and writes its host as browsers, mail servers and
// certificates do: in lower case, in ASCII (a Unicode name means its ASCII form), an IPv6 address in brackets, without
// the port its scheme has anyway. Everything that compares or repeats the address starts from this form.
func PublicURL(public string) (*url.URL, error) {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.HasSuffix(public, "/") || strings.ContainsAny(public, "\"<>\\ ") {
		return nil, fmt.Errorf("%w: %.100q", ErrPublicURL, public)
	}
	if u.Host, err = asciiHostPort(u); err != nil {
		return nil, fmt.Errorf("%w: %.100q", ErrPublicURL, public)
	}
	return u, nil
}

// asciiHostPort is the host of u, and its port unless it is the scheme's own.
func asciiHostPort(u *url.URL) (string, error) {
	host, err := site.ASCIIHost(u.Hostname())
	if err != nil {
		return "", err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		host += ":" + port
	}
	return host, nil
}

// splitURL gives what a browser says as Origin on a page of this server (RFC 6454 §6.2), and the path in front of
// every route, where a proxy has put one there.
func splitURL(public *url.URL) (origin, prefix string) {
	return public.Scheme + "://" + public.Host, public.EscapedPath()
}

package site

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

var (
	errOrigin  = errors.New("is no origin; write scheme://host or scheme://host:port, with nothing behind it")
	errTooWide = errors.New("would let strangers' sites in")
)

// origins answers which origins may post.
type origins struct {
	exact map[string]struct{}
	wild  []wildcard
}

// wildcard stands for every subdomain: prefix "https://", suffix ".shop.example:8443".
type wildcard struct{ prefix, suffix string }

func newOrigins(list []string) origins {
	o := origins{exact: make(map[string]struct{}, len(list))}
	for _, s := range normalOrigins(list) {
		if scheme, rest, ok := strings.Cut(s, "://*."); ok {
			o.wild = append(o.wild, wildcard{scheme + "://", "." + rest})
			continue
		}
		o.exact[s] = struct{}{}
	}
	return o
}

func (o *origins) allow(origin string) bool {
	if _, ok := o.exact[origin]; ok {
		return true
	}
	for i := range o.wild {
		if o.wild[i].match(origin) {
			return true
		}
	}
	return false
}

func (w *wildcard) match(origin string) bool {
	if len(origin) <= len(w.prefix)+len(w.suffix) || !strings.HasPrefix(origin, w.prefix) || !strings.HasSuffix(origin, w.suffix) {
		return false
	}
	sub := origin[len(w.prefix) : len(origin)-len(w.suffix)]
	for i := range len(sub) {
		if c := sub[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// normalOrigins writes origins as browsers send them, each once. Those that are none are left out.
func normalOrigins(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if o, err := parseOrigin(s); err == nil && !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// parseOrigin reads an origin and writes it as a browser's Origin header does (RFC 6454 §6.1): lower case, the
// host in ASCII, no default port.
func parseOrigin(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery ||
		u.Fragment != "" || strings.HasSuffix(s, "#") {
		return "", errOrigin
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("%w; the scheme is https", errOrigin)
	}
	host, wild := strings.CutPrefix(u.Hostname(), "*.")
	host, err = parseHost(host, wild)
	if err != nil {
		return "", err
	}
	if wild {
		host = "*." + host
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || strings.HasPrefix(port, "0") {
		return "", errOrigin
	}
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return u.Scheme + "://" + bracketed(host), nil
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port), nil
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// ASCIIHost writes a host as it goes over the network and stands in addresses: a name beyond ASCII in its ASCII form
// (IDNA), in lower case; an address as it is, without brackets.
func ASCIIHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), nil
	}
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return strings.ToLower(host), nil
	}
	return idna.Lookup.ToASCII(host)
}

// parseHost gives the ASCII form of a host: a name or, without a wildcard, an address.
func parseHost(host string, wild bool) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if wild || ip.Zone() != "" {
			return "", errOrigin
		}
		return ip.String(), nil
	}
	if strings.Contains(host, "*") {
		return "", fmt.Errorf("%w; * stands in front alone, as in https://*.shop.example", errOrigin)
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil || ascii == "" || strings.HasSuffix(ascii, ".") || len(ascii) > 253 || strings.ContainsAny(ascii, "%:/@ ") {
		return "", errOrigin
	}
	if suffix, _ := publicsuffix.PublicSuffix(ascii); wild && suffix == ascii && ascii != "localhost" {
		return "", fmt.Errorf("%w: anyone can have a name under %s; name your own domain", errTooWide, ascii)
	}
	return ascii, nil
}

// local reports whether a normal origin is this machine: there http is as good as https.
func local(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

package main

import (
	"net"
	"strings"
	"testing"
)

// TestTheNameSaidToMailServersIsASCII, like the links in mails.
func TestTheNameSaidToMailServersIsASCII(t *testing.T) {
	n := &node{flags: &nodeFlags{PublicURL: "https://Zustimmung.Bücher.example/choix/"}}
	base, err := n.publicURL()
	if err != nil || base != "https://zustimmung.xn--bcher-kva.example/choix" || helloName(base) != "zustimmung.xn--bcher-kva.example" {
		t.Errorf("%s %s %v", base, helloName(base), err)
	}
}

// TestTheBoundsOfTheDoorsAreOptions: they are taken, and nonsense is refused before anything is served.
func TestTheBoundsOfTheDoorsAreOptions(t *testing.T) {
	args := func(more ...string) []string {
		return append([]string{"serve", "--data", t.TempDir(), "--sites", siteFile(t, origin), "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0",
			"--clickhouse", "clickhouse://127.0.0.1:1/x"}, more...)
	}
	for _, wrong := range [][]string{{"--memory", "1"}, {"--memory", "9999999999"}, {"--idle-timeout", "-1s"}} {
		if _, _, err := command(args(wrong...)...); err == nil || !strings.Contains(err.Error(), wrong[0]) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	p := start(t, args("--memory", "64", "--idle-timeout", "90s")...)
	edge := p.says(t, `url=(\S+)`)
	var held []net.Conn
	for range 64 << 20 / 2 / (96 << 10) { // as many as half of it holds
		c, err := net.Dial("tcp", strings.TrimPrefix(edge, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	eventually(t, "one too many is turned away", func() (bool, string) {
		c, err := net.Dial("tcp", held[0].RemoteAddr().String())
		if err != nil {
			return false, err.Error()
		}
		held = append(held, c)
		_, body := get(t, p.says(t, `admin=(\S+)`)+"/metrics", "")
		return strings.Contains(body, "consentd_http_connections_refused_total ") && !strings.Contains(body, "consentd_http_connections_refused_total 0\n"), "no connection refused"
	})
	for _, c := range held {
		c.Close()
	}
}

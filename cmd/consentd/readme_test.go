package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// blocks gives the code blocks of README.md in one language.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	doc, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(doc) > 14<<10 {
		t.Errorf("README.md has %d bytes; it is read when it is short", len(doc))
	}
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		all = append(all, m[1])
	}
	return all
}

// TestMakeRunDoesWhatTheReadmeSays types the first command of the README, on ports of its own, and asks what it
// prints.
func TestMakeRunDoesWhatTheReadmeSays(t *testing.T) {
	first := blocks(t, "sh")[0]
	if !contains(first, "make run ", "make test ") {
		t.Fatalf("the first block of the README:\n%s", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "make", "run")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CONSENTD_DATA="+t.TempDir(), "CONSENTD_ADDR=127.0.0.1:0", "CONSENTD_SHOP=127.0.0.1:0", "CONSENTD_ADMIN=127.0.0.1:0", "MAKEFLAGS=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	token := regexp.MustCompile(`TOKEN=(\S+)`).FindStringSubmatch(said.String())
	if token == nil {
		t.Fatalf("make run printed no token:\n%s", said.String())
	}
	asked := 0
	for line := range strings.Lines(said.String()) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			asked++
			eventually(t, line, func() (bool, string) { // the warehouse may still be making its tables
				code, body := curl(t, line, "", token[1])
				return code == 200, fmt.Sprint(code, body)
			})
		}
	}
	if asked < 2 {
		t.Errorf("%d requests to copy in\n%s", asked, said.String())
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	io.Copy(io.Discard, out)
	cmd.Wait() // make reports the signal as a failure
}

// TestReadmeLookups runs the site file and the requests of the README against a server.
func TestReadmeLookups(t *testing.T) {
	data, sites := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(sites, "shop.yaml"), []byte(blocks(t, "yaml")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, err := command("check", sites); err != nil {
		t.Fatalf("%s%s%v", out, errs, err)
	}
	_, edge := serve(t, data, sites)
	block := strings.ReplaceAll(blocks(t, "sh")[1], "\\\n", " ")
	token, asked := "", 0
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if issue, ok := strings.CutPrefix(line, "TOKEN=$(consentd "); ok {
			out, errs, err := command(append(shellWords(strings.TrimSuffix(issue, ")")), "--data", data)...)
			if err != nil {
				t.Fatalf("%s: %s%v", line, errs, err)
			}
			token = strings.TrimSpace(out)
		}
		if strings.HasPrefix(line, "curl ") {
			asked++
			eventually(t, line, func() (bool, string) {
				code, body := curl(t, line, edge, token)
				return code == 200, fmt.Sprint(code, body)
			})
		}
	}
	if asked != 3 {
		t.Errorf("%d requests in\n%s", asked, block)
	}
}

// curl does what a curl command of the README or the demo says: a fresh machine need not have curl. edge, when
// given, takes the place of the address in it.
func curl(t *testing.T, line, edge, token string) (int, string) {
	t.Helper()
	var url, body string
	header := http.Header{}
	args := shellWords(strings.ReplaceAll(line, "$TOKEN", token))
	for i := 1; i < len(args); i++ {
		switch a := args[i]; a {
		case "-s":
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			body = args[i]
		default:
			url = a
		}
	}
	if edge != "" {
		url = strings.Replace(url, "http://127.0.0.1:8080", edge, 1)
	}
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// shellWords splits as a shell does, with ' and " but without escapes.
func shellWords(line string) (all []string) {
	for _, m := range regexp.MustCompile(`(?:[^\s"']|"[^"]*"|'[^']*')+`).FindAllString(line, -1) {
		all = append(all, regexp.MustCompile(`"([^"]*)"|'([^']*)'`).ReplaceAllString(m, "$1$2"))
	}
	return all
}

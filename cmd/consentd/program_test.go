package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/storagetest"
)

// kit is the ClickHouse that tests of an external one share.
var kit *storagetest.Kit

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Setenv("CONSENTD_SNAPSHOTS", "off") // the one test that wants pictures asks for them
	storagetest.Main(m, func(k *storagetest.Kit) { kit = k })
}

// program is a consentd that runs in this process.
type program struct {
	out, err storagetest.Log
	stop     context.CancelFunc
	ended    chan error
}

// start runs consentd with args until the test ends or stop is called.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p := &program{stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- run(ctx, args, &p.out, &p.err) }()
	t.Cleanup(func() { p.end(t) })
	return p
}

// end stops the program and fails the test when it did not end well.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	select {
	case err := <-p.ended:
		p.ended <- nil
		if err != nil {
			t.Errorf("the program ended with: %v\n%s", err, p.err.String())
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("the program does not stop\n%s", p.err.String())
	}
}

// says waits until the program has printed what pattern matches, and gives the first group.
func (p *program) says(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	said := ""
	eventually(t, "the program says "+pattern, func() (bool, string) {
		all := p.out.String() + p.err.String()
		if m := re.FindStringSubmatch(all); m != nil {
			said = m[len(m)-1]
			return true, all
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			t.Fatalf("the program ended before it said %s: %v", pattern, err)
		default:
		}
		return false, all
	})
	return said
}

// asProgram has this test binary be consentd: a test that sends signals needs a process of its own.
const asProgram = "CONSENTD_TEST_AS_PROGRAM"

// command runs consentd once and gives both streams.
func command(args ...string) (out, errs string, err error) {
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // thirty pictures are among them
	defer cancel()
	err = run(ctx, args, &o, &e)
	return o.String(), e.String(), err
}

// eventually asks until ok, or fails with what was said last.
func eventually(t *testing.T, what string, ok func() (done bool, said string)) {
	t.Helper()
	var said string
	defer func() {
		if t.Failed() {
			t.Logf("last: %s", said)
		}
	}()
	storagetest.Eventually(t, 5*time.Minute, what, func() (done bool) {
		done, said = ok()
		return done
	})
}

// siteFile writes a site with one origin and gives the directory.
func siteFile(t *testing.T, origin string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	doc := fmt.Sprintf(`site: demo
name: Test
origins: [%s]
controller: {name: Test SAS, contact: dpo@test.example}
locales: [fr]
policy: {fr: https://test.example/privacy}
purposes:
  - id: analytics
    basis: consent
    title: {fr: Mesure d’audience}
    text: {fr: Compter les visites.}
`, origin)
	if err := os.WriteFile(filepath.Join(dir, "demo.yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func contains(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// at is a server that gives profiles on a test server's address.
func at(s *httptest.Server) target {
	return target{name: "a server", admin: netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))}
}

func TestAProfileOfEveryMeasuredRunIsMerged(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	admin := httptest.NewServer(mux)
	defer admin.Close()
	b := &bench{profile: filepath.Join(t.TempDir(), "p.pgo"), length: time.Second}
	for _, to := range []target{at(admin), {name: "bare: gives none"}, at(admin)} {
		if err := b.profiling(t.Context(), to)(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.writeProfile(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(b.profile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(p.DurationNanos); took < 2*time.Second {
		t.Errorf("two profiles of a second are one of %v", took)
	}
	for _, m := range p.Mapping {
		if m.File != "consentd" {
			t.Errorf("the profile names a file of this machine: %s", m.File)
		}
	}
}

func TestAServerWithoutProfilesIsNamed(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	b := &bench{profile: "never written", length: time.Second}
	if err := b.profiling(t.Context(), at(refusing))(); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v", err)
	}
}

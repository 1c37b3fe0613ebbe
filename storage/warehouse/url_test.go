package warehouse

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseURL(t *testing.T) {
	type want struct {
		addrs                []string
		user, password, base string
		tls                  bool
	}
	for name, c := range map[string]struct {
		url  string
		want want
	}{
		"a host alone":                    {"clickhouse://ch", want{[]string{"ch:9000"}, "default", "", "default", false}},
		"everything":                      {"clickhouse://u:p%40ss@ch:9001/db_1", want{[]string{"ch:9001"}, "u", "p@ss", "db_1", false}},
		"TLS moves the default port":      {"clickhouse://u@ch/db?secure=true", want{[]string{"ch:9440"}, "u", "", "db", true}},
		"several addresses keep order":    {"clickhouse://u:p@b,a:9001,[::1]:9002/db", want{[]string{"b:9000", "a:9001", "[::1]:9002"}, "u", "p", "db", false}},
		"a password with an at sign":      {"clickhouse://u:a%2Fb@ch/db", want{[]string{"ch:9000"}, "u", "a/b", "db", false}},
		"secure=false is plain":           {"clickhouse://ch?secure=false", want{[]string{"ch:9000"}, "default", "", "default", false}},
		"skip_verify with TLS is allowed": {"clickhouse://ch?secure=true&skip_verify=true", want{[]string{"ch:9440"}, "default", "", "default", true}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseURL(c.url)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, want{got.Addrs, got.User, got.Password, got.Database, got.TLS != nil}, cmp.AllowUnexported(want{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseURLSaysWhatIsWrongWithoutThePassword(t *testing.T) {
	for name, c := range map[string]struct{ url, says string }{
		"another scheme":             {"http://u:s3cret@ch:8123/db", "clickhouse://"},
		"no scheme":                  {"ch:9000", "clickhouse://"},
		"no host":                    {"clickhouse://u:s3cret@/db", "no host"},
		"a port out of range":        {"clickhouse://u:s3cret@ch:99999/db", "99999"},
		"a port of letters":          {"clickhouse://u:s3cret@ch:nine/db", "ch:nine"},
		"port zero":                  {"clickhouse://u:s3cret@ch:0/db", "port"},
		"an unknown parameter":       {"clickhouse://u:s3cret@ch/db?secur=true", `"secur"`},
		"a parameter of no truth":    {"clickhouse://u:s3cret@ch/db?secure=perhaps", "secure is true or false"},
		"SQL in the cluster":         {"clickhouse://u:s3cret@ch/db?cluster=a'b", "cluster"},
		"an empty cluster":           {"clickhouse://u:s3cret@ch/db?cluster=", "cluster"},
		"skip_verify without TLS":    {"clickhouse://u:s3cret@ch/db?skip_verify=1", "need secure=true"},
		"a database to be quoted":    {"clickhouse://u:s3cret@ch/a%20b", "database"},
		"a database with a slash":    {"clickhouse://u:s3cret@ch/a/b", "database"},
		"SQL in the database":        {"clickhouse://u:s3cret@ch/a;DROP", "database"},
		"bad escapes in the user":    {"clickhouse://u:s3cret%zz@ch/db", "percent-encoded"},
		"a hash mark in a password":  {"clickhouse://u:s3cret#x@ch/db", "write %23"},
		"one bad address of several": {"clickhouse://u:s3cret@a,,b/db", "no host"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseURL(c.url)
			if !errors.Is(err, ErrURL) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("clickhouse://u:p@h:9000,[::1]:1/db?secure=true&skip_verify=1#x")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseURL(s)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if len(got.Addrs) == 0 || got.User == "" || !databaseName.MatchString(got.Database) {
			t.Fatalf("%q gave %+v", s, got)
		}
	})
}

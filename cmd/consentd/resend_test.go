package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestALostEngineDirectoryFillsAgainByItself, and what is asked meanwhile says that it is incomplete.
func TestALostEngineDirectoryFillsAgainByItself(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := serve(t, data, sites)
	token := tokenFor(t, data)
	for i := range 200 {
		if code, body := choose(t, edge, token, fmt.Sprint("c", i)); code != 201 {
			t.Fatal(code, body)
		}
	}
	wantRows(t, data, nil, "SELECT count() FROM consents", "200")
	p.end(t)
	if err := os.RemoveAll(filepath.Join(data, "engine")); err != nil {
		t.Fatal(err)
	}
	p, edge = serve(t, data, sites)
	eventually(t, "rates count everything again", func() (bool, string) {
		code, body := get(t, edge+"/v1/sites/demo/rates?by=", token)
		whole := contains(body, `"granted":200,`)
		if code == 200 && !whole && !contains(body, `"incomplete":{"reason":"`) {
			t.Fatalf("an answer that lacks rows looks complete: %s", body)
		}
		return code == 200 && whole && !contains(body, "incomplete"), body
	})
	wantRows(t, data, nil, "SELECT count(), countIf(erased), uniqExact(id) FROM consents", "200\t0\t200")
	if !contains(p.err.String(), "has lost rows it had confirmed") {
		t.Errorf("nothing is said of it:\n%s", p.err.String())
	}
	eventually(t, "all is well", func() (bool, string) {
		_, body := get(t, edge+"/readyz", "")
		return contains(body, `"name":"rows","essential":false,"ok":true`, `"name":"clock","essential":false,"ok":true`, `"name":"drain","essential":false,"ok":true`), body
	})

	admin := strings.TrimPrefix(p.says(t, `admin=(\S+)`), "http://")
	for name, c := range map[string]struct {
		args []string
		out  string
	}{
		"only what is missing": {nil, "ClickHouse holds everything it was sent\n"},
		"from a seq on": {[]string{"--stream", "proofs", "--from", "150"},
			"proofs    50 of 50 sent again\nClickHouse holds everything it was sent\n"},
		"everything": {[]string{"--stream", "proofs", "--all"}, "proofs    200 of 200 sent again\nClickHouse holds everything it was sent\n"},
	} {
		out, errs, err := command(append([]string{"resend", "--data", data, "--admin", admin}, c.args...)...)
		if err != nil || out != c.out {
			t.Errorf("%s: %q %s %v", name, out, errs, err)
		}
	}
	if _, _, err := command("resend", "--data", data, "--admin", admin, "--from", "x"); err == nil || !strings.Contains(err.Error(), `--from "x"`) {
		t.Error(err)
	}
	wantRows(t, data, nil, "SELECT count(), uniqExact(id) FROM consents", "200\t200")
	p.end(t)
}

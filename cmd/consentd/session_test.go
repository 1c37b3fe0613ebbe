package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestACopyOfARunningDirectoryRecordsNothing: what it recorded would have the places of what its original records. The
// original goes on, and may be killed and started again without waiting for itself.
func TestACopyOfARunningDirectoryRecordsNothing(t *testing.T) {
	url, sites := kit.Database(t), siteFile(t, origin)
	data, copied := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	args := []string{"--clickhouse", url}
	p, edge := executeServe(t, data, sites, args...)
	token := tokenFor(t, data)
	mustChoose(t, edge, token, "jean")
	copyData(t, data, copied)
	other, second := executeServe(t, copied, sites, args...)
	if code, body := choose(t, second, token, "anna"); code != 503 || !contains(body, "recording_suspended") {
		t.Errorf("the copy records: %d %s", code, body)
	}
	other.says(t, `(another process with a copy of this data directory is running)`)
	mustChoose(t, edge, token, "anna")
	other.signal(t, os.Interrupt)
	p.cmd.Process.Kill()
	<-p.exited
	began := time.Now()
	p, edge = executeServe(t, data, sites, args...)
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("it waited %v for a process of which its directory knows that it is gone", took)
	}
	mustChoose(t, edge, token, "marie")
	p.signal(t, os.Interrupt)
}

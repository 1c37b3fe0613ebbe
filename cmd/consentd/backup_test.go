package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/backup"
	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// say posts a decision with an id over the API.
func decide(t *testing.T, edge, token string, id uuid.UUID, external, method string, granted bool) (int, string) {
	t.Helper()
	return ask(t, edge+"/v1/sites/demo/consents", token,
		fmt.Sprintf(`{"id":%q,"subject":{"external":%q},"surface":"api","method":%q,"decisions":{"analytics":%t}}`, id, external, method, granted))
}

func wantStanding(t *testing.T, edge, token, external, want string) {
	t.Helper()
	if _, body := get(t, edge+"/v1/sites/demo/lookup?purpose=analytics&external="+external, token); !contains(body, `"status":"`+want+`"`) {
		t.Errorf("%s stands at %s, want %s", external, body, want)
	}
}

func mustBackup(t *testing.T, data string) (path string) {
	t.Helper()
	out, errs, err := command("backup", "--data", data)
	if err != nil {
		t.Fatalf("%s %v", errs, err)
	}
	return strings.TrimSpace(out)
}

func mustRestore(t *testing.T, args ...string) (out string) {
	t.Helper()
	out, errs, err := command(append([]string{"restore"}, args...)...)
	if err != nil {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	return out + errs
}

// rowsOf asks the embedded ClickHouse of a running server.
func rowsOf(t *testing.T, data, query string) string {
	t.Helper()
	out, errs, err := command("sql", "--data", data, "--format", "tsv", query)
	if err != nil {
		t.Fatalf("%s %v", errs, err)
	}
	_, rows, _ := strings.Cut(out, "\n")
	return strings.TrimSpace(rows)
}

// TestABackupUnderLoadComesBackWhole: taken while choices are recorded, restored into an empty directory, every count
// of the new server is that of its ledger, and everything acknowledged before the backup began is there.
func TestABackupUnderLoadComesBackWhole(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := serve(t, data, sites, "--keep-shipped", "1ms")
	token := tokenFor(t, data)
	for i := range 40 {
		mustChoose(t, edge, token, fmt.Sprint("before-", i))
	}
	var stop atomic.Bool
	var during atomic.Int64
	var load sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for i := 0; !stop.Load(); i++ {
				if code, _ := choose(t, edge, token, fmt.Sprintf("during-%d-%d", w, i)); code == 201 {
					during.Add(1)
				}
			}
		})
	}
	eventually(t, "load", func() (bool, string) { return during.Load() > 50, fmt.Sprint(during.Load()) })
	sure := during.Load()
	path := mustBackup(t, data)
	stop.Store(true)
	load.Wait()
	p.end(t)
	wantPrivate(t, path)
	if out, errs, err := command("backup", "--verify", path); err != nil || !contains(out, "whole") {
		t.Fatalf("%s %s %v", out, errs, err)
	}

	elsewhere := filepath.Join(t.TempDir(), "new")
	if said := mustRestore(t, "--data", elsewhere, path); !contains(said, "generation 2", "holds what was signed") {
		t.Errorf("restore says\n%s", said)
	}
	wantPrivate(t, elsewhere)
	_, edge = serve(t, elsewhere, sites)
	for i := range 40 {
		wantStanding(t, edge, token, fmt.Sprint("before-", i), "granted")
	}
	n := manifestOf(t, path)
	held := len(rowsHeld(t, edge, token, elsewhere))
	if int64(held) < 40+sure {
		t.Errorf("%d proofs are back, %d were acknowledged before the backup began", held, 40+sure)
	}
	if n > uint64(held) {
		t.Errorf("the manifest has %d, the restored ledger %d", n, held)
	}
}

// rowsHeld waits until ClickHouse has what the ledger of a server has, in each table, and gives the ids.
func rowsHeld(t *testing.T, edge, token, data string) (ids []string) {
	t.Helper()
	eventually(t, "refilled", func() (bool, string) {
		_, metrics := get(t, mustAdmin(t, data)+"/metrics", "")
		line := ""
		for _, l := range strings.Split(metrics, "\n") {
			if strings.HasPrefix(l, `consentd_ledger_entries{stream="proofs"}`) {
				line = strings.TrimSpace(strings.TrimPrefix(l, `consentd_ledger_entries{stream="proofs"}`))
			}
		}
		rows := rowsOf(t, data, "SELECT (SELECT uniqExact(id) FROM consent_facts), (SELECT uniqExact(recorded_at, edge, generation, seq) FROM consent_personal), (SELECT count() FROM consents)")
		return rows == line+"\t"+line+"\t"+line, "the ledger has " + line + ", ClickHouse " + rows
	})
	return strings.Split(rowsOf(t, data, "SELECT id FROM consents"), "\n")
}

func mustAdmin(t *testing.T, data string) string {
	t.Helper()
	r, err := findRunning(data, "")
	if err != nil {
		t.Fatal(err)
	}
	return r.Admin
}

func manifestOf(t *testing.T, path string) uint64 {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(path, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Next map[string]uint64 }
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	return m.Next[consent.StreamProofs.String()]
}

// wantPrivate: others can read nothing below a directory.
func wantPrivate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && d.Type()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatWasSaidAfterABackupStaysSaid: withdrawn after the backup, and in ClickHouse; restored, it stays withdrawn, a
// retry of the same id is answered as before, and everything is counted once.
func TestWhatWasSaidAfterABackupStaysSaid(t *testing.T) {
	data, sites := filepath.Join(t.TempDir(), "data"), siteFile(t, origin)
	p, edge := serve(t, data, sites)
	token := tokenFor(t, data)
	mustChoose(t, edge, token, "jean")
	mustChoose(t, edge, token, "anna")
	wantRows(t, data, nil, "SELECT count() FROM consents", "2")
	path := mustBackup(t, data)
	id := uuid.Must(uuid.NewV7())
	code, first := decide(t, edge, token, id, "jean", "withdraw", false)
	if code != 201 {
		t.Fatalf("%d %s", code, first)
	}
	mustChoose(t, edge, token, "later")
	wantRows(t, data, nil, "SELECT count() FROM consents", "4")
	p.end(t)

	if _, errs, err := command("restore", "--data", data, path); err == nil || !contains(err.Error(), "--replace") {
		t.Fatalf("over a directory that is there: %s %v", errs, err)
	}
	said := mustRestore(t, "--data", data, "--replace", path)
	if !contains(said, "2 proofs that are missing here", "generation 2") {
		t.Errorf("restore says\n%s", said)
	}
	p, edge = serve(t, data, sites)
	wantStanding(t, edge, token, "jean", "withdrawn")
	wantStanding(t, edge, token, "anna", "granted")
	wantStanding(t, edge, token, "later", "granted")
	if code, again := decide(t, edge, token, id, "jean", "withdraw", false); code != 200 || again != first {
		t.Errorf("a retry is answered %d %s; the first time it was %s", code, again, first)
	}
	mustChoose(t, edge, token, "new")
	wantStanding(t, edge, token, "jean", "withdrawn")
	wantRows(t, data, nil, "SELECT count(), uniqExact(id), max(generation) FROM consents", "5\t5\t2")
	eventually(t, "nothing is missing", func() (bool, string) {
		code, body := get(t, edge+"/readyz", "")
		return code == 200 && !contains(body, `"ok":false`), body
	})
	p.end(t)
}

// TestAnErasureIsNotUndoneByABackup: erased after the backup, restored; nothing of the person comes back.
func TestAnErasureIsNotUndoneByABackup(t *testing.T) {
	data, sites := filepath.Join(t.TempDir(), "data"), siteFile(t, origin)
	p, edge := serve(t, data, sites)
	token := tokenFor(t, data)
	mustChoose(t, edge, token, "jean")
	mustChoose(t, edge, token, "anna")
	wantRows(t, data, nil, "SELECT count() FROM consent_personal", "2")
	path := mustBackup(t, data)
	if out, errs, err := command("erase", "--data", data, "--site", "demo", "--external", "jean"); err != nil {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	p.end(t)
	said := mustRestore(t, "--data", data, "--replace", path)
	if !contains(said, "1 persons were in the backup and are erased again") {
		t.Errorf("restore says\n%s", said)
	}
	p, edge = serve(t, data, sites)
	wantStanding(t, edge, token, "jean", "unknown")
	wantStanding(t, edge, token, "anna", "granted")
	wantRows(t, data, nil, "SELECT uniqExact(seq), any(seq) FROM consent_personal", "1\t1")
	if code, body := send(t, edge+"/v1/sites/demo/history", token, `{"subject":{"external":"jean"}}`); code != 200 || contains(body, `"facts"`) {
		t.Errorf("history: %s", body)
	}
	mustChoose(t, edge, token, "jean") // a new beginning is not erased
	p.end(t)
	path = ""
	_, edge = serve(t, data, sites)
	wantStanding(t, edge, token, "jean", "granted")
}

// TestAnotherClickHouseIsAskedWhatTheBackupLacks: the data directory is lost, ClickHouse is not. What was said after the
// backup holds, who was erased after it stays erased, and a second restore of the same backup knows of the first.
func TestAnotherClickHouseIsAskedWhatTheBackupLacks(t *testing.T) {
	url, sites := kit.Database(t), siteFile(t, origin)
	data := filepath.Join(t.TempDir(), "data")
	p, edge := serve(t, data, sites, "--clickhouse", url)
	token := tokenFor(t, data)
	for _, who := range []string{"jean", "anna", "lea"} {
		mustChoose(t, edge, token, who)
	}
	args := []string{"--clickhouse", url}
	wantRows(t, data, args, "SELECT count() FROM consents", "3")
	path := mustBackup(t, data)
	if code, body := decide(t, edge, token, uuid.Must(uuid.NewV7()), "jean", "withdraw", false); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	if out, errs, err := command("erase", "--data", data, "--site", "demo", "--external", "lea"); err != nil {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	wantRows(t, data, args, "SELECT count() FROM consents", "4")
	p.end(t)

	second := filepath.Join(t.TempDir(), "second")
	if said := mustRestore(t, append(args, "--data", second, path)...); !contains(said, "generation 2", "1 proofs that are missing here") {
		t.Errorf("restore says\n%s", said)
	}
	p, edge = serve(t, second, sites, args...)
	wantStanding(t, edge, token, "jean", "withdrawn")
	wantStanding(t, edge, token, "lea", "unknown")
	mustChoose(t, edge, token, "in-two")
	wantRows(t, second, args, "SELECT count(), countIf(subject != '') FROM consents", "5\t4")
	p.end(t)

	third := filepath.Join(t.TempDir(), "third")
	if said := mustRestore(t, append(args, "--data", third, path)...); !contains(said, "generation 3", "2 proofs that are missing here") {
		t.Errorf("the second restore says\n%s", said)
	}
	p, edge = serve(t, third, sites, args...)
	for who, want := range map[string]string{"jean": "withdrawn", "lea": "unknown", "in-two": "granted", "anna": "granted"} {
		wantStanding(t, edge, token, who, want)
	}
	mustChoose(t, edge, token, "in-three")
	wantRows(t, third, args, "SELECT count(), countIf(subject != ''), max(generation) FROM consents", "6\t5\t3")
	p.end(t)
}

// TestBackupsAreTakenByItself: again and again, and only the newest stay.
func TestBackupsAreTakenByItself(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, _ := serve(t, data, sites, "--engine-lib", filepath.Join(data, "none"), "--backup-every", "100ms", "--backup-keep", "2")
	eventually(t, "four were made", func() (bool, string) {
		n := strings.Count(p.err.String(), "backup written")
		return n >= 4, fmt.Sprint(n)
	})
	p.end(t)
	kept, err := backup.List(filepath.Join(data, "backups"))
	if err != nil || len(kept) < 2 || len(kept) > 3 { // the end may have come before the last removal
		t.Errorf("kept %v, %v", kept, err)
	}
}

// TestASecondBackupIsRefusedWhileOneIsWritten.
func TestASecondBackupIsRefusedWhileOneIsWritten(t *testing.T) {
	data := t.TempDir()
	n := openNode(t, data, siteFile(t, origin), io.Discard)
	eventually(t, "it serves", func() (bool, string) {
		_, err := findRunning(data, "")
		return err == nil, fmt.Sprint(err)
	})
	n.backing.Lock()
	_, _, err := command("backup", "--data", data)
	n.backing.Unlock()
	if err == nil || !contains(err.Error(), "a backup is being written already") {
		t.Errorf("got %v", err)
	}
	mustBackup(t, data)
}

// TestALedgerThatIsGoneIsNotBegunAnew: keys and signed checkpoints are there, the ledger is not.
func TestALedgerThatIsGoneIsNotBegunAnew(t *testing.T) {
	data, sites := t.TempDir(), siteFile(t, origin)
	p, edge := withoutEngineAt(t, data, sites)
	mustChoose(t, edge, tokenFor(t, data), "jean")
	p.end(t)
	if err := os.RemoveAll(filepath.Join(data, "ledger")); err != nil {
		t.Fatal(err)
	}
	if said := startFails(t, data, sites); !contains(said, "consentd restore", "consentd repair") {
		t.Errorf("serve says: %s", said)
	}
}

// TestARestoreTriedAgainWithinTheSecondHasRoom, whatever the attempt before it has left.
func TestARestoreTriedAgainWithinTheSecondHasRoom(t *testing.T) {
	data, now := filepath.Join(t.TempDir(), "data"), time.Date(2026, 12, 1, 3, 30, 7, 5, time.UTC)
	for _, row := range []struct{ left, want string }{
		{"", "20261201T033007"},
		{".restoring-20261201T033007", "20261201T033007-2"},
		{".replaced-20261201T033007-2", "20261201T033007-3"},
	} {
		if row.left != "" {
			if err := os.Mkdir(data+row.left, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if got := freeStamp(data+"/", now); got != row.want {
			t.Errorf("beside data%s it is named %s, want %s", row.left, got, row.want)
		}
	}
}

// copyData copies a data directory, as cp -r does.
func copyData(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chmod", "-R", "go=", to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// TestACopyThatWentItsOwnWayForgetsNoWithdrawal: a directory was set back to an older copy of itself, and recorded while
// ClickHouse was away, so that two proofs have each place. A repair brings back what only ClickHouse knows.
func TestACopyThatWentItsOwnWayForgetsNoWithdrawal(t *testing.T) {
	url, sites := kit.Database(t), siteFile(t, origin)
	data, copied := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "copy")
	args := []string{"--clickhouse", url}
	p, edge := serve(t, data, sites, args...)
	token := tokenFor(t, data)
	mustChoose(t, edge, token, "jean")
	wantRows(t, data, args, "SELECT count() FROM consents", "1")
	p.end(t)
	copyData(t, data, copied)
	p, edge = serve(t, data, sites, args...)
	if code, body := decide(t, edge, token, uuid.Must(uuid.NewV7()), "jean", "withdraw", false); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	wantRows(t, data, args, "SELECT count() FROM consents", "2")
	p.end(t)

	p, edge = serve(t, copied, sites, "--clickhouse", "clickhouse://127.0.0.1:1/away") // the copy knows of no withdrawal
	for i := range 3 {
		mustChoose(t, edge, token, fmt.Sprintf("new-%d", i))
	}
	p.end(t)
	out, errs, err := command(append([]string{"repair", "--data", copied, "--yes"}, args...)...)
	if err != nil || !contains(out, "1 proofs that are missing here") {
		t.Fatalf("repair: %s %s %v", out, errs, err)
	}
	p, edge = serve(t, copied, sites, args...)
	wantStanding(t, edge, token, "jean", "withdrawn")
	wantStanding(t, edge, token, "new-2", "granted")
	p.end(t)
}

// TestAClickHouseThatKnowsNothingIsNotTakenForTheRightOne, and what the replaced ledger has is brought back all the same.
func TestAClickHouseThatKnowsNothingIsNotTakenForTheRightOne(t *testing.T) {
	sites, data := siteFile(t, origin), filepath.Join(t.TempDir(), "data")
	args := []string{"--clickhouse", kit.Database(t)}
	p, edge := serve(t, data, sites, args...)
	token := tokenFor(t, data)
	mustChoose(t, edge, token, "jean")
	wantRows(t, data, args, "SELECT count() FROM consents", "1")
	path := mustBackup(t, data)
	if code, body := decide(t, edge, token, uuid.Must(uuid.NewV7()), "jean", "withdraw", false); code != 201 {
		t.Fatalf("%d %s", code, body)
	}
	p.end(t)
	empty := []string{"--clickhouse", kit.Database(t)}
	_, errs, err := command(append([]string{"restore", "--data", data, "--replace", path}, empty...)...)
	if err == nil || !contains(err.Error(), "has none of the 1 proofs", "--clickhouse-lost") {
		t.Fatalf("an empty ClickHouse: %s %v", errs, err)
	}
	mustRestore(t, append([]string{"--data", data, "--replace", "--clickhouse-lost", path}, empty...)...)
	p, edge = serve(t, data, sites, empty...)
	wantStanding(t, edge, token, "jean", "withdrawn")
	p.end(t)
}

// TestARestoreThatWasKilledInItsLastStepIsNoNewServer: the directory is not there, and what belongs in its place lies beside.
func TestARestoreThatWasKilledInItsLastStepIsNoNewServer(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data.restoring-20261130T000000"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := command("serve", "--data", filepath.Join(dir, "data"), "--sites", t.TempDir(), "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if err == nil || !contains(err.Error(), "a restore was interrupted", "data.restoring-20261130T000000") {
		t.Errorf("%v", err)
	}
}

// TestTheCheckpointsBesideTheLedgerAreMissed, when they are gone.
func TestTheCheckpointsBesideTheLedgerAreMissed(t *testing.T) {
	data, sites := filepath.Join(t.TempDir(), "data"), siteFile(t, origin)
	away := []string{"--clickhouse", "clickhouse://127.0.0.1:1/away"}
	p, edge := serve(t, data, sites, away...)
	mustChoose(t, edge, tokenFor(t, data), "jean")
	p.end(t)
	if err := os.RemoveAll(filepath.Join(data, "log")); err != nil {
		t.Fatal(err)
	}
	_, _, err := command(append([]string{"serve", "--data", data, "--sites", sites, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, away...)...)
	if err == nil || !contains(err.Error(), filepath.Join(data, "log"), "consentd repair") {
		t.Errorf("%v", err)
	}
}

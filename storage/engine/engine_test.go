//go:build darwin || linux

package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// parentEnv makes the test binary a parent that opens an engine on the named folder, prints its
// connection and waits to be killed.
const parentEnv = "CONSENTD_ENGINE_TEST_PARENT"

func TestMain(m *testing.M) {
	RunChildIfAsked()
	if dir := os.Getenv(parentEnv); dir != "" {
		os.Exit(beParent(dir))
	}
	os.Exit(m.Run())
}

func beParent(dir string) int {
	e, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(e.Connection()); err != nil {
		return 1
	}
	select {}
}

func TestEngineAnswersThroughTheOrdinaryDriver(t *testing.T) {
	e := open(t, Options{})
	conn := connect(t, e.URL())
	run(t, conn, "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO t SELECT number FROM numbers(1000)")
	if got := count(t, conn, "SELECT sum(id) FROM t"); got != 499500 {
		t.Errorf("sum = %d, want 499500", got)
	}
	run(t, conn, "ALTER TABLE t DELETE WHERE id < 500 SETTINGS mutations_sync = 2")
	run(t, conn, "OPTIMIZE TABLE t FINAL")
	if got := count(t, conn, "SELECT count() FROM t"); got != 500 {
		t.Errorf("after the mutation %d rows, want 500", got)
	}
	if got := text(t, conn, "SELECT timezone()"); got != "UTC" {
		t.Errorf("timezone %q, want UTC", got)
	}
	if err := e.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

func TestFilesAreReadableByTheOwnerOnly(t *testing.T) {
	e := open(t, Options{Dir: filepath.Join(t.TempDir(), "new", "folder")})
	for name, want := range map[string]os.FileMode{
		"": os.ModeDir | 0o700, configFile: 0o600, usersFile: 0o600, connectionFile: 0o600, lockFile: 0o600,
		logFile: 0o600, dataDir: os.ModeDir | 0o700,
	} {
		info, err := os.Stat(filepath.Join(e.opts.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestKilledChildComesBackWithItsDataUnderTheSameURL(t *testing.T) {
	e := open(t, Options{})
	conn := connect(t, e.URL())
	run(t, conn, "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO t SELECT number FROM numbers(1000)")
	for round := 1; round <= 2; round++ {
		kill(t, e.Connection().PID)
		waitFor(t, "the restart to be counted", func() bool { return e.Restarts() == round })
		if err := e.Health(); err != nil {
			t.Fatalf("Health after a restart: %v", err)
		}
		conn = connect(t, e.URL())
		if got := count(t, conn, "SELECT count() FROM t"); got != 1000 {
			t.Fatalf("%d rows after kill -9, want 1000", got)
		}
	}
	if c, err := Running(e.opts.Dir); err != nil || c != e.Connection() {
		t.Errorf("Running after a restart: %v", err)
	}
}

func TestHealthSaysWhatIsWrongWhileTheChildIsDown(t *testing.T) {
	lib := filepath.Join(t.TempDir(), libName)
	if err := os.Symlink(library(t), lib); err != nil {
		t.Fatal(err)
	}
	e := open(t, Options{Lib: lib})
	// A library that is none makes every restart fail.
	if err := os.Remove(lib); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lib, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	kill(t, e.Connection().PID)
	waitFor(t, "a failed restart", func() bool {
		err := e.Health()
		return err != nil && strings.Contains(err.Error(), "loading the embedded ClickHouse")
	})
	if err := e.Health(); !strings.Contains(err.Error(), logFile) {
		t.Errorf("Health does not name the log: %v", err)
	}
}

func TestDataSurvivesCloseAndOpen(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Options{Dir: dir})
	conn := connect(t, e.URL())
	run(t, conn, "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "INSERT INTO t SELECT number FROM numbers(10)")
	old := e.Password()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, Options{Dir: dir})
	if e.Password() == old {
		t.Error("the password was used again")
	}
	if got := count(t, connect(t, e.URL()), "SELECT count() FROM t"); got != 10 {
		t.Errorf("%d rows, want 10", got)
	}
}

func TestChildDiesWithAKilledParent(t *testing.T) {
	dir := t.TempDir()
	parent, conn := startParent(t, dir)
	if c, err := Running(dir); err != nil || c != conn {
		t.Fatalf("Running while another process has the engine: %v", err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Fatalf("Open on the folder of another process: %v, want ErrInUse", err)
	}
	kill(t, parent.Process.Pid)
	_ = parent.Wait()
	waitFor(t, "the orphan to end", func() bool { return !processAlive(conn.PID) })
	if _, err := os.Stat(filepath.Join(dir, connectionFile)); err != nil {
		t.Fatalf("the killed parent left no connection.json, so the next lines prove nothing: %v", err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Running with a stale file: %v, want ErrNotRunning", err)
	}
	open(t, Options{Dir: dir}) // the lock went with them
}

func TestFolderCanBeOpenedRightAfterItsParentWasKilled(t *testing.T) {
	dir := t.TempDir()
	parent, _ := startParent(t, dir)
	kill(t, parent.Process.Pid)
	_ = parent.Wait()
	open(t, Options{Dir: dir})
}

func TestChildEndsWhenItsPipeDoes(t *testing.T) {
	// What kills an orphan where the kernel has no PDEATHSIG.
	dir := t.TempDir()
	o, _ := Options{Dir: dir}.withDefaults()
	lock, err := acquire(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var p *process
	for taken := true; taken; {
		port, _ := freePort()
		c := Connection{Addr: fmt.Sprintf("127.0.0.1:%d", port), User: userName, Password: newPassword()}
		if err := writeConfig(o, c); err != nil {
			t.Fatal(err)
		}
		if p, err = startProcess(o, library(t), c.Addr, lock); err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		err = p.awaitReady(t.Context(), c)
		if taken = errors.Is(err, errPortTaken); taken {
			p.stop()
		} else if err != nil {
			t.Fatal(err)
		}
	}
	p.pipe.Close()
	waitFor(t, "the child to end", func() bool { return isClosed(p.done) })
}

func TestPasswordsAreAskedFor(t *testing.T) {
	e := open(t, Options{})
	c := e.Connection()
	for name, url := range map[string]string{
		"a wrong password":              dsn(c.Addr, c.User, "wrong"),
		"no password":                   dsn(c.Addr, c.User, ""),
		"the reader's for the user":     dsn(c.Addr, c.User, c.ReaderPassword),
		"a user who does not exist":     dsn(c.Addr, "nobody", c.Password),
		"a password for default":        dsn(c.Addr, "default", c.Password),
		"a wrong one for the reader":    dsn(c.Addr, c.Reader, "wrong"),
		"an empty one for the reader":   dsn(c.Addr, c.Reader, ""),
		"the user's for the reader too": dsn(c.Addr, c.Reader, c.Password),
	} {
		if err := openConn(t, url).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "516") {
			t.Errorf("%s: %v, want code 516", name, err)
		}
	}
	stillServes(t, e)
}

// The user `default` cannot be given a password: the library itself logs in with it.
func TestDefaultUserCanDoNothing(t *testing.T) {
	e := open(t, Options{})
	owner := connect(t, e.URL())
	run(t, owner, "CREATE TABLE secret (id UInt64) ENGINE = MergeTree ORDER BY id")
	anyone := openConn(t, dsn(e.Addr(), "default", ""))
	for _, query := range []string{
		"SELECT count() FROM secret",
		"SELECT count() FROM system.processes",
		"SELECT count() FROM system.numbers LIMIT 1",
		"SYSTEM STOP LISTEN TCP",
		"SYSTEM SHUTDOWN",
		"KILL QUERY WHERE user = 'default'",
		"DROP TABLE secret",
		"CREATE TABLE mine (id UInt64) ENGINE = Memory",
		"SELECT * FROM file('/etc/passwd', LineAsString)",
		"SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
		"SET max_threads = 1",
	} {
		if err := anyone.Exec(t.Context(), query); err == nil {
			t.Errorf("default may %s", query)
		}
	}
	stillServes(t, e)
}

func TestReaderReadsAndChangesNothing(t *testing.T) {
	e := open(t, Options{})
	owner := connect(t, e.URL())
	run(t, owner, "CREATE DATABASE other")
	run(t, owner, "CREATE TABLE other.t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, owner, "INSERT INTO other.t SELECT number FROM numbers(10)")
	reader := connect(t, e.ReaderURL())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // makes the driver send a setting
	defer cancel()
	var n uint64
	if err := reader.QueryRow(ctx, "SELECT count() FROM other.t").Scan(&n); err != nil || n != 10 {
		t.Fatalf("the reader counts %d, %v; want 10", n, err)
	}
	for _, query := range []string{
		"INSERT INTO other.t SELECT 1",
		"ALTER TABLE other.t DELETE WHERE 1",
		"TRUNCATE TABLE other.t",
		"DROP TABLE other.t",
		"CREATE TABLE other.mine (id UInt64) ENGINE = Memory",
		"CREATE DATABASE mine",
		"OPTIMIZE TABLE other.t FINAL",
		"SET readonly = 0",
		"SYSTEM STOP LISTEN TCP",
		"SYSTEM STOP MERGES other.t",
		"SELECT * FROM file('/etc/passwd', LineAsString)",
		"SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
		"SELECT * FROM remote('127.0.0.1', 'other.t')",
		"INSERT INTO FUNCTION file('x.tsv') SELECT 1",
	} {
		if err := reader.Exec(t.Context(), query); err == nil {
			t.Errorf("the reader may %s", query)
		}
	}
	if got := count(t, owner, "SELECT count() FROM other.t"); got != 10 {
		t.Errorf("%d rows left, want 10", got)
	}
	stillServes(t, e)
}

// ClickHouse accepts these two from anybody and leaves out what is not his.
func TestReaderStopsNobodyElse(t *testing.T) {
	e := open(t, Options{})
	owner, watcher, reader := connect(t, e.URL()), connect(t, e.URL()), connect(t, e.ReaderURL())
	run(t, owner, "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
	run(t, owner, "INSERT INTO t SELECT 1")
	run(t, owner, "INSERT INTO t SELECT 2")
	slow := make(chan error, 1)
	var stop atomic.Bool
	go func() { // again and again: one runs whenever the others get to look
		var err error
		for err == nil && !stop.Load() {
			err = owner.Exec(t.Context(), "SELECT sleepEachRow(0.1) FROM numbers(10)")
		}
		slow <- err
	}()
	waitFor(t, "the slow query to run", func() bool {
		return count(t, watcher, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow(0.1)%'") == 1
	})
	if err := reader.Exec(t.Context(), "KILL QUERY WHERE user != 'reader' SYNC"); err != nil {
		t.Logf("refused altogether: %v", err)
	}
	if err := reader.Exec(t.Context(), "SYSTEM STOP MERGES"); err != nil {
		t.Logf("refused altogether: %v", err)
	}
	stop.Store(true)
	if err := <-slow; err != nil {
		t.Errorf("the owner's query: %v", err)
	}
	run(t, owner, "OPTIMIZE TABLE t FINAL SETTINGS optimize_throw_if_noop = 1")
	stillServes(t, e)
}

// Without a terminal as its input, ClickHouse 26.7 aborts at the first of these.
func TestBrokenClientsDoNotEndTheEngine(t *testing.T) {
	e := open(t, Options{})
	for range 5 {
		for _, junk := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00", "\xff\xff\xff\xff", ""} {
			c, err := net.Dial("tcp", e.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte(junk)); err != nil {
				t.Fatal(err)
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c) // until the server has thrown
			c.Close()
		}
		c, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(helloPacket(e.User(), e.Password()), queryPacket("SELECT sleep(0.1)")...)); err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetLinger(0) // a reset in the middle of a query
		c.Close()
	}
	stillServes(t, e)
}

func TestListensOnLoopbackOnly(t *testing.T) {
	e := open(t, Options{})
	host, port, err := net.SplitHostPort(e.Addr())
	if err != nil || host != "127.0.0.1" {
		t.Fatalf("Addr %q, %v", e.Addr(), err)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.IsLinkLocalUnicast() {
			continue
		}
		if c, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), port), time.Second); err == nil {
			c.Close()
			t.Errorf("it listens on %s", ip)
		}
	}
}

func TestFolderTakesOneEngineOnly(t *testing.T) {
	e := open(t, Options{})
	if _, err := Open(t.Context(), Options{Dir: e.opts.Dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open: %v, want ErrInUse", err)
	}
	stillServes(t, e)
}

func TestTakenPortMakesItChooseAnother(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	asked := 0
	e := open(t, Options{pickPort: func() (int, error) {
		if asked++; asked <= 2 {
			return taken, nil
		}
		return freePort()
	}})
	if asked < 3 || e.Addr() == l.Addr().String() {
		t.Errorf("asked for %d ports, Addr %s; %d was taken", asked, e.Addr(), taken)
	}
	stillServes(t, e)
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Open: %v, want context.Canceled", err)
	}
	open(t, Options{Dir: dir}) // nothing of it is left
}

func TestRunningFindsWhatRuns(t *testing.T) {
	dir := t.TempDir()
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("in an empty folder: %v, want ErrNotRunning", err)
	}
	e := open(t, Options{Dir: dir})
	c, err := Running(dir)
	if err != nil || c != e.Connection() {
		t.Errorf("Running: %v, %v", c.Addr, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Close: %v, want ErrNotRunning", err)
	}
	if processAlive(c.PID) {
		t.Error("the child outlived Close")
	}
	if err := e.Health(); err == nil {
		t.Error("Health of a closed engine is nil")
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const bound = 700 << 20
	e := open(t, Options{MemoryBytes: bound})
	conn := connect(t, e.URL())
	got := text(t, conn, "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")
	if got != fmt.Sprint(bound) {
		t.Errorf("max_server_memory_usage is %s, want %d", got, bound)
	}
	err := conn.Exec(t.Context(), "SELECT length(groupArray(number)) FROM numbers(200000000)")
	if err == nil || !strings.Contains(err.Error(), "MEMORY_LIMIT_EXCEEDED") && !strings.Contains(err.Error(), "code: 241") {
		t.Errorf("a query of 1.6 GB: %v, want code 241", err)
	}
	stillServes(t, e)
}

func TestExtraConfigReachesTheServer(t *testing.T) {
	other := open(t, Options{})
	e := open(t, Options{ExtraConfig: fmt.Sprintf(`<remote_servers><pair><shard><replica>
		<host>127.0.0.1</host><port>%d</port><user>%s</user><password>%s</password></replica></shard></pair></remote_servers>`,
		port(t, other), other.User(), other.Password())})
	run(t, connect(t, other.URL()), "CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT number n FROM numbers(7)")
	if got := count(t, connect(t, e.URL()), "SELECT count() FROM cluster('pair', default.t) SETTINGS connect_timeout_with_failover_ms = 30000"); got != 7 {
		t.Errorf("%d rows from the other engine, want 7", got)
	}
}

func TestMissingLibraryIsSaidWithTheRemedy(t *testing.T) {
	_, err := Open(t.Context(), Options{Dir: t.TempDir(), Lib: filepath.Join(t.TempDir(), libName)})
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "npm ci --prefix storage/engine") {
		t.Errorf("Open: %v, want ErrMissing with the command to run", err)
	}
	t.Setenv(EnvLib, filepath.Join(t.TempDir(), libName))
	if _, err := Find(""); !errors.Is(err, ErrMissing) {
		t.Errorf("Find with a wrong %s: %v, want ErrMissing", EnvLib, err)
	}
	t.Setenv(EnvLib, "")
	t.Chdir(t.TempDir())
	if _, err := Find(""); !errors.Is(err, ErrMissing) {
		t.Errorf("Find far from the source: %v, want ErrMissing", err)
	}
}

func TestPackagesArePinned(t *testing.T) {
	var lock struct {
		Packages map[string]struct {
			Version, Integrity   string
			OptionalDependencies map[string]string
		}
	}
	content, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "http") {
		t.Error("package-lock.json names a registry")
	}
	wanted := lock.Packages[""].OptionalDependencies
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"} {
		pkg := npmPackage(filepath.Dir(platform), filepath.Base(platform))
		if v := lock.Packages["node_modules/"+pkg].Version; v == "" || v != wanted[pkg] {
			t.Errorf("%s: locked %q, wanted %q", pkg, v, wanted[pkg])
		}
	}
	if lock.Packages["node_modules/"+npmPackage("linux", "amd64")].Integrity == "" {
		t.Error("the linux-x64 package is locked without its hash")
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	for failures := range 100 {
		base := min(firstBackoff<<min(failures, 10), maxBackoff)
		if got := backoff(failures); got < base/2 || got > base*3/2 {
			t.Errorf("backoff(%d) = %v, want %v within half of it", failures, got, base)
		}
	}
}

// open opens an engine and closes it with the test.
func open(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	e, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

func library(t *testing.T) string {
	t.Helper()
	lib, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// startParent runs another process that has an engine on dir.
func startParent(t *testing.T, dir string) (*exec.Cmd, Connection) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parentEnv+"="+dir, EnvLib+"="+library(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var c Connection
	if err := json.Unmarshal(line, &c); err != nil {
		t.Fatal(err)
	}
	return cmd, c
}

func openConn(t *testing.T, url string) driver.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func connect(t *testing.T, url string) driver.Conn {
	t.Helper()
	conn := openConn(t, url)
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

func run(t *testing.T, conn driver.Conn, query string) {
	t.Helper()
	if err := conn.Exec(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func count(t *testing.T, conn driver.Conn, query string) (n uint64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func text(t *testing.T, conn driver.Conn, query string) (s string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), query).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

// stillServes fails if the engine does not answer, or if its child had to be replaced.
func stillServes(t *testing.T, e *Engine) {
	t.Helper()
	c := e.Connection()
	if err := probe(t.Context(), 30*time.Second, c.Addr, c.User, c.Password); err != nil {
		t.Errorf("no answer any more: %v", err)
	}
	if n := e.Restarts(); n != 0 || e.Health() != nil {
		t.Errorf("%d restarts, health: %v", n, e.Health())
	}
}

func port(t *testing.T, e *Engine) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls: the events here come from other processes.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

package drain_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/consent"
	"github.com/consentd/consentd/storage/drain"
	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

// noticed bounds what the issue bounds by 10 s, on a machine that is busy with other tests.
const noticed = 10 * time.Second

// told waits for Health to be bad (or good) within noticed.
func (r *rig) told(d *drain.Drain, what string, bad bool) error {
	r.t.Helper()
	began := time.Now()
	storagetest.Eventually(r.t, time.Minute, what, func() bool { return (d.Health() != nil) == bad })
	if took := time.Since(began); took > noticed {
		r.t.Errorf("%s: told after %s", what, took)
	}
	return d.Health()
}

func TestAClickHouseThatHangsIsToldWhileNothingIsToBeSent(t *testing.T) {
	for name, hurt := range map[string]func(p *storagetest.Proxy){
		"nothing moves any more":         func(p *storagetest.Proxy) { p.Stall() },
		"questions pass, answers do not": func(p *storagetest.Proxy) { p.SwallowAnswersAfter(0) },
		"it is gone":                     func(p *storagetest.Proxy) { p.Refuse() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
			w := r.open(warehouse.Options{URL: storagetest.Through(t, r.url, proxy), Log: quiet()})
			d := drain.New(r.options(w))
			r.run(d)
			r.append(10)
			r.shipped(d)
			r.whole(d)
			hurt(proxy)
			r.told(d, "the warehouse is seen to hang", true)
			if len(d.Gaps()) == 0 {
				t.Error("nothing is said to be missing")
			}
			proxy.Heal(t)
			r.told(d, "the warehouse is seen to be back", false)
			r.whole(d)
			if log := r.log.String(); strings.Count(log, "does not answer as it should") != 1 || strings.Count(log, "answers again") != 1 {
				t.Errorf("each change is said once:\n%s", log)
			}
		})
	}
}

func TestASocketThatAcceptsAndNeverAnswersIsToldFromTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t)
	d := drain.New(r.options(r.open(warehouse.Options{URL: "clickhouse://x@" + l.Addr().String() + "/x", Log: quiet()})))
	r.run(d)
	r.told(d, "the socket is seen not to answer", true)
}

func TestAStoppedEngineIsTold(t *testing.T) {
	e := storagetest.OwnEngine(t)
	r := newRigAt(t, storagetest.FreshDatabase(t, e.URL()))
	d := drain.New(r.options(r.open(warehouse.Options{URL: r.url, Log: quiet()})))
	r.run(d)
	r.append(10)
	r.shipped(d)
	pid := e.Connection().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	r.told(d, "the engine is seen to stand still", true)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.told(d, "the engine is seen to go on", false)
	r.whole(d)
}

func TestADamagedPartIsTold(t *testing.T) {
	e := storagetest.OwnEngine(t)
	r := newRigAt(t, storagetest.FreshDatabase(t, e.URL()))
	d := drain.New(r.options(r.warehouse(nil)))
	r.run(d)
	r.append(5000)
	r.shipped(d)
	r.whole(d)
	path := ""
	if err := r.sql.QueryRow(context.Background(), "SELECT path FROM system.parts WHERE database = currentDatabase() AND table = 'consent_personal' AND active ORDER BY rows DESC LIMIT 1").Scan(&path); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*.bin")
	if err != nil || len(files) == 0 {
		t.Fatal(path, files, err)
	}
	for _, name := range files { // in place: the server has them open
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		for at := int64(40); at < info.Size(); at += 997 {
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 0x55
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	if err := r.told(d, "the damage is seen", true); err != nil && !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Health: %v", err)
	}
	r.exec("TRUNCATE TABLE consent_personal")
	r.told(d, "the damage is seen to be mended", false)
	r.whole(d)
	r.exact()
}

// wrongClock is a warehouse whose clock is off.
type wrongClock struct {
	*warehouse.Warehouse
	by time.Duration
}

func (w wrongClock) Probe(ctx context.Context, edge string) (*consent.Pulse, error) {
	p, err := w.Warehouse.Probe(ctx, edge)
	if p != nil && p.Now > 0 {
		p.Now += consent.Millis(w.by.Milliseconds())
	}
	return p, err
}

func TestAClockFarFromOursIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		by   time.Duration
		says string
	}{
		"right":         {0, ""},
		"a minute off":  {time.Minute, ""},
		"an hour ahead": {time.Hour, "ClickHouse's clock is 1h0m0s ahead of"},
		"a day behind":  {-24 * time.Hour, "behind this machine's"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			o := r.options(wrongClock{r.warehouse(nil), c.by})
			o.ProbeEvery = 20 * time.Millisecond
			d := drain.New(o)
			r.run(d)
			r.whole(d)
			storagetest.Eventually(t, time.Minute, "the clock is compared", func() bool { return (d.Clock() != nil) == (c.says != "") })
			if err := d.Clock(); err != nil && !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

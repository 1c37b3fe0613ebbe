package warehouse_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/consentd/consentd/storage/storagetest"
	"github.com/consentd/consentd/storage/warehouse"
)

func isPoison(err error) bool {
	var p interface{ Poison() bool }
	return errors.As(err, &p) && p.Poison()
}

func TestOnlyRowsThemselvesArePoison(t *testing.T) {
	g := storagetest.NewGenerator(1)
	t.Run("a violated constraint blames the rows, in words without their values", func(t *testing.T) {
		w := open(t)
		alter(t, w, "ALTER TABLE ", "consent_facts", " ADD CONSTRAINT c CHECK country != 'QQ'")
		proofs := g.Proofs(3)
		proofs[1].Country = "QQ"
		err := w.SendProofs(t.Context(), at("e1", 0), proofs)
		if !isPoison(err) || strings.Contains(err.Error(), "QQ") || !strings.Contains(err.Error(), "VIOLATED_CONSTRAINT") {
			t.Fatalf("got %v", err)
		}
		sendProofs(t, w, 0, proofs[:1])
		sendProofs(t, w, 2, proofs[2:])
		if n := count(t, w, "SELECT count() FROM consents"); n != 2 {
			t.Errorf("%d neighbours arrived, want 2", n)
		}
	})
	t.Run("a missing table is retried", func(t *testing.T) {
		w := openAt(t, kit.Database(t))
		if err := w.SendProofs(t.Context(), at("e1", 0), g.Proofs(3)); err == nil || isPoison(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a missing column is retried", func(t *testing.T) {
		w := open(t)
		exec(t, w, "ALTER TABLE consent_personal DROP COLUMN page")
		if err := w.SendProofs(t.Context(), at("e1", 0), g.Proofs(3)); err == nil || isPoison(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a column of another type is retried", func(t *testing.T) {
		w := open(t)
		exec(t, w, "ALTER TABLE consent_personal MODIFY COLUMN page UInt8")
		if err := w.SendProofs(t.Context(), at("e1", 0), g.Proofs(3)); err == nil || isPoison(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a refused connection is retried", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		w := openAt(t, "clickhouse://u:p@"+l.Addr().String()+"/db")
		if err := w.SendProofs(t.Context(), at("e1", 0), g.Proofs(3)); err == nil || isPoison(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("too many rows at once are our own mistake", func(t *testing.T) {
		w := open(t)
		if err := w.SendPrompts(t.Context(), at("e1", 0), g.Prompts(warehouse.MaxBatch+1)); err == nil || isPoison(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPoisonCodesCarryTheServersOwnNames(t *testing.T) {
	w := open(t)
	n := 0
	for code := range int32(1200) {
		name, ok := warehouse.PoisonName(code)
		if !ok {
			continue
		}
		n++
		real := serverName(t, w, code)
		if real != name {
			t.Errorf("code %d is %s to the server, %s to us", code, real, name)
		}
	}
	if n == 0 {
		t.Error("no code is poison")
	}
}

func TestAStalledServerDoesNotHoldUpAShutdown(t *testing.T) {
	url := kit.Database(t)
	if err := openAt(t, url).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	w := openAt(t, storagetest.Through(t, url, proxy))
	if err := w.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.SendProofs(ctx, at("e1", 0), storagetest.NewGenerator(1).Proofs(10)) }()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("still sending five seconds after cancel")
	}
}

func TestASwallowedAnswerIsCountedOnce(t *testing.T) {
	url := kit.Database(t)
	direct := openAt(t, url)
	if err := direct.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy := storagetest.NewProxy(t, kit.Engine(t).Addr())
	w := openAt(t, storagetest.Through(t, url, proxy))
	v := newWorld()
	v.proofs["e2"], v.prompts = nil, nil
	if err := w.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.SwallowAnswersAfter(20_000) // the server's go-ahead must pass, its confirmation must not
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := make(chan error, 1)
	go func() { err <- w.SendProofs(ctx, at("e1", 0), v.proofs["e1"]) }()
	storagetest.Eventually(t, 10*time.Second, "the personal part committed", func() bool {
		return count(t, direct, "SELECT count() FROM consent_personal") == 2000
	})
	cancel()
	if e := <-err; e == nil {
		t.Fatal("the answer was heard: this test no longer tests anything")
	}
	proxy.Heal(t)
	for range 2 {
		sendProofs(t, w, 0, v.proofs["e1"])
		v.check(t, direct)
		if n := count(t, direct, "SELECT count() FROM consents WHERE NOT erased"); n != 2000 {
			t.Errorf("%d rows, want 2000", n)
		}
	}
}

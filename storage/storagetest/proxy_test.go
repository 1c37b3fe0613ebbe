package storagetest

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"net/netip"
)

// echo answers every line with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					if _, err := c.Write(append(s.Bytes(), '\n')); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a line and reads the answer, "" when none comes within limit or the link breaks.
func say(c net.Conn, line string, limit time.Duration) string {
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return ""
	}
	c.SetReadDeadline(time.Now().Add(limit))
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return ""
	}
	return answer[:len(answer)-1]
}

func TestAProxyFailsOnCommandAndHeals(t *testing.T) {
	const soon, long = 100 * time.Millisecond, time.Minute
	p := NewProxy(t, echo(t))
	c := dial(t, p)
	if say(c, "one", long) != "one" {
		t.Fatal("a healthy link does not pass a line")
	}

	p.Stall()
	if got := say(c, "two", soon); got != "" {
		t.Errorf("a stalled link passed %q", got)
	}
	p.Heal(t)
	if say(dial(t, p), "three", long) != "three" {
		t.Error("not healed from a stall")
	}

	c = dial(t, p)
	p.SwallowAnswersAfter(0)
	if got := say(c, "four", soon); got != "" {
		t.Errorf("answer %q was not swallowed", got)
	}
	Eventually(t, time.Minute, "the answer is swallowed", func() bool { return p.Swallowed() == int64(len("four\n")) })
	p.Heal(t)

	c = dial(t, p)
	before := p.Sent()
	p.CutAfter(3)
	if got := say(c, "five", long); got != "" || p.Cuts() != 1 || p.Sent() != before+3 {
		t.Errorf("answer %q, %d cuts, %d bytes passed, want 3", got, p.Cuts(), p.Sent()-before)
	}
	if say(dial(t, p), "six", long) != "six" {
		t.Error("a link opened after the cut is not whole")
	}

	p.Refuse()
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("a connection was not refused")
	}
	p.Heal(t)
	if say(dial(t, p), "seven", long) != "seven" {
		t.Error("not healed from refusing")
	}
}

func TestAGeneratorRepeatsItselfBySeed(t *testing.T) {
	opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{})}
	a, b, c := NewGenerator(7).Proofs(50), NewGenerator(7).Proofs(50), NewGenerator(8).Proofs(50)
	if d := cmp.Diff(a, b, opts); d != "" {
		t.Error(d)
	}
	if cmp.Equal(a, c, opts) {
		t.Error("another seed gives the same proofs")
	}
	for _, p := range a {
		if p.Personal.Commit() != p.Commitment {
			t.Fatal("a proof does not open its commitment")
		}
	}
}

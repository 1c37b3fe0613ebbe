package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve runs h on loopback and gives its address.
func serve(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func runOnce(t *testing.T, o Options, d time.Duration) *Result {
	t.Helper()
	o.Drain = time.Minute
	c, err := Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Run(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(addr netip.AddrPort) Request {
	return Request{Bytes: Build("GET", "/", addr.String(), nil, nil)}
}

func TestClosedLoopCountsWhatTheServerCounted(t *testing.T) {
	var served atomic.Uint64
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.WriteHeader(204)
	})
	r := runOnce(t, Options{Addr: addr, Conns: 8, Workers: 2, Request: get(addr), Want: []int{204}}, 200*time.Millisecond)
	if err := r.Clean(); err != nil {
		t.Error(err)
	}
	if r.Answered == 0 || r.Answered != served.Load() || r.Latency.Count() != r.Answered {
		t.Errorf("answered %d, timed %d, the server answered %d", r.Answered, r.Latency.Count(), served.Load())
	}
}

func TestEveryConnectionSendsHoweverShortTheRun(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	r := runOnce(t, Options{Addr: addr, Conns: 3, Workers: 2, Request: get(addr), Want: []int{204}}, time.Nanosecond)
	if r.Answered != 3 || r.Clean() != nil {
		t.Errorf("%d answered over three connections: %v", r.Answered, r.Clean())
	}
}

func TestOtherStatusesAreCountedApartAndNotTimed(t *testing.T) {
	var n atomic.Uint64
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(503)
			io.WriteString(w, "busy")
		}
	})
	r := runOnce(t, Options{Addr: addr, Conns: 4, Request: get(addr), Want: []int{200}}, 100*time.Millisecond)
	if r.Status[503] == 0 || r.Status[200] != r.Answered || r.Latency.Count() != r.Answered {
		t.Errorf("statuses %v, answered %d, timed %d", r.Status, r.Answered, r.Latency.Count())
	}
	if r.Clean() == nil {
		t.Error("a run with refusals calls itself clean")
	}
}

func TestPatchedBodiesOfAnySizeArriveWhole(t *testing.T) {
	const size = 3 << 20 // more than a socket buffer holds: the write waits for room
	var mu sync.Mutex
	seen := map[byte]int{}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) != size || !bytes.Equal(body, bytes.Repeat(body[:1], size)) {
			w.WriteHeader(400)
			return
		}
		mu.Lock()
		seen[body[0]]++
		mu.Unlock()
		w.Header().Set("Content-Length", strconv.Itoa(size/2))
		w.Write(body[:size/2]) // comes back in many pieces
	})
	bytesRequest := Build("POST", "/", addr.String(), nil, bytes.Repeat([]byte{'#'}, size))
	at := Offsets(bytesRequest, "##")[0]
	o := Options{Addr: addr, Conns: 2, Want: []int{200}, Request: Request{
		Bytes: bytesRequest,
		Patch: func(r *rand.PCG, b []byte) {
			c := 'a' + byte(r.Uint64()%26)
			for i := range b[at:] {
				b[at+i] = c
			}
		},
	}}
	lengths := map[int]int{}
	o.OnAnswer = func(_ int, _ time.Time, body []byte) { lengths[len(body)]++ }
	r := runOnce(t, o, 300*time.Millisecond)
	if err := r.Clean(); err != nil {
		t.Error(err)
	}
	if len(seen) < 2 || lengths[size/2] != int(r.Answered) || len(lengths) != 1 {
		t.Errorf("the server saw bodies of %v, the client answers of %v bytes", seen, lengths)
	}
}

func TestConstantRateTimesLateRequestsFromWhenTheyWereDue(t *testing.T) {
	const stall = 300 * time.Millisecond
	var once sync.Once
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			select { // the one slow answer; a timer, because it stands for a slow server
			case <-time.After(stall):
			case <-r.Context().Done():
			}
		})
		w.WriteHeader(204)
	})
	r := runOnce(t, Options{Addr: addr, Conns: 1, Rate: 200, Request: get(addr), Want: []int{204}}, 500*time.Millisecond)
	if err := r.Clean(); err != nil {
		t.Error(err)
	}
	if r.Answered != 100 {
		t.Errorf("%d requests in half a second at 200/s, want 100", r.Answered)
	}
	// Sixty requests fell due during the stall. A generator that omits them sees one slow answer in a hundred.
	if p50 := r.Latency.Quantile(0.5); p50 < stall/20 {
		t.Errorf("the median is %v: the requests due during a stall of %v were not timed from their moment", p50, stall)
	}
}

func TestAnEndedContextEndsARunEarly(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	c, err := Dial(Options{Addr: addr, Conns: 1, Request: get(addr), Want: []int{204}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if _, err := c.Run(ctx, time.Minute); err != nil || time.Since(began) > 20*time.Second {
		t.Errorf("error %v after %v", err, time.Since(began))
	}
}

func TestConnectionsTheServerClosesAreReplaced(t *testing.T) {
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var served atomic.Uint64
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(204)
		if served.Add(1) == 6 {
			enough()
		}
	})
	c, err := Dial(Options{Addr: addr, Conns: 2, Request: get(addr), Want: []int{204}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Run(ctx, time.Minute)
	if err != nil || r.Answered < 6 || r.Broken != 0 {
		t.Errorf("%d answered, %d broken over connections that close after one answer: %v", r.Answered, r.Broken, err)
	}
}

func TestAServerThatDiesLeavesUnansweredRequestsAndAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		l.Close()
		c.Read(make([]byte, 1))
		c.Close()
	}()
	addr := netip.MustParseAddrPort(l.Addr().String())
	c, err := Dial(Options{Addr: addr, Conns: 1, Request: get(addr), Want: []int{204}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Run(t.Context(), 10*time.Second)
	if !errors.Is(err, ErrGone) || r.Broken == 0 || r.Clean() == nil {
		t.Errorf("error %v, %d broken", err, r.Broken)
	}
}

func TestDialRefusesOptionsThatCannotWork(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:" + strconv.Itoa(1))
	for name, o := range map[string]Options{
		"fewer connections than workers": {Addr: addr, Conns: 1, Workers: 2, Request: get(addr), Want: []int{200}},
		"no request":                     {Addr: addr, Conns: 1, Want: []int{200}},
		"no wanted status":               {Addr: addr, Conns: 1, Request: get(addr)},
	} {
		if _, err := Dial(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

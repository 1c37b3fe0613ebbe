package widget_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"

	"github.com/consentd/consentd/widget/widgettest"
)

var traces = flag.String("traces", "", "directory to write the last trace of each banner into, for chrome://tracing (make bench-widget)")

// recording is a trace of the browser that is being taken.
type recording struct {
	tab  *widgettest.Tab
	done chan struct{}

	mu  sync.Mutex
	raw []string // events, as JSON; guarded by mu
}

// event is one event of a trace; times are in microseconds. CPU is the time its thread really ran.
type event struct {
	Name string  `json:"name"`
	Ph   string  `json:"ph"`
	PID  int     `json:"pid"`
	TID  int     `json:"tid"`
	At   float64 `json:"ts"`
	Wall float64 `json:"dur"`
	CPU  float64 `json:"tdur"`
	Args struct {
		Name string `json:"name"` // of a thread
	} `json:"args"`
}

// trace is what one thread, or all, did, in the order it began.
type trace []event

func startTrace(b *testing.B, tab *widgettest.Tab) *recording {
	r := &recording{tab: tab, done: make(chan struct{})}
	err := chromedp.Listen(tab.Context(), func(ev any) {
		switch ev := ev.(type) {
		case *tracing.EventDataCollected:
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, v := range ev.Value {
				r.raw = append(r.raw, string(v))
			}
		case *tracing.EventTracingComplete:
			select {
			case <-r.done:
			default:
				close(r.done)
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	// Not devtools.timeline: it notes where each call came from, which costs the scripts that make many.
	categories := []string{"toplevel", "v8", "v8.execute", "loading"}
	if _, err := chromedp.Call(tab.Context(), tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: categories, ExcludedCategories: []string{"*"}}}); err != nil {
		b.Fatal(err)
	}
	return r
}

// stop ends the recording and gives its events.
func (r *recording) stop(b *testing.B, name string) trace {
	ctx := r.tab.Context()
	if _, err := chromedp.Call(ctx, tracing.End, struct{}{}); err != nil {
		b.Fatal(err)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		b.Fatal("the trace never ended")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := "[" + strings.Join(r.raw, ",\n") + "]"
	if *traces != "" {
		if err := os.WriteFile(filepath.Join(*traces, strings.ReplaceAll(name, " ", "-")+".json"), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	var all trace
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		b.Fatal(err)
	}
	slices.SortStableFunc(all, func(a, b event) int { return int(a.At - b.At) })
	return all
}

// mainThread keeps the finished events of the renderer that committed a page last: its main thread.
func (t trace) mainThread() trace {
	var page event
	for _, e := range t {
		if e.Name == "DocumentLoader::CommitNavigation" && t.renders(e) {
			page = e
		}
	}
	return slices.DeleteFunc(slices.Clone(t), func(e event) bool { return e.PID != page.PID || e.TID != page.TID || e.Ph != "X" })
}

// renders reports whether e is of a renderer's main thread.
func (t trace) renders(e event) bool {
	return slices.ContainsFunc(t, func(n event) bool {
		return n.Name == "thread_name" && n.Args.Name == "CrRendererMain" && n.PID == e.PID && n.TID == e.TID
	})
}

// script is the CPU time of compiling and running JavaScript, in ms.
func (t trace) script() float64 {
	sum, until := 0.0, 0.0
	for _, e := range t {
		if e.At >= until && slices.Contains([]string{"v8.compile", "v8.run", "v8.callFunction", "RunMicrotasks"}, e.Name) {
			sum, until = sum+e.CPU/1000, e.At+e.Wall
		}
	}
	return sum
}

// longest is the CPU time of the longest task, in ms.
func (t trace) longest() float64 {
	most := 0.0
	for _, e := range t {
		if e.Name == "ThreadControllerImpl::RunTask" {
			most = max(most, e.CPU/1000)
		}
	}
	return most
}

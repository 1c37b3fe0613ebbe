package witness

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/consentd/consentd/bench/rig"
)

// How long a program may take, whatever is wrong: to answer or to end after its start, and to end after SIGTERM.
const (
	StartLimit = 10 * time.Second
	StopLimit  = 5 * time.Second
)

// Life is what became of a program that was started or asked to stop.
type Life struct {
	Up    bool   // it answers
	Ended bool   // it ended by itself
	Code  int    // what it exited with; -1: a signal
	Log   string // everything it logged
}

// Hangs means that it neither answers nor ended within the limit.
func (l Life) Hangs() bool { return !l.Up && !l.Ended }

// Last is the last line it logged.
func (l Life) Last() string {
	lines := strings.Split(strings.TrimSpace(l.Log), "\n")
	return lines[len(lines)-1]
}

// Fault says what is wrong with the way it ended: nothing when it exited with a code that says so and a sentence.
func (l Life) Fault() string {
	switch {
	case !l.Ended:
		return ""
	case strings.Contains(l.Log, "\ngoroutine "):
		return "ended with a trace instead of a sentence"
	case l.Code == 0:
		return "ended with code 0, as if asked to"
	case l.Code < 0:
		return "ended by a signal"
	case len(strings.Fields(l.Last())) < 3:
		return "ended without a word"
	}
	return ""
}

// AwaitStart waits until c, which was launched, answers or ends.
func AwaitStart(ctx context.Context, c *rig.Consentd, limit time.Duration) Life {
	h := client(time.Second)
	defer h.CloseIdleConnections()
	for until := time.Now().Add(limit); time.Now().Before(until) && ctx.Err() == nil; {
		if code, ended := c.AwaitExit(5 * time.Millisecond); ended {
			return Life{Ended: true, Code: code, Log: read(c)}
		}
		resp, err := h.Get(c.URL("/healthz"))
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return Life{Up: true, Log: read(c)}
		}
	}
	return Life{Log: read(c)}
}

// AwaitStop sends SIGTERM and waits until c ends. One that does not is killed.
func AwaitStop(c *rig.Consentd, limit time.Duration) Life {
	c.Terminate()
	code, ended := c.AwaitExit(limit)
	if !ended {
		c.Kill()
	}
	return Life{Ended: ended, Code: code, Log: read(c)}
}

func read(c *rig.Consentd) string {
	b, err := os.ReadFile(c.Log())
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}

package engine

import (
	"encoding/json"
	"fmt"
	"os"
)

// childEnv tells a process of this program that it is to be the engine, and with which childSpec.
const childEnv = "CONSENTD_ENGINE_CHILD"

// Descriptors a child inherits. It reads the pipe, and only holds the lock.
const pipeFD = 3

// errLoading begins a child's last words when the library cannot be loaded; the parent looks for it.
const errLoading = "loading the embedded ClickHouse"

// childSpec is what the parent tells the child. No secret is in it.
type childSpec struct {
	Lib  string   `json:"lib"`
	Args []string `json:"args"` // of the library's command line
}

// RunChildIfAsked must be the first statement of main, and of TestMain in every test binary that opens an
// engine: [Open] starts the running program a second time, and there this call becomes the engine and never
// returns. In every other process it returns at once.
func RunChildIfAsked() {
	asked := os.Getenv(childEnv)
	if asked == "" {
		return
	}
	os.Exit(runChild(asked))
}

func runChild(asked string) int {
	var spec childSpec
	if err := json.Unmarshal([]byte(asked), &spec); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", childEnv, err)
		return 2
	}
	go dieWithParent(os.NewFile(pipeFD, "parent"))
	if err := runLibrary(spec.Lib, spec.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// dieWithParent ends the process when the pipe does. Nobody writes into it, so the read returns when the
// parent has closed its end or is dead. Ending at once is safe: parts are written whole before they count.
func dieWithParent(pipe *os.File) {
	_, _ = pipe.Read(make([]byte, 1))
	os.Exit(0)
}

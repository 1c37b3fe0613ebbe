package engine

import (
	"os"
	"syscall"
)

// selfExe is this program.
func selfExe() (string, error) { return os.Executable() }

// childAttr: an own process group, or Ctrl-C in a terminal would end the engine before consentd has
// drained into it. The pipe alone tells the child that its parent is gone.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

const noCTTY = syscall.O_NOCTTY

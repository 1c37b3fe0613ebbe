package engine

import "syscall"

// selfExe is this program, also after its file was replaced by an upgrade.
func selfExe() (string, error) { return "/proc/self/exe", nil }

// childAttr: an own process group, or Ctrl-C in a terminal would end the engine before consentd has
// drained into it; and SIGKILL when the starting thread ends (see supervise for the thread).
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

const noCTTY = syscall.O_NOCTTY

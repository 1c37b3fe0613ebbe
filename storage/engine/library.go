//go:build darwin || linux

package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// runLibrary loads ClickHouse and gives it the main thread. It returns when the engine has ended, which
// for a serving engine only happens on an error.
func runLibrary(lib string, args []string) error {
	syscall.Umask(0o077) // what the engine writes is personal data
	handle, err := purego.Dlopen(lib, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf(errLoading+": %w", err)
	}
	if err := terminalStdin(); err != nil {
		// Still an engine, but one that a single bad client can end: see the package comment.
		fmt.Fprintf(os.Stderr, "no pseudo-terminal, a broken client connection will restart the engine: %v\n", err)
	}
	var run func(argc int32, argv unsafe.Pointer) uintptr
	var problem func(result uintptr) string
	purego.RegisterLibFunc(&run, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&problem, handle, "chdb_result_error")

	argv, keep := cStrings(args)
	result := run(int32(len(args)), unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(keep)
	runtime.KeepAlive(argv)
	if result == 0 {
		return errors.New("the embedded ClickHouse ended without a result")
	}
	if text := problem(result); text != "" {
		return errors.New(text)
	}
	return nil
}

// cStrings makes an argv, ended by nil, and returns what it points into. None of it moves: Go's heap
// objects keep their addresses.
func cStrings(args []string) (argv []*byte, keep [][]byte) {
	for _, arg := range args {
		b := append([]byte(arg), 0)
		keep = append(keep, b)
		argv = append(argv, &b[0])
	}
	return append(argv, nil), keep
}

// terminalStdin puts a new pseudo-terminal's line end on descriptor 0. The other end stays open, unread
// and unnamed, for the life of the process, so the terminal never hangs up.
func terminalStdin() error {
	var openpt, grant, unlock, closeFD func(int32) int32
	var dup func(int32, int32) int32
	var name func(int32) string
	purego.RegisterLibFunc(&openpt, purego.RTLD_DEFAULT, "posix_openpt")
	purego.RegisterLibFunc(&grant, purego.RTLD_DEFAULT, "grantpt")
	purego.RegisterLibFunc(&unlock, purego.RTLD_DEFAULT, "unlockpt")
	purego.RegisterLibFunc(&name, purego.RTLD_DEFAULT, "ptsname")
	purego.RegisterLibFunc(&dup, purego.RTLD_DEFAULT, "dup2")
	purego.RegisterLibFunc(&closeFD, purego.RTLD_DEFAULT, "close")

	master := openpt(int32(os.O_RDWR | noCTTY))
	if master < 0 {
		return errors.New("posix_openpt: none to be had")
	}
	if grant(master) != 0 || unlock(master) != 0 {
		closeFD(master)
		return errors.New("the pseudo-terminal is not granted")
	}
	line, err := os.OpenFile(name(master), os.O_RDWR|noCTTY, 0)
	if err != nil {
		closeFD(master)
		return err
	}
	defer line.Close()
	if dup(int32(line.Fd()), 0) < 0 {
		return errors.New("dup2 to standard input")
	}
	return nil
}

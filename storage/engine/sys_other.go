//go:build !darwin && !linux

package engine

import (
	"errors"
	"os"
	"syscall"
)

// There is no library for this system: Find says so before any of these is called.

func tryLock(*os.File) error            { return errors.ErrUnsupported }
func processAlive(int) bool             { return true }
func terminate(p *os.Process) error     { return p.Kill() }
func selfExe() (string, error)          { return os.Executable() }
func childAttr() *syscall.SysProcAttr   { return nil }
func runLibrary(string, []string) error { return errors.ErrUnsupported }

//go:build unix

package main

import "syscall"

// closeToOthers has every file this program and its ClickHouse make be readable by this user alone, whoever makes it:
// libraries write the ledger and the tables with modes of their own.
func closeToOthers() { syscall.Umask(0o077) }
